//! The start of a connection: frames, four-letter words, the handshake and its scripted failures.
//!
//! Must not know what requests do. Source: protocol.md sections 1.5, 2.1 to 2.3 and 9.1.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_proto::{
    SessionId, Zxid,
    server::{Accepted, Greeting, Incoming},
    words::FourLetterWord,
};

use super::{
    Close, ConnId, LocalSessions, Model, Role,
    conn::{Conn, Phase},
    dispatch::Call,
    members::Commit,
    sessions,
};

/// What a server does with the next ConnectRequest, instead of what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectAnswer {
    /// Hangs up without an answer, as a server without a quorum does.
    Close,
    /// Answers with a session that nobody asked for, as ClickHouse Keeper once did for a renewal (#116690).
    AnotherId,
    /// Answers that the session has expired, and hangs up; the session lives on.
    Expired,
    /// Refuses with a frame of 16 bytes and stays connected, as read-only servers since 3.7 do.
    ReadOnlyRefusal,
    /// Sends these bytes, a length prefix included if there is to be one, and stays connected.
    Bytes(Bytes),
    /// Answers as it should, with these bytes right behind, in one piece.
    Followed(Bytes),
}

impl Model {
    /// Bytes have arrived on a connection; what is left in `inbox` belongs to a frame that is not whole yet.
    pub fn handle_bytes(&mut self, now: Duration, id: ConnId, inbox: &mut BytesMut) {
        while let Some(conn) = self.conns.get_mut(&id)
            && let Some(incoming) = conn.wire().poll_request(inbox)
        {
            let phase = conn.phase;
            conn.received += u64::from(matches!(incoming, Incoming::Connect(_) | Incoming::Request { .. }));
            match (incoming, phase) {
                (Incoming::Word(word), _) => self.handle_word(now, id, word),
                (Incoming::Connect(greeting), _) => self.handle_connect(now, id, &greeting),
                (Incoming::Request { xid, op, body }, Phase::Up(session)) => {
                    self.handle_request(Call { now, conn: id, session, xid, op, body: &body });
                }
                (Incoming::Request { .. } | Incoming::Closed(_), _) => self.hang_up(id, Close::Gently),
            }
        }
    }

    fn handle_word(&mut self, now: Duration, id: ConnId, word: FourLetterWord) {
        let answer = self.four_letters(now, self.member_of(id), word);
        if let (Some(answer), Some(conn)) = (answer, self.conns.get_mut(&id)) {
            conn.say().answer_word(answer.as_bytes());
        }
        self.hang_up(id, Close::Gently);
    }

    fn handle_connect(&mut self, now: Duration, id: ConnId, request: &Greeting) {
        if let Some(answer) = self.connect_answers.pop_front() {
            return self.answer_by_script(now, id, request, answer);
        }
        self.greet(now, id, request);
    }

    fn greet(&mut self, now: Duration, id: ConnId, request: &Greeting) {
        let member = self.member_of(id);
        let role = self.role(member);
        if role == Role::NotServing
            || self.is_read_only(member) && !request.read_only
            || request.last_zxid_seen > self.applied(member)
        {
            return self.hang_up(id, Close::Gently);
        }
        if role == Role::ReadOnly {
            return self.connect_to_read_only(now, id, request);
        }
        let granted = if request.id == SessionId::NONE {
            Some(self.new_session(now, id, request))
        } else {
            self.resume_session(now, id, request)
        };
        let is_new = request.id == SessionId::NONE;
        if let Some((session, timeout)) = granted.filter(|_| is_new)
            && self.hold_session(id, session, timeout)
        {
            return;
        }
        self.answer_connect(id, granted);
    }

    /// A session of its own costs a transaction, but not where no transactions are, and not a local one.
    fn new_session(&mut self, now: Duration, id: ConnId, request: &Greeting) -> (SessionId, Duration) {
        let member = self.member_of(id);
        let is_local = self.config.local_sessions != LocalSessions::Off && self.role(member) != Role::Standalone;
        if !self.is_read_only(member) && !is_local {
            self.commit_nothing(now);
        }
        self.sessions.open(now, request.timeout, id, is_local.then_some(member))
    }

