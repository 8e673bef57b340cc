//! How handles call the driver when they have no command for it.
//!
//! A flag and the driver's waker. The driver waits here in every turn, so that has to cost nothing: a `Notify` is a list of
//! those who wait, and costs a place in it each time.

use atomic_waker::AtomicWaker;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

/// Rung by any handle, heard by the driver alone.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    closing: AtomicBool,
    driver: AtomicWaker,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Rings for the end of the session.
    pub(crate) fn ring_to_close(&self) {
        self.closing.store(true, Ordering::Release);
        self.ring();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether it was rung since the last time.
    pub(crate) fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<()> {
        // First the waker: who rings behind this look wakes it.
        self.driver.register(cx.waker());
        let is_rung = self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::AcqRel);
        if is_rung { Poll::Ready(()) } else { Poll::Pending }
    }
}
