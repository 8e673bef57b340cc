//! Changes of the session's state as items, for those who must not miss one.
//!
//! A watch channel holds the last state only: who looks late does not see what came between. Here each subscriber has a
//! bounded queue; what does not fit any more is counted, and an expiry is never lost. Knows nothing of the driver.

use crate::{session_export::SessionExport, state::SessionState};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tokio::sync::watch;
use zk_proto::{SessionId, Zxid};

/// Changes that wait for one subscriber: more than any outage makes that somebody would read item by item.
pub(crate) const EVENTS_LEN_MAX: usize = 64;

/// One thing that happened to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The session stands like this now. The first item says how it stood when the subscription began.
    Changed(SessionState),
    /// The reader was too slow, and so many changes were left out here. The next item is a later one.
    Missed {
        /// How many changes.
        changes: u64,
        /// How many sessions expired meanwhile.
        expired: u64,
        /// The last of them.
        last_expired: Option<SessionId>,
    },
}

/// Every change of a session's state, in order; see [`Client::session_events`](crate::Client::session_events).
/// Ends after the session's end.
pub struct SessionEvents {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    changes: VecDeque<SessionState>,
    /// What was left out before the first of these changes.
    missed: u64,
    expired: u64,
    last_expired: Option<SessionId>,
    waker: Option<Waker>,
    ended: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, act: impl FnOnce(&mut Inner)) {
        let mut inner = self.lock();
        act(&mut inner);
        if let Some(waker) = inner.waker.take() {
            drop(inner);
            waker.wake();
        }
    }
}

impl Inner {
    fn push(&mut self, state: SessionState) {
        if self.changes.len() >= EVENTS_LEN_MAX {
            for left_out in self.changes.drain(..) {
                self.missed += 1;
                if let SessionState::Connecting { expired: Some(session) } = left_out {
                    self.expired += 1;
                    self.last_expired = Some(session);
                }
            }
        }
        self.changes.push_back(state);
    }

    fn pop(&mut self) -> Option<SessionEvent> {
        if self.missed > 0 {
            let (changes, expired) = (std::mem::take(&mut self.missed), std::mem::take(&mut self.expired));
            return Some(SessionEvent::Missed { changes, expired, last_expired: self.last_expired.take() });
        }
        self.changes.pop_front().map(SessionEvent::Changed)
    }
}

/// What handles know of the session's history.
#[derive(Debug)]
pub(crate) struct SessionLog {
    last_zxid: AtomicI64,
    /// The session that was left, for who goes on with it.
    left: OnceLock<SessionExport>,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    /// `None` after the end.
    now: Option<SessionState>,
    queues: Vec<Weak<Queue>>,
}

impl SessionLog {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest zxid seen.
    pub(crate) fn last_zxid(&self) -> Zxid {
        Zxid(self.last_zxid.load(Ordering::Acquire))
    }

    /// The session that was left, once the client has ended like that.
    pub(crate) fn left(&self) -> Option<SessionExport> {
        self.left.get().cloned()
    }

    /// A subscription, from the present state on. After the end it has nothing but that.
    pub(crate) fn subscribe(&self, last: SessionState) -> SessionEvents {
        let queue = Arc::new(Queue::default());
        let mut told = self.lock();
        let inner = told.now.map_or((last, true), |now| (now, false));
        queue.act(|queue| {
            queue.push(inner.0);
            queue.ended = inner.1;
        });
        told.queues.retain(|queue| queue.strong_count() > 0);
        told.queues.push(Arc::downgrade(&queue));
        SessionEvents { queue }
    }
}

/// The driver's end: tells the state to everybody.
#[derive(Debug)]
pub(crate) struct Announcer {
    channel: watch::Sender<SessionState>,
    log: Arc<SessionLog>,
}

impl Announcer {
    pub(crate) fn new(state: SessionState) -> (Self, watch::Receiver<SessionState>, Arc<SessionLog>) {
        let (channel, receiver) = watch::channel(state);
        let told = Mutex::new(Told { now: Some(state), queues: Vec::new() });
        let log = Arc::new(SessionLog { last_zxid: AtomicI64::new(0), left: OnceLock::new(), told });
        (Self { channel, log: log.clone() }, receiver, log)
    }

    pub(crate) fn borrow(&self) -> watch::Ref<'_, SessionState> {
        self.channel.borrow()
    }

    pub(crate) fn saw(&self, zxid: Zxid) {
        self.log.last_zxid.store(zxid.0, Ordering::Release);
    }

    /// Comes before the end that it is told with.
    pub(crate) fn leave(&self, session: SessionExport) {
        self.log.left.get_or_init(|| session);
    }

    pub(crate) fn send_replace(&self, state: SessionState) {
        self.channel.send_replace(state);
        let mut told = self.log.lock();
        told.now = Some(state);
        told.queues.retain(|queue| {
            queue.upgrade().is_some_and(|queue| {
                queue.act(|queue| queue.push(state));
                true
            })
        });
    }
}

/// The driver is gone: nothing more will come.
impl Drop for Announcer {
    fn drop(&mut self) {
        let mut told = self.log.lock();
        told.now = None;
        for queue in told.queues.drain(..).filter_map(|queue| queue.upgrade()) {
            queue.act(|queue| queue.ended = true);
        }
    }
}

impl SessionEvents {
    /// The next item; `None` after the session's end.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for SessionEvents {
    type Item = SessionEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        let mut inner = self.queue.lock();
        match inner.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if inner.ended => Poll::Ready(None),
            None => {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for SessionEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEvents").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // goal: N15
    #[test]
    fn a_reader_that_comes_late_learns_of_every_expiry() {
        let (announcer, _state, log) = Announcer::new(SessionState::Connecting { expired: None });
        let mut late = log.subscribe(SessionState::Connecting { expired: None });
        for id in 0..10_000 {
            announcer.send_replace(SessionState::Connecting { expired: Some(SessionId(id)) });
        }
        assert!(late.queue.lock().changes.len() <= EVENTS_LEN_MAX);
        drop(announcer);
        let (mut changes, mut gone) = (0, 0);
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(event)) = Pin::new(&mut late).poll_next(&mut cx) {
            match event {
                SessionEvent::Changed(SessionState::Connecting { expired }) => {
                    changes += 1;
                    gone += u64::from(expired.is_some());
                }
                SessionEvent::Changed(_) => panic!("{event:?}"),
                SessionEvent::Missed { changes: missed, expired, last_expired } => {
                    assert_eq!((changes, last_expired.is_some()), (0, true), "told first");
                    changes += missed;
                    gone += expired;
                }
            }
        }
        assert_eq!((changes, gone), (10_001, 10_000));
    }
}
