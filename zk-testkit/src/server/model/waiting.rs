//! Connections that wait for their member: a reply until its transaction is applied there, whatever was asked behind it
//! until then.
//!
//! Must not know why a member lags. Writes do not wait: they go to the leader at once, and their replies come when the
//! member has applied them, in order. What only looks waits its turn, and then sees the member's tree.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::{
    ErrorCode, OpCode, SessionId, Zxid,
    jute::{Encode, encode_to_bytes},
};

use super::{Close, ConnId, Model, dispatch::Call};

/// Something that a connection waits for; in order.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The answer to a write or a sync.
    Reply { at: Zxid, xid: i32, code: ErrorCode, body: Bytes, closes: bool },
    /// The answer to a ConnectRequest: a new session is a transaction.
    Session { at: Zxid, id: SessionId, timeout: Duration },
    /// A request that is to see what stands before it.
    Request { session: SessionId, xid: i32, op: OpCode, body: Bytes },
}

impl Model {
    /// Whether a request has to wait for replies before it. Auth packets overtake, and writes are under way to the
    /// leader whatever their replies wait for.
    pub(super) fn is_to_wait(&self, call: &Call<'_>) -> bool {
        let waits = self.conns.get(&call.conn).is_some_and(|conn| !conn.waiting.is_empty());
        waits && !is_for_leader(call.op) && !matches!(call.op, OpCode::AUTH | OpCode::SASL)
    }

    pub(super) fn wait(&mut self, call: &Call<'_>) {
        let body = call.body.clone();
        let waiting = Waiting::Request { session: call.session, xid: call.xid, op: call.op, body };
        if let Some(conn) = self.conns.get_mut(&call.conn) {
            conn.waiting.push_back(waiting);
        }
    }

    /// Keeps a reply back until the connection's member has applied everything that is committed now. Whether it has to
    /// be; if not, nothing is kept.
    pub(super) fn hold_reply<T: Encode>(&mut self, call: &Call<'_>, result: &Result<T, ErrorCode>) -> bool {
        let at = self.zxid;
        if !is_for_leader(call.op) || self.applied(self.member_of(call.conn)) >= at {
            return false;
        }
        let (code, body) = match result {
            Ok(body) => (ErrorCode::OK, encode_to_bytes(body).into()),
            Err(code) => (*code, Bytes::new()),
        };
        let closes = call.op == OpCode::CLOSE_SESSION;
        if let Some(conn) = self.conns.get_mut(&call.conn) {
            conn.waiting.push_back(Waiting::Reply { at, xid: call.xid, code, body, closes });
        }
        true
    }

    /// Keeps a new session's answer back; `false` if there is no need to.
    pub(super) fn hold_session(&mut self, conn: ConnId, id: SessionId, timeout: Duration) -> bool {
        let at = self.zxid;
        if self.applied(self.member_of(conn)) >= at {
            return false;
        }
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.waiting.push_back(Waiting::Session { at, id, timeout });
        }
        true
    }

    /// A member has applied something: its connections go on as far as they can.
    pub(super) fn resume_waiting(&mut self, now: Duration, member: usize) {
        let waits = |conn: &super::Conn| conn.member == member && !conn.waiting.is_empty();
        let ids: Vec<ConnId> = self.conns.iter().filter(|(_, conn)| waits(conn)).map(|(id, _)| *id).collect();
        let applied = self.applied(member);
        for id in ids {
            while let Some(next) = self.next_waiting(id, applied) {
                self.go_on(now, id, applied, next);
            }
        }
    }

    fn next_waiting(&mut self, id: ConnId, applied: Zxid) -> Option<Waiting> {
        let waiting = &mut self.conns.get_mut(&id)?.waiting;
        waiting.pop_front_if(|next| match next {
            Waiting::Reply { at, .. } | Waiting::Session { at, .. } => *at <= applied,
            Waiting::Request { .. } => true,
        })
    }

    fn go_on(&mut self, now: Duration, id: ConnId, applied: Zxid, next: Waiting) {
        match next {
            Waiting::Reply { xid, code, body, closes, .. } => {
                self.send_reply(id, xid, applied, code, &body);
                if closes {
                    self.hang_up(id, Close::Gently);
                }
            }
            Waiting::Session { id: session, timeout, .. } => self.answer_connect(id, Some((session, timeout))),
            Waiting::Request { session, xid, op, body } => {
                self.carry_out(&Call { now, conn: id, session, xid, op, body: &body });
            }
        }
    }
}

/// Requests that the leader decides: their replies wait for the member to apply them.
pub(super) const fn is_for_leader(op: OpCode) -> bool {
    super::dispatch::is_write(op) || matches!(op, OpCode::SYNC | OpCode::CLOSE_SESSION)
}
