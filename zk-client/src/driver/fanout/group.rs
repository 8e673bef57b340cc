//! The listeners of one persistent watch.
//!
//! Knows nothing of requests.

use super::{NoWatch, emulation::Emulation};
use crate::{
    driver::ticket::ConsumerId,
    inline::Token,
    watch::{GapReason, Notification, Queue, WatchItem},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::{sync::oneshot, time::Instant};
use zk_proto::WatchedEvent;

/// Who is told that a watch stands, or why not.
pub(crate) type Ready = oneshot::Sender<Result<(), NoWatch>>;

/// One listener.
#[derive(Debug)]
pub(crate) enum Subscriber {
    Stream { queue: Arc<Queue>, ready: Option<Ready> },
    Inline(ConsumerId, Token),
}

/// The listeners of one watch.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The number of its addWatch. The answer to an earlier one on the same path is about a watch that has been
    /// given up since, and is being removed.
    pub(super) asked: u64,
    pub(super) armed: bool,
    /// What stands in for the watch on a server that has no persistent ones.
    pub(super) emulation: Option<Box<Emulation>>,
    /// By the stream's number: dropping one costs no look at the others.
    streams: BTreeMap<u64, (Arc<Queue>, Option<Ready>)>,
    pub(super) inline: Vec<(ConsumerId, Token)>,
}

impl Group {
    pub(super) fn new(asked: u64) -> Self {
        Self { asked, ..Self::default() }
    }

    pub(super) fn add(&mut self, subscriber: Subscriber) {
        match subscriber {
            Subscriber::Stream { queue, ready } => drop(self.streams.insert(queue.id, (queue, ready))),
            Subscriber::Inline(consumer, token) => self.inline.push((consumer, token)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len() + self.inline.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    pub(super) fn drop_stream(&mut self, id: u64) {
        self.streams.remove(&id);
    }

    pub(super) fn drop_consumer(&mut self, gone: ConsumerId) {
        self.inline.retain(|(consumer, _)| *consumer != gone);
    }

    /// Tells those who wait that the watch stands.
    pub(super) fn tell_ready(&mut self) {
        for (_, ready) in self.streams.values_mut() {
            answer(ready.take(), Ok(()));
        }
    }

    pub(super) fn push(&self, item: &WatchItem) {
        for (queue, _) in self.streams.values() {
            queue.push(item.clone());
        }
    }

    /// Hands an event to every stream. The copy is made for the first of them: a slice of the read buffer in a queue
    /// that nobody reads would keep the whole buffer.
    pub(super) fn push_event(&self, event: &WatchedEvent, received: Instant, copy: &mut Option<Notification>) {
        if !self.streams.is_empty() {
            let item = WatchItem::Event(copy.get_or_insert_with(|| Notification::copy_of(event, received)).clone());
            self.push(&item);
        }
    }

    /// Ends all streams: the reason is told to those that have been ready, as a gap.
    pub(super) fn end(&mut self, why: &NoWatch, gap: Option<GapReason>) {
        for (queue, ready) in std::mem::take(&mut self.streams).into_values() {
            match (ready, gap) {
                (Some(ready), _) => answer(Some(ready), Err(why.clone())),
                (None, Some(gap)) => queue.push(WatchItem::Gap(gap)),
                (None, None) => {}
            }
            queue.end();
        }
    }

    /// Ends all streams because their watch was removed.
    pub(super) fn remove_streams(&mut self) {
        self.push(&WatchItem::Removed);
        self.end(&NoWatch::Removed, None);
    }
}

/// Tells a caller how its watch stands; one that went away has dropped its queue, too.
pub(super) fn answer(ready: Option<Ready>, result: Result<(), NoWatch>) {
    let _ = ready.map(|ready| ready.send(result));
}
