//! Bytes of clients, and what a connection makes of them; the frames of protocol.md section 13.

use super::{Accepted, Config, Connection, Fault, Greeting, Incoming};
use crate::{
    ErrorCode, OpCode, SessionId, WatchedEvent, Zxid,
    frame::{REQUEST_LEN_MAX, TooLarge},
    records::Empty,
    session::xid,
    watch::{EventType, KeeperState},
    words::FourLetterWord,
};
use alloc::vec::Vec;
use bytes::{BufMut, BytesMut};
use core::time::Duration;

const CONNECT: &str = "0000002d 00000000 0000000000000000 00001f40 0000000000000000 00000010 \
                       00000000000000000000000000000000 00";
const CONNECT_BEFORE_3_4: &str =
    "0000002c 00000000 0000000000000000 00001f40 0000000000000000 00000010 00000000000000000000000000000000";
const PING: &str = "00000008 fffffffe 0000000b";

fn hex(text: &str) -> BytesMut {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn accepted() -> Accepted {
    Accepted { id: SessionId(0x7), timeout: Duration::from_secs(8), password: [9; 16], read_only: false }
}

fn up() -> Connection {
    let mut connection = Connection::new(Config::default());
    let greeting = connection.poll_request(&mut hex(CONNECT));
    let expected = Greeting {
        last_zxid_seen: Zxid(0),
        timeout: Duration::from_secs(8),
        id: SessionId::NONE,
        password: Some(crate::records::SecretBytes(bytes::Bytes::from_static(&[0; 16]))),
        read_only: false,
    };
    assert_eq!(greeting, Some(Incoming::Connect(expected)));
    connection.accept(&accepted());
    connection.poll_transmit();
    connection
}

/// Pulls everything out of `inbox`; greetings are accepted.
fn pull(connection: &mut Connection, inbox: &mut BytesMut) -> Vec<Incoming> {
    let mut all = Vec::new();
    while let Some(incoming) = connection.poll_request(inbox) {
        if matches!(incoming, Incoming::Connect(_)) {
            connection.accept(&accepted());
        }
        all.push(incoming);
    }
    all
}

// goal: P5
#[test]
fn a_stream_cut_anywhere_gives_the_same_requests() {
    let stream = hex(&[CONNECT, PING, "0000000f 00000001 00000003 00000002 2f61 01", PING, "00000007 1234"].concat());
    let whole = pull(&mut Connection::new(Config::default()), &mut stream.clone());
    assert_eq!(whole.len(), 5);
    assert!(matches!(whole[2], Incoming::Request { xid: 1, op: OpCode::EXISTS, .. }));
    assert_eq!(whole[4], Incoming::Closed(Fault::NoHeader { len: 7 }));
    for cut in 0..=stream.len() {
        let (mut connection, mut inbox) = (Connection::new(Config::default()), BytesMut::from(&stream[..cut]));
        let mut parts = pull(&mut connection, &mut inbox);
        inbox.put_slice(&stream[cut..]);
        parts.extend(pull(&mut connection, &mut inbox));
        assert_eq!(parts, whole, "cut at {cut}");
    }
}

#[test]
fn requests_behind_a_greeting_wait_for_the_decision() {
    let mut inbox = hex(&[CONNECT, PING].concat());
    let mut connection = Connection::new(Config::default());
    assert!(matches!(connection.poll_request(&mut inbox), Some(Incoming::Connect(_))));
    assert_eq!(connection.poll_request(&mut inbox), None);
    connection.accept(&accepted());
    assert!(connection.is_up());
    assert!(matches!(connection.poll_request(&mut inbox), Some(Incoming::Request { xid: xid::PING, .. })));
}

#[test]
fn a_word_is_a_connections_only_request_and_only_at_its_start() {
    let mut connection = Connection::new(Config::default());
    let mut inbox = BytesMut::from(&b"ruokruok"[..]);
    assert_eq!(connection.poll_request(&mut inbox), Some(Incoming::Word(FourLetterWord::RUOK)));
    assert_eq!(connection.poll_request(&mut inbox), None);
    connection.accept(&accepted());
    connection.answer_word(b"imok");
    assert_eq!(connection.poll_request(&mut inbox), None);
    assert_eq!((connection.poll_transmit().unwrap(), connection.is_closing()), (BytesMut::from(&b"imok"[..]), true));

    let mut later = up();
    let size = TooLarge { len: 0x7275_6f6b, limit: REQUEST_LEN_MAX };
    let fault = Incoming::Closed(Fault::TooLarge(size));
    assert_eq!(later.poll_request(&mut BytesMut::from(&b"ruok"[..])), Some(fault));
    assert!(later.is_closing());
}

// goal: P2
#[test]
fn what_no_server_reads_ends_the_connection_without_an_answer() {
    let over = REQUEST_LEN_MAX + 1;
    let cases = [
        ("ffffffff", Fault::NegativeLength(-1)),
        ("00100000", Fault::TooLarge(TooLarge { len: over, limit: REQUEST_LEN_MAX })),
        ("00000000", Fault::NoHeader { len: 0 }),
    ];
    for (bytes, fault) in cases {
        let mut connection = up();
        assert_eq!(connection.poll_request(&mut hex(bytes)), Some(Incoming::Closed(fault)));
        connection.reply(1, Zxid(1), Ok(&Empty {}));
        assert_eq!((connection.poll_transmit(), connection.poll_request(&mut hex(PING))), (None, None));
    }
    for bytes in ["00000000", "00000004 00000000", "00000010 00000000 00000000 00000000 00000000"] {
        let incoming = Connection::new(Config::default()).poll_request(&mut hex(bytes));
        assert!(matches!(incoming, Some(Incoming::Closed(Fault::ConnectRequest(_)))), "{incoming:?}");
    }
    let mut longest = BytesMut::from(&u32::try_from(REQUEST_LEN_MAX).unwrap().to_be_bytes()[..]);
    longest.resize(4 + REQUEST_LEN_MAX, 0);
    assert!(matches!(up().poll_request(&mut longest), Some(Incoming::Request { xid: 0, .. })));
}

#[test]
fn the_read_only_byte_is_sent_to_those_who_sent_one() {
    let length = |config: Config, connect: &str| {
        let mut connection = Connection::new(config);
        connection.poll_request(&mut hex(connect));
        connection.accept(&accepted());
        connection.poll_transmit().unwrap().len() - 4
    };
    assert_eq!((length(Config::default(), CONNECT), length(Config::default(), CONNECT_BEFORE_3_4)), (37, 36));
    let always = Config { read_only_byte_always: true, ..Config::default() };
    assert_eq!(length(always, CONNECT_BEFORE_3_4), 37, "3.9.0 to 3.9.2");
}

#[test]
fn refusals_have_their_own_forms() {
    let asked = || {
        let mut connection = Connection::new(Config::default());
        connection.poll_request(&mut hex(CONNECT));
        connection
    };
    let mut expired = asked();
    expired.refuse_expired();
    let bytes = "00000025 00000000 00000000 0000000000000000 00000010 00000000000000000000000000000000 00";
    assert_eq!(expired.poll_transmit().unwrap(), hex(bytes));
    assert!(expired.is_closing());

    let mut read_only = asked();
    read_only.refuse_read_only(Zxid(5));
    assert_eq!(read_only.poll_transmit().unwrap(), hex("00000010 00000000 0000000000000005 ffffff89"));
    assert!(!read_only.is_closing(), "the client is to go");
    assert_eq!(read_only.poll_request(&mut hex(PING)), None);
    read_only.accept(&accepted());
    assert_eq!(read_only.poll_transmit(), None, "it was decided");
}

#[test]
fn replies_and_events_are_framed_as_servers_do() {
    let mut connection = up();
    connection.reply(xid::PING, Zxid(0x3e), Ok(&Empty {}));
    connection.notify(&WatchedEvent {
        event_type: EventType::NODE_CREATED,
        state: KeeperState::SYNC_CONNECTED,
        path: "/a".into(),
        zxid: Zxid(5),
    });
    connection.reply(3, Zxid(5), Err::<&Empty, _>(ErrorCode::NO_NODE));
    connection.reply_with_body(4, Zxid(5), ErrorCode::MARSHALLING_ERROR, &7_i32);
    connection.reply_encoded(5, Zxid(5), ErrorCode::OK, b"abc");
    let frames = [
        "00000010 fffffffe 000000000000003e 00000000",
        "0000001e ffffffff 0000000000000005 00000000 00000001 00000003 00000002 2f61",
        "00000010 00000003 0000000000000005 ffffff9b",
        "00000014 00000004 0000000000000005 fffffffb 00000007",
        "00000013 00000005 0000000000000005 00000000 616263",
    ];
    assert_eq!(connection.poll_transmit().unwrap(), hex(&frames.concat()));
}

#[test]
fn debug_output_shows_no_password() {
    let mut connection = Connection::new(Config::default());
    let mut with_password = hex(CONNECT);
    with_password[28..44].fill(b'S');
    let greeting = connection.poll_request(&mut with_password);
    let shown = alloc::format!("{greeting:?} {:?} {connection:?}", accepted());
    assert!(!shown.contains("SSS") && !shown.contains("83, 83") && !shown.contains("9, 9"), "{shown}");
}
