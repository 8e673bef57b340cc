//! The start of a connection: frames, four-letter words, the handshake and its scripted failures.
//!
//! Must not know what requests do. Source: protocol.md sections 1.5, 2.1 to 2.3 and 9.1.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use zk_proto::{
    ErrorCode, SessionId, Zxid,
    frame::{PREFIX_LEN, REQUEST_LEN_MAX},
    jute::{Tail, decode_from},
    records::{ConnectRequest, ConnectResponse, Empty, SecretBytes},
};

use super::{
    Close, ConnId, Model,
    conn::{Conn, Phase},
    sessions::{self, PASSWORD_LEN},
};

/// A request's header: xid and opcode. A shorter frame is the end of a connection.
const REQUEST_HEADER_LEN: usize = 8;

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
        loop {
            let phase = self.conns.get(&id).map_or(Phase::Over, |conn| conn.phase);
            if phase == Phase::Over {
                inbox.clear();
                return;
            }
            let Some(prefix) = inbox.first_chunk::<PREFIX_LEN>().copied() else { return };
            if phase == Phase::Fresh
                && let Some(answer) = self.four_letters(now, prefix)
            {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.put(answer.as_bytes());
                }
                self.hang_up(id, Close::Gently);
                return;
            }
            let shortest = if phase == Phase::Fresh { 0 } else { REQUEST_HEADER_LEN };
            let len = usize::try_from(i32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
            if !(shortest..=REQUEST_LEN_MAX).contains(&len) {
                self.hang_up(id, Close::Gently);
                return;
            }
            if inbox.len() < PREFIX_LEN + len {
                return;
            }
            inbox.advance(PREFIX_LEN);
            let frame = inbox.split_to(len).freeze();
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.received += 1;
            }
            match phase {
                Phase::Fresh => self.handle_connect(now, id, &frame),
                Phase::Up(session) => self.handle_request(now, id, session, &frame),
                Phase::Over => {}
            }
        }
    }

    fn handle_connect(&mut self, now: Duration, id: ConnId, frame: &Bytes) {
        let Ok(request) = decode_from::<ConnectRequest<'_>>(frame) else {
            self.hang_up(id, Close::Gently);
            return;
        };
        if let Some(answer) = self.connect_answers.pop_front() {
            self.answer_by_script(now, id, &request, answer);
            return;
        }
        if self.read_only && request.read_only.0 != Some(true) || request.last_zxid_seen > self.zxid {
            self.hang_up(id, Close::Gently);
            return;
        }
        let granted = if request.session_id == SessionId::NONE {
            Some(self.new_session(now, id, &request))
        } else {
            self.resume_session(now, id, &request)
        };
        self.answer_connect(id, &request, granted);
    }

    /// A session of its own costs a transaction, but not where no transactions are.
    fn new_session(&mut self, now: Duration, id: ConnId, request: &ConnectRequest<'_>) -> (SessionId, Duration) {
        if !self.read_only {
            self.next_zxid();
        }
        self.sessions.open(now, request.timeout_ms, id)
    }

    fn resume_session(
        &mut self,
        now: Duration,
        id: ConnId,
        request: &ConnectRequest<'_>,
    ) -> Option<(SessionId, Duration)> {
        let session = request.session_id;
        let member = |conn: &Conn| conn.member;
        let before = self.sessions.get(session).and_then(|session| session.conn);
        let is_proven = request.password.is_some_and(|password| password.0 == sessions::password(session));
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
        self.sessions.resume(now, session, request.timeout_ms, id).map(|timeout| (session, timeout))
    }

    /// `None`: the session is gone.
    fn answer_connect(&mut self, id: ConnId, request: &ConnectRequest<'_>, granted: Option<(SessionId, Duration)>) {
        let read_only = Tail(request.read_only.0.map(|_| self.read_only));
        let (session, timeout, password) = match granted {
            Some((session, timeout)) => (session, timeout, sessions::password(session)),
            None => (SessionId::NONE, Duration::ZERO, [0; PASSWORD_LEN]),
        };
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            session_id: session,
            password: Some(SecretBytes(Bytes::copy_from_slice(&password))),
            read_only,
        };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.put_record(&response);
        if granted.is_some() {
            conn.phase = Phase::Up(session);
            self.list(id);
        } else {
            self.hang_up(id, Close::Gently);
        }
    }

    fn answer_by_script(&mut self, now: Duration, id: ConnId, request: &ConnectRequest<'_>, answer: ConnectAnswer) {
        match answer {
            ConnectAnswer::Close => self.hang_up(id, Close::Gently),
            ConnectAnswer::AnotherId => {
                let granted = self.new_session(now, id, request);
                self.answer_connect(id, request, Some(granted));
            }
            ConnectAnswer::Expired => self.answer_connect(id, request, None),
            ConnectAnswer::ReadOnlyRefusal => {
                let zxid = self.zxid;
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.put_reply::<Empty>(0, zxid, &Err(ErrorCode::NOT_READ_ONLY));
                }
                self.list(id);
            }
            ConnectAnswer::Bytes(bytes) => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.put(&bytes);
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
