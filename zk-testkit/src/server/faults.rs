//! What a test can break.
//!
//! Must not know how; the model and the hub do.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode, SessionId, Zxid};

use super::{
    TestServer,
    model::{Close, ConnId, ConnectAnswer},
};

impl TestServer {
    /// Resets every connection of this server. Their sessions live on.
    pub fn drop_connections(&self) {
        self.hub.drop_connections(self.member, Close::Abort);
    }

    /// Ends a session as if nothing had been heard of it for too long. Whether there was one.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.hub.act(|state, now| state.model.expire(now, session))
    }

    /// A network that loses everything: connections stand, and new ones are accepted, but nothing gets through in
    /// either direction, and sessions run out. When it ends, what was on its way arrives.
    pub fn black_hole(&self, on: bool) {
        self.hub.set_faults(self.member, |faults| faults.black_hole = on);
    }

    /// Requests are carried out, but neither replies nor events leave until it ends.
    pub fn hold_replies(&self, on: bool) {
        self.hub.set_faults(self.member, |faults| faults.hold_replies = on);
    }

    /// Everything to clients leaves this much later, in order; zero ends it.
    pub fn delay_replies(&self, delay: Duration) {
        self.hub.set_faults(self.member, |faults| faults.delay = delay);
    }

    /// Closes the next connection after exactly this many bytes to the client, the answer to the handshake (41 bytes)
    /// included.
    pub fn cut_after_bytes(&self, len: usize) {
        self.hub.set_faults(self.member, |faults| faults.cut_next = Some(len));
    }

    /// Answers the next ConnectRequest of any member by this script; several queue up.
    pub fn script_next_connect(&self, answer: ConnectAnswer) {
        self.hub.act(|state, _| state.model.script_connect(answer));
    }

    /// Answers the next ConnectRequest with these bytes, a length prefix included if there is to be one.
    pub fn answer_next_connect(&self, bytes: impl Into<Bytes>) {
        self.script_next_connect(ConnectAnswer::Bytes(bytes.into()));
    }

    /// Answers the next ConnectRequest with a session that it did not ask for.
    pub fn answer_next_connect_with_another_id(&self) {
        self.script_next_connect(ConnectAnswer::AnotherId);
    }

    /// Closes the next connection when its ConnectRequest arrives, as a server without a quorum does.
    pub fn close_next_connect_without_answer(&self) {
        self.script_next_connect(ConnectAnswer::Close);
    }

    /// Refuses the next ConnectRequest with a frame of 16 bytes, as read-only servers do, and stays connected.
    pub fn refuse_next_connect_as_read_only(&self) {
        self.script_next_connect(ConnectAnswer::ReadOnlyRefusal);
    }

    /// Answers the next request of this kind with an error and does not carry it out.
    pub fn refuse_next(&self, op: OpCode, code: ErrorCode) {
        self.hub.act(|state, _| state.model.script_refusal(op, code));
    }

    /// Switches the read-only mode of all members. Every connection is lost, as when a quorum is lost or found.
    pub fn read_only(&self, read_only: bool) {
        self.hub.act(|state, _| state.model.set_read_only(read_only));
    }

    /// Sends bytes to a client that are no answer to anything.
    pub fn send(&self, conn: ConnId, bytes: &[u8]) {
        self.hub.act(|state, _| state.model.send(conn, bytes));
    }

    /// Raises the last zxid, as if others had written much; a new leader's epoch is its high 32 bits.
    pub fn advance_zxid(&self, zxid: Zxid) {
        self.hub.act(|state, now| state.model.advance_zxid(now, zxid));
    }
}
