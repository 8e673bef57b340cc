//! From a request's frame to the handler of its opcode, and back to a reply. The only place that matches on opcodes.
//!
//! Must not know how anything is carried out. Source: protocol.md sections 2.5 and 3.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use zk_proto::{
    DecodeError, ErrorCode, OpCode, SessionId, Zxid,
    jute::{Decode, Encode, Fault, Reader, encode_to_bytes},
    multi::{MultiOp, MultiRequest},
    records::{
        AuthPacket, Create2Response, CreateContainerRequest, CreateRequest, CreateResponse, CreateTtlRequest, Empty,
        PathRequest, PathVersionRequest, ReconfigRequest, SetAclRequest, SetDataRequest, StatResponse, SyncRequest,
        SyncResponse,
    },
    session::xid,
};

use super::{
    Close, ConnId, LocalSessions, Model, acl,
    observe::RequestRecord,
    txn::{Author, Txn},
};

/// One request on its way through the server.
pub(super) struct Call<'f> {
    pub(super) now: Duration,
    pub(super) conn: ConnId,
    pub(super) session: SessionId,
    pub(super) xid: i32,
    pub(super) op: OpCode,
    pub(super) body: &'f Bytes,
}

impl<'f> Call<'f> {
    /// Reads the request's record.
    ///
    /// # Errors
    /// -5, as a server answers.
    pub(super) fn record<R: Decode<'f>>(&self) -> Result<R, ErrorCode> {
        self.decoded().map_err(|_| ErrorCode::MARSHALLING_ERROR)
    }

    fn decoded<R: Decode<'f>>(&self) -> Result<R, DecodeError> {
        R::decode(&mut Reader::new(self.body))
    }

    /// The path that nearly every record begins with; null is `None`.
    pub(super) fn path(&self) -> Result<Option<Cow<'f, str>>, ErrorCode> {
        self.record()
    }
}

