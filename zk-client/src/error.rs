//! Errors by who must act.

use crate::connect_string::ConnectStringError;
use std::{fmt, net::SocketAddr, time::Duration};
use zk_proto::{
    DecodeError, ErrorCode, OpCode, SessionId, Zxid,
    create::TtlOutOfRange,
    frame::TooLarge,
    path::PathError,
    session::{Interruption, Outcome},
};

/// Why an operation has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The call cannot be right; nothing was sent. Change the call.
    Usage(UsageError),
    /// The server answered with an error code; nothing was changed.
    Refused {
        /// The operation.
        op: OpCode,
        /// The server's reason.
        code: ErrorCode,
    },
    /// One operation of a transaction was refused; nothing was changed.
    Aborted {
        /// Which operation, counted from 0.
        index: usize,
        /// The server's reason.
        code: ErrorCode,
        /// What the server says of every operation, in order: [`OK`](ErrorCode::OK) of those before it, which would
        /// have been done, and [`RUNTIME_INCONSISTENCY`](ErrorCode::RUNTIME_INCONSISTENCY) of those behind it, which
        /// were not looked at.
        codes: Vec<ErrorCode>,
    },
    /// The answer never came.
    Interrupted {
        /// The operation.
        op: OpCode,
        /// What kept the answer from coming.
        by: Interruption,
        /// Whether the operation may have been carried out: read before you repeat a write.
        outcome: Outcome,
    },
    /// The caller's time was over before the answer came; see [`Client::with_timeout`](crate::Client::with_timeout).
    TimedOut {
        /// The operation.
        op: OpCode,
        /// How long it was given.
        after: Duration,
        /// Whether the operation may have been carried out, or still may be: read before you repeat a write. What was not
        /// sent never will be.
        outcome: Outcome,
    },
    /// The call was fenced ([`Client::fenced`](crate::Client::fenced)) to a session that this client no longer has;
    /// nothing was sent. Whatever the session stood for, a lock, is lost.
    Fenced {
        /// The operation.
        op: OpCode,
        /// The session it was meant for.
        session: SessionId,
    },
    /// No server took us. Check the addresses, then the servers.
    Unreachable(Unreachable),
    /// The answer is larger than [`Connector::reply_len_max`](crate::Connector::reply_len_max); it was
    /// thrown away and the session lives. Raise the limit, or read less.
    ReplyTooLarge {
        /// The operation.
        op: OpCode,
        /// What was read; `None` for a batch of reads.
        path: Option<String>,
        /// How large, and how large it may be.
        size: TooLarge,
    },
    /// The server answered with what cannot be read: a defect of the server, or of this crate.
    Protocol {
        /// The operation.
        op: OpCode,
        /// Where reading failed.
        error: DecodeError,
    },
}

/// What was wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageError {
    /// The connect string cannot be read.
    ConnectString(ConnectStringError),
    /// ZooKeeper does not accept the path.
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        error: PathError,
    },
    /// The request is larger than [`Connector::request_len_max`](crate::Connector::request_len_max): a
    /// server with default settings would close the connection.
    RequestTooLarge(TooLarge),
    /// No server takes this time to live; made by [`Ttl::raw`](zk_proto::create::Ttl::raw).
    Ttl(TtlOutOfRange),
    /// An ACL without entries; no server accepts it.
    EmptyAcl,
    /// A subtree that is not deleted as a whole: the client's root, or ZooKeeper's own `/zookeeper`.
    Reserved {
        /// The path.
        path: String,
    },
    /// This client watches the path in another way already: in the other persistent mode, or with one-shot watches while
    /// a persistent one is asked for, or the reverse. Servers before 3.9 keep one of them a path and connection and drop
    /// the others without a word (ZOOKEEPER-4466), so a second one is not asked for. One-shot watches of different kinds
    /// get along everywhere.
    WatchConflict {
        /// The path.
        path: String,
    },
    /// Credentials would travel unencrypted to another machine.
    PlaintextAuth {
        /// The scheme, or the SASL mechanism.
        scheme: Box<str>,
        /// Where to.
        server: SocketAddr,
    },
    /// A certificate, a key or the processor does not serve for TLS.
    #[cfg(feature = "tls")]
    Tls(crate::tls::TlsError),
    /// On a server before 3.6: a recursive watch there is made of one-shot ones, and the subtree has more znodes than that
    /// is good for.
    TooManyZnodes {
        /// The path.
        path: String,
        /// How many znodes are followed.
        limit: usize,
    },
    /// Another list of servers was given with another chroot; handles have their roots for good. Leave the chroot out.
    ChrootChanged {
        /// The chroot of the connect string that the client was made with.
        is: String,
        /// The other one.
        wanted: String,
    },
    /// Too many operations wait already.
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
}

