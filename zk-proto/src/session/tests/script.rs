//! A scripted server: what the client sent and what it was told, as short lines of text.

use crate::{
    code::{ErrorCode, OpCode},
    frame::REQUEST_LEN_MAX,
    id::{SessionId, Zxid},
    jute::{Decode, Encode, Reader, Tail, decode_from, encode_to_bytes},
    ops,
    records::{
        AddWatchRequest, AuthPacket, ConnectRequest, ConnectResponse, Empty, GetDataRequest, ReplyHeader,
        RequestHeader, SaslRequest, SecretBytes, SetDataRequest, SetWatches2Request, SetWatchesRequest, WatcherEvent,
    },
    session::{Change, EncodedRequest, Event, ReplyFailure, Session, SessionConfig, State, WatchKind, xid},
    watch::{EventType, KeeperState, WatchMode},
};
use alloc::{format, string::String, vec::Vec};
use bytes::{BufMut, Bytes, BytesMut};
use core::{fmt::Display, time::Duration};

/// The session timeout of all scripts; a third of it is two seconds.
pub(super) const T: Duration = Duration::from_secs(6);
/// How long a greeting may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// The id of the scripted session.
pub(super) const ID: i64 = 0x7;
/// Its password.
pub(super) const PASSWORD: &[u8] = b"sixteen bytes pw";

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A script's configuration.
pub(super) fn config() -> SessionConfig {
    SessionConfig { timeout: T, ..SessionConfig::default() }
}

/// Bytes from hex with blanks in it.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits: {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A payload with its length before it.
pub(super) fn framed(payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u32(u32::try_from(payload.len()).unwrap());
    out.put_slice(payload);
    out
}

/// A reply as the server frames it.
pub(super) fn reply_frame(xid: i32, zxid: i64, err: ErrorCode, body: &impl Encode) -> BytesMut {
    let mut payload = encode_to_bytes(&ReplyHeader { xid, zxid: Zxid(zxid), err });
    body.encode(&mut payload);
    framed(&payload)
}

/// A notification as the server frames it.
pub(super) fn event_frame(event_type: EventType, path: &str, zxid: i64) -> BytesMut {
    let event = WatcherEvent { event_type, state: KeeperState::SYNC_CONNECTED, path: path.into() };
    reply_frame(xid::NOTIFICATION, zxid, ErrorCode::OK, &event)
}

/// The answer to a ConnectRequest, as servers since 3.4 frame it.
pub(super) fn accept_frame(id: i64, timeout_ms: i32) -> BytesMut {
    framed(&encode_to_bytes(&ConnectResponse {
        protocol_version: 0,
        timeout_ms,
        session_id: SessionId(id),
        password: Some(SecretBytes(Bytes::from_static(PASSWORD))),
        read_only: Tail(Some(false)),
    }))
}

pub(super) fn get_data(path: &str, watch: bool) -> EncodedRequest {
    EncodedRequest::new::<ops::GetData>(&GetDataRequest { path: path.into(), watch }, REQUEST_LEN_MAX).unwrap()
}

pub(super) fn set_data(path: &str) -> EncodedRequest {
    let request = SetDataRequest { path: path.into(), data: Some(b"new"), version: -1 };
    EncodedRequest::new::<ops::SetData>(&request, REQUEST_LEN_MAX).unwrap()
}

/// The request that sets a watch, and what it changes.
pub(super) fn set_watch(kind: WatchKind, path: &str) -> (EncodedRequest, Change) {
    let read = GetDataRequest { path: path.into(), watch: true };
    let add = |mode| AddWatchRequest { path: path.into(), mode };
    let request = match kind {
        WatchKind::Data => EncodedRequest::new::<ops::GetData>(&read, REQUEST_LEN_MAX),
        WatchKind::Exist => EncodedRequest::new::<ops::Exists>(&read, REQUEST_LEN_MAX),
        WatchKind::Child => EncodedRequest::new::<ops::GetChildren2>(&read, REQUEST_LEN_MAX),
        WatchKind::Persistent => EncodedRequest::new::<ops::AddWatch>(&add(WatchMode::PERSISTENT), REQUEST_LEN_MAX),
        WatchKind::PersistentRecursive => {
            EncodedRequest::new::<ops::AddWatch>(&add(WatchMode::PERSISTENT_RECURSIVE), REQUEST_LEN_MAX)
        }
    };
    (request.unwrap(), Change::Set(kind, path.into()))
}

