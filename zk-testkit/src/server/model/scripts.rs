//! What a server does wrong because a test says so: answers to ConnectRequests are in `connect`, the rest is here.
//!
//! Must not know sockets.

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode, Zxid};

use super::{Close, Conn, ConnId, Model, tree::Tree};

/// The next request with this opcode is answered with this code and not carried out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    op: OpCode,
    code: ErrorCode,
}

/// What becomes of the next reply to a request with a positive xid. The request is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// It never comes.
    Never,
    /// It comes behind the next reply of its connection.
    Late,
    /// It comes twice.
    Twice,
    /// It answers an xid that nobody asked for.
    UnknownXid,
    /// Its header has this zxid.
    Zxid(Zxid),
    /// Its header has this code, and there is no body.
    Code(ErrorCode),
    /// These bytes come instead, a length prefix included if there is to be one.
    Bytes(Bytes),
}

/// An xid that no client sends so early.
const UNKNOWN_XID: i32 = 0x7FFF_FF00;

impl Model {
    /// Answers the next request with this opcode with an error and does not carry it out. Where a real server hangs
    /// up after the code, this one does too.
    pub fn script_refusal(&mut self, op: OpCode, code: ErrorCode) {
        self.refusals.push_back(Refusal { op, code });
    }

    pub(super) fn scripted_refusal(&mut self, op: OpCode) -> Option<ErrorCode> {
        let index = self.refusals.iter().position(|refusal| refusal.op == op)?;
        self.refusals.remove(index).map(|refusal| refusal.code)
    }

    /// Does this with the reply after those already spoken for, of any connection.
    pub fn script_reply(&mut self, fault: ReplyFault) {
        self.reply_faults.push_back(fault);
    }

    /// Forgets every script that nobody has come across.
    pub fn forget_scripts(&mut self) {
        self.refusals.clear();
        self.reply_faults.clear();
        self.connect_answers.clear();
    }

    /// Sends a reply, as a script says if there is one.
    pub(super) fn send_reply(&mut self, id: ConnId, xid: i32, zxid: Zxid, code: ErrorCode, body: &[u8]) {
        let fault = if xid > 0 { self.reply_faults.pop_front() } else { None };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let late = conn.late.take();
        let wire = conn.say();
        match fault {
            None => wire.reply_encoded(xid, zxid, code, body),
            Some(ReplyFault::Never) => {}
            Some(ReplyFault::Late) => conn.late = Some((xid, zxid, code, Bytes::copy_from_slice(body))),
            Some(ReplyFault::Twice) => {
                wire.reply_encoded(xid, zxid, code, body);
                wire.reply_encoded(xid, zxid, code, body);
            }
            Some(ReplyFault::UnknownXid) => wire.reply_encoded(UNKNOWN_XID, zxid, code, body),
            Some(ReplyFault::Zxid(zxid)) => wire.reply_encoded(xid, zxid, code, body),
            Some(ReplyFault::Code(code)) => wire.reply_encoded(xid, zxid, code, &[]),
            Some(ReplyFault::Bytes(bytes)) => wire.transmit_raw(&bytes),
        }
        if let (Some((xid, zxid, code, body)), Some(conn)) = (late, self.conns.get_mut(&id)) {
            conn.say().reply_encoded(xid, zxid, code, &body);
        }
        self.list(id);
    }

    /// Hangs up on every connection of a member that has a session, as when somebody else comes with its id: nothing
    /// that is asked is answered any more. The sessions live on.
    pub fn kick_all(&mut self, member: usize) {
        let has_session = |conn: &Conn| conn.member == member && conn.session().is_some();
        let ids: Vec<ConnId> = self.conns.iter().filter(|(_, conn)| has_session(conn)).map(|(id, _)| *id).collect();
        for id in ids {
            self.hang_up(id, Close::Gently);
        }
    }

    /// Sets the wall clock forward, or back.
    pub const fn shift_wall_clock(&mut self, ms: i64) {
        self.config.wall_base_ms = self.config.wall_base_ms.saturating_add(ms);
    }

    /// Loses everything, as when all data directories are emptied: znodes, sessions, the count of transactions.
    pub fn rebuild(&mut self) {
        let ids: Vec<ConnId> = self.conns.keys().copied().collect();
        for id in ids {
            self.hang_up(id, Close::Gently);
        }
        self.sessions.clear();
        self.tree = Tree::new();
        self.zxid = super::first_zxid(self.config.members);
        self.forget_replicas();
    }
}
