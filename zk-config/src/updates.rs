//! The way of updates to subscribers, which is there once somebody has subscribed.
//!
//! Most mirrors are only read, and the channel is larger than all else that a mirror of a few znodes holds: forty kilobytes.
//! Knows nothing of what updates say.

use crate::changes::Item;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::{Receiver, Sender};

/// Updates that a subscriber may be behind before they coalesce to a gap and a difference.
pub(crate) const UPDATES_MAX: usize = 1024;

/// Invariant: what was stored before an update was [sent](Self::send) is seen by whoever looks after
/// [subscribing](Self::subscribe), or else the update arrives. Never neither: one of the two has the lock first.
#[derive(Debug, Default)]
pub(crate) struct Updates(Mutex<Option<Sender<Item>>>);

impl Updates {
    fn lock(&self) -> MutexGuard<'_, Option<Sender<Item>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all subscribers; without one, the item is not even made.
    pub(crate) fn send(&self, item: impl FnOnce() -> Item) {
        let channel = self.lock();
        if let Some(channel) = channel.as_ref().filter(|channel| channel.receiver_count() > 0) {
            // An error says that the last one has just gone.
            drop(channel.send(item()));
        }
    }

    pub(crate) fn subscribe(&self) -> Receiver<Item> {
        self.lock().get_or_insert_with(|| Sender::new(UPDATES_MAX)).subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{changes::Told, snapshot::Snapshot};
    use std::sync::Arc;

    #[test]
    fn items_are_made_for_those_who_listen() {
        let updates = Updates::default();
        let send = |seq| {
            let mut made = false;
            updates.send(|| {
                made = true;
                let snapshot = Arc::new(Snapshot { seq, ..Snapshot::empty("/".into()) });
                Item { told: Told::End, snapshot }
            });
            made
        };
        assert!(!send(1), "nobody listens");
        let (mut first, mut second) = (updates.subscribe(), updates.subscribe());
        assert!(send(2));
        for told in [&mut first, &mut second] {
            assert_eq!(told.try_recv().unwrap().snapshot.seq, 2, "what came before is in what was stored");
            assert!(told.try_recv().is_err());
        }
        drop((first, second));
        assert!(!send(3), "nobody listens any more");
        let mut third = updates.subscribe();
        assert!(third.try_recv().is_err());
        assert!(send(4) && third.try_recv().is_ok());
    }
}
