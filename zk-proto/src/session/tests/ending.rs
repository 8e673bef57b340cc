//! Connections that break and sessions that are closed.

use super::script::{ID, Script, accept_frame, config, get_data, reply_frame, set_data};
use crate::{
    ErrorCode, SessionConfig,
    records::Empty,
    session::{Change, Outcome, State, WatchKind, xid},
};
use alloc::vec::Vec;

#[test]
fn sent_requests_are_in_doubt_and_waiting_ones_stay_in_the_queue() {
    let mut s = Script::up();
    s.call("sent");
    s.sent();
    s.session.handle_closed();
    s.call("waits");
    assert_eq!(s.events(), ["lost Transport", "sent: ConnectionLost Unknown"]);
    s.dial();
    s.call("waits too");
    s.accept(ID);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x0", "2 getData /waits", "3 getData /waits too"]);
    s.ok([2, 3]);
    assert_eq!(s.events(), ["up 0x7 resumed 6s", "waits: ok", "waits too: ok"]);
}

#[test]
fn waiting_requests_survive_servers_that_do_not_take_us() {
    let mut s = Script::new(config());
    s.call("a");
    for _ in 0..3 {
        s.dial();
        s.session.handle_closed();
    }
    s.dial();
    s.accept(ID);
    assert_eq!(s.sent().last().unwrap(), "1 getData /a");
    assert_eq!(s.session.queued(), 1);
}

#[test]
fn closing_waits_for_the_requests_before_it() {
    let mut s = Script::up();
    s.call("a");
    s.session.close(s.now);
    s.call("late");
    s.session.close(s.now);
    assert_eq!(s.sent(), ["1 getData /a", "2 closeSession"]);
    s.ok([1]);
    assert_eq!(s.events(), ["late: Closed NotSent", "a: ok"]);
    s.ok([2]);
    assert_eq!(s.events(), ["ended Closed"]);
    assert_eq!((s.session.state(), s.session.poll_timeout()), (State::Ended, None));
}

#[test]
fn closing_ends_with_the_connection() {
    let mut s = Script::up();
    s.call("a");
    s.session.close(s.now);
    s.session.handle_closed();
    assert_eq!(s.events(), ["lost Transport", "a: ConnectionLost Unknown", "ended Closed"]);
}

#[test]
fn closing_ends_when_the_server_falls_silent() {
    let mut s = Script::<&str>::up();
    s.session.close(s.now);
    s.pass(super::script::T);
    assert_eq!(s.events(), ["lost Silent", "ended Closed"]);
}

#[test]
fn closing_without_a_connection_ends_at_once() {
    let mut s = Script::new(config());
    s.call("a");
    s.session.close(s.now);
    assert_eq!(s.events(), ["a: Closed NotSent", "ended Closed"]);

    let mut s = Script::new(config());
    s.session.add_auth(s.now, "digest", b"x", "auth");
    s.dial();
    s.session.close(s.now);
    assert_eq!(s.events(), ["auth: Closed NotSent", "ended Closed"]);
    assert_eq!(s.sent(), ["connect 0x0 seen 0x0"]);
}

/// In doubt is an identity that was given out on any connection; one that never was, or was taken back, is not.
#[test]
fn an_identity_is_in_doubt_once_it_has_left() {
    let mut s = Script::up();
    s.session.add_auth(s.now, "digest", b"x", "left");
    assert_eq!(s.sent(), ["auth digest"]);
    s.session.add_auth(s.now, "digest", b"y", "put in the outbox");
    s.session.handle_closed();
    s.session.add_auth(s.now, "digest", b"z", "waits");
    s.dial();
    accept_and_more(&mut s, &GARBAGE);
    s.session.close(s.now);
    let lost = "lost Frame(NegativeLength(-1))";
    let ends = ["left: Closed Unknown", "put in the outbox: Closed NotSent", "waits: Closed NotSent", "ended Closed"];
    assert_eq!(s.events(), [&["lost Transport", "up 0x7 resumed 6s", lost][..], &ends].concat());

    let mut s = Script::up();
    s.session.add_auth(s.now, "digest", b"bob:wrong", "auth");
    s.session.add_auth(s.now, "digest", b"x", "left");
    s.sent();
    s.session.add_auth(s.now, "digest", b"y", "put in the outbox");
    s.receive_early(&reply_frame(xid::AUTH, 0, ErrorCode::AUTH_FAILED, &Empty {}));
    let ends = ["auth: AUTH_FAILED(-115)", "left: AuthFailed Unknown", "put in the outbox: AuthFailed NotSent"];
    assert_eq!(s.events()[..3], ends);
}

