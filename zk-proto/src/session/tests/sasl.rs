//! SASL on a new connection: its place in the order, its end, and everything that may come in between.

use super::script::{ID, Script, T, accept_frame, config, framed, hex, reply_frame, secs};
use crate::{
    ErrorCode,
    records::{SaslResponse, SecretBytes},
    session::{SaslFailure, SessionConfig, State, WatchKind, xid},
};
use alloc::{format, vec::Vec};

/// A session that has been taken, and is asked for its first token.
fn asked() -> Script {
    let mut s = Script::new(SessionConfig { sasl: true, ..config() });
    s.dial();
    s.accept(ID);
    assert_eq!(s.events(), ["sasl wanted"]);
    s
}

fn token(s: &mut Script, xid: i32, token: Option<&'static [u8]>) {
    let body = SaslResponse { token: token.map(|token| SecretBytes(token.into())) };
    s.receive(&reply_frame(xid, 0, ErrorCode::OK, &body));
}

/// Two steps, as DIGEST-MD5 has them, from the given xid.
fn exchange(s: &mut Script, xid: i32) {
    s.session.sasl_send(s.now, b"");
    token(s, xid, Some(b"challenge"));
    s.session.sasl_send(s.now, b"response");
    token(s, xid + 1, Some(b"proof"));
    s.session.sasl_done(s.now);
}

// goal: N13
#[test]
fn auth_precedes_sasl_and_sasl_precedes_watches_and_requests() {
    let mut s = Script::new(SessionConfig { sasl: true, ..config() });
    s.session.add_auth(s.now, "digest", b"bob:secret", "auth");
    s.call("early");
    s.dial();
    s.accept(ID);
    assert_eq!(s.session.state(), State::Authenticating);
    assert_eq!(s.sent(), ["connect 0x0 seen 0x0", "auth digest"]);
    s.call("while");
    s.session.add_auth(s.now, "ip", b"", "auth2");
    assert_eq!(s.sent(), ["auth ip"]);
    exchange(&mut s, 1);
    assert_eq!(s.sent(), ["1 sasl \"\"", "2 sasl \"response\"", "3 getData /early", "4 getData /while"]);
    let heard = ["sasl wanted", "sasl Some(b\"challenge\")", "sasl Some(b\"proof\")", "up 0x7 new 6s"];
    assert_eq!(s.events(), heard);
    s.watch(WatchKind::Data, "/d", "data");
    s.ok([3, 4, 5]);
    s.sent();
    s.events();

    s.reconnect();
    s.call("later");
    assert_eq!(s.sent(), ["connect 0x7 seen 0x1", "auth digest", "auth ip"]);
    exchange(&mut s, 6);
    let watches = r#"8 setWatches since 0x1 data["/d"] exist[] child[]"#;
    assert_eq!(s.sent(), ["6 sasl \"\"", "7 sasl \"response\"", watches, "9 getData /later"]);
    assert_eq!(s.events().last().unwrap(), "up 0x7 resumed 6s");
    s.assert_up();
}

/// Byte for byte as protocol.md section 6.3 has it.
#[test]
fn tokens_are_the_bytes_of_the_protocol() {
    let mut s = asked();
    s.sent();
    s.session.sasl_send(s.now, b"");
    assert_eq!(s.sent_bytes(), hex("0000000c 00000001 00000066 00000000"));
    s.receive(&hex("00000017 00000001 0000000000000000 00000000 00000003 616263"));
    s.session.sasl_send(s.now, b"hi");
    assert_eq!(s.sent_bytes(), hex("0000000e 00000002 00000066 00000002 6869"));
    s.receive(&hex("00000014 00000002 0000000000000000 00000000 ffffffff"));
    assert_eq!(s.events(), ["sasl Some(b\"abc\")", "sasl None"]);
}

#[test]
fn a_refusal_ends_the_session_for_good() {
    for code in [ErrorCode::AUTH_FAILED, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH] {
        let mut s = asked();
        s.call("waiting");
        s.session.sasl_send(s.now, b"x");
        s.receive(&reply_frame(1, 0, code, &SaslResponse { token: None }));
        let failed = format!("SaslFailed(Refused({code:?}))");
        assert_eq!(s.events(), [format!("waiting: {failed} NotSent"), format!("ended {failed}")]);
        assert_eq!(s.session.state(), State::Ended);
    }
}

#[test]
fn the_owner_may_give_up() {
    let mut s = asked();
    s.session.sasl_failed(SaslFailure::Unavailable);
    assert_eq!(s.events(), ["ended SaslFailed(Unavailable)"]);
    s.session.sasl_done(s.now);
    s.session.sasl_send(s.now, b"x");
    assert!(s.events().is_empty());
}

#[test]
fn a_lost_connection_begins_the_exchange_anew() {
    let mut s = asked();
    s.session.sasl_send(s.now, b"");
    s.session.handle_closed();
    s.session.sasl_done(s.now);
    assert_eq!(s.events(), ["not taken SaslUnanswered"]);
    s.sent();
    s.dial();
    s.accept(ID);
    assert_eq!(s.events(), ["sasl wanted"]);
    exchange(&mut s, 2);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x0", "2 sasl \"\"", "3 sasl \"response\""]);
    assert_eq!(s.events().last().unwrap(), "up 0x7 resumed 6s");
}

#[test]
fn an_exchange_without_end_is_given_up() {
    let mut s = asked();
    for xid in 1..100 {
        s.session.sasl_send(s.now, b"x");
        token(&mut s, xid, Some(b"more"));
        s.pass(secs(1) / 10);
    }
    let events: Vec<_> = s.events().into_iter().filter(|event| !event.starts_with("sasl")).collect();
    assert_eq!(events, ["not taken Silent"]);
    assert!(s.now > T * 2 / 3, "no sooner than a mute server");
}

#[test]
fn pings_are_not_sent_before_the_server_knows_us() {
    let mut s = asked();
    s.sent();
    s.pass(T / 2);
    assert_eq!(s.sent(), <[&str; 0]>::default());
}

#[test]
fn what_nobody_asked_for_ends_the_connection() {
    let mut s = asked();
    token(&mut s, 1, Some(b"early"));
    assert_eq!(s.events(), ["not taken UnexpectedReply { xid: 1 }"]);
    let mut s = asked();
    s.session.sasl_send(s.now, b"x");
    s.receive(&framed(&hex("00000001 0000000000000000 00000000 00000009 61")));
    assert!(s.events()[0].starts_with("not taken Decode"));
}

/// Watches are asked about what happened since they were last whole, whatever a server says before it knows us.
#[test]
fn no_zxid_counts_for_watches_before_they_are_set_again() {
    let mut s = asked();
    exchange(&mut s, 1);
    s.watch(WatchKind::Data, "/d", "data");
    s.ok([3]);
    s.reconnect();
    s.receive(&reply_frame(xid::PING, 9, ErrorCode::OK, &crate::records::Empty {}));
    exchange(&mut s, 4);
    assert!(s.sent().contains(&r#"6 setWatches since 0x1 data["/d"] exist[] child[]"#.into()));
}

#[test]
fn a_close_in_the_middle_is_the_end() {
    let mut s = asked();
    s.session.close(s.now);
    assert_eq!(s.events(), ["ended Closed"]);
    s.receive(&accept_frame(ID, 6000));
    assert!(s.events().is_empty());
}
