//! What a server says, as frames. Nothing is queued behind the end of a connection.

use super::{Connection, Phase};
use crate::{
    code::ErrorCode,
    frame::REPLY_HEADER_LEN,
    id::{SessionId, Zxid},
    jute::{Encode, Tail},
    records::{ConnectResponse, Empty, ReplyHeader, SecretBytes, WatcherEvent},
    session::xid,
    watch::WatchedEvent,
};
use bytes::{BufMut, Bytes, BytesMut};
use core::{fmt, time::Duration};

/// Length of a session's password.
const PASSWORD_LEN: usize = 16;

/// The session that a ConnectRequest is answered with.
#[derive(Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The session: the client's own, or a new one.
    pub id: SessionId,
    /// The negotiated session timeout, at least a millisecond: zero says that a session is gone.
    pub timeout: Duration,
    /// What the client must show to go on with it.
    pub password: [u8; PASSWORD_LEN],
    /// Whether this server serves reads only.
    pub read_only: bool,
}

/// Never the password.
impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("id", &self.id).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Connection {
    /// Answers a four-letter word, and closes.
    pub fn answer_word(&mut self, text: &[u8]) {
        self.transmit_raw(text);
        self.close();
    }

    /// Gives the client a session. Does nothing unless a ConnectRequest waits for its answer.
    pub fn accept(&mut self, accepted: &Accepted) {
        let Phase::Asked { had_read_only } = self.phase else { return };
        self.put_connect_response(had_read_only, accepted);
        self.phase = Phase::Up;
    }

    /// Tells the client that its session is gone (timeout 0, id 0, a password of zeros), and closes. Does nothing
    /// unless a ConnectRequest waits for its answer.
    pub fn refuse_expired(&mut self) {
        let Phase::Asked { had_read_only } = self.phase else { return };
        let (id, timeout) = (SessionId::NONE, Duration::ZERO);
        let gone = Accepted { id, timeout, password: [0; PASSWORD_LEN], read_only: false };
        self.put_connect_response(had_read_only, &gone);
        self.close();
    }

    /// Refuses as a read-only server without local sessions does since 3.7: with a reply header in place of a
    /// ConnectResponse. The connection stays open, and nothing more is read from it. Does nothing unless a
    /// ConnectRequest waits for its answer.
    pub fn refuse_read_only(&mut self, zxid: Zxid) {
        if matches!(self.phase, Phase::Asked { .. }) {
            self.put_reply(0, zxid, ErrorCode::NOT_READ_ONLY, &Empty {});
            self.phase = Phase::Deaf;
        }
    }

    /// Answers a request: with the operation's [`Op::Reply`](crate::Op::Reply), or with an error, which has no body.
    ///
    /// `zxid` is the last transaction that the server has processed; 0 for auth packets, -1 with
    /// [`UNIMPLEMENTED`](ErrorCode::UNIMPLEMENTED), behind which a server [closes](Self::close).
    pub fn reply(&mut self, xid: i32, zxid: Zxid, result: Result<&impl Encode, ErrorCode>) {
        match result {
            Ok(body) => self.put_reply(xid, zxid, ErrorCode::OK, body),
            Err(code) => self.put_reply(xid, zxid, code, &Empty {}),
        }
    }

    /// Answers with an error that has a body all the same: a refused multiRead has an empty list.
    pub fn reply_with_body(&mut self, xid: i32, zxid: Zxid, code: ErrorCode, body: &impl Encode) {
        self.put_reply(xid, zxid, code, body);
    }

    /// Answers with a body that is encoded already: what a proxy passes on.
    pub fn reply_encoded(&mut self, xid: i32, zxid: Zxid, code: ErrorCode, body: &[u8]) {
        self.put_header(xid, zxid, code, body.len());
        if !self.is_closing() {
            self.outbox.put_slice(body);
        }
    }

    /// Tells the client that a watch fired. A server does so before it answers any request that could show the
    /// change.
    pub fn notify(&mut self, event: &WatchedEvent) {
        let WatchedEvent { event_type, state, path, zxid } = event;
        let body = WatcherEvent { event_type: *event_type, state: *state, path: path.clone() };
        self.put_reply(xid::NOTIFICATION, *zxid, ErrorCode::OK, &body);
    }

    /// Sends bytes as they are: half a frame, garbage, whatever a client must bear. For tests of clients.
    pub fn transmit_raw(&mut self, bytes: &[u8]) {
        if !self.is_closing() {
            self.outbox.put_slice(bytes);
        }
    }

    /// Hangs up: what was queued is still written, and nothing more is read or queued.
    pub const fn close(&mut self) {
        self.phase = Phase::Closing;
    }

    /// Whether the transport is to be closed as soon as everything is written.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing)
    }

    /// Whether a session stands on this connection.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up)
    }

    /// Bytes for the transport, everything there is.
    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        (!self.outbox.is_empty()).then(|| self.outbox.split())
    }

    fn put_connect_response(&mut self, had_read_only: bool, accepted: &Accepted) {
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: i32::try_from(accepted.timeout.as_millis()).unwrap_or(i32::MAX),
            session_id: accepted.id,
            password: Some(SecretBytes(Bytes::copy_from_slice(&accepted.password))),
            read_only: Tail((had_read_only || self.config.read_only_byte_always).then_some(accepted.read_only)),
        };
        put_len(&mut self.outbox, response.encoded_len());
        response.encode(&mut self.outbox);
    }

    fn put_reply(&mut self, xid: i32, zxid: Zxid, err: ErrorCode, body: &impl Encode) {
        self.put_header(xid, zxid, err, body.encoded_len());
        if !self.is_closing() {
            body.encode(&mut self.outbox);
        }
    }

    fn put_header(&mut self, xid: i32, zxid: Zxid, err: ErrorCode, body_len: usize) {
        if !self.is_closing() {
            self.outbox.reserve(4 + REPLY_HEADER_LEN + body_len);
            put_len(&mut self.outbox, REPLY_HEADER_LEN + body_len);
            ReplyHeader { xid, zxid, err }.encode(&mut self.outbox);
        }
    }
}

/// A length that does not fit has no form on the wire, and no memory holds such a frame.
fn put_len(out: &mut BytesMut, len: usize) {
    out.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
}
