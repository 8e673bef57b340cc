//! When a session must act although nothing arrives. Times are `Duration`s on the owner's clock.
//!
//! Source: protocol.md section 5 (T is the negotiated timeout): ping after T/3 without sending, give the
//! connection up after 2T/3 without hearing, the session after 4T/3.

use core::time::Duration;

/// Bytes of an unfinished frame that count as a sign of life. Fewer do not: a peer that dribbles a byte
/// now and then is dead to us, a large reply on a slow link is not.
pub(super) const PROGRESS_BYTES_MIN: usize = 4096;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send a ping.
    Ping,
    /// Nothing was heard for too long on this connection.
    Silent,
    /// The servers have certainly given the session up.
    Expiry,
}

/// The clock readings of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    /// Negotiated session timeout; the requested one before the first greeting.
    timeout: Duration,
    /// Parts of it, divided once: the next deadline is asked for after every input.
    third: Duration,
    two_thirds: Duration,
    /// Last frame, or last real progress of one, on any connection.
    pub(super) heard: Duration,
    /// Last request handed out. Auth packets do not count: servers do not take them for a sign of life.
    pub(super) sent: Duration,
    /// When an unanswered greeting is given up.
    pub(super) greeting_until: Duration,
    /// How often `heard` was moved for the unfinished frame.
    pub(super) progress: usize,
}

impl Timers {
    pub(super) fn new(timeout: Duration) -> Self {
        let zero = Duration::ZERO;
        let mut timers =
            Self { timeout, third: zero, two_thirds: zero, heard: zero, sent: zero, greeting_until: zero, progress: 0 };
        timers.set_timeout(timeout);
        timers
    }

    /// How long a session lives without a sign of life, wanted or negotiated.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
        self.third = timeout / 3;
        self.two_thirds = timeout.saturating_mul(2) / 3;
    }

    pub(super) fn ping_at(&self) -> Duration {
        self.sent.saturating_add(self.third)
    }

    pub(super) fn silent_at(&self) -> Duration {
        self.heard.saturating_add(self.two_thirds)
    }

    pub(super) fn expiry_at(&self) -> Duration {
        self.heard.saturating_add(self.timeout.saturating_mul(4) / 3)
    }

    /// Something arrived that proves the peer alive.
    pub(super) fn hear(&mut self, now: Duration) {
        self.heard = now;
        self.progress = 0;
    }

    /// `len` bytes of a frame that is not finished are there. Every full [`PROGRESS_BYTES_MIN`] counts once, so that
    /// it does not matter in which pieces they came.
    pub(super) fn hear_part(&mut self, now: Duration, len: usize) {
        let progress = len / PROGRESS_BYTES_MIN;
        if progress > self.progress {
            self.heard = now;
            self.progress = progress;
        }
    }
}
