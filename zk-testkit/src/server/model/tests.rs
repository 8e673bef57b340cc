//! Scripts against the model: what clients send, what each of them then sees, in which order.

mod basics;
mod differences;
mod ensemble;
mod multi;
mod recorded;
mod sasl;
mod sessions;
mod versions;
mod watches;

use std::{net::SocketAddr, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use zk_proto::{
    ErrorCode, Op, SessionId, Zxid,
    create::CreateFlags,
    jute::{Decode, Encode, Reader, Tail, Text, decode_from, encode_to_bytes},
    ops,
    records::{
        ConnectRequest, ConnectResponse, CreateRequest, GetDataRequest, OPEN_ACL_UNSAFE, PathVersionRequest,
        ReplyHeader, RequestHeader, Secret, SetDataRequest, WatcherEvent,
    },
};

use super::{ConnId, Model, ModelConfig};
use crate::server::Profile;

/// A model, and clients that talk to it without sockets.
struct Script {
    model: Model,
    now: Duration,
}

/// A client: its connection, its session, and what it has seen besides replies.
struct Client {
    conn: ConnId,
    session: SessionId,
    password: Bytes,
    xid: i32,
    seen: Vec<String>,
    /// The zxid in the last reply's header.
    zxid: Zxid,
    closed: bool,
}

impl Script {
    fn new(profile: Profile) -> Self {
        Self::with(ModelConfig { profile, ..ModelConfig::default() })
    }

    fn with(config: ModelConfig) -> Self {
        let tick = Duration::from_millis(500);
        let model = Model::new(ModelConfig { tick, wall_base_ms: 1_000_000, ..config });
        Self { model, now: Duration::ZERO }
    }

    /// Sends a whole frame and gives everything that comes back on the same connection.
    fn exchange(&mut self, conn: ConnId, payload: &[u8]) -> (BytesMut, bool) {
        let mut inbox = BytesMut::new();
        inbox.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        inbox.extend_from_slice(payload);
        self.model.handle_bytes(self.now, conn, &mut inbox);
        assert!(inbox.is_empty());
        let output = self.model.take_output(conn);
        (output.bytes, output.close.is_some())
    }

    fn peer() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 4711))
    }

    fn greet(&mut self, session: SessionId, password: &[u8], last_zxid_seen: Zxid) -> (ConnId, BytesMut, bool) {
        self.greet_at(0, session, password, last_zxid_seen)
    }

    fn greet_at(
        &mut self,
        member: usize,
        session: SessionId,
        password: &[u8],
        last_zxid_seen: Zxid,
    ) -> (ConnId, BytesMut, bool) {
        let conn = self.model.open(self.now, member, Self::peer());
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen,
            timeout_ms: 2000,
            session_id: session,
            password: Some(Secret(password)),
            read_only: Tail(Some(false)),
        };
        let (bytes, closed) = self.exchange(conn, &encode_to_bytes(&request));
        (conn, bytes, closed)
    }

    fn client(&mut self) -> Client {
        self.resume(SessionId::NONE, &[0; 16]).expect("new sessions are granted")
    }

    fn resume(&mut self, session: SessionId, password: &[u8]) -> Option<Client> {
        self.resume_at(0, session, password)
    }

    /// `None`: expired, or hung up on.
    fn resume_at(&mut self, member: usize, session: SessionId, password: &[u8]) -> Option<Client> {
        let (conn, mut bytes, closed) = self.greet_at(member, session, password, Zxid(0));
        if bytes.is_empty() && closed {
            return None;
        }
        bytes.advance(4);
        let response: ConnectResponse = decode_from(&bytes.freeze()).unwrap();
        assert_eq!(closed, response.timeout_ms == 0);
        (!closed).then(|| Client {
            conn,
            session: response.session_id,
            password: response.password.unwrap().0,
            xid: 0,
            seen: Vec::new(),
            zxid: Zxid(0),
            closed,
        })
    }

    /// One request and its reply; events that came before it are in `seen`, and none comes after it.
    fn call<O: Op>(&mut self, client: &mut Client, request: &O::Request<'_>) -> Result<O::Reply, ErrorCode> {
        client.xid += 1;
        let mut payload = encode_to_bytes(&RequestHeader { xid: client.xid, op: O::CODE });
        request.encode(&mut payload);
        let (bytes, closed) = self.exchange(client.conn, &payload);
        client.closed = closed;
        let reply = client.read(bytes).pop().expect("a reply");
        let mut reader = Reader::new(&reply);
        let header = ReplyHeader::decode(&mut reader).unwrap();
        client.zxid = header.zxid;
        if header.err == ErrorCode::OK { Ok(O::Reply::decode(&mut reader).unwrap()) } else { Err(header.err) }
    }

    /// What a client has seen since the last time, besides replies.
    fn seen(&mut self, client: &mut Client) -> Vec<String> {
        let output = self.model.take_output(client.conn);
        client.closed |= output.close.is_some();
        assert!(client.read(output.bytes).is_empty(), "a reply to nothing");
        std::mem::take(&mut client.seen)
    }

    fn create(&mut self, client: &mut Client, path: &str, flags: i32) -> Result<String, ErrorCode> {
        let request = CreateRequest {
            path: path.into(),
            data: Some(b"x"),
            acl: OPEN_ACL_UNSAFE.into(),
            flags: CreateFlags::raw(flags),
        };
        self.call::<ops::Create>(client, &request).map(|reply| reply.path)
    }

    fn set(&mut self, client: &mut Client, path: &str, version: i32) -> Result<i32, ErrorCode> {
        let request = SetDataRequest { path: path.into(), data: Some(b"y"), version };
        self.call::<ops::SetData>(client, &request).map(|reply| reply.stat.version)
    }

    fn delete(&mut self, client: &mut Client, path: &str) -> Result<(), ErrorCode> {
        self.call::<ops::Delete>(client, &PathVersionRequest { path: path.into(), version: -1 }).map(|_| ())
    }

    /// exists, getData or getChildren with a watch.
    fn watch<O>(&mut self, client: &mut Client, path: &str) -> Result<(), ErrorCode>
    where
        O: for<'a> Op<Request<'a> = GetDataRequest<'a>>,
    {
        self.call::<O>(client, &GetDataRequest { path: path.into(), watch: true }).map(|_| ())
    }
}

impl Client {
    /// Splits frames: events go to `seen`, the rest is given.
    fn read(&mut self, mut bytes: BytesMut) -> Vec<Bytes> {
        let mut replies = Vec::new();
        while !bytes.is_empty() {
            let len = usize::try_from(bytes.get_u32()).unwrap();
            let frame = bytes.split_to(len).freeze();
            let mut reader = Reader::new(&frame);
            let header = ReplyHeader::decode(&mut reader).unwrap();
            if header.xid == -1 {
                assert!(replies.is_empty(), "an event behind the reply of the same turn");
                let event = WatcherEvent::decode(&mut reader).unwrap();
                self.seen.push(show(&event.path, event.event_type.name(), header.zxid));
            } else {
                replies.push(frame);
            }
        }
        replies
    }
}

fn show(path: &Text, event: Option<&str>, zxid: Zxid) -> String {
    let event = event.unwrap_or("?").trim_start_matches("NODE_");
    format!("{event} {path} @{}", zxid.0)
}

/// Events without their zxids.
fn plain(seen: &[String]) -> Vec<&str> {
    seen.iter().map(|event| event.split(" @").next().unwrap_or_default()).collect()
}
