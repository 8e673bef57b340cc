//! What the session machine tells its owner.
//!
//! Events leave in the order in which their bytes arrived: a watched event before every reply that could
//! show the new state.

use crate::{
    code::ErrorCode,
    frame::{NegativeLength, TooLarge},
    id::{SessionId, Zxid},
    jute::DecodeError,
    records::SecretBytes,
    session::SaslFailure,
    watch::WatchedEvent,
};
use bytes::Bytes;
use core::{fmt, time::Duration};

/// One thing that happened; `T` is the owner's ticket.
#[derive(Debug)]
pub enum Event<T> {
    /// A server has taken us, and wants to be told first who we are: hand SASL's first token to
    /// [`Session::sasl_send`](super::Session::sasl_send), or end the exchange by `sasl_done` or `sasl_failed`. Comes on every
    /// connection, if [`SessionConfig::sasl`](super::SessionConfig::sasl) says so.
    SaslWanted,
    /// The server's answer to a SASL token; what it means is the mechanism's matter.
    SaslToken(Option<SecretBytes>),
    /// A server has taken us. Auth packets and watches are already on their way, before any request.
    Established(Established),
    /// The transport is to be dropped; dial again unless [`Ended`](Self::Ended) follows.
    Lost {
        /// Why.
        why: Loss,
        /// Whether a session was up on it: false for a failed greeting.
        was_up: bool,
    },
    /// The servers have forgotten the session: its ephemerals and its watches are gone. The next
    /// [`Established`](Self::Established) is a new session, unless [`Ended`](Self::Ended) follows.
    Expired {
        /// The session that is gone.
        id: SessionId,
    },
    /// An answer.
    Reply {
        /// The ticket of the request.
        ticket: T,
        /// The last transaction the server had processed: every watched event up to it came before.
        zxid: Zxid,
        /// The reply's body, to be decoded as the request's [`Op::Reply`](crate::Op::Reply).
        result: Result<Bytes, ReplyFailure>,
    },
    /// The answer will never come.
    Interrupted {
        /// The ticket of the request.
        ticket: T,
        /// Why not.
        by: Interruption,
        /// Whether the request may have been carried out.
        outcome: Outcome,
    },
    /// A watch fired.
    Watch(WatchedEvent),
    /// The answer to a ping: every watched event up to this transaction came before.
    Bookmark(Zxid),
    /// Nothing more will come.
    Ended(End),
}

/// A session stands on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// The session.
    pub id: SessionId,
    /// The negotiated session timeout.
    pub timeout: Duration,
    /// The server serves reads only.
    pub read_only: bool,
    /// The session lived before; false for a new one.
    pub resumed: bool,
}

/// Why a request got no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFailure {
    /// The server refused.
    Refused(ErrorCode),
    /// The reply is longer than we accept; it was thrown away, the connection lives on.
    TooLarge(TooLarge),
}

/// What kept an answer from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interruption {
    /// The connection was lost.
    ConnectionLost,
    /// The session expired.
    SessionExpired,
    /// We closed the session.
    Closed,
    /// The server does not accept our credentials.
    AuthFailed,
    /// SASL came to nothing.
    SaslFailed(SaslFailure),
}

/// Whether a request without an answer may have been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No byte of it left: certainly not.
    NotSent,
    /// It was sent: perhaps.
    Unknown,
}