/// One frame from the client, as the server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Connect { id: i64, last_zxid: i64, password: Vec<u8> },
    Request { xid: i32, op: OpCode, body: Bytes },
}

/// Cuts whole frames off `wire`; the first on a connection has no header.
pub(super) fn read_frames(wire: &mut BytesMut, greeted: &mut bool) -> Vec<Sent> {
    let mut sent = Vec::new();
    while let Some(prefix) = wire.first_chunk::<4>() {
        let len = usize::try_from(u32::from_be_bytes(*prefix)).unwrap();
        if wire.len() < 4 + len {
            break;
        }
        let frame = wire.split_to(4 + len).freeze().slice(4..);
        sent.push(if *greeted {
            let mut reader = Reader::new(&frame);
            let RequestHeader { xid, op } = RequestHeader::decode(&mut reader).unwrap();
            Sent::Request { xid, op, body: frame.slice(8..) }
        } else {
            *greeted = true;
            let request: ConnectRequest<'_> = decode_from(&frame).unwrap();
            let password = request.password.unwrap().0.into();
            Sent::Connect { id: request.session_id.0, last_zxid: request.last_zxid_seen.0, password }
        });
    }
    sent
}

impl Display for Sent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Connect { id, last_zxid, .. } => write!(f, "connect {id:#x} seen {last_zxid:#x}"),
            Self::Request { op: OpCode::PING, xid: -2, .. } => f.write_str("ping"),
            Self::Request { op: OpCode::AUTH, xid: -4, body } => {
                let packet: AuthPacket<'_> = decode_from(body).unwrap();
                write!(f, "auth {}", packet.scheme)
            }
            Self::Request { op: OpCode::SASL, xid, body } => {
                let token: SaslRequest<'_> = decode_from(body).unwrap();
                write!(f, "{xid} sasl {:?}", str::from_utf8(token.token.0).unwrap())
            }
            Self::Request { op: OpCode::SET_WATCHES, xid, body } => {
                let r: SetWatchesRequest<'_> = decode_from(body).unwrap();
                let (zxid, data, exist, child) = (r.relative_zxid, r.data, r.exist, r.child);
                write!(f, "{xid} setWatches since {zxid} data{data:?} exist{exist:?} child{child:?}")
            }
            Self::Request { op: OpCode::SET_WATCHES2, xid, body } => {
                let r: SetWatches2Request<'_> = decode_from(body).unwrap();
                let (zxid, data, exist, child) = (r.relative_zxid, r.data, r.exist, r.child);
                write!(f, "{xid} setWatches2 since {zxid} data{data:?} exist{exist:?} child{child:?}")?;
                write!(f, " persistent{:?} recursive{:?}", r.persistent, r.recursive)
            }
            Self::Request { xid, op: OpCode::CLOSE_SESSION, .. } => write!(f, "{xid} closeSession"),
            Self::Request { xid, op, body } => {
                // All other requests of these scripts start with a path.
                let path = String::decode(&mut Reader::new(body)).unwrap();
                write!(f, "{xid} {} {path}", op.text().unwrap())
            }
        }
    }
}

/// An event as a line of a script.
pub(super) fn line<T: Display>(event: &Event<T>) -> String {
    match event {
        Event::Established(e) => {
            let (kind, mode) = (if e.resumed { "resumed" } else { "new" }, if e.read_only { " read-only" } else { "" });
            format!("up {} {kind} {:?}{mode}", e.id, e.timeout)
        }
        Event::Lost { why, was_up: true } => format!("lost {why:?}"),
        Event::Lost { why, was_up: false } => format!("not taken {why:?}"),
        Event::Expired { id } => format!("expired {id}"),
        Event::Reply { ticket, result: Ok(_), .. } => format!("{ticket}: ok"),
        Event::Reply { ticket, result: Err(ReplyFailure::Refused(code)), .. } => format!("{ticket}: {code:?}"),
        Event::Reply { ticket, result: Err(ReplyFailure::TooLarge(size)), .. } => format!("{ticket}: {size}"),
        Event::Interrupted { ticket, by, outcome } => format!("{ticket}: {by:?} {outcome:?}"),
        Event::Watch(event) => format!("{event} {}", event.zxid),
        Event::Bookmark(zxid) => format!("bookmark {zxid}"),
        Event::SaslWanted => "sasl wanted".into(),
        Event::SaslToken(token) => format!("sasl {:?}", token.as_ref().map(|token| token.0.clone())),
        Event::Ended(end) => format!("ended {end:?}"),
    }
}

