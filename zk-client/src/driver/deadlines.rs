//! When callers' times are over.
//!
//! Deadlines are gathered into ticks, so that there are few of them however many calls are on their way. A tick for a call
//! that was answered meanwhile fires for nothing. Knows nothing of calls.

use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// How much later than asked for a call may time out.
const TICK: Duration = Duration::from_millis(5);

/// The ticks to come.
#[derive(Debug)]
pub(super) struct Deadlines {
    epoch: Instant,
    ticks: BTreeSet<Instant>,
}

impl Deadlines {
    pub(super) const fn new(epoch: Instant) -> Self {
        Self { epoch, ticks: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, at: Instant) {
        let since = at.saturating_duration_since(self.epoch).as_micros();
        let ticks = since.div_ceil(TICK.as_micros());
        // A time that no clock shows is never.
        let tick = u32::try_from(ticks).ok().and_then(|ticks| self.epoch.checked_add(TICK.checked_mul(ticks)?));
        self.ticks.extend(tick);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.ticks.first().copied()
    }

    /// Whether a tick has come; it is over then.
    pub(super) fn have_come(&mut self, now: Instant) -> bool {
        let mut any = false;
        while self.next().is_some_and(|tick| tick <= now) {
            self.ticks.pop_first();
            any = true;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_deadlines_are_few_ticks_and_none_is_early() {
        let epoch = Instant::now();
        let mut deadlines = Deadlines::new(epoch);
        for us in 1..=20_000 {
            deadlines.add(epoch + Duration::from_micros(us));
        }
        assert_eq!(deadlines.ticks.len(), 4);
        assert!(!deadlines.have_come(epoch + Duration::from_micros(4_999)));
        assert!(deadlines.have_come(epoch + TICK));
        assert_eq!(deadlines.next(), Some(epoch + 2 * TICK));
        assert!(deadlines.have_come(epoch + 9 * TICK));
        assert_eq!(deadlines.next(), None);
    }
}