#[test]
fn nothing_happens_behind_the_end() {
    let mut s = Script::new(config());
    s.session.close(s.now);
    s.events();
    s.dial();
    s.accept(ID);
    s.session.handle_closed();
    s.session.close(s.now);
    s.session.add_auth(s.now, "digest", b"x", "auth");
    s.call("late");
    s.pass(super::script::T * 10);
    assert_eq!(s.events(), ["auth: Closed NotSent", "late: Closed NotSent"]);
    assert!(s.sent().is_empty());
}

#[test]
fn a_refused_identity_ends_the_session() {
    let mut s = Script::up();
    s.call("a");
    s.session.add_auth(s.now, "digest", b"bob:wrong", "auth");
    s.session.add_auth(s.now, "ip", b"", "auth2");
    assert_eq!(s.sent(), ["1 getData /a", "auth digest", "auth ip"]);
    s.reply(xid::AUTH, 0, ErrorCode::AUTH_FAILED);
    let end = [
        "auth: AUTH_FAILED(-115)",
        "a: AuthFailed Unknown",
        "auth2: AuthFailed Unknown",
        "ended AuthFailed(AUTH_FAILED(-115))",
    ];
    assert_eq!(s.events(), end);
    s.call("late");
    assert_eq!(s.events(), ["late: AuthFailed NotSent"]);
}

