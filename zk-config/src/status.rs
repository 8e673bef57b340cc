//! How fresh the mirror is, and why it is not.

use std::{fmt, time::Duration};
use tokio::time::Instant;
use zk_client::{End, ErrorCode, TooLarge, Zxid};

/// How the mirror stands. A channel of it comes from [`Mirror::status_channel`](crate::Mirror::status_channel).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Connected, and every change up to [`confirmed`](Self::confirmed) is known.
    pub live: bool,
    /// The first load is complete.
    pub ready: bool,
    /// The transaction that the current snapshot stands for.
    pub revision: Zxid,
    /// The subtree did not change between `revision` and this transaction.
    pub confirmed: Zxid,
    /// When the server last confirmed it.
    pub last_confirmed: Option<Instant>,
    /// Why the mirror cannot do its work.
    pub failure: Option<MirrorError>,
    /// How often changes may have been missed.
    pub gaps: u64,
    /// How often all znodes were compared with the server's, the first load included.
    pub resyncs: u64,
    /// Reads sent to the server.
    pub reads: u64,
}

impl Status {
    pub(crate) const fn new() -> Self {
        Self {
            live: false,
            ready: false,
            revision: Zxid(0),
            confirmed: Zxid(0),
            last_confirmed: None,
            failure: None,
            gaps: 0,
            resyncs: 0,
            reads: 0,
        }
    }

    /// Whether the mirror will never change again.
    pub(crate) const fn is_over(&self) -> bool {
        match self.failure {
            Some(
                MirrorError::Watch(_)
                | MirrorError::WatchConflict
                | MirrorError::TooManyNodes { .. }
                | MirrorError::TooManyBytes { .. }
                | MirrorError::Ended(_),
            ) => true,
            Some(MirrorError::Root(_)) | None => false,
        }
    }

    /// How long ago the server last confirmed the snapshot; `None` before the first load.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        self.last_confirmed.map(|at| at.elapsed())
    }
}

/// Why a mirror cannot do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MirrorError {
    /// The server refused the watch; [`ErrorCode::UNIMPLEMENTED`] says that it is older than 3.6. The mirror
    /// has given up.
    Watch(ErrorCode),
    /// The client watches the root with another, not recursive, watch already: see
    /// [`UsageError::WatchConflict`](zk_client::UsageError::WatchConflict). The mirror has given up.
    WatchConflict,
    /// The root could not be read. The mirror goes on and tries again after each reconnect.
    Root(Hidden),
    /// The subtree has more znodes than [`Limits::nodes`](crate::Limits::nodes) allows. The mirror has given up.
    TooManyNodes {
        /// How many are allowed.
        limit: usize,
    },
    /// The subtree has more bytes than [`Limits::bytes`](crate::Limits::bytes) allows. The mirror has given up.
    TooManyBytes {
        /// How many are allowed.
        limit: usize,
    },
    /// The client's session ended.
    Ended(End),
}

/// Why a znode could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hidden {
    /// The server refused, with [`ErrorCode::NO_AUTH`] for lack of permission.
    Refused(ErrorCode),
    /// Its data is larger than the client accepts.
    TooLarge(TooLarge),
    /// The reply could not be read.
    Unreadable,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => code.fmt(f),
            Self::TooLarge(size) => write!(f, "the reply is too large: {size}"),
            Self::Unreadable => f.write_str("the reply could not be read"),
        }
    }
}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watch(ErrorCode::UNIMPLEMENTED) => {
                f.write_str("the server has no recursive watches; they need ZooKeeper 3.6 or newer")
            }
            Self::WatchConflict => {
                f.write_str("the client watches the root in another mode already; give the mirror a client of its own")
            }
            Self::Watch(code) => write!(f, "the server refused the watch: {code}"),
            Self::Root(why) => write!(f, "the root of the mirror could not be read: {why}"),
            Self::TooManyNodes { limit } => {
                write!(
                    f,
                    "the subtree has more than {limit} znodes, the limit of this mirror: raise it, or mirror less of the tree"
                )
            }
            Self::TooManyBytes { limit } => write!(
                f,
                "the subtree has more than {limit} bytes of paths and data, the limit of this mirror: raise it, or mirror less of \
                 the tree"
            ),
            Self::Ended(end) => write!(f, "the session ended: {end}"),
        }
    }
}

impl std::error::Error for MirrorError {}
