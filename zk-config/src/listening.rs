//! Listeners: functions that are called where the mirror publishes, so that no task has to be woken.
//!
//! Knows nothing of who else is told.

use crate::{
    changes::{Item, Update},
    mirror::Shared,
    snapshot::Snapshot,
};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

type Call = dyn FnMut(&Arc<Snapshot>, &Update) + Send;

/// A function that is called with every update.
pub(crate) struct Listener {
    call: Box<Call>,
    /// What this snapshot shows it is not told of.
    seen: u64,
    unwanted: Arc<AtomicBool>,
}

impl Listener {
    pub(crate) fn new(
        seen: &Snapshot,
        listening: &Listening,
        call: impl FnMut(&Arc<Snapshot>, &Update) + Send + 'static,
    ) -> Self {
        Self { call: Box::new(call), seen: seen.seq, unwanted: listening.unwanted.clone() }
    }

    pub(crate) fn is_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::Acquire)
    }

    /// Calls it; answers whether it is to be called again.
    pub(crate) fn tell(&mut self, item: &Item) -> bool {
        if self.is_unwanted() {
            return false;
        }
        let Some(update) = item.update() else { return true };
        if item.snapshot.seq <= self.seen {
            return true;
        }
        // It is a guest in the client's task, which others depend on. Whatever state it leaves behind, nobody looks at it again.
        let called = catch_unwind(AssertUnwindSafe(|| (self.call)(&item.snapshot, update)));
        if called.is_err() {
            tracing::error!(root = %item.snapshot.root, "a listener panicked; it is not called any more");
        }
        called.is_ok()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// Somebody [listens](crate::Mirror::listen). Dropped, the function is not called any more, and dropped, too: behind the call that
/// may be under way in another thread, for which nobody waits.
#[must_use = "nobody listens any more when it is dropped"]
pub struct Listening {
    unwanted: Arc<AtomicBool>,
    shared: Weak<Shared>,
}

impl Listening {
    pub(crate) fn new(shared: Weak<Shared>) -> Self {
        Self { unwanted: Arc::default(), shared }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Release);
        if let Some(shared) = self.shared.upgrade() {
            shared.updates.let_go();
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}
