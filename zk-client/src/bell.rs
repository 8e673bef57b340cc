//! How handles call the driver when they have no command for it.
//!
//! A flag and the driver's waker. The driver waits here in every turn, so that has to cost nothing: a `Notify` is a list of
//! those who wait, and costs a place in it each time.

use atomic_waker::AtomicWaker;
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// What becomes of the session when a handle ends the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// It ends, too.
    Close,
    /// It lives on at the servers.
    Leave,
}

/// Rung by any handle, heard by the driver alone.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    /// Who was first has decided.
    farewell: OnceLock<Farewell>,
    driver: AtomicWaker,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Rings for the end of the client, which is as the first one said.
    pub(crate) fn ring_out(&self, farewell: Farewell) {
        self.farewell.get_or_init(|| farewell);
        self.ring();
    }

    /// How the client is to end, once it is.
    pub(crate) fn farewell(&self) -> Option<Farewell> {
        self.farewell.get().copied()
    }

    /// Whether it was rung since the last time.
    pub(crate) fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<()> {
        // First the waker: who rings behind this look wakes it.
        self.driver.register(cx.waker());
        let is_rung = self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::AcqRel);
        if is_rung { Poll::Ready(()) } else { Poll::Pending }
    }
}