/// Which servers were tried, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreachable {
    /// The last attempt on each server.
    pub attempts: Vec<Attempt>,
    /// Every attempt since the last connection ended without an answer, and this zxid was told to the servers: so they have no
    /// quorum, or all of them are behind what this client has seen. An ensemble that was built anew stays behind for ever:
    /// see [`Client::accept_rebuilt_ensemble`](crate::Client::accept_rebuilt_ensemble).
    pub behind: Option<Zxid>,
}

/// One failed attempt to reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The server, as `host:port` or with the address that was tried.
    pub server: String,
    /// What went wrong.
    pub why: String,
}

impl Error {
    /// The server's error code, where it gave one.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } | Self::Aborted { code, .. } => Some(*code),
            Self::Usage(_)
            | Self::Interrupted { .. }
            | Self::TimedOut { .. }
            | Self::Fenced { .. }
            | Self::Unreachable(_)
            | Self::ReplyTooLarge { .. }
            | Self::Protocol { .. } => None,
        }
    }

    /// Whether the session that the operation was meant for is over: it expired, was closed or was refused, or the call
    /// was [fenced](Self::Fenced).
    #[must_use]
    pub const fn is_session_over(&self) -> bool {
        match self {
            Self::Interrupted { by, .. } => !matches!(by, Interruption::ConnectionLost),
            Self::Refused { code, .. } => matches!(*code, ErrorCode::SESSION_EXPIRED),
            Self::Fenced { .. } => true,
            Self::Usage(_)
            | Self::Aborted { .. }
            | Self::TimedOut { .. }
            | Self::Unreachable(_)
            | Self::ReplyTooLarge { .. }
            | Self::Protocol { .. } => false,
        }
    }

    /// Whether the operation may have been carried out although there is no result.
    #[must_use]
    pub const fn maybe_applied(&self) -> bool {
        matches!(
            self,
            Self::Interrupted { outcome: Outcome::Unknown, .. }
                | Self::TimedOut { outcome: Outcome::Unknown, .. }
                | Self::ReplyTooLarge { .. }
                | Self::Protocol { .. }
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |op: &OpCode| op.text().unwrap_or("operation");
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::Refused { op, code } => write!(f, "{}: {code}", name(op)),
            Self::Aborted { index, code, .. } => write!(f, "transaction: operation {index} was refused: {code}"),
            Self::Interrupted { op, by, outcome } => write!(f, "{}: {by}; {outcome}", name(op)),
            Self::TimedOut { op, after, outcome } => write!(f, "{}: no answer within {after:?}; {outcome}", name(op)),
            Self::Fenced { op, session } => {
                write!(f, "{}: not sent, because session {session} that it was meant for is over", name(op))
            }
            Self::Unreachable(unreachable) => unreachable.fmt(f),
            Self::ReplyTooLarge { op, path: Some(path), size } => {
                write!(f, "{} {path}: the reply is too large: {size}", name(op))
            }
            Self::ReplyTooLarge { op, path: None, size } => {
                write!(f, "{}: the reply is too large: {size}", name(op))
            }
            Self::Protocol { op, error } => write!(f, "{}: the reply cannot be read: {error}", name(op)),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectString(error) => write!(f, "the connect string cannot be read: {error}"),
            Self::Path { path, error } => write!(f, "{path:?} is not a path: {error}"),
            Self::RequestTooLarge(size) => write!(f, "the request is too large for a server: {size}"),
            Self::Ttl(error) => write!(f, "{error}"),
            Self::EmptyAcl => f.write_str("an ACL needs at least one entry"),
            Self::Reserved { path } => {
                write!(f, "{path} is not deleted with everything below it; name the znodes below it")
            }
            Self::WatchConflict { path } => {
                write!(f, "{path} is watched in another way already; use another client for a second one")
            }
            Self::TooManyZnodes { path, limit } => {
                write!(f, "{path} has more than {limit} znodes, too many to watch on a server before 3.6; watch less")
            }
            Self::PlaintextAuth { scheme, server } => write!(
                f,
                "{scheme} credentials would travel unencrypted to {server}; use Connector::tls, or say \
                 Connector::allow_plaintext_auth on a network that you trust"
            ),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
            Self::ChrootChanged { is, wanted } => {
                write!(f, "the chroot of a running client stays {is:?} and cannot become {wanted:?}; leave it out")
            }
            Self::QueueFull { limit } => write!(f, "{limit} operations wait already; wait for some of them"),
        }
    }
}

impl std::error::Error for UsageError {}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no server could be reached")?;
        for (i, Attempt { server, why }) in self.attempts.iter().enumerate() {
            write!(f, "{} {server}: {why}", if i == 0 { ":" } else { ";" })?;
        }
        if self.behind.is_some() {
            f.write_str(
                "; if that lasts and the ensemble was built anew without its data, give up what was seen: \
                 Client::accept_rebuilt_ensemble, or connect without last_zxid",
            )?;
        }
        Ok(())
    }
}

impl From<UsageError> for Error {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<ConnectStringError> for Error {
    fn from(error: ConnectStringError) -> Self {
        Self::Usage(UsageError::ConnectString(error))
    }
}
