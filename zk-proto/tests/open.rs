//! What a newer peer may send survives: numbers without a name, bytes behind a record, texts that are not quite UTF-8.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use bytes::{Bytes, BytesMut};
use std::time::Duration;
use zk_proto::{
    ErrorCode, EventType, OpCode, Session, SessionConfig, SessionId, Stat, WatchMode, WatchedEvent, Zxid,
    jute::{Decode, Encode, List, Reader, Text, decode_from, decode_with_rest, encode_to_bytes},
    ops::{ReplyBody, RequestBody, TABLE},
    records::{
        CreateResponse, GetDataResponse, ReplyHeader, SetDataRequest, SetWatchesRequest, StatResponse, SyncResponse,
    },
    server::{Accepted, Config, Connection, Incoming},
    session::{EncodedRequest, Event, ReplyFailure},
    watch::{KeeperState, WatcherType},
};

const STAT: Stat = Stat {
    czxid: Zxid(1),
    mzxid: Zxid(2),
    ctime: 3,
    mtime: 4,
    version: 5,
    cversion: 6,
    aversion: 7,
    ephemeral_owner: SessionId(8),
    data_length: 9,
    num_children: 10,
    pzxid: Zxid(11),
};

/// There and back, with the number that nobody knows.
#[track_caller]
fn survives<T: for<'a> Decode<'a> + Encode + PartialEq + std::fmt::Debug>(value: &T, printed: &str) {
    let bytes = encode_to_bytes(value).freeze();
    let read: T = decode_from(&bytes).unwrap();
    assert_eq!((&read, encode_to_bytes(&read).freeze()), (value, bytes));
    assert!(format!("{read:?}").contains(printed), "{read:?}");
}

#[test]
fn numbers_without_a_name_survive_and_print() {
    survives(&ErrorCode(-999), "-999");
    survives(&OpCode(4711), "4711");
    survives(&EventType(77), "77");
    survives(&KeeperState(78), "78");
    survives(&WatchMode(79), "79");
    survives(&WatcherType(80), "80");
    survives(&ReplyHeader { xid: i32::MIN, zxid: Zxid(i64::MIN), err: ErrorCode(i32::MAX) }, "2147483647");
}

/// A session, up, and the server's side of its connection.
fn pair() -> (Session<&'static str>, Connection) {
    let mut session = Session::new(SessionConfig::default());
    let mut server = Connection::new(Config::default());
    session.handle_dialed(Duration::ZERO, Duration::from_secs(1));
    let mut greeting = session.poll_transmit().unwrap();
    assert!(matches!(server.poll_request(&mut greeting), Some(Incoming::Connect(_))));
    let timeout = Duration::from_secs(10);
    server.accept(&Accepted { id: SessionId(7), timeout, password: [7; 16], read_only: false });
    session.handle_bytes(Duration::ZERO, &mut server.poll_transmit().unwrap());
    assert!(matches!(session.poll_event(), Some(Event::Established(_))));
    (session, server)
}

#[test]
fn the_session_hands_out_what_it_does_not_know_and_lives_on() {
    let (mut session, mut server) = pair();
    let event =
        WatchedEvent { event_type: EventType(99), state: KeeperState(42), path: Text::from("/a"), zxid: Zxid(5) };
    server.notify(&event);
    session.handle_bytes(Duration::ZERO, &mut server.poll_transmit().unwrap());
    assert!(matches!(session.poll_event(), Some(Event::Watch(seen)) if seen == event));

    let request = SetDataRequest { path: "/a".into(), data: None, version: -1 };
    for (ticket, code) in [("a", -999), ("b", -128), ("c", 17)] {
        let body = RequestBody::SetData(request.clone());
        session.submit(Duration::ZERO, EncodedRequest::from_body(&body, 1000).unwrap(), None, ticket);
        let Some(Incoming::Request { xid, .. }) = server.poll_request(&mut session.poll_transmit().unwrap()) else {
            panic!("no request")
        };
        server.reply(xid, Zxid(6), Err::<&StatResponse, _>(ErrorCode(code)));
        session.handle_bytes(Duration::ZERO, &mut server.poll_transmit().unwrap());
        let answer = session.poll_event();
        assert!(
            matches!(answer, Some(Event::Reply { ticket: t, result: Err(ReplyFailure::Refused(c)), .. }) if t == ticket && c.0 == code),
            "{answer:?}"
        );
    }
    assert_eq!(session.state(), zk_proto::session::State::Up);
}

