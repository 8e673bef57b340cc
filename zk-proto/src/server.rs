//! The server's side of one connection, sans-IO: what servers, proxies and test doubles are built on.
//!
//! Knows frames, the first four bytes, the greeting, and how replies and notifications are framed. Must not
//! know trees, what becomes of sessions, sockets or clocks: whoever decides those calls it. Source:
//! protocol.md sections 1.5, 2, 9.1 and 12.
//!
//! # A server of ten lines
//! It answers every getData with the same data. A real one puts what [`poll_transmit`](Connection::poll_transmit)
//! gives on a socket, and closes the socket when [`is_closing`](Connection::is_closing) and all is written.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use std::time::Duration;
//! use zk_proto::{
//!     ErrorCode, OpCode, SessionId, Stat, Zxid,
//!     records::{Empty, GetDataResponse},
//!     server::{Accepted, Config, Connection, Incoming},
//! };
//!
//! const STAT: Stat = Stat {
//!     czxid: Zxid(1), mzxid: Zxid(1), ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0,
//!     ephemeral_owner: SessionId::NONE, data_length: 1, num_children: 0, pzxid: Zxid(1),
//! };
//!
//! fn serve(connection: &mut Connection, inbox: &mut BytesMut) {
//!     while let Some(incoming) = connection.poll_request(inbox) {
//!         match incoming {
//!             Incoming::Word(_) => connection.answer_word(b"imok"),
//!             Incoming::Connect(greeting) => connection.accept(&Accepted {
//!                 id: SessionId(0x7), timeout: greeting.timeout, password: [7; 16], read_only: false,
//!             }),
//!             Incoming::Request { xid, op: OpCode::GET_DATA, .. } => {
//!                 let reply = GetDataResponse { data: Some(Bytes::from_static(b"v")), stat: STAT };
//!                 connection.reply(xid, Zxid(1), Ok(&reply));
//!             }
//!             Incoming::Request { xid, .. } => {
//!                 connection.reply(xid, Zxid(-1), Err::<&Empty, _>(ErrorCode::UNIMPLEMENTED));
//!                 connection.close();
//!             }
//!             Incoming::Closed(fault) => eprintln!("{fault}"),
//!         }
//!     }
//! }
//!
//! let mut connection = Connection::new(Config::default());
//! serve(&mut connection, &mut BytesMut::from(&b"ruok"[..]));
//! assert_eq!(connection.poll_transmit().unwrap(), &b"imok"[..]);
//! assert!(connection.is_closing());
//!
//! let mut client = zk_proto::Session::<()>::new(zk_proto::SessionConfig::default());
//! client.handle_dialed(Duration::ZERO, Duration::from_secs(1));
//! let mut connection = Connection::new(Config::default());
//! serve(&mut connection, &mut client.poll_transmit().unwrap());
//! client.handle_bytes(Duration::ZERO, &mut connection.poll_transmit().unwrap());
//! assert_eq!(client.credentials().id, SessionId(0x7));
//! ```

use crate::{
    frame::{PREFIX_LEN, REQUEST_LEN_MAX, TooLarge},
    jute::{Decode as _, Reader, decode_from},
    records::{ConnectRequest, RequestHeader, SecretBytes},
    words::FourLetterWord,
};
use bytes::{Buf, Bytes, BytesMut};
use core::{fmt, time::Duration};

mod incoming;
mod outgoing;

pub use incoming::{Fault, Greeting, Incoming};
pub use outgoing::Accepted;

/// A request's header: xid and opcode. A shorter frame is the end of a connection.
const REQUEST_HEADER_LEN: usize = 8;

/// What one connection of a server allows and how its version writes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The longest frame that is read, in bytes without its prefix: `jute.maxbuffer`.
    pub request_len_max: usize,
    /// Sends the `readOnly` byte of the ConnectResponse although the ConnectRequest had none, as 3.9.0 to 3.9.2
    /// do (ZOOKEEPER-4814).
    pub read_only_byte_always: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { request_len_max: REQUEST_LEN_MAX, read_only_byte_always: false }
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was heard yet, or no whole first frame.
    Fresh,
    /// The ConnectRequest was handed out and waits for a decision; the bit says whether it had the readOnly byte.
    Asked { had_read_only: bool },
    /// A session stands on it: requests flow.
    Up,
    /// A word was asked, or we refused as a read-only server does: it stays connected, and nothing more is read.
    Deaf,
    /// Nothing is read and nothing is queued any more.
    Closing,
}

