//! Whether anybody but the link has called the driver since they were asked: nobody else need be looked at.
//!
//! Handles, the timer and a search share memory with the driver that is in no cache when a server's bytes wake it, and to ask them
//! in every turn costs more than what most turns are about. So they get a waker of their own, which leaves a mark here and wakes
//! the task. Knows nothing of who they are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

/// Says whom of the driver's to ask. Invariant: without a mark, whoever has something has, or will have, left one: each was asked
/// with the waker of [`called`](Self::called), and had nothing.
#[derive(Debug)]
pub(super) struct Others(Arc<Mark>);

#[derive(Debug)]
struct Mark {
    is_left: AtomicBool,
    task: Waker,
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First the mark: the task may run at once.
        self.is_left.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Others {
    /// Nobody was asked yet.
    pub(super) fn unasked() -> Self {
        Self::of(Waker::noop())
    }

    fn of(task: &Waker) -> Self {
        Self(Arc::new(Mark { is_left: AtomicBool::new(true), task: task.clone() }))
    }

    /// Says which task is to be woken. Another one than before has to ask everybody anew.
    pub(super) fn wake(&mut self, task: &Waker) {
        if !self.0.task.will_wake(task) {
            *self = Self::of(task);
        }
    }

    /// The waker to ask everybody with, if one of them has called.
    pub(super) fn called(&self) -> Option<Waker> {
        let is_left = self.0.is_left.load(Ordering::Acquire) && self.0.is_left.swap(false, Ordering::AcqRel);
        is_left.then(|| Waker::from(self.0.clone()))
    }

    /// There is somebody who was not asked, or not since something became of interest.
    pub(super) fn ask_again(&self) {
        self.0.is_left.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_calls_leaves_a_mark_and_wakes_the_task() {
        let woken = Arc::<Woken>::default();
        let task = Waker::from(woken.clone());
        let mut others = Others::unasked();
        others.wake(&task);
        let waker = others.called().expect("they were not asked yet");
        assert!(others.called().is_none(), "they were asked, and had nothing");
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert!(others.called().is_some_and(|again| again.will_wake(&waker)), "so that they need not keep another one");
        assert!(others.called().is_none());
        others.ask_again();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2, "the driver asks them by itself");
        assert!(others.called().is_some());
        others.wake(&task.clone());
        assert!(others.called().is_none(), "the same task");
        others.wake(&Waker::from(Arc::<Woken>::default()));
        assert!(others.called().is_some_and(|new| !new.will_wake(&waker)), "another one is not known to them");
    }
}
