//! How long before an attempt, and how long it may take.
//!
//! Pauses have full jitter. There is one before the first attempt after a lost connection: who lost it with a thousand others,
//! on servers that stay up, does not come back in step with them. How far clients spread there is the user's to say
//! ([`RECONNECT_SPREAD`] is the default). There is none before the other hosts of the round: once it is our turn, a server that
//! is up is found fast. Once every host has failed, it is the ensemble that is down or restarts, and all its clients are waiting:
//! the pause before the next round is long, so that they do not all come in the moment in which it is back. That of the first
//! such round begins where the spread of the first attempts ends: else those who failed would come between those who did not
//! try yet.
//!
//! All this gives way to the session where its time runs out: clients that were cut off for more than two thirds of it come
//! closer together.

use std::time::Duration;
use tokio::time::Instant;

/// The longest pause before the first attempt after a lost connection, unless the user says otherwise. Of a thousand clients
/// that lose theirs at once, 2.9 % then come in any tenth of a second; a twentieth, which is too many (goal N10), is four
/// standard deviations away.
pub(crate) const RECONNECT_SPREAD: Duration = Duration::from_millis(3_500);

/// However little the session has left, what is longer is cut to this and no further: a session that is all but gone is no
/// reason to come in step with others.
const PAUSE_FLOOR: Duration = Duration::from_millis(250);

/// The longest pause before the second round; doubles with each round. A thousand clients then come at no more than some thirty
/// in a tenth of a second.
const PAUSE_OF_ROUND_MIN: Duration = Duration::from_secs(6);

/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// In how many attempts at least the session timeout is shared, also where one host is all there is. A ZooKeeper that is just
/// starting takes connections that it then never answers, in the first milliseconds of its port (3.5 to 3.9, counted by
/// `tests/examples/starting.rs`).
const SHARES_MIN: usize = 3;

/// The least patience for one attempt to connect, however many hosts share the session timeout.
const PATIENCE_MIN: Duration = Duration::from_millis(500);

/// What comes before the next attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause {
    /// The very first attempt, one that moves, or another host of a round.
    None,
    /// A connection was lost.
    First,
    /// All hosts have failed.
    Round,
}

/// When to come back.
#[derive(Debug)]
pub(super) struct Pauses {
    pub(super) next: Pause,
    /// The longest pause before the first attempt after a lost connection.
    spread: Duration,
    /// When all who lost their connections with us have made that attempt.
    spread_until: Instant,
    /// When the round began, its pause not counted.
    round_began: Instant,
}

impl Pauses {
    pub(super) fn new(spread: Duration) -> Self {
        let now = Instant::now();
        Self { next: Pause::None, spread, spread_until: now, round_began: now }
    }

    /// The pause before the next attempt, by chance, so short that no session expires because we slept: before the first
    /// attempt half of the time that it has left at most, before a round seven eighths less what two such rounds take.
    pub(super) fn take(&mut self, session_timeout: Duration, left: Option<Duration>, rounds: u32) -> Duration {
        let left = left.filter(|left| !left.is_zero()).unwrap_or(session_timeout);
        let now = Instant::now();
        let (from, to) = match std::mem::replace(&mut self.next, Pause::None) {
            Pause::None => (Duration::ZERO, Duration::ZERO),
            Pause::First => {
                let to = self.spread.min((left / 2).max(PAUSE_FLOOR));
                self.spread_until = now.checked_add(to).unwrap_or(now);
                (Duration::ZERO, to)
            }
            Pause::Round => {
                let bound = PAUSE_OF_ROUND_MIN.saturating_mul(1 << rounds.saturating_sub(1).min(16)).min(PAUSE_MAX);
                let round = now.saturating_duration_since(self.round_began);
                let bound_by_session = (left - left / 8).saturating_sub(2 * round).max(PAUSE_FLOOR);
                let from = self.spread_until.saturating_duration_since(now).min(bound_by_session);
                (from, from.saturating_add(bound).min(bound_by_session))
            }
        };
        from + (to - from).mul_f64(fastrand::f64())
    }

    /// The attempt behind this pause is the first of its round.
    pub(super) fn round_begins(&mut self, pause: Duration) {
        let now = Instant::now();
        self.round_began = now.checked_add(pause).unwrap_or(now);
    }
}

/// How long one attempt may take to connect, and then again to be taken by the server: the hosts share the session timeout,
/// and half of what a session has `left` is kept for the next attempt.
pub(super) fn patience(session_timeout: Duration, hosts: usize, left: Option<Duration>) -> Duration {
    let share = session_timeout / u32::try_from(hosts.max(SHARES_MIN)).unwrap_or(u32::MAX);
    let half = left.filter(|left| !left.is_zero()).map_or(share, |left| left / 2);
    share.min(half).max(PATIENCE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What users say is no reason to panic.
    #[test]
    fn times_without_end_are_no_overflow() {
        let mut pauses = Pauses::new(Duration::MAX);
        pauses.next = Pause::First;
        for rounds in 0..40 {
            let pause = pauses.take(Duration::MAX, Some(Duration::MAX), rounds);
            pauses.round_begins(pause);
            pauses.next = Pause::Round;
        }
        assert_eq!(patience(Duration::MAX, usize::MAX, None), Duration::MAX / u32::MAX);
        assert_eq!(patience(Duration::MAX, 1, Some(Duration::MAX)), Duration::MAX / 3);
    }

    /// A silence is noticed when a third of the session is left. The only server refuses us until half of that is gone.
    // goal: N10
    #[test]
    fn a_session_does_not_end_while_its_client_sleeps() {
        let timeout = Duration::from_secs(4);
        for seed in 0..10_000 {
            fastrand::seed(seed);
            let (mut pauses, mut left) = (Pauses::new(RECONNECT_SPREAD), timeout / 3);
            pauses.next = Pause::First;
            let mut tried = 0;
            while left > timeout / 6 {
                left = left.saturating_sub(pauses.take(timeout, Some(left), tried));
                pauses.next = Pause::Round;
                tried += 1;
            }
            assert!(!left.is_zero(), "seed {seed}: slept to the end after {tried} attempts");
        }
    }

    #[test]
    fn who_says_nothing_is_waited_for_while_there_is_time_for_another_attempt() {
        let second = Duration::from_secs(1);
        for (hosts, left, expected) in [
            (1, None, second * 4),
            (1, Some(second * 12), second * 4),
            (1, Some(second * 4), second * 2),
            (6, Some(second * 12), second * 2),
            (6, None, second * 2),
            (1, Some(second / 10), PATIENCE_MIN),
            (100, None, PATIENCE_MIN),
            // All that it surely had is gone, and it may live all the same: nothing to be spared.
            (1, Some(Duration::ZERO), second * 4),
        ] {
            assert_eq!(patience(second * 12, hosts, left), expected, "{hosts} hosts, {left:?}");
        }
    }
}