/// One connection as a server sees it.
///
/// Pull with [`poll_request`](Self::poll_request) until it gives nothing, answer what it gave, now or later and
/// in any order, and write what [`poll_transmit`](Self::poll_transmit) gives. Nothing is queued on the way in:
/// what is not pulled stays in the caller's buffer.
pub struct Connection {
    config: Config,
    phase: Phase,
    outbox: BytesMut,
}

impl Connection {
    /// A connection on which nothing was heard yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, phase: Phase::Fresh, outbox: BytesMut::new() }
    }

    /// Takes the next thing off the front of `inbox`; what is left there belongs to a frame that is not whole yet,
    /// or comes behind a ConnectRequest that is not decided yet.
    ///
    /// Reserves nothing: memory follows the bytes that arrive, not the length that a peer claims.
    pub fn poll_request(&mut self, inbox: &mut BytesMut) -> Option<Incoming> {
        let is_fresh = match self.phase {
            Phase::Fresh => true,
            Phase::Up => false,
            Phase::Asked { .. } => return None,
            Phase::Deaf | Phase::Closing => {
                inbox.clear();
                return None;
            }
        };
        let prefix = *inbox.first_chunk::<PREFIX_LEN>()?;
        // Every other word is a length, and far over the limit.
        if let (true, Some(word)) = (is_fresh, FourLetterWord::from_prefix(prefix)) {
            inbox.advance(PREFIX_LEN);
            // A word is a connection's only request.
            self.phase = Phase::Deaf;
            return Some(Incoming::Word(word));
        }
        let len = match self.frame_len(prefix, is_fresh) {
            Ok(len) => len,
            Err(fault) => return Some(self.fail(fault)),
        };
        if inbox.len() < PREFIX_LEN + len {
            return None;
        }
        inbox.advance(PREFIX_LEN);
        let frame = inbox.split_to(len).freeze();
        let incoming = if is_fresh { self.greeting(&frame) } else { request(&frame) };
        Some(incoming.unwrap_or_else(|fault| self.fail(fault)))
    }

    fn frame_len(&self, prefix: [u8; PREFIX_LEN], is_fresh: bool) -> Result<usize, Fault> {
        let prefix = i32::from_be_bytes(prefix);
        let len = usize::try_from(prefix).map_err(|_| Fault::NegativeLength(prefix))?;
        let limit = self.config.request_len_max;
        if len > limit {
            return Err(Fault::TooLarge(TooLarge { len, limit }));
        }
        if !is_fresh && len < REQUEST_HEADER_LEN {
            return Err(Fault::NoHeader { len });
        }
        Ok(len)
    }

    fn greeting(&mut self, frame: &Bytes) -> Result<Incoming, Fault> {
        let request: ConnectRequest<'_> = decode_from(frame).map_err(Fault::ConnectRequest)?;
        self.phase = Phase::Asked { had_read_only: request.read_only.0.is_some() };
        Ok(Incoming::Connect(Greeting {
            last_zxid_seen: request.last_zxid_seen,
            timeout: Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)),
            id: request.session_id,
            password: request.password.map(|password| SecretBytes(frame.slice_ref(password.0))),
            read_only: request.read_only.0.unwrap_or(false),
        }))
    }

    fn fail(&mut self, fault: Fault) -> Incoming {
        self.phase = Phase::Closing;
        Incoming::Closed(fault)
    }
}

fn request(frame: &Bytes) -> Result<Incoming, Fault> {
    let header = RequestHeader::decode(&mut Reader::new(frame));
    let RequestHeader { xid, op } = header.map_err(|_| Fault::NoHeader { len: frame.len() })?;
    Ok(Incoming::Request { xid, op, body: frame.slice(REQUEST_HEADER_LEN..) })
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("phase", &self.phase).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