#[test]
fn bytes_behind_a_record_are_handed_on() {
    let reply = GetDataResponse { data: Some(Bytes::from_static(b"v")), stat: STAT };
    let mut bytes = encode_to_bytes(&reply);
    bytes.extend_from_slice(b"of tomorrow");
    let bytes = bytes.freeze();
    assert_eq!(decode_from::<GetDataResponse>(&bytes).unwrap(), reply);
    assert_eq!(decode_with_rest::<GetDataResponse>(&bytes).unwrap(), (reply, Bytes::from_static(b"of tomorrow")));
}

/// For every operation, in both directions: more bytes than today are not an error, and fewer are never a panic.
#[test]
fn every_record_may_grow_at_its_end() {
    let mut grown = 0;
    for (op, _) in TABLE {
        // Zeros are a value of most records: no flags, empty texts and lists, no watch. A list of operations ends at once.
        let mut bytes = BytesMut::zeroed(256);
        if [OpCode::MULTI, OpCode::MULTI_READ].contains(op) {
            bytes = BytesMut::from(&[0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff, 0, 0][..]);
        }
        let bytes = bytes.freeze();
        let (request, reply) = (RequestBody::decode(*op, &bytes).unwrap(), ReplyBody::decode(*op, &bytes).unwrap());
        assert!(request.is_ok() && reply.is_ok(), "{op}: {request:?}, {reply:?}");
        for len in 0..bytes.len() {
            let part = bytes.slice(..len);
            grown += usize::from(RequestBody::decode(*op, &part).unwrap().is_ok());
            grown += usize::from(ReplyBody::decode(*op, &part).unwrap().is_ok());
        }
    }
    assert!(grown > 1000);
}

#[test]
fn texts_that_java_writes_are_read_and_bad_ones_cost_nothing() {
    let frame = |text: &[u8]| {
        let mut bytes = BytesMut::new();
        text.encode(&mut bytes);
        bytes.freeze()
    };
    // sync("/<U+1F600>") as a server echoes it: CESU-8.
    let echo: SyncResponse = decode_from(&frame(b"/\xed\xa0\xbd\xed\xb8\x80")).unwrap();
    assert_eq!(echo.path.as_deref(), Some("/\u{1f600}"));
    let made: CreateResponse = decode_from(&frame(b"/\xff\xfe/x")).unwrap();
    assert_eq!(made.path, "/\u{fffd}/x");
    let nothing: SyncResponse = decode_from(&Bytes::from_static(&[0xff; 4])).unwrap();
    let empty: SyncResponse = decode_from(&frame(b"")).unwrap();
    assert_eq!((nothing.path, empty.path.as_deref()), (None, Some("")));
}

#[test]
fn null_and_empty_differ_wherever_the_wire_lets_them() {
    let data = |data| encode_to_bytes(&SetDataRequest { path: "/".into(), data, version: 0 });
    assert_ne!(data(None), data(Some(b"")));
    let lists = |data| {
        let (relative_zxid, exist, child) = (Zxid(0), List::default(), List::default());
        encode_to_bytes(&SetWatchesRequest { relative_zxid, data, exist, child }).freeze()
    };
    let (null, empty) = (lists(List::null()), lists(List::default()));
    assert_ne!(null, empty);
    let is_null = |bytes: &Bytes| decode_from::<SetWatchesRequest<'_>>(bytes).unwrap().data.is_null();
    assert!(is_null(&null) && !is_null(&empty));
    let mut reader = Reader::new(&null);
    assert!(SetWatchesRequest::skip(&mut reader).is_ok() && reader.remaining() == 0);
}
