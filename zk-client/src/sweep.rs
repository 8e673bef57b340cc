//! How the driver learns that listeners were dropped: by name, so that it need not look at all the others.
//!
//! Knows nothing of watches. Invariant: each listener is in the list at most once, so it is as long as there were
//! listeners; when the driver is gone nothing is kept.

use crate::{bell::Bell, oneshot::Slot, watch::Queue};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A listener that its owner has dropped.
#[derive(Debug)]
pub(crate) enum Dropped {
    Stream(Arc<Queue>),
    Oneshot(Arc<Slot>),
}

/// Tells the driver who was dropped.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    list: Mutex<List>,
    pub(crate) bell: Bell,
    listeners: AtomicU64,
}

#[derive(Debug, Default)]
struct List {
    dropped: Vec<Dropped>,
    closed: bool,
}

impl Sweep {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new listener.
    pub(crate) fn next_id(&self) -> u64 {
        self.listeners.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn drop_listener(&self, listener: Dropped) {
        let mut list = self.lock();
        if !list.closed {
            list.dropped.push(listener);
            drop(list);
            self.bell.ring();
        }
    }

    /// Those dropped since the last call.
    pub(crate) fn take(&self) -> Vec<Dropped> {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Nobody will ask again.
    pub(crate) fn close(&self) {
        let mut list = self.lock();
        list.closed = true;
        list.dropped = Vec::new();
    }
}
