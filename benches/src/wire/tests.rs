//! Frames by hand are what `zk-proto` reads and writes.

use super::*;
use bytes::Bytes;
use zk_proto::{
    ErrorCode, EventType, Stat, Zxid,
    jute::{Decode, Encode, List, Reader, decode_from},
    multi::{MultiOp, MultiReadRequest, MultiRequest, MultiResponse, MultiResult, ReadOp},
    records::{
        AddWatchRequest, AuthPacket, ConnectRequest, GetDataRequest, GetDataResponse, ReplyHeader, RequestHeader,
        SetDataRequest, WatcherEvent,
    },
    watch::KeeperState,
};

/// The frame's payload, behind a prefix that must be right.
fn payload(frame: &[u8]) -> Bytes {
    let (prefix, payload) = frame.split_first_chunk::<4>().unwrap();
    assert_eq!(u32::from_be_bytes(*prefix) as usize, payload.len());
    Bytes::copy_from_slice(payload)
}

/// Checks the header and gives the body; nothing may be left behind it.
fn check<T: for<'a> Decode<'a> + PartialEq + std::fmt::Debug>(frame: &[u8], op: OpCode, expected: &T) {
    let payload = payload(frame);
    let mut reader = Reader::new(&payload);
    assert_eq!(RequestHeader::decode(&mut reader), Ok(RequestHeader { xid: 7, op }));
    assert_eq!(T::decode(&mut reader).as_ref(), Ok(expected));
    assert_eq!(reader.remaining(), 0);
}

fn frame_of(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// `check` for records that borrow.
macro_rules! check_request {
    ($frame:expr, $op:expr, $record:ident, $expected:expr) => {{
        let payload = payload(&$frame);
        let mut reader = Reader::new(&payload);
        assert_eq!(RequestHeader::decode(&mut reader), Ok(RequestHeader { xid: 7, op: $op }));
        assert_eq!($record::decode(&mut reader), Ok($expected));
        assert_eq!(reader.remaining(), 0);
    }};
}

#[test]
fn an_identity_is_an_auth_packet() {
    let payload = payload(&frame_of(|out| auth(out, b"digest", b"ann:secret")));
    let mut reader = Reader::new(&payload);
    assert_eq!(RequestHeader::decode(&mut reader), Ok(RequestHeader { xid: AUTH_XID, op: OpCode::AUTH }));
    let packet = AuthPacket::decode(&mut reader).unwrap();
    assert_eq!((packet.auth_type, &packet.scheme[..], reader.remaining()), (0, "digest", 0));
    assert!(payload.ends_with(b"\0\0\0\x0aann:secret"));
}

#[test]
fn requests_by_hand_are_requests() {
    let read = GetDataRequest { path: "/a".into(), watch: false };
    check_request!(frame_of(|out| get_data(out, 7, b"/a")), OpCode::GET_DATA, GetDataRequest, read.clone());
    let set = SetDataRequest { path: "/a".into(), data: Some(b"xy"), version: -1 };
    check_request!(frame_of(|out| set_data(out, 7, b"/a", b"xy")), OpCode::SET_DATA, SetDataRequest, set.clone());
    let set_both = frame_of(|out| set_many(out, 7, [&b"/a"[..], b"/a"], b"xy"));
    let ops = vec![MultiOp::SetData(set.clone()), MultiOp::SetData(set)];
    check_request!(set_both, OpCode::MULTI, MultiRequest, MultiRequest { ops: ops.into() });
    let watch = AddWatchRequest { path: "/a".into(), mode: WatchMode::PERSISTENT_RECURSIVE };
    check_request!(frame_of(|out| add_recursive_watch(out, 7, b"/a")), OpCode::ADD_WATCH, AddWatchRequest, watch);
    let many = frame_of(|out| read_many(out, 7, OpCode::GET_DATA, [&b"/a"[..], b"/a"]));
    let ops = vec![ReadOp::GetData(read.clone()), ReadOp::GetData(read)];
    check_request!(many, OpCode::MULTI_READ, MultiReadRequest, MultiReadRequest { ops: ops.into() });
}

#[test]
fn a_request_by_records_has_its_header() {
    let frame = frame_of(|out| any::<zk_proto::ops::CloseSession>(out, 7, &zk_proto::records::Empty {}));
    check(&frame, OpCode::CLOSE_SESSION, &zk_proto::records::Empty {});
}

#[test]
fn the_greeting_by_hand_is_a_greeting() {
    let payload = payload(&frame_of(|out| connect(out, 30_000)));
    let request: ConnectRequest<'_> = decode_from(&payload).unwrap();
    assert_eq!((request.timeout_ms, request.read_only.0), (30_000, Some(false)));
    assert_eq!(request.encoded_len(), payload.len());
}

fn reply(xid: i32, body: &impl Encode) -> Bytes {
    let mut frame = encode_to_bytes(&ReplyHeader { xid, zxid: Zxid(5), err: ErrorCode::OK });
    body.encode(&mut frame);
    frame.freeze()
}

fn stat() -> Stat {
    let nothing: Stat = decode_from(&Bytes::from_static(&[0; 68])).unwrap();
    Stat { num_children: 4, ..nothing }
}

#[test]
fn replies_are_read_where_they_should_be() {
    let event = WatcherEvent {
        event_type: EventType::NODE_DATA_CHANGED,
        state: KeeperState::SYNC_CONNECTED,
        path: String::from("/a/k0001").into(),
    };
    let frame = reply(EVENT_XID, &event);
    let (head, body) = header(&frame).unwrap();
    assert_eq!((head, event_path(body)), (Header { xid: -1, err: 0 }, Some(&b"/a/k0001"[..])));

    let frame = reply(9, &GetDataResponse { data: Some(Bytes::from_static(b"value")), stat: stat() });
    let (head, body) = header(&frame).unwrap();
    assert_eq!((head.xid, data(body)), (9, Some(&b"value"[..])));
}

#[test]
fn batches_are_read_to_their_end() {
    let found = |data: &'static [u8]| {
        MultiResult::GetData(GetDataResponse { data: Some(Bytes::from_static(data)), stat: stat() })
    };
    let names = MultiResult::GetChildren(List::of_texts(["a", "bc"]));
    let results = vec![found(b"one"), MultiResult::Error(ErrorCode::NO_NODE), names, found(b"two")];
    let frame = reply(3, &MultiResponse { results: results.into() });
    let (_, body) = header(&frame).unwrap();
    let mut seen = Vec::new();
    assert_eq!(many(body, |found| seen.push(found)), Some(()));
    let names = Found::Names(vec![b"a", b"bc"]);
    assert_eq!(seen, [Found::Data(b"one", 4), Found::Failed, names, Found::Data(b"two", 4)]);
    for cut in 0..body.len() {
        assert_eq!(many(&body[..cut], |_| ()), None, "cut at {cut}");
    }
}
