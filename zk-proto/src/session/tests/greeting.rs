//! The first exchange on a connection: its order, its bytes, and every strange answer.

use super::script::{ID, PATIENCE, Script, T, accept_frame, config, framed, hex, secs, set_watch};
use crate::{
    OpCode,
    frame::REQUEST_LEN_MAX,
    id::{SessionId, Zxid},
    ops,
    records::GetDataRequest,
    session::{Credentials, EncodedRequest, SessionConfig, State, WatchKind},
};
use bytes::Bytes;

/// Frames of protocol.md section 13, byte for byte; the scripts' decoder cannot hide a fault of the encoder.
#[test]
fn frames_are_the_bytes_of_the_protocol() {
    let mut s = Script::<&str>::new(SessionConfig { timeout: secs(8), ..config() });
    s.dial();
    let connect = "0000002d 00000000 0000000000000000 00001f40 0000000000000000
                   00000010 00000000000000000000000000000000 00";
    assert_eq!(s.sent_bytes(), hex(connect));
    s.receive(&accept_frame(ID, 8000));
    let exists = GetDataRequest { path: "/a".into(), watch: true };
    s.submit(EncodedRequest::new::<ops::Exists>(&exists, REQUEST_LEN_MAX).unwrap(), None, "exists");
    assert_eq!(s.sent_bytes(), hex("0000000f 00000001 00000003 00000002 2f61 01"));
    let (add, change) = set_watch(WatchKind::PersistentRecursive, "/a");
    assert_eq!(add.op(), OpCode::ADD_WATCH);
    s.submit(add, Some(change), "add");
    assert_eq!(s.sent_bytes(), hex("00000012 00000002 0000006a 00000002 2f61 00000001"));
    s.session.add_auth(s.now, "digest", b"bob:secret", "auth");
    let auth = "00000024 fffffffc 00000064 00000000 00000006 646967657374 0000000a 626f623a736563726574";
    assert_eq!(s.sent_bytes(), hex(auth));
    s.pass(secs(8) / 3);
    assert_eq!(s.sent_bytes(), hex("00000008 fffffffe 0000000b"));
    s.session.close(s.now);
    assert_eq!(s.sent_bytes(), hex("00000008 00000003 fffffff5"));

    s.receive(&hex("00000010 fffffffe 000000000000003e 00000000"));
    s.receive(&hex("0000001e ffffffff 0000000000000005 00000000 00000001 00000003 00000002 2f61"));
    s.receive(&hex("0000001e ffffffff ffffffffffffffff 00000000 00000001 00000003 00000002 2f61"));
    s.receive(&hex("00000010 00000001 0000000000000005 ffffff9b"));
    s.receive(&hex("00000014 00000002 0000000000000005 00000000 00000000"));
    let heard = ["up 0x7 new 8s", "bookmark 0x3e", "/a created (1) 0x5", "/a created (1) 0xffffffffffffffff"];
    assert_eq!(s.events()[..4], heard);
    assert!(s.events().is_empty());
}

#[test]
fn nothing_follows_the_connect_request_until_it_is_answered() {
    let mut s = Script::new(config());
    s.session.add_auth(s.now, "digest", b"bob:secret", "auth");
    s.call("before");
    assert!(s.sent().is_empty());
    s.dial();
    s.call("while");
    s.session.add_auth(s.now, "ip", b"", "auth2");
    s.pass(PATIENCE / 2);
    assert_eq!(s.sent(), ["connect 0x0 seen 0x0"]);
    s.accept(ID);
    assert_eq!(s.sent(), ["auth digest", "auth ip", "1 getData /before", "2 getData /while"]);
}

// goal: N1
#[test]
fn auth_precedes_watches_and_watches_precede_requests() {
    let mut s = Script::up();
    s.call("old");
    s.watch(WatchKind::Data, "/d", "data");
    s.watch(WatchKind::PersistentRecursive, "/r", "recursive");
    s.session.add_auth(s.now, "digest", b"bob:secret", "auth");
    s.ok([1, 2, 3]);
    s.session.handle_closed();
    s.call("late");
    s.sent();
    s.dial();
    assert_eq!(s.sent(), ["connect 0x7 seen 0x1"]);
    s.accept(ID);
    let watches = r#"4 setWatches2 since 0x1 data["/d"] exist[] child[] persistent[] recursive["/r"]"#;
    assert_eq!(s.sent(), ["auth digest", watches, "5 getData /late"]);
}

#[test]
fn a_resumed_session_shows_its_id_password_and_zxid() {
    let password = Bytes::from_static(b"0123456789abcdef");
    let resume = Some(Credentials { id: SessionId(0x2a), password });
    let mut s = Script::<&str>::new(SessionConfig { resume, last_zxid: Zxid(0x99), ..config() });
    s.dial();
    let sent = s.sent_bytes();
    assert_eq!(sent[8..16], hex("0000000000000099"));
    assert_eq!(sent[20..28], hex("000000000000002a"));
    assert_eq!(&sent[32..48], b"0123456789abcdef");
    s.accept(0x2a);
    assert_eq!(s.events(), ["up 0x2a resumed 6s"]);
}

