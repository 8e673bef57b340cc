//! What a client tells about its session.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;
use zk_proto::{
    SessionId,
    session::{End, Interruption},
};

/// Where a session stands. A channel of it comes from [`Client::state`](crate::Client::state).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// No session yet, or a new one is being made after an expiry.
    Connecting {
        /// The session that expired, if one did: its ephemerals are gone.
        expired: Option<SessionId>,
    },
    /// A server serves us.
    Connected {
        /// Which one.
        server: SocketAddr,
        /// The session.
        session: SessionId,
        /// The negotiated session timeout.
        timeout: Duration,
        /// The server serves reads only. A session that it made is known to no other server and ends with the connection;
        /// meanwhile the client looks for a server that takes writes, and moves there.
        read_only: bool,
        /// The session that this one replaces, because it expired or was a read-only server's: its ephemerals are gone. Told
        /// here too, because a receiver of the channel may miss what came between.
        replaced: Option<SessionId>,
    },
    /// The connection is lost; the session lives on at the servers for a while.
    Suspended {
        /// The session.
        session: SessionId,
        /// When the session is certainly gone, unless a server takes us before.
        expires: Instant,
    },
    /// Nothing more will come.
    Ended(End),
}

impl SessionState {
    /// Whether a server serves us now.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    /// How long the session may still live while it is suspended: zero when it is certainly gone. `None` in every other
    /// state, where nothing runs out.
    ///
    /// The servers may have given it up before: they count from the last thing they heard of us.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        match self {
            Self::Suspended { expires, .. } => Some(expires.saturating_duration_since(Instant::now())),
            Self::Connecting { .. } | Self::Connected { .. } | Self::Ended(_) => None,
        }
    }

    /// The session, where there is one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Connected { session, .. } | Self::Suspended { session, .. } => Some(*session),
            Self::Connecting { .. } | Self::Ended(_) => None,
        }
    }

    /// What operations are told that the driver no longer takes.
    pub(crate) const fn interruption(&self) -> Interruption {
        match self {
            Self::Ended(end) => end.interruption(),
            Self::Connecting { .. } | Self::Connected { .. } | Self::Suspended { .. } => Interruption::Closed,
        }
    }
}