/// Why a connection was lost or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The owner says that the transport closed.
    Transport,
    /// The server closed without answering the ConnectRequest: it serves nobody (no quorum), or has not
    /// yet seen the transactions that we have seen.
    NoAnswer {
        /// The zxid we told it; zero rules the second reason out.
        last_zxid: Zxid,
    },
    /// The server refused the connection in its answer, with this code if it gave one: read-only servers do.
    Refused(Option<ErrorCode>),
    /// Nothing arrived for two thirds of the session timeout, or no answer to the greeting in time.
    Silent,
    /// The session was gone; seen in the answer to the greeting.
    Expired,
    /// What arrived cannot be ZooKeeper.
    NotZooKeeper(Looks),
    /// A record could not be read.
    Decode(DecodeError),
    /// A frame's length is negative.
    Frame(NegativeLength),
    /// A reply came that nothing waits for, or to what has not left yet, or one that cannot be the next: an earlier one was
    /// lost.
    UnexpectedReply {
        /// Its number.
        xid: i32,
    },
    /// The server closed in the middle of the SASL exchange.
    SaslUnanswered,
    /// The server refused to set our watches again; without them, silence would be a lie.
    WatchesRefused(ErrorCode),
}

/// What bytes that are not ZooKeeper's look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// `HTTP`.
    Http,
    /// A TLS record.
    Tls,
    /// What we said ourselves. A client that dials a port of this machine on which nobody listens is connected to itself when
    /// the system gives it that very port for its own end (a TCP simultaneous open); an echo service does it, too.
    Echo,
    /// Nothing we know.
    Unknown,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// We closed it.
    Closed,
    /// It expired, and the configuration says not to make a new one.
    Expired,
    /// The server does not accept our credentials.
    AuthFailed(ErrorCode),
    /// SASL came to nothing; trying again will not help.
    SaslFailed(SaslFailure),
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionLost => f.write_str("the connection was lost"),
            Self::SessionExpired => f.write_str("the session expired"),
            Self::Closed => f.write_str("the client was closed"),
            Self::AuthFailed => f.write_str("the server does not accept the credentials"),
            Self::SaslFailed(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "it was not sent",
            Self::Unknown => "it may have been carried out",
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport => f.write_str("the connection was closed"),
            Self::NoAnswer { last_zxid: Zxid(0) } => {
                f.write_str("closed without an answer: the server has no quorum or too many connections")
            }
            Self::NoAnswer { last_zxid } => write!(
                f,
                "closed without an answer: the server has no quorum, or is behind the zxid {last_zxid} that we have seen"
            ),
            Self::Refused(Some(code)) => write!(f, "the server refused the session: {code}"),
            Self::Refused(None) => f.write_str("the server refused the session"),
            Self::Silent => f.write_str("the server fell silent"),
            Self::Expired => f.write_str("the server does not know the session any more"),
            Self::NotZooKeeper(Looks::Http) => f.write_str("not ZooKeeper: the port speaks HTTP"),
            Self::NotZooKeeper(Looks::Tls) => f.write_str("not plain ZooKeeper: the port speaks TLS"),
            Self::NotZooKeeper(Looks::Echo) => {
                f.write_str("not ZooKeeper: our own request came back, as from a port on which nobody listens")
            }
            Self::NotZooKeeper(Looks::Unknown) => f.write_str("not ZooKeeper: the answer makes no sense"),
            Self::Decode(error) => write!(f, "the server sent what cannot be read: {error}"),
            Self::Frame(error) => write!(f, "the server sent what cannot be read: {error}"),
            Self::UnexpectedReply { xid } => {
                write!(f, "the server sent a reply to no request that was sent, or left one out: xid {xid}")
            }
            Self::SaslUnanswered => f.write_str("closed by the server in the middle of the SASL exchange; see its log"),
            Self::WatchesRefused(code) => write!(f, "the server refused to set the watches again: {code}"),
        }
    }
}

impl End {
    /// What requests are told that come too late, or were on their way.
    #[must_use]
    pub const fn interruption(self) -> Interruption {
        match self {
            Self::Closed => Interruption::Closed,
            Self::Expired => Interruption::SessionExpired,
            Self::AuthFailed(_) => Interruption::AuthFailed,
            Self::SaslFailed(why) => Interruption::SaslFailed(why),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Expired => f.write_str("expired"),
            Self::AuthFailed(code) => write!(f, "authentication failed: {code}"),
            Self::SaslFailed(why) => why.fmt(f),
        }
    }
}
