//! Records that every client and server reads and writes all day, encoded and decoded; and the same by hand.

use super::{Outcome, Workload};
use bytes::{Bytes, BytesMut};
use std::{hint::black_box, str};
use zk_proto::{
    ErrorCode, EventType, Op, OpCode, SessionId, Stat, Zxid,
    create::CreateFlags,
    jute::{Decode, Encode, List, Reader, Tail, decode_from, encode_to_bytes},
    multi::{MultiOp, MultiReadRequest, MultiRequest, MultiResponse, MultiResult, ReadOp},
    ops,
    records::{
        ConnectRequest, ConnectResponse, Create2Response, CreateRequest, Empty, GetChildren2Response, GetDataRequest,
        GetDataResponse, OPEN_ACL_UNSAFE, PathVersionRequest, ReplyHeader, RequestHeader, Secret, SecretBytes,
        SetDataRequest, StatResponse, WatcherEvent,
    },
    session::xid,
    watch::KeeperState,
};

pub(super) const PATH: &str = "/config/app/limits/k0042";
pub(super) const VALUE: &[u8] = &[b'.'; 100];

pub(super) fn stat() -> Outcome<Stat> {
    Ok(decode_from(&Bytes::from_static(&[0; 68]))?)
}

pub(super) fn event() -> WatcherEvent {
    WatcherEvent { event_type: EventType::NODE_DATA_CHANGED, state: KeeperState::SYNC_CONNECTED, path: PATH.into() }
}

pub(super) fn get_data() -> GetDataRequest<'static> {
    GetDataRequest { path: PATH.into(), watch: false }
}

pub(super) fn get_data_reply() -> Outcome<GetDataResponse> {
    Ok(GetDataResponse { data: Some(Bytes::from_static(VALUE)), stat: stat()? })
}

/// A record behind its header, as a share of a read buffer.
pub(super) fn payload(header: &impl Encode, body: &impl Encode) -> Bytes {
    let mut bytes = BytesMut::with_capacity(16 * 1024);
    header.encode(&mut bytes);
    body.encode(&mut bytes);
    let len = bytes.len();
    bytes.split_to(len).freeze()
}

pub(super) fn reply_header(xid: i32) -> ReplyHeader {
    ReplyHeader { xid, zxid: Zxid(5), err: ErrorCode::OK }
}

/// Encoding of a record behind its header into a buffer that has room.
fn encode(all: &mut Vec<Workload>, name: &str, header: impl Encode + 'static, body: impl Encode + 'static) {
    let len = header.encoded_len() + body.encoded_len();
    let mut out = BytesMut::with_capacity(len);
    all.push(Workload::new("codec", format!("encode {name}"), len, move || {
        out.clear();
        black_box(&header).encode(&mut out);
        black_box(&body).encode(&mut out);
        black_box(&out);
    }));
}

/// Both ways of an operation's request. The macro is for the lifetime in the request's type.
macro_rules! request {
    ($all:expr, $op:ident, $name:expr, $request:expr) => {{
        let request: <ops::$op as Op>::Request<'static> = $request;
        let header = RequestHeader { xid: 7, op: ops::$op::CODE };
        let bytes = payload(&header, &request);
        encode($all, concat!($name, " request"), header, request);
        $all.push(Workload::new("codec", concat!("decode ", $name, " request"), bytes.len(), move || {
            let mut reader = Reader::new(black_box(&bytes));
            black_box(RequestHeader::decode(&mut reader).is_ok());
            black_box(<ops::$op as Op>::Request::decode(&mut reader).is_ok());
        }));
    }};
}

/// Takes the value for used, without looking into it.
fn seen<T>(value: &T) {
    black_box(value);
}

/// Both ways of a reply or of a notification; `look` is what a reader does with it.
fn reply<T: Encode + for<'a> Decode<'a> + 'static>(
    all: &mut Vec<Workload>,
    name: &str,
    xid: i32,
    reply: T,
    look: impl Fn(&T) + 'static,
) {
    let bytes = payload(&reply_header(xid), &reply);
    encode(all, name, reply_header(xid), reply);
    all.push(Workload::new("codec", format!("decode {name}"), bytes.len(), move || {
        let mut reader = Reader::new(black_box(&bytes));
        black_box(ReplyHeader::decode(&mut reader).is_ok());
        if let Ok(reply) = T::decode(&mut reader) {
            look(&reply);
        }
    }));
}