#[test]
fn a_server_that_demands_authentication_ends_the_session() {
    let mut s = Script::up();
    s.call("a");
    s.call("b");
    s.reply(1, 0, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
    let code = "SESSION_CLOSED_REQUIRE_SASL_AUTH(-124)";
    let end = [alloc::format!("a: {code}"), "b: AuthFailed Unknown".into(), alloc::format!("ended AuthFailed({code})")];
    assert_eq!(s.events(), end);
}

/// A server takes us and spoils its connection in the same breath.
fn accept_and_more(s: &mut Script, more: &[u8]) {
    s.receive(&[&accept_frame(ID, 6000)[..], more].concat());
}

/// What no server can mean.
const GARBAGE: [u8; 4] = [0xff; 4];

/// Bytes of the lost connection must not leave on the next as they are; a request that never left waits for that one.
#[test]
fn what_was_not_given_out_waits_for_the_next_connection() {
    let mut s = Script::new(SessionConfig { first_xid: 5, ..config() });
    s.session.add_auth(s.now, "digest", b"x", "auth");
    s.call("a");
    s.watch(WatchKind::Data, "/b", "b");
    for _ in 0..2 {
        s.dial();
        accept_and_more(&mut s, &GARBAGE);
        assert_eq!(s.session.queued(), 2);
        let tickets: Vec<_> = s.session.tickets().map(|(ticket, outcome)| (*ticket, outcome)).collect();
        assert_eq!(tickets, ["auth", "a", "b"].map(|ticket| (ticket, Outcome::NotSent)));
        s.call("c");
        s.session.withdraw(|ticket| *ticket == "c");
    }
    let lost = "lost Frame(NegativeLength(-1))";
    assert_eq!(s.events(), ["up 0x7 new 6s", lost, "up 0x7 resumed 6s", lost]);
    s.sent();
    s.dial();
    s.accept(ID);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x0", "auth digest", "9 getData /a", "10 getData /b"]);
    s.ok([xid::AUTH, 9, 10]);
    assert_eq!(s.events(), ["up 0x7 resumed 6s", "auth: ok", "a: ok", "b: ok"]);
    assert_eq!(s.session.watches().collect::<Vec<_>>(), [("/b", WatchKind::Data)]);
}

/// What is taken back is never sent and sets nothing; what removes a watch may be of one that is set before it.
#[test]
fn what_is_taken_back_sets_no_watch_and_removals_are_not_taken_back() {
    let mut s = Script::new(config());
    s.watch(WatchKind::Data, "/a", "a");
    s.watch(WatchKind::Data, "/b", "b");
    s.submit(set_data("/c"), Some(Change::Remove(WatchKind::Child, "/c".into())), "c");
    s.submit(set_data("/d"), Some(Change::RemoveAll("/d".into())), "d");
    s.call("e");
    s.session.withdraw(|ticket| *ticket != "b");
    assert_eq!(s.session.queued(), 3);
    s.dial();
    s.accept(ID);
    assert_eq!(s.sent()[1..], ["1 getData /b", "2 setData /c", "3 setData /d"]);
    s.ok([1, 2, 3]);
    assert_eq!(s.events(), ["up 0x7 new 6s", "b: ok", "c: ok", "d: ok"]);
    assert_eq!(s.session.watches().collect::<Vec<_>>(), [("/b", WatchKind::Data)]);
}

/// Both ends of the line: the last request that left, and the first that did not.
#[test]
fn what_was_given_out_is_in_doubt_and_what_came_behind_it_is_not() {
    let mut s = Script::up();
    s.call("sent");
    s.call("b");
    s.session.submit(s.now, get_data("/c", false), None, "c");
    // A refusal may overtake; it does not make a request that has left one that has not.
    s.receive_early(&reply_frame(2, 0, ErrorCode::NO_NODE, &Empty {}));
    s.session.handle_closed();
    assert_eq!(s.events(), ["b: NO_NODE(-101)", "lost Transport", "sent: ConnectionLost Unknown"]);
    s.sent();
    s.dial();
    s.accept(ID);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x0", "4 getData /c"]);
}

/// A driver that is late finds a ping due, and the peer dead: the ping in the outbox is nobody's request.
#[test]
fn a_ping_that_was_not_given_out_takes_no_request_back() {
    let mut s = Script::up();
    s.call("sent");
    s.session.handle_timeout(super::script::T);
    assert_eq!(s.events(), ["lost Silent", "sent: ConnectionLost Unknown"]);
    assert_eq!(s.session.queued(), 0);
}

#[test]
fn what_was_not_given_out_before_the_end_was_not_sent() {
    let mut s = Script::up();
    s.session.add_auth(s.now, "digest", b"bob:wrong", "auth");
    s.sent();
    s.session.submit(s.now, get_data("/a", false), None, "a");
    s.receive_early(&reply_frame(xid::AUTH, 0, ErrorCode::AUTH_FAILED, &Empty {}));
    let end = ["auth: AUTH_FAILED(-115)", "a: AuthFailed NotSent", "ended AuthFailed(AUTH_FAILED(-115))"];
    assert_eq!(s.events(), end);

    let mut s = Script::new(config());
    s.call("a");
    s.dial();
    s.accept(ID);
    s.session.close(s.now);
    s.session.handle_closed();
    assert_eq!(s.events()[1..], ["lost Transport", "a: Closed NotSent", "ended Closed"]);

    let mut s = Script::new(config());
    s.call("a");
    s.dial();
    accept_and_more(&mut s, &GARBAGE);
    s.pass(super::script::T * 2);
    assert_eq!(s.events()[2..], ["expired 0x7", "a: SessionExpired NotSent"]);
}
