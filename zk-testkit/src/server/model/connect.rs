//! The start of a connection: frames, four-letter words, the handshake and its scripted failures.
//!
//! Must not know what requests do. Source: protocol.md sections 1.5, 2.1 to 2.3 and 9.1.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_proto::{
    SessionId, Zxid,
    jute::Reader,
    server::{Accepted, Greeting, Incoming},
    words::FourLetterWord,
};

use super::{
    Close, ConnId, Model,
    conn::{Conn, Phase},
    dispatch::Call,
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
                    self.handle_request(Call { now, conn: id, session, xid, op, body: Reader::new(&body) });
                }
                (Incoming::Request { .. } | Incoming::Closed(_), _) => self.hang_up(id, Close::Gently),
            }
        }
    }

    fn handle_word(&mut self, now: Duration, id: ConnId, word: FourLetterWord) {
        let answer = self.four_letters(now, word);
        if let (Some(answer), Some(conn)) = (answer, self.conns.get_mut(&id)) {
            conn.say().answer_word(answer.as_bytes());
        }
        self.hang_up(id, Close::Gently);
    }

    fn handle_connect(&mut self, now: Duration, id: ConnId, request: &Greeting) {
        if let Some(answer) = self.connect_answers.pop_front() {
            self.answer_by_script(now, id, request, answer);
            return;
        }
        if self.read_only && !request.read_only || request.last_zxid_seen > self.zxid {
            self.hang_up(id, Close::Gently);
            return;
        }
        let granted = if request.id == SessionId::NONE {
            Some(self.new_session(now, id, request))
        } else {
            self.resume_session(now, id, request)
        };
        self.answer_connect(id, granted);
    }

    /// A session of its own costs a transaction, but not where no transactions are.
    fn new_session(&mut self, now: Duration, id: ConnId, request: &Greeting) -> (SessionId, Duration) {
        if !self.read_only {
            self.next_zxid();
        }
        self.sessions.open(now, request.timeout, id)
    }

    fn resume_session(&mut self, now: Duration, id: ConnId, request: &Greeting) -> Option<(SessionId, Duration)> {
        let session = request.id;
        let member = |conn: &Conn| conn.member;
        let before = self.sessions.get(session).and_then(|session| session.conn);
        let is_proven = request.password.as_ref().is_some_and(|password| password.0 == sessions::password(session)[..]);
        if let Some(before) = before {
            // on its own server the old connection goes before the password is looked at
            let same_member = self.conns.get(&before).map(member) == self.conns.get(&id).map(member);
            if same_member || is_proven {
                self.hang_up(before, Close::Gently);
            }
        }
        if !is_proven {
            return None;
        }
        self.sessions.resume(now, session, request.timeout, id).map(|timeout| (session, timeout))
    }

    /// `None`: the session is gone.
    fn answer_connect(&mut self, id: ConnId, granted: Option<(SessionId, Duration)>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some((session, timeout)) = granted else {
            conn.say().refuse_expired();
            return self.hang_up(id, Close::Gently);
        };
        let (password, read_only) = (sessions::password(session), self.read_only);
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
                let zxid = self.zxid;
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

    /// Raises the last transaction's number, as if other clients had written; it never goes down.
    pub fn advance_zxid(&mut self, zxid: Zxid) {
        self.zxid = self.zxid.max(zxid);
    }
}