#[test]
fn closed_without_an_answer_is_not_an_expiry() {
    let mut s = Script::up();
    s.reply(crate::session::xid::PING, 5, crate::ErrorCode::OK);
    s.session.handle_closed();
    s.call("later");
    s.dial();
    s.session.handle_closed();
    let lost = ["bookmark 0x5", "lost Transport", "not taken NoAnswer { last_zxid: Zxid(5) }"];
    assert_eq!(s.events(), lost);
    s.sent();
    s.dial();
    s.accept(ID);
    assert_eq!(s.events(), ["up 0x7 resumed 6s"]);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x5", "1 getData /later"]);
}

/// One answer to a ConnectRequest, and what the machine makes of it.
fn check_answer(answer: &[u8], expected: &[&str]) {
    let mut s = Script::<&str>::new(config());
    s.dial();
    s.receive(answer);
    assert_eq!(s.events(), expected, "{answer:02x?}");
    // The machine is ready for the next server.
    if s.session.state() == State::Down {
        s.dial();
        s.accept(ID);
        assert_eq!(s.events(), ["up 0x7 new 6s"]);
    }
}

#[test]
fn a_read_only_server_without_local_sessions_refuses_in_16_bytes() {
    let refusal = hex("00000010 00000000 0000000000000005 ffffff89");
    check_answer(&refusal, &["not taken Refused(Some(NOT_READ_ONLY(-119)))"]);
}

#[test]
fn an_answer_without_the_read_only_byte_is_a_session() {
    let answer = hex("00000024 00000000 00001770 0000000000000007 00000010 000102030405060708090a0b0c0d0e0f");
    check_answer(&answer, &["up 0x7 new 6s"]);
}

#[test]
fn answers_that_are_too_short_are_refusals() {
    check_answer(&framed(b""), &["not taken Refused(None)"]);
    check_answer(&framed(&[0; 15]), &["not taken Refused(None)"]);
    let overrun = hex("00000014 00000000 00001770 0000000000000007 00000010");
    let decode = "ConnectResponse\", field: \"password\", fault: Short { needed: 16, left: 0 } })";
    check_answer(&overrun, &[&alloc::format!("not taken Decode(DecodeError {{ record: \"{decode}")]);
}

#[test]
fn http_and_tls_are_told_from_their_first_bytes() {
    check_answer(b"HTTP/1.1 400 Bad Request\r\n", &["not taken NotZooKeeper(Http)"]);
    check_answer(b"HTTP", &["not taken NotZooKeeper(Http)"]);
    check_answer(&hex("15030300 020246"), &["not taken NotZooKeeper(Tls)"]);
    check_answer(&hex("16030100 a5"), &["not taken NotZooKeeper(Tls)"]);
    check_answer(b"SSH-2.0-OpenSSH\r\n", &["not taken NotZooKeeper(Unknown)"]);
    check_answer(&hex("ffffffff"), &["not taken NotZooKeeper(Unknown)"]);
}

/// Read as an answer, our own request is a session where we have none: the first half of the zxid is its timeout.
#[test]
fn our_own_request_is_no_answer() {
    for (session, zxid) in [(SessionId::NONE, 0), (SessionId::NONE, 7 << 32), (SessionId(ID), 7 << 32)] {
        let password = Bytes::from_static(&[9; 16]);
        let resume = (session != SessionId::NONE).then_some(Credentials { id: session, password });
        let mut s = Script::<&str>::new(SessionConfig { resume, last_zxid: Zxid(zxid), ..config() });
        s.dial();
        let echo = s.sent_bytes();
        s.receive(&echo);
        assert_eq!(s.events(), ["not taken NotZooKeeper(Echo)"]);
        assert_eq!(s.session.credentials().id, session, "nothing is given up for it");
        s.dial();
        s.accept(ID);
        assert!(s.session.state() == State::Up);
    }
}

#[test]
fn an_expired_answer_for_a_new_session_is_no_expiry() {
    let gone = hex("00000025 00000000 00000000 0000000000000000 00000010 00000000000000000000000000000000 00");
    check_answer(&gone, &["not taken Expired"]);
}

#[test]
fn an_unanswered_greeting_is_given_up() {
    let mut s = Script::<&str>::new(config());
    s.dial();
    s.pass(PATIENCE - secs(1) / 1000);
    assert!(s.events().is_empty());
    s.pass(secs(1));
    assert_eq!(s.events(), ["not taken Silent"]);
    assert_eq!(s.session.poll_timeout(), None, "a new session is tried for ever");
    s.pass(T * 100);
    assert!(s.events().is_empty());
}

/// Another server would call it expired.
#[test]
fn the_session_of_a_read_only_server_is_not_resumed_elsewhere() {
    let mut s = Script::<&str>::new(SessionConfig { read_only: true, ..config() });
    s.dial();
    assert_eq!(s.sent_bytes()[48], 1, "the readOnly byte");
    let mut answer = accept_frame(0x33, 6000);
    *answer.last_mut().unwrap() = 1;
    s.receive(&answer);
    assert_eq!(s.events(), ["up 0x33 new 6s read-only"]);
    s.session.handle_closed();
    s.dial();
    s.accept(ID);
    assert_eq!(s.events(), ["lost Transport", "up 0x7 new 6s"]);
    let mut fresh = Script::<&str>::new(config());
    fresh.dial();
    assert_eq!(fresh.sent_bytes()[48], 0, "the readOnly byte");
}
