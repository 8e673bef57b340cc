//! The way of updates to those who want to be told: a channel to subscribers, and listeners that are called.
//!
//! Most mirrors are only read, and the channel is larger than all else that a mirror of a few znodes holds, forty kilobytes: it
//! is there once somebody has subscribed. Knows nothing of what updates say.

use crate::{changes::Item, listening::Listener, snapshot::Snapshot};
use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast::{Receiver, Sender};

/// Updates that a subscriber may be behind before they coalesce to a gap and a difference.
pub(crate) const UPDATES_MAX: usize = 1024;

/// Invariant: what was stored before an update was [sent](Self::send) is seen by whoever looks after
/// [subscribing](Self::subscribe), or while it [begins to listen](Self::listen), or else the update arrives. Never neither:
/// one of the two has the lock first. No code of a user's runs while it is locked.
#[derive(Debug, Default)]
pub(crate) struct Updates(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    channel: Option<Sender<Item>>,
    /// All but those that are being called.
    listeners: Vec<Listener>,
    /// Nothing more will come.
    is_over: bool,
}

impl State {
    /// Takes out the listeners that are not wanted any more.
    fn unwanted(&mut self) -> Vec<Listener> {
        self.listeners.extract_if(.., |listener| listener.is_unwanted()).collect()
    }
}

impl Updates {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody; where nobody wants to be told, the item is not even made.
    pub(crate) fn send(&self, item: impl FnOnce() -> Item) {
        let mut state = self.lock();
        let State { channel, listeners, .. } = &mut *state;
        let channel = channel.as_ref().filter(|channel| channel.receiver_count() > 0);
        let mut called = mem::take(listeners);
        if called.is_empty() {
            if let Some(channel) = channel {
                // An error says that the last one has just gone.
                drop(channel.send(item()));
            }
            return;
        }
        let item = item();
        if let Some(channel) = channel {
            drop(channel.send(item.clone()));
        }
        drop(state);
        called.retain_mut(|listener| listener.tell(&item));
        let mut state = self.lock();
        if !state.listeners.is_empty() {
            // Behind them are those that came meanwhile.
            called.append(&mut state.listeners);
        }
        state.listeners = called;
        if state.listeners.iter().any(Listener::is_unwanted) {
            let unwanted = state.unwanted();
            drop(state);
            drop(unwanted);
        }
    }

    pub(crate) fn subscribe(&self) -> Receiver<Item> {
        let mut state = self.lock();
        if state.is_over {
            return Sender::new(1).subscribe();
        }
        state.channel.get_or_insert_with(|| Sender::new(UPDATES_MAX)).subscribe()
    }

    /// Takes in a listener, who is told of everything behind the snapshot that is current meanwhile; answers that.
    pub(crate) fn listen(
        &self,
        current: impl FnOnce() -> Arc<Snapshot>,
        listener: impl FnOnce(&Snapshot) -> Listener,
    ) -> Arc<Snapshot> {
        let mut state = self.lock();
        let snapshot = current();
        let listener = listener(&snapshot);
        if state.is_over {
            drop(state);
            drop(listener);
        } else {
            state.listeners.push(listener);
        }
        snapshot
    }

    /// Drops the listeners that are not wanted any more.
    pub(crate) fn let_go(&self) {
        let unwanted = self.lock().unwanted();
        drop(unwanted);
    }

    /// Nothing more will come: subscribers see the end, listeners are dropped.
    pub(crate) fn end(&self) {
        let over = mem::replace(&mut *self.lock(), State { is_over: true, ..State::default() });
        drop(over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::Told;

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