fn create() -> CreateRequest<'static> {
    let flags = CreateFlags::PERSISTENT;
    CreateRequest { path: PATH.into(), data: Some(VALUE), acl: OPEN_ACL_UNSAFE.into(), flags }
}

fn set_data() -> SetDataRequest<'static> {
    SetDataRequest { path: PATH.into(), data: Some(VALUE), version: -1 }
}

/// Ten operations: a check, a create, a delete, seven times setData.
fn transaction() -> MultiRequest<'static> {
    let version = || PathVersionRequest { path: PATH.into(), version: 3 };
    let first = [MultiOp::Check(version()), MultiOp::Create(create()), MultiOp::Delete(version())];
    MultiRequest { ops: first.into_iter().chain((0..7).map(|_| MultiOp::SetData(set_data()))).collect() }
}

fn names() -> List<'static, zk_proto::jute::Text> {
    List::of_texts((0..100).map(|index| format!("k{index:04}")))
}

pub(super) fn codec() -> Outcome<Vec<Workload>> {
    let mut list = Vec::new();
    let all = &mut list;
    connect(all);
    encode(all, "ping", RequestHeader { xid: xid::PING, op: OpCode::PING }, Empty {});
    reply(all, "ping's answer", xid::PING, Empty {}, seen);
    reply(all, "watch event", xid::NOTIFICATION, event(), seen);
    request!(all, GetData, "getData", get_data());
    reply(all, "getData reply of 100 bytes", 7, get_data_reply()?, seen);
    request!(all, SetData, "setData of 100 bytes", set_data());
    reply(all, "setData reply", 7, StatResponse { stat: stat()? }, seen);
    request!(all, Exists, "exists", get_data());
    reply(all, "exists reply", 7, StatResponse { stat: stat()? }, seen);
    request!(all, Create2, "create2 of 100 bytes", create());
    reply(all, "create2 reply", 7, Create2Response { path: PATH.into(), stat: stat()? }, seen);
    request!(all, GetChildren2, "getChildren2", get_data());
    let children = || Ok::<_, Box<dyn std::error::Error>>(GetChildren2Response { children: names(), stat: stat()? });
    reply(all, "getChildren2 reply of 100 names", 7, children()?, seen);
    let bytes = payload(&Empty {}, &children()?);
    all.push(Workload::new("codec", "decode getChildren2 reply of 100 names, take each", bytes.len(), move || {
        if let Ok(reply) = decode_from::<GetChildren2Response>(black_box(&bytes)) {
            reply.children.iter().for_each(|name| drop(black_box(name)));
        }
    }));
    request!(all, Multi, "multi of 10 operations", transaction());
    let reads = (0..100).map(|_| ReadOp::GetData(get_data()));
    request!(all, MultiRead, "multiRead of 100 getData", MultiReadRequest { ops: reads.collect() });
    let results = |count: usize| -> Outcome<MultiResponse> {
        let result = MultiResult::GetData(get_data_reply()?);
        Ok(MultiResponse { results: vec![result; count].into() })
    };
    reply(all, "multiRead reply of 100 values", 7, results(100)?, seen);
    let bytes = payload(&Empty {}, &results(100)?);
    all.push(Workload::new("codec", "decode multiRead reply of 100 values, take each", bytes.len(), move || {
        if let Ok(reply) = decode_from::<MultiResponse>(black_box(&bytes)) {
            reply.results.iter().for_each(|result| drop(black_box(result)));
        }
    }));
    let transaction = [MultiResult::Check, MultiResult::Create(PATH.into()), MultiResult::Delete];
    let set = MultiResult::SetData(stat()?);
    let results = transaction.into_iter().chain((0..7).map(|_| set.clone())).collect();
    reply(all, "multi reply of 10 results", 7, MultiResponse { results }, seen);
    Ok(list)
}

