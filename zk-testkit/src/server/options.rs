//! Settings of servers that a `zoo.cfg` has too.
//!
//! Must not know what they do.

use std::time::Duration;

use super::{Builder, model::LocalSessions};

impl Builder {
    /// How long members without a leader take to have one, 200 ms unless it is set; until then they hang up on everybody.
    pub const fn election(mut self, time: Duration) -> Self {
        self.config.election = time;
        self
    }

    /// `readonlymode.enabled`: members without a quorum serve readers. Since 3.7 that needs
    /// [`local_sessions`](Self::local_sessions) too: without, they refuse every ConnectRequest with a frame of 16 bytes.
    pub const fn read_only_mode(mut self) -> Self {
        self.config.read_only_mode = true;
        self
    }

    /// `localSessionsEnabled`, for ensembles.
    pub const fn local_sessions(mut self, local: LocalSessions) -> Self {
        self.config.local_sessions = local;
        self
    }

    /// `enforceQuota`: hard limits of quotas are answered with -125. Limits are znodes, as for a real server:
    /// `/zookeeper/quota<path>/zookeeper_limits` and, beside it, `zookeeper_stats`.
    pub const fn enforce_quota(mut self) -> Self {
        self.config.enforce_quota = true;
        self
    }
}
