//! The driver's end of an operation: who waits for its outcome, and for how long.
//!
//! The driver keeps deadlines, not the callers' tasks: it alone knows whether a request has left, so that a call which
//! timed out can say so truthfully, and what has not left never does. Knows nothing of requests.

use crate::call::Outcomes;
use std::time::Duration;
use tokio::{sync::oneshot, time::Instant};
use zk_proto::session::Outcome;

/// Who waits for an outcome.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Nobody any more, once the time is over.
    answer: Option<oneshot::Sender<Outcomes>>,
    deadline: Option<Deadline>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    after: Duration,
}

impl Caller {
    /// A caller who waits this long from now, and the caller's end.
    pub(crate) fn new(timeout: Option<Duration>) -> (Self, oneshot::Receiver<Outcomes>) {
        let (answer, receiver) = oneshot::channel();
        // A time that no clock shows is never.
        let deadline = timeout.and_then(|after| Some(Deadline { at: Instant::now().checked_add(after)?, after }));
        (Self { answer: Some(answer), deadline }, receiver)
    }

    /// When the caller's time is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        Some(self.deadline?.at)
    }

    /// Whether the caller's time is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline.at <= now)
    }

    /// Tells the outcome. When the future was dropped, or its time was over, nobody hears it.
    pub(crate) fn send(self, outcome: Outcomes) {
        if let Some(answer) = self.answer {
            drop(answer.send(outcome));
        }
    }

    /// Tells a caller whose time is over that it is, and what may have become of the request.
    pub(crate) fn expire(&mut self, now: Instant, outcome: Outcome) {
        if let Some(Deadline { after, .. }) = self.deadline
            && self.is_over(now)
            && let Some(answer) = self.answer.take()
        {
            drop(answer.send(Outcomes::TimedOut { after, outcome }));
        }
    }

    /// Tells an outcome before there is one.
    pub(crate) fn give_up(&mut self, outcome: Outcomes) {
        if let Some(answer) = self.answer.take() {
            drop(answer.send(outcome));
        }
    }

    /// Whether the caller was told before there was an outcome.
    pub(crate) const fn is_gone(&self) -> bool {
        self.answer.is_none()
    }
}