impl Model {
    pub(super) fn handle_request(&mut self, call: Call<'_>) {
        self.note(&call);
        if !matches!(call.op, OpCode::AUTH | OpCode::SASL) {
            if !self.is_authenticated(call.conn) {
                return self.refuse(&call, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
            }
            self.sessions.touch(call.now, call.session);
        }
        if self.is_to_wait(&call) {
            self.wait(&call);
        } else {
            self.carry_out(&call);
        }
    }

    pub(super) fn carry_out(&mut self, call: &Call<'_>) {
        if let Some(code) = self.scripted_refusal(call.op) {
            self.refuse(call, code);
        } else if !self.config.profile.knows(call.op) {
            self.refuse(call, ErrorCode::UNIMPLEMENTED);
        } else if self.is_read_only(self.member_of(call.conn)) && (is_write(call.op) || call.op == OpCode::SYNC) {
            self.refuse(call, ErrorCode::NOT_READ_ONLY);
        } else if (is_write(call.op) || call.op == OpCode::SYNC) && self.has_moved(call) {
            // -118 inside, and never told
            self.hang_up(call.conn, Close::Gently);
        } else if is_write(call.op) && self.sessions.get(call.session).is_none() {
            // its member has not heard yet that the session is over; the leader has
            self.refuse(call, ErrorCode::SESSION_EXPIRED);
        } else if self.upgrade_session(call) {
            self.dispatch(call);
        } else {
            self.refuse(call, ErrorCode::EPHEMERAL_ON_LOCAL_SESSION);
        }
    }

    /// Whether the session goes on with another connection.
    fn has_moved(&self, call: &Call<'_>) -> bool {
        self.sessions.get(call.session).is_some_and(|session| session.conn != Some(call.conn))
    }

    /// A local session that creates an ephemeral becomes the ensemble's first; `false` if it must not.
    fn upgrade_session(&mut self, call: &Call<'_>) -> bool {
        let is_local = self.sessions.get(call.session).is_some_and(|session| session.local_to.is_some());
        if !is_local || !creates_ephemeral(call) {
            return true;
        }
        let may = self.config.local_sessions == LocalSessions::Upgradable;
        if may {
            self.sessions.upgrade(call.session);
            self.commit_nothing(call.now);
        }
        may
    }

    fn note(&mut self, call: &Call<'_>) {
        let Some(conn) = self.conns.get_mut(&call.conn) else { return };
        conn.last_op = call.op;
        conn.last_xid = call.xid;
        let path = if has_path(call.op) { call.path().ok().flatten().map(Cow::into_owned) } else { None };
        let (conn, session, xid, op, member) = (call.conn, call.session, call.xid, call.op, conn.member);
        self.log.push(RequestRecord { member, conn, session, xid, op, path });
    }

    fn dispatch(&mut self, call: &Call<'_>) {
        match call.op {
            OpCode::PING => {
                self.put_reply(call.conn, xid::PING, self.applied(self.member_of(call.conn)), &Ok(Empty {}))
            }
            OpCode::CREATE => {
                let path = |(path, _)| CreateResponse { path };
                self.write(call, |txn, request: &CreateRequest<'_>| txn.create(request).map(path));
            }
            OpCode::CREATE2 => {
                let full = |(path, stat)| Create2Response { path, stat };
                self.write(call, |txn, request: &CreateRequest<'_>| txn.create(request).map(full));
            }
            OpCode::CREATE_CONTAINER => {
                let full = |(path, stat)| Create2Response { path, stat };
                self.write(call, |txn, request: &CreateContainerRequest<'_>| txn.create_container(request).map(full));
            }
            OpCode::CREATE_TTL => {
                let full = |(path, stat)| Create2Response { path, stat };
                self.write(call, |txn, request: &CreateTtlRequest<'_>| txn.create_ttl(request).map(full));
            }
            OpCode::DELETE => {
                let none = |()| Empty {};
                self.write(call, |txn, request: &PathVersionRequest<'_>| txn.delete(request).map(none));
            }
            OpCode::DELETE_CONTAINER => {
                let none = |()| Empty {};
                self.write(call, |txn, request: &PathRequest<'_>| txn.delete_container(&request.path).map(none));
            }
            OpCode::SET_DATA => {
                let full = |stat| StatResponse { stat };
                self.write(call, |txn, request: &SetDataRequest<'_>| txn.set_data(request).map(full));
            }
            OpCode::SET_ACL => {
                let full = |stat| StatResponse { stat };
                self.write(call, |txn, request: &SetAclRequest<'_>| txn.set_acl(request).map(full));
            }
            OpCode::MULTI => self.write(call, |txn, request: &MultiRequest<'_>| txn.multi(request)),
            OpCode::RECONFIG => {
                self.write(call, |_, _: &ReconfigRequest<'_>| Err::<Empty, _>(ErrorCode::RECONFIG_DISABLED));
            }
            OpCode::CHECK if self.config.profile.refuses_bare_check => self.refuse(call, ErrorCode::UNIMPLEMENTED),
            // versions before that never answer
            OpCode::CHECK => {}
            OpCode::SYNC => {
                let echo = |request: SyncRequest<'_>| SyncResponse { path: request.path.map(Cow::into_owned) };
                self.reply(call, &call.record().map(echo));
            }
            OpCode::AUTH => self.authenticate(call),
            OpCode::SASL => self.sasl(call),
            OpCode::CLOSE_SESSION => self.close_session(call),
            _ if self.dispatch_read(call) || self.dispatch_watch(call) => {}
            _ => self.refuse(call, ErrorCode::UNIMPLEMENTED),
        }
    }

    fn write<'f, R: Decode<'f>, T: Encode>(
        &mut self,
        call: &Call<'f>,
        run: impl FnOnce(&mut Txn<'_>, &R) -> Result<T, ErrorCode>,
    ) {
        let request = match call.decoded::<R>() {
            Ok(request) => request,
            Err(error) => {
                let is_null = error.fault == Fault::Null;
                if is_null || self.config.profile.unreadable_takes_zxid(call.op) {
                    self.commit_nothing(call.now);
                }
                let code = if is_null { self.refusal_of_null(call.op) } else { ErrorCode::MARSHALLING_ERROR };
                return self.reply(call, &Err::<Empty, _>(code));
            }
        };
        let Some(conn) = self.conns.get(&call.conn) else { return };
        let author = Author { session: call.session, identities: conn.identities.clone() };
        let result = self.transact(call.now, &author, |txn| run(txn, &request));
        self.reply(call, &result);
    }

    /// Java reads a path that is null, and stumbles over it later; what it looks at before has its own error.
    const fn refusal_of_null(&self, op: OpCode) -> ErrorCode {
        match op {
            OpCode::SET_DATA | OpCode::SET_ACL => ErrorCode::BAD_ARGUMENTS,
            OpCode::CREATE_TTL if !self.config.profile.ttl => ErrorCode::UNIMPLEMENTED,
            _ => ErrorCode::MARSHALLING_ERROR,
        }
    }

    /// The session's end: its ephemerals go first, then the answer, then the connection.
    fn close_session(&mut self, call: &Call<'_>) {
        let ended = self.sessions.remove(call.session);
        if ended.is_none_or(|session| session.local_to.is_none()) {
            self.end_session(call.now, call.session);
        }
        self.hang_up_moved(call.session, Some(call.conn));
        self.reply(call, &Ok(Empty {}));
        if self.conns.get(&call.conn).is_some_and(|conn| conn.waiting.is_empty()) {
            self.hang_up(call.conn, Close::Gently);
        }
    }

    /// What cannot be read costs the connection, without an answer.
    fn authenticate(&mut self, call: &Call<'_>) {
        let Ok(packet) = call.record::<AuthPacket<'_>>() else { return self.hang_up(call.conn, Close::Gently) };
        let Some(conn) = self.conns.get_mut(&call.conn) else { return };
        let super_digest = self.config.super_digest.as_deref();
        let auth = packet.auth.map_or(&[][..], |auth| auth.0);
        // a certificate has been shown already, or will not be
        let has_shown = &*packet.scheme == "x509" && conn.identities.iter().any(|id| &*id.scheme == "x509");
        let added = if has_shown {
            Ok(Vec::new())
        } else {
            acl::authenticate(&packet.scheme, auth, conn.peer.ip(), super_digest)
        };
        match added {
            Ok(added) => {
                let new: Vec<_> = added.into_iter().filter(|id| !conn.identities.contains(id)).collect();
                conn.identities = conn.identities.iter().cloned().chain(new).collect();
                self.put_reply(call.conn, call.xid, Zxid(0), &Ok(Empty {}));
            }
            Err(code) => self.refuse(call, code),
        }
    }

    pub(super) fn reply<T: Encode>(&mut self, call: &Call<'_>, result: &Result<T, ErrorCode>) {
        if !self.hold_reply(call, result) {
            self.put_reply(call.conn, call.xid, self.applied(self.member_of(call.conn)), result);
        }
    }

    /// An error with a body behind it, which nobody is to look at.
    pub(super) fn reply_with_body(&mut self, call: &Call<'_>, code: ErrorCode, body: &impl Encode) {
        let zxid = self.applied(self.member_of(call.conn));
        if let Some(conn) = self.conns.get_mut(&call.conn) {
            conn.say().reply_with_body(call.xid, zxid, code, body);
            self.list(call.conn);
        }
    }

    fn put_reply<T: Encode>(&mut self, id: ConnId, xid: i32, zxid: Zxid, result: &Result<T, ErrorCode>) {
        if self.reply_faults.is_empty() && self.conns.get(&id).is_some_and(|conn| conn.late.is_none()) {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.say().reply(xid, zxid, result.as_ref().map_err(|code| *code));
                self.list(id);
            }
            return;
        }
        match result {
            Ok(body) => self.send_reply(id, xid, zxid, ErrorCode::OK, &encode_to_bytes(body)),
            Err(code) => self.send_reply(id, xid, zxid, *code, &[]),
        }
    }

    /// An error that does not come from carrying out the request; some cost the connection.
    fn refuse(&mut self, call: &Call<'_>, code: ErrorCode) {
        let (zxid, closes) = match code {
            ErrorCode::UNIMPLEMENTED => (Zxid(-1), true),
            ErrorCode::AUTH_FAILED | ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH => (Zxid(0), true),
            ErrorCode::SESSION_EXPIRED => (self.applied(self.member_of(call.conn)), true),
            _ => (self.applied(self.member_of(call.conn)), false),
        };
        self.put_reply(call.conn, call.xid, zxid, &Err::<Empty, _>(code));
        if closes {
            self.hang_up(call.conn, Close::Gently);
        }
    }
}

fn creates_ephemeral(call: &Call<'_>) -> bool {
    let is_ephemeral = |request: &CreateRequest<'_>| matches!(request.flags.number(), 1 | 3);
    match call.op {
        OpCode::CREATE | OpCode::CREATE2 => call.record().is_ok_and(|request| is_ephemeral(&request)),
        OpCode::MULTI => call.record::<MultiRequest<'_>>().is_ok_and(|request| {
            let creates = |op: MultiOp<'_>| match op {
                MultiOp::Create(request) | MultiOp::Create2(request) => is_ephemeral(&request),
                MultiOp::CreateContainer(_)
                | MultiOp::CreateTtl(_)
                | MultiOp::Delete(_)
                | MultiOp::SetData(_)
                | MultiOp::Check(_) => false,
            };
            request.ops.iter().any(creates)
        }),
        _ => false,
    }
}

/// Requests that a read-only server refuses, besides sync.
pub(super) const fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::CREATE
            | OpCode::CREATE2
            | OpCode::CREATE_CONTAINER
            | OpCode::CREATE_TTL
            | OpCode::DELETE
            | OpCode::DELETE_CONTAINER
            | OpCode::SET_DATA
            | OpCode::SET_ACL
            | OpCode::MULTI
            | OpCode::RECONFIG
    )
}

/// Requests whose record begins with a path.
const fn has_path(op: OpCode) -> bool {
    !matches!(
        op,
        OpCode::PING
            | OpCode::MULTI
            | OpCode::MULTI_READ
            | OpCode::AUTH
            | OpCode::SASL
            | OpCode::SET_WATCHES
            | OpCode::SET_WATCHES2
            | OpCode::RECONFIG
            | OpCode::WHO_AM_I
            | OpCode::CLOSE_SESSION
    )
}
