//! What a client may send, as far as a connection can tell, and what it must not send.

use crate::{
    code::OpCode,
    frame::TooLarge,
    id::{SessionId, Zxid},
    jute::DecodeError,
    records::SecretBytes,
    words::FourLetterWord,
};
use bytes::Bytes;
use core::{fmt, time::Duration};

/// One thing that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A four-letter word in place of a ConnectRequest. Answer with
    /// [`answer_word`](super::Connection::answer_word).
    Word(FourLetterWord),
    /// A ConnectRequest. Answer with [`accept`](super::Connection::accept),
    /// [`refuse_expired`](super::Connection::refuse_expired),
    /// [`refuse_read_only`](super::Connection::refuse_read_only) or [`close`](super::Connection::close): a server
    /// without a quorum, or behind `last_zxid_seen`, hangs up without a word.
    Connect(Greeting),
    /// A request, auth packets and pings among them.
    Request {
        /// Its number, to be echoed. Nothing says that it is positive or new.
        xid: i32,
        /// The operation.
        op: OpCode,
        /// The record behind the header, a slice of the frame; to be decoded as the operation's
        /// [`Op::Request`](crate::Op::Request). What cannot be decoded is answered with
        /// [`MARSHALLING_ERROR`](crate::ErrorCode::MARSHALLING_ERROR), and the connection lives on.
        body: Bytes,
    },
    /// The client broke the rules of frames. A real server hangs up without an answer, and so does this
    /// connection: it [is closing](super::Connection::is_closing).
    Closed(Fault),
}

/// A client's ConnectRequest. The password never shows in `Debug` output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The highest zxid that the client has seen; a server behind it hangs up.
    pub last_zxid_seen: Zxid,
    /// The wanted session timeout; a server clamps it. Negative ones come as zero.
    pub timeout: Duration,
    /// The session to go on with, or [`SessionId::NONE`].
    pub id: SessionId,
    /// What proves that it is the client's; a slice of the frame, of any length.
    pub password: Option<SecretBytes>,
    /// Whether a read-only server will do; false when the byte is missing, as in clients before 3.4.
    pub read_only: bool,
}

/// Why a server hangs up on a client without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A frame is longer than the server reads.
    TooLarge(TooLarge),
    /// A frame's length is negative.
    NegativeLength(i32),
    /// A frame is too short for a request's header.
    NoHeader {
        /// Its length in bytes.
        len: usize,
    },
    /// The first frame is not a ConnectRequest.
    ConnectRequest(DecodeError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(size) => write!(f, "the client sent too long a frame: {size}"),
            Self::NegativeLength(len) => write!(f, "the client sent a frame with the negative length {len}"),
            Self::NoHeader { len } => write!(f, "the client sent {len} bytes where a request's header has 8"),
            Self::ConnectRequest(error) => write!(f, "the client's first frame is no ConnectRequest: {error}"),
        }
    }
}

impl core::error::Error for Fault {}
