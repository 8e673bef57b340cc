//! Where frames begin and end in a stream that is passed on as it comes, and what each says of itself.
//!
//! Must not know what becomes of them. Only a frame's first bytes are held until they are together.

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf, BytesMut};
use zk_proto::{ErrorCode, OpCode, SessionId, Zxid, frame::PREFIX_LEN, session::xid, words::FourLetterWord};

/// Longer frames are none: TLS and HTTP look like lengths beyond it. Replies may pass `jute.maxbuffer` (1 MiB) many times.
const FRAME_LEN_MAX: usize = 64 * 1024 * 1024;

/// Requests whose replies are still to come and whose opcodes are remembered for them.
const ASKED_MAX: usize = 65_536;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Towards {
    /// From the client.
    Server,
    /// From the server.
    Client,
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Head {
    /// The client's first frame.
    ConnectRequest {
        /// The highest zxid that the client has seen.
        last_zxid_seen: Zxid,
        /// The session to go on with, or none.
        session: SessionId,
    },
    /// The server's first frame.
    ConnectResponse {
        /// The session timeout in ms; 0 or less: the session is gone.
        timeout_ms: i32,
        /// The session.
        session: SessionId,
    },
    /// A request.
    Request {
        /// Its number.
        xid: i32,
        /// What is asked.
        op: OpCode,
    },
    /// A reply.
    Reply {
        /// The number of its request.
        xid: i32,
        /// The server's last transaction.
        zxid: Zxid,
        /// Whether it is an error.
        err: ErrorCode,
        /// What was asked, if a request with that number was seen.
        op: Option<OpCode>,
    },
    /// An event.
    Notification {
        /// Of its transaction; -1 before 3.9.
        zxid: Zxid,
    },
    /// It is too short for a head.
    Stub,
}

impl Head {
    /// The operation that the frame belongs to; an event's is [`OpCode::NOTIFICATION`], a greeting has none.
    #[must_use]
    pub const fn op(&self) -> Option<OpCode> {
        match *self {
            Self::Request { op, .. } => Some(op),
            Self::Reply { op, .. } => op,
            Self::Notification { .. } => Some(OpCode::NOTIFICATION),
            Self::ConnectRequest { .. } | Self::ConnectResponse { .. } | Self::Stub => None,
        }
    }
}

/// A frame that came to the proxy, whatever became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSeen {
    /// The number of the connection: 0, 1, 2, ...
    pub link: u64,
    /// Where it was going.
    pub towards: Towards,
    /// When its head had come, since the proxy's start.
    pub at: Duration,
    /// Its number in its direction of its connection.
    pub index: u64,
    /// The place of its first byte in that direction.
    pub offset: u64,
    /// Its length in bytes, without the four of the length.
    pub len: usize,
    /// What it says of itself.
    pub head: Head,
}

/// What both directions of a connection know of each other.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    /// A word was asked, or there was something that is no frame: what follows are bytes.
    raw: bool,
    asked: VecDeque<(i32, OpCode)>,
}

/// Bytes to be passed on, all of one frame or of none.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: BytesMut,
    /// The frame that begins here: its length and what it says.
    pub(super) begins: Option<(usize, Head)>,
    /// Whether the frame ends here.
    pub(super) ends: bool,
}

#[derive(Debug)]
enum At {
    /// The next bytes are a length and a head.
    Head,
    /// So many bytes of a frame are still to come.
    Body(usize),
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    towards: Towards,
    at: At,
    is_first: bool,
    /// What has come and is not passed on yet.
    inbox: BytesMut,
}

impl Frames {
    pub(super) fn new(towards: Towards) -> Self {
        Self { towards, at: At::Head, is_first: true, inbox: BytesMut::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    pub(super) fn rest_len(&self) -> usize {
        self.inbox.len()
    }

    /// What is held because its frame's head is not together, at the end of the stream.
    pub(super) fn rest(&mut self) -> Piece {
        Piece { bytes: self.inbox.split(), begins: None, ends: false }
    }

    pub(super) fn next_piece(&mut self, dialogue: &mut Dialogue) -> Option<Piece> {
        if self.inbox.is_empty() {
            return None;
        }
        match self.at {
            At::Body(left) => {
                let bytes = self.inbox.split_to(left.min(self.inbox.len()));
                let left = left - bytes.len();
                self.at = if left == 0 { At::Head } else { At::Body(left) };
                Some(Piece { bytes, begins: None, ends: left == 0 })
            }
            At::Head if dialogue.raw => Some(self.rest()),
            At::Head => self.begin(dialogue),
        }
    }

    fn begin(&mut self, dialogue: &mut Dialogue) -> Option<Piece> {
        let prefix = *self.inbox.first_chunk::<PREFIX_LEN>()?;
        let is_word = self.is_first && self.towards == Towards::Server && FourLetterWord::from_prefix(prefix).is_some();
        let len = usize::try_from(i32::from_be_bytes(prefix)).ok().filter(|len| !is_word && *len <= FRAME_LEN_MAX);
        let Some(len) = len else {
            dialogue.raw = true;
            return Some(self.rest());
        };
        let head_len = len.min(self.head_len());
        if self.inbox.len() < PREFIX_LEN + head_len {
            return None;
        }
        let bytes = self.inbox.split_to(PREFIX_LEN + head_len);
        let head = self.head(bytes.get(PREFIX_LEN..).unwrap_or_default(), dialogue);
        self.is_first = false;
        let left = len - head_len;
        self.at = if left == 0 { At::Head } else { At::Body(left) };
        Some(Piece { bytes, begins: Some((len, head)), ends: left == 0 })
    }

    /// How much of a frame tells what it is.
    const fn head_len(&self) -> usize {
        match (self.towards, self.is_first) {
            (Towards::Server, true) => 24,
            (Towards::Server, false) => 8,
            (Towards::Client, _) => 16,
        }
    }

    fn head(&self, mut bytes: &[u8], dialogue: &mut Dialogue) -> Head {
        if bytes.len() < self.head_len() {
            return Head::Stub;
        }
        match (self.towards, self.is_first) {
            (Towards::Server, true) => {
                bytes.advance(4);
                let last_zxid_seen = Zxid(bytes.get_i64());
                bytes.advance(4);
                Head::ConnectRequest { last_zxid_seen, session: SessionId(bytes.get_i64()) }
            }
            (Towards::Client, true) => {
                bytes.advance(4);
                Head::ConnectResponse { timeout_ms: bytes.get_i32(), session: SessionId(bytes.get_i64()) }
            }
            (Towards::Server, false) => {
                let (xid, op) = (bytes.get_i32(), OpCode(bytes.get_i32()));
                if dialogue.asked.len() == ASKED_MAX {
                    dialogue.asked.pop_front();
                }
                dialogue.asked.push_back((xid, op));
                Head::Request { xid, op }
            }
            (Towards::Client, false) => {
                let (number, zxid, err) = (bytes.get_i32(), Zxid(bytes.get_i64()), ErrorCode(bytes.get_i32()));
                if number == xid::NOTIFICATION {
                    return Head::Notification { zxid };
                }
                let place = dialogue.asked.iter().position(|(asked, _)| *asked == number);
                let op = place.and_then(|place| dialogue.asked.remove(place)).map(|(_, op)| op);
                Head::Reply { xid: number, zxid, err, op }
            }
        }
    }
}
