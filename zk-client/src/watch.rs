//! Watches as streams: a bounded queue between the driver and one consumer.
//!
//! Knows nothing of sockets. Invariant: a consumer that does not read costs a bounded queue and nothing
//! else; what it missed is replaced by one [`WatchItem::Gap`].

use crate::sweep::{Dropped, Sweep};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    fmt,
    ops::Deref,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tokio::time::Instant;
use zk_proto::{ErrorCode, WatchMode, WatchedEvent, frame::TooLarge, jute::Text, path::Chroot};

/// Bytes of a SetWatches2 for one path, beside the path: header, zxid, five lists, a length.
const REARM_OVERHEAD: usize = 8 + 8 + 5 * 4 + 4;

/// Whether what sets a watch again, which is longer than what sets it, is short enough. The path is the server's.
pub(crate) const fn check_rearm(path: &str, limit: usize) -> Result<(), TooLarge> {
    let len = REARM_OVERHEAD + path.len();
    if len > limit { Err(TooLarge { len, limit }) } else { Ok(()) }
}

/// Items that a watch's queue holds before it coalesces to a gap.
pub(crate) const WATCH_QUEUE_LEN_MAX: usize = 1024;

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchItem {
    /// A znode changed. The path is the client's, below its chroot.
    Event(Notification),
    /// From here on events may be missing: read everything again, after
    /// [`Resumed`](Self::Resumed) where the reason is a lost connection.
    Gap(GapReason),
    /// The watch is set again, before anything that this client asks from now on: a read shows what was missed, and every
    /// change behind it comes as an event.
    Resumed {
        /// The session is a new one: ephemerals of the old one are gone.
        new_session: bool,
    },
    /// [`Client::remove_watches`](crate::Client::remove_watches) removed the watch; the stream ends.
    Removed,
}

/// A watched event, and when it came.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_testkit::server::TestServer::start().await?;
/// # let client = zk_client::Client::connect(&server.connect_string()).await?;
/// use zk_client::{EventType, WatchItem, WatchMode};
///
/// let mut watch = client.watch("/app", WatchMode::PERSISTENT).await?;
/// # server.create("/app", b"").unwrap();
/// if let Some(WatchItem::Event(told)) = watch.next().await {
///     assert_eq!((told.event_type, &*told.path), (EventType::NODE_CREATED, "/app"));
///     println!("transaction {}, seen {:?} ago", told.zxid, told.received.elapsed());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What happened to which znode.
    pub event: WatchedEvent,
    /// When the client read it from the connection, before it waited for anybody.
    pub received: Instant,
}

impl Notification {
    /// An event without its share in the read buffer.
    pub(crate) fn copy_of(event: &WatchedEvent, received: Instant) -> Self {
        let WatchedEvent { event_type, state, path, zxid } = event;
        let path = Text::from(path.as_str());
        Self { event: WatchedEvent { event_type: *event_type, state: *state, path, zxid: *zxid }, received }
    }
}

impl Deref for Notification {
    type Target = WatchedEvent;

    fn deref(&self) -> &WatchedEvent {
        &self.event
    }
}

/// Why events may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapReason {
    /// The connection was lost. ZooKeeper does not replay what a persistent watch missed.
    ConnectionLost,
    /// This consumer did not read in time; the watch itself stands.
    Overflow,
    /// On a server before 3.6: more znodes than one stream follows there; the stream ends.
    TooManyZnodes {
        /// How many it follows.
        limit: usize,
    },
    /// On a server before 3.6: it refuses to be asked any more, for example for want of permission; the stream ends.
    Refused(ErrorCode),
}

/// Events of one watch; ends after the session's end. Dropping it removes the watch at the server, when it
/// was the last one on its path.
pub struct WatchStream {
    pub(crate) queue: Arc<Queue>,
    pub(crate) chroot: Arc<Chroot>,
    pub(crate) sweep: Arc<Sweep>,
}

/// The queue of one stream. Paths in it are the server's: they are made the client's where they are read.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Its number among all listeners of the session.
    pub(crate) id: u64,
    pub(crate) path: Box<str>,
    pub(crate) mode: WatchMode,
    dropped: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<WatchItem>,
    waker: Option<Waker>,
    ended: bool,
}

impl Queue {
    pub(crate) fn new(id: u64, path: Box<str>, mode: WatchMode) -> Self {
        Self { id, path, mode, dropped: AtomicBool::default(), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Adds an item; a full queue is replaced by one gap. Marks of the session are never lost: what
    /// happened to the connection is told behind the gap.
    pub(crate) fn push(&self, item: WatchItem) {
        let mut inner = self.lock();
        if inner.items.len() >= WATCH_QUEUE_LEN_MAX {
            let marks: Vec<_> = inner.items.drain(..).filter(|item| !matches!(item, WatchItem::Event(_))).collect();
            inner.items.push_back(WatchItem::Gap(GapReason::Overflow));
            inner.items.extend(standing(&marks));
        }
        inner.items.push_back(item);
        if let Some(waker) = inner.waker.take() {
            drop(inner);
            waker.wake();
        }
    }

    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        if let Some(waker) = inner.waker.take() {
            drop(inner);
            waker.wake();
        }
    }
}

/// Marks of the session that say the same as all of these: how the connection stands, and whether the session is
/// another one.
fn standing(marks: &[WatchItem]) -> impl Iterator<Item = WatchItem> {
    let renewed = WatchItem::Resumed { new_session: true };
    let is_renewed = marks.contains(&renewed);
    let last = marks.iter().rfind(|mark| **mark != WatchItem::Gap(GapReason::Overflow)).cloned();
    let is_resumed = matches!(last, Some(WatchItem::Resumed { .. }));
    let last = last.filter(|_| !is_renewed || !is_resumed);
    is_renewed.then_some(renewed).into_iter().chain(last)
}

impl WatchStream {
    /// The next item; `None` after the session's end.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<WatchItem> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for WatchStream {
    type Item = WatchItem;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchItem>> {
        let mut inner = self.queue.lock();
        if let Some(mut item) = inner.items.pop_front() {
            if let WatchItem::Event(Notification { event, .. }) = &mut item {
                event.path = self.chroot.text_to_client(&event.path);
            }
            return Poll::Ready(Some(item));
        }
        if inner.ended {
            return Poll::Ready(None);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.queue.dropped.store(true, Ordering::Release);
        self.sweep.drop_listener(Dropped::Stream(self.queue.clone()));
    }
}

impl fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // goal: W1
    #[test]
    fn a_stopped_consumer_costs_one_queue_and_sees_one_gap() {
        let queue = Queue::new(0, "/a".into(), WatchMode::PERSISTENT);
        let event = WatchedEvent {
            event_type: zk_proto::EventType::NODE_CREATED,
            state: zk_proto::watch::KeeperState::SYNC_CONNECTED,
            path: "/a".into(),
            zxid: zk_proto::Zxid(1),
        };
        let event = WatchItem::Event(Notification { event, received: Instant::now() });
        queue.push(WatchItem::Gap(GapReason::ConnectionLost));
        queue.push(WatchItem::Resumed { new_session: true });
        for _ in 0..1_000_000 {
            queue.push(event.clone());
        }
        let items: Vec<_> = queue.lock().items.drain(..).collect();
        assert!(items.len() <= WATCH_QUEUE_LEN_MAX);
        assert_eq!(items[0], WatchItem::Gap(GapReason::Overflow));
        assert_eq!(items[1], WatchItem::Resumed { new_session: true });
        assert!(items[2..].iter().all(|item| *item == event));
    }
}