/// A session, a clock, and the scripted server's side of the connection.
pub(super) struct Script<T = &'static str> {
    pub(super) session: Session<T>,
    pub(super) now: Duration,
    pub(super) inbox: BytesMut,
    /// What the client sent and nobody has looked at, raw and as frames.
    raw: BytesMut,
    frames: Vec<Sent>,
    greeted: bool,
}

impl<T: Display> Script<T> {
    /// A session without a connection.
    pub(super) fn new(config: SessionConfig) -> Self {
        let (inbox, raw) = (BytesMut::new(), BytesMut::new());
        let session = Session::new(config);
        Self { session, now: Duration::ZERO, inbox, raw, frames: Vec::new(), greeted: false }
    }

    /// A new session, up, with nothing to read on either side.
    pub(super) fn up_with(config: SessionConfig) -> Self {
        let mut script = Self::new(config);
        script.dial();
        script.accept(ID);
        script.events();
        script.sent();
        script
    }

    pub(super) fn up() -> Self {
        Self::up_with(config())
    }

    /// A new connection stands, and the ConnectRequest leaves.
    pub(super) fn dial(&mut self) {
        (self.greeted, self.inbox) = (false, BytesMut::new());
        self.session.handle_dialed(self.now, PATIENCE);
        self.transmit();
    }

    /// The server takes the client into this session.
    pub(super) fn accept(&mut self, id: i64) {
        self.receive(&accept_frame(id, 6000));
    }

    /// The transport closes, a new one stands, and the server takes the client.
    pub(super) fn reconnect(&mut self) {
        self.session.handle_closed();
        self.dial();
        self.accept(ID);
    }

    /// Bytes from the server, which has got everything that was said before.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.transmit();
        self.receive_early(bytes);
    }

    /// Bytes from a server that has not.
    pub(super) fn receive_early(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        self.session.handle_bytes(self.now, &mut self.inbox);
    }

    /// A reply without a body.
    pub(super) fn reply(&mut self, xid: i32, zxid: i64, err: ErrorCode) {
        self.receive(&reply_frame(xid, zxid, err, &Empty {}));
    }

    /// Successful replies without a body.
    pub(super) fn ok(&mut self, xids: impl IntoIterator<Item = i32>) {
        xids.into_iter().for_each(|xid| self.reply(xid, 1, ErrorCode::OK));
    }

    /// A notification without zxid, as before 3.9.
    pub(super) fn fire(&mut self, event_type: EventType, path: &str) {
        self.receive(&event_frame(event_type, path, -1));
    }

    /// Lets time pass, and calls the machine whenever it wants to be called.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            assert!(at >= self.now, "a deadline in the past: {at:?}");
            self.now = at;
            self.session.handle_timeout(at);
        }
        self.now = until;
    }

    /// A request, which leaves at once if it may.
    pub(super) fn submit(&mut self, request: EncodedRequest, change: Option<Change>, ticket: T) {
        self.session.submit(self.now, request, change, ticket);
        self.transmit();
    }

    pub(super) fn call(&mut self, ticket: T) {
        let request = get_data(&format!("/{ticket}"), false);
        self.submit(request, None, ticket);
    }

    pub(super) fn watch(&mut self, kind: WatchKind, path: &str, ticket: T) {
        let (request, change) = set_watch(kind, path);
        self.submit(request, Some(change), ticket);
    }

    fn transmit(&mut self) {
        while let Some(mut bytes) = self.session.poll_transmit() {
            self.raw.extend_from_slice(&bytes);
            self.frames.extend(read_frames(&mut bytes, &mut self.greeted));
            assert!(bytes.is_empty(), "half a frame was sent: {bytes:?}");
        }
    }

    /// Everything the client has to say, raw.
    pub(super) fn sent_bytes(&mut self) -> BytesMut {
        self.transmit();
        self.frames.clear();
        self.raw.split()
    }

    /// Everything the client has to say, as frames.
    pub(super) fn sent_frames(&mut self) -> Vec<Sent> {
        self.transmit();
        self.raw.clear();
        core::mem::take(&mut self.frames)
    }

    /// Everything the client has to say, as lines.
    pub(super) fn sent(&mut self) -> Vec<String> {
        self.sent_frames().iter().map(|sent| format!("{sent}")).collect()
    }

    /// Everything that happened, as lines.
    pub(super) fn events(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.session.poll_event()).map(|event| line(&event)).collect()
    }

    pub(super) fn assert_up(&self) {
        assert_eq!(self.session.state(), State::Up);
    }
}