/// The greeting, which has no headers.
fn connect(all: &mut Vec<Workload>) {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(5),
        timeout_ms: 10_000,
        session_id: SessionId(7),
        password: Some(Secret(&[1; 16])),
        read_only: Tail(Some(false)),
    };
    let bytes = payload(&Empty {}, &request);
    encode(all, "ConnectRequest", Empty {}, request);
    all.push(Workload::new("codec", "decode ConnectRequest", bytes.len(), move || {
        drop(black_box(decode_from::<ConnectRequest<'_>>(black_box(&bytes))));
    }));
    let bytes = payload(&Empty {}, &accept());
    encode(all, "ConnectResponse", Empty {}, accept());
    all.push(Workload::new("codec", "decode ConnectResponse", bytes.len(), move || {
        drop(black_box(decode_from::<ConnectResponse>(black_box(&bytes))));
    }));
}

/// A server takes the session.
pub(super) fn accept() -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: 10_000,
        session_id: SessionId(7),
        password: Some(SecretBytes(Bytes::from_static(&[1; 16]))),
        read_only: Tail(Some(false)),
    }
}

/// A four-byte number at the front, cut off.
fn number(bytes: &mut &[u8]) -> Option<i32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(i32::from_be_bytes(*number))
}

/// A run with its length before it, cut off.
fn run<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(number(bytes)?).ok()?;
    let (run, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(run)
}

/// An event without types, reference counts or error messages.
fn event_by_hand(mut bytes: &[u8]) -> Option<(i32, i64, i32, &str)> {
    let (xid, zxid) = (number(&mut bytes)?, i64::from_be_bytes(*bytes.first_chunk()?));
    bytes = bytes.get(12..)?;
    let (kind, _state) = (number(&mut bytes)?, number(&mut bytes)?);
    Some((xid, zxid, kind, str::from_utf8(run(&mut bytes)?).ok()?))
}

/// A getData reply likewise; of the stat, the version alone is read.
fn reply_by_hand(mut bytes: &[u8]) -> Option<(i32, i64, i32, &[u8], i32)> {
    let (xid, zxid) = (number(&mut bytes)?, i64::from_be_bytes(*bytes.first_chunk()?));
    bytes = bytes.get(8..)?;
    let err = number(&mut bytes)?;
    let data = run(&mut bytes)?;
    let version = i32::from_be_bytes(*bytes.get(32..)?.first_chunk()?);
    bytes.get(67)?;
    Some((xid, zxid, err, data, version))
}

/// A getData round: the request written by hand, the reply copied to where a socket would put it, and read by hand.
fn round_by_hand(wire: &mut Vec<u8>, xid: usize, reply: &[u8]) -> Option<usize> {
    wire.clear();
    for number in [8 + 4 + PATH.len() + 1, xid, 4, PATH.len()] {
        wire.extend_from_slice(&u32::try_from(number).ok()?.to_be_bytes());
    }
    wire.extend_from_slice(PATH.as_bytes());
    wire.push(0);
    black_box(&wire);
    wire.clear();
    wire.extend_from_slice(reply);
    let mut rest = &wire[..];
    reply_by_hand(run(&mut rest)?).map(|(_, _, _, data, _)| data.len())
}

/// What the figures are compared with.
pub(super) fn references() -> Outcome<Vec<Workload>> {
    let event = payload(&reply_header(-1), &event());
    let reply = payload(&reply_header(7), &get_data_reply()?);
    let request = encode_to_bytes(&get_data()).freeze();
    let (framed_event, framed_reply) = (framed(&event)?, framed(&reply)?);
    let mut out = BytesMut::with_capacity(request.len());
    let (mut inbox, mut wire) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
    Ok(vec![
        Workload::new("reference", "watch event, read by hand", event.len(), move || {
            black_box(event_by_hand(black_box(&event)));
        }),
        Workload::new("reference", "getData reply of 100 bytes, read by hand", reply.len(), move || {
            black_box(reply_by_hand(black_box(&reply)));
        }),
        Workload::new("reference", "getData request, copied", request.len(), move || {
            out.clear();
            out.extend_from_slice(black_box(&request));
            black_box(&out);
        }),
        Workload::new("reference", "watch event, copied to an inbox and read by hand", framed_event.len(), move || {
            inbox.clear();
            inbox.extend_from_slice(black_box(&framed_event));
            black_box(run(&mut &inbox[..]).and_then(event_by_hand));
        }),
        Workload::new("reference", "getData round by hand", 41 + framed_reply.len(), move || {
            black_box(round_by_hand(&mut wire, black_box(7), black_box(&framed_reply)));
        }),
    ])
}

/// A payload with its length before it.
pub(super) fn framed(payload: &[u8]) -> Outcome<Vec<u8>> {
    Ok([&u32::try_from(payload.len())?.to_be_bytes()[..], payload].concat())
}
