//! One-shot watches as ZooKeeper has had them from the start: set by a read, gone with the first event.
//!
//! Knows nothing of sockets. That a watch is set again after a reconnect, and what it missed meanwhile, is the session
//! machine's and the server's.

use crate::{
    call::Call,
    error::{Error, UsageError},
    sweep::{Dropped, Sweep},
    watch::Notification,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};
use zk_proto::{
    path::Chroot,
    session::{End, WatchKind},
};

/// A one-shot watch that a read has left: a future of the one event. It can be awaited by reference, `(&mut watch).await`.
///
/// It lives over reconnects and over new sessions: the client sets it again and the server tells at once of what happened
/// meanwhile, so one change while the session lives gives one event, neither none nor two. What ZooKeeper cannot tell: a
/// znode that was created and deleted again while nobody was connected; and one deleted and created again is told as
/// changed. Event and data are not one: several changes may have happened until the znode is read again.
///
/// Servers since 3.8.4 and 3.9.2 use a watch up in silence when its client may not read the znode.
///
/// # Cancel safety
/// Dropping it removes the watch at the server, unless others wait for the same. The removal may cross the event on its
/// way; then both come to nothing.
#[must_use = "dropping a watch removes it"]
pub struct OneshotWatch {
    pub(crate) slot: Arc<Slot>,
    pub(crate) chroot: Arc<Chroot>,
    pub(crate) sweep: Arc<Sweep>,
}

/// Why a one-shot watch will never fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchLost {
    /// [`Client::remove_watches`](crate::Client::remove_watches) removed it.
    Removed,
    /// The session ended, and no other one follows it.
    Ended(End),
}

/// A read that leaves a one-shot watch, on its way: answers both.
///
/// # Cancel safety
/// Dropping it drops the answer and removes the watch again; the request is still sent. Until it is answered the path counts
/// as watched: a stream for it is refused with [`UsageError::WatchConflict`].
#[must_use = "the operation is under way, but only awaiting it tells whether it worked"]
pub struct WatchCall<R> {
    call: Call<R>,
    path: Box<str>,
    watch: Option<OneshotWatch>,
}

/// What the driver and the owner of a one-shot watch share.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its number among all listeners of the session.
    pub(crate) id: u64,
    /// As the server knows it.
    pub(crate) path: Box<str>,
    pub(crate) kind: WatchKind,
    dropped: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: SlotState,
    waker: Option<Waker>,
}

#[derive(Clone, Debug, Default)]
enum SlotState {
    #[default]
    Waiting,
    /// A persistent watch of this client is in the way.
    Conflict,
    Fired(Notification),
    Lost(WatchLost),
}

impl Slot {
    pub(crate) fn new(id: u64, path: Box<str>, kind: WatchKind) -> Self {
        Self { id, path, kind, dropped: AtomicBool::default(), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    pub(crate) fn fire(&self, event: Notification) {
        self.settle(SlotState::Fired(event));
    }

    pub(crate) fn lose(&self, why: WatchLost) {
        self.settle(SlotState::Lost(why));
    }

    pub(crate) fn conflict(&self) {
        self.settle(SlotState::Conflict);
    }

    /// The first word counts.
    fn settle(&self, state: SlotState) {
        let mut inner = self.lock();
        if matches!(inner.state, SlotState::Waiting) {
            inner.state = state;
        }
        if let Some(waker) = inner.waker.take() {
            drop(inner);
            waker.wake();
        }
    }
}

impl Future for OneshotWatch {
    type Output = Result<Notification, WatchLost>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.slot.lock();
        match &inner.state {
            SlotState::Waiting => {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            SlotState::Fired(told) => {
                let mut told = told.clone();
                told.event.path = self.chroot.text_to_client(&told.event.path);
                Poll::Ready(Ok(told))
            }
            SlotState::Lost(why) => Poll::Ready(Err(*why)),
            SlotState::Conflict => Poll::Ready(Err(WatchLost::Removed)),
        }
    }
}

impl Drop for OneshotWatch {
    fn drop(&mut self) {
        self.slot.dropped.store(true, Ordering::Release);
        // What has fired is not in the driver's table any more.
        if matches!(self.slot.lock().state, SlotState::Waiting) {
            self.sweep.drop_listener(Dropped::Oneshot(self.slot.clone()));
        }
    }
}

impl<R> WatchCall<R> {
    pub(crate) fn new(call: Call<R>, path: &str, watch: OneshotWatch) -> Self {
        Self { call, path: path.into(), watch: Some(watch) }
    }
}

impl<R> Future for WatchCall<R> {
    type Output = Result<(R, OneshotWatch), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.call).poll(cx));
        let Some(watch) = self.watch.take() else { return Poll::Pending };
        if matches!(watch.slot.lock().state, SlotState::Conflict) {
            return Poll::Ready(Err(UsageError::WatchConflict { path: self.path.as_ref().to_owned() }.into()));
        }
        Poll::Ready(answer.map(|answer| (answer, watch)))
    }
}

impl fmt::Display for WatchLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("the watch was removed"),
            Self::Ended(end) => write!(f, "the watch ended with its session: {end}"),
        }
    }
}

impl std::error::Error for WatchLost {}

impl fmt::Debug for OneshotWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneshotWatch").field("kind", &self.slot.kind).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for WatchCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchCall").field("call", &self.call).finish_non_exhaustive()
    }
}
