//! Identities whose owner's patience ends.

use super::script::{ID, Script, accept_frame, config};
use crate::{
    ErrorCode,
    session::{Outcome, xid},
};
use alloc::vec::Vec;

fn add(s: &mut Script, scheme: &str, ticket: &'static str) {
    s.session.add_auth(s.now, scheme, b"secret", ticket);
}

fn tickets(s: &mut Script) -> Vec<(&'static str, Outcome)> {
    s.session.tickets().map(|(ticket, outcome)| (*ticket, outcome)).collect()
}

#[test]
fn an_identity_without_an_answer_is_among_the_tickets() {
    let mut s = Script::new(config());
    add(&mut s, "a", "auth");
    s.call("call");
    assert_eq!(tickets(&mut s), [("auth", Outcome::NotSent), ("call", Outcome::NotSent)]);
    s.dial();
    assert_eq!(tickets(&mut s), [("auth", Outcome::NotSent), ("call", Outcome::NotSent)]);
    s.accept(ID);
    assert_eq!(tickets(&mut s), [("auth", Outcome::Unknown), ("call", Outcome::Unknown)]);
    s.ok([xid::AUTH]);
    assert_eq!(tickets(&mut s), [("call", Outcome::Unknown)]);
    add(&mut s, "b", "left");
    s.sent();
    s.session.handle_closed();
    add(&mut s, "c", "waits");
    assert_eq!(
        tickets(&mut s),
        [("left", Outcome::Unknown), ("waits", Outcome::NotSent)],
        "and the answered one is none"
    );
    s.session.close(s.now);
    assert_eq!(tickets(&mut s), []);
}

/// Before and in a greeting; what stands on both sides of it is told its own answers.
#[test]
fn an_identity_that_never_left_is_forgotten_when_it_is_taken_back() {
    let mut s = Script::up();
    add(&mut s, "left", "left");
    s.sent();
    s.session.handle_closed();
    add(&mut s, "first", "first");
    add(&mut s, "kept", "kept");
    s.session.withdraw(|ticket| *ticket == "first");
    s.dial();
    add(&mut s, "second", "second");
    add(&mut s, "last", "last");
    s.session.withdraw(|ticket| *ticket == "second");
    s.accept(ID);
    let presented = ["auth left", "auth kept", "auth last"];
    assert_eq!(s.sent(), [&["connect 0x7 seen 0x0"][..], &presented].concat());
    s.ok([xid::AUTH, xid::AUTH]);
    s.reply(xid::AUTH, 0, ErrorCode::AUTH_FAILED);
    let told = ["left: ok", "kept: ok", "last: AUTH_FAILED(-115)", "ended AuthFailed(AUTH_FAILED(-115))"];
    assert_eq!(s.events(), [&["lost Transport", "up 0x7 resumed 6s"][..], &told].concat());
}

/// On the connection where it left, and behind it.
#[test]
fn an_identity_that_has_left_stays_and_is_presented_again() {
    let mut s = Script::up();
    for ticket in ["a", "b"] {
        add(&mut s, ticket, ticket);
    }
    s.session.withdraw(|_| true);
    assert_eq!(s.sent(), ["auth a", "auth b"]);
    s.ok([xid::AUTH]);
    s.session.handle_closed();
    s.session.withdraw(|_| true);
    s.dial();
    s.session.withdraw(|_| true);
    s.accept(ID);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x0", "auth a", "auth b"], "nor is one that was answered");
    s.ok([xid::AUTH]);
    s.reply(xid::AUTH, 0, ErrorCode::AUTH_FAILED);
    let told = ["b: AUTH_FAILED(-115)", "ended AuthFailed(AUTH_FAILED(-115))"];
    assert_eq!(s.events(), [&["a: ok", "lost Transport", "up 0x7 resumed 6s"][..], &told].concat());
}

/// It was in the outbox of a connection that was lost in the bytes that brought it.
#[test]
fn an_identity_that_was_not_given_out_is_forgotten_too() {
    let mut s = Script::new(config());
    add(&mut s, "a", "a");
    s.dial();
    s.receive(&[&accept_frame(ID, 6000)[..], &[0xff; 4]].concat());
    assert_eq!(tickets(&mut s), [("a", Outcome::NotSent)]);
    s.session.withdraw(|_| true);
    s.sent();
    s.dial();
    s.accept(ID);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x0"]);
}

#[test]
fn schemes_are_told_of_identities_that_have_a_secret() {
    let mut s = Script::new(config());
    s.session.add_auth(s.now, "ip", b"", "nothing");
    add(&mut s, "digest", "a");
    add(&mut s, "other", "b");
    assert_eq!(s.session.secret_schemes().collect::<Vec<_>>(), ["digest", "other"]);
    s.session.withdraw(|ticket| *ticket == "b");
    assert_eq!(s.session.secret_schemes().collect::<Vec<_>>(), ["digest"]);
}