    /// Without a quorum nobody can make a session of the ensemble's; since 3.7 that is the end of it, unless the server
    /// has sessions of its own.
    fn connect_to_read_only(&mut self, now: Duration, id: ConnId, request: &Greeting) {
        let is_strict = self.config.profile.read_only_needs_local_sessions();
        let is_new = request.id == SessionId::NONE;
        let is_global = self.sessions.get(request.id).is_some_and(|session| session.local_to.is_none());
        if is_strict && is_new && self.config.local_sessions == LocalSessions::Off {
            let zxid = self.applied(self.member_of(id));
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.say().refuse_read_only(zxid);
            }
            return self.list(id);
        }
        if is_strict && is_global {
            return self.hang_up(id, Close::Gently);
        }
        let granted = if is_new {
            let local_to = Some(self.member_of(id));
            Some(self.sessions.open(now, request.timeout, id, local_to))
        } else {
            self.resume_session(now, id, request)
        };
        self.answer_connect(id, granted);
    }

    fn resume_session(&mut self, now: Duration, id: ConnId, request: &Greeting) -> Option<(SessionId, Duration)> {
        let session = request.id;
        let member = |conn: &Conn| conn.member;
        let before = self.sessions.get(session).and_then(|session| session.conn);
        let is_proven = request.password.as_ref().is_some_and(|password| password.0 == sessions::password(session)[..]);
        let is_here = |before: &ConnId| self.conns.get(before).map(member) == self.conns.get(&id).map(member);
        if let Some(before) = before.filter(is_here) {
            // on its own server the old connection goes before the password is looked at; on another one it stays until
            // it asks for something that the leader decides
            self.hang_up(before, Close::Gently);
        }
        let is_elsewhere = |local_to: usize| local_to != self.member_of(id);
        let here = self.sessions.get(session)?;
        if !is_proven || here.local_to.is_some_and(is_elsewhere) {
            return None;
        }
        self.sessions.resume(now, session, request.timeout, id).map(|timeout| (session, timeout))
    }

    /// `None`: the session is gone.
    pub(super) fn answer_connect(&mut self, id: ConnId, granted: Option<(SessionId, Duration)>) {
        let read_only = self.is_read_only(self.member_of(id));
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some((session, timeout)) = granted else {
            conn.say().refuse_expired();
            return self.hang_up(id, Close::Gently);
        };
        let password = sessions::password(session);
        conn.say().accept(&Accepted { id: session, timeout, password, read_only });
        conn.phase = Phase::Up(session);
        self.list(id);
    }

    fn answer_by_script(&mut self, now: Duration, id: ConnId, request: &Greeting, answer: ConnectAnswer) {
        match answer {
            ConnectAnswer::Close => self.hang_up(id, Close::Gently),
            ConnectAnswer::AnotherId => {
                let granted = self.new_session(now, id, request);
                self.answer_connect(id, Some(granted));
            }
            ConnectAnswer::Expired => self.answer_connect(id, None),
            ConnectAnswer::ReadOnlyRefusal => {
                let zxid = self.applied(self.member_of(id));
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.say().refuse_read_only(zxid);
                }
                self.list(id);
            }
            ConnectAnswer::Bytes(bytes) => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.say().transmit_raw(&bytes);
                }
                self.list(id);
            }
            ConnectAnswer::Followed(bytes) => {
                self.greet(now, id, request);
                if let Some(conn) = self.conns.get_mut(&id).filter(|conn| matches!(conn.phase, Phase::Up(_))) {
                    conn.say().transmit_raw(&bytes);
                }
            }
        }
    }

    /// Does this with the ConnectRequest after those already spoken for.
    pub fn script_connect(&mut self, answer: ConnectAnswer) {
        self.connect_answers.push_back(answer);
    }

    /// Switches read-only mode: only clients that will do with it are taken, and writes are refused. Every connection
    /// is lost, as when a quorum is lost or found.
    pub fn set_read_only(&mut self, read_only: bool) {
        if self.read_only != read_only {
            self.read_only = read_only;
            let ids: Vec<ConnId> = self.conns.keys().copied().collect();
            for id in ids {
                self.hang_up(id, Close::Gently);
            }
        }
    }

    pub(super) fn is_read_only(&self, member: usize) -> bool {
        self.read_only || self.role(member) == Role::ReadOnly
    }

    /// Raises the last transaction's number, as if other clients had written; it never goes down.
    pub fn advance_zxid(&mut self, now: Duration, zxid: Zxid) {
        if zxid > self.zxid {
            self.zxid = zxid;
            self.publish(Commit { zxid, at: now, changes: Vec::new(), deltas: Vec::new(), ended: None });
        }
    }
}
