//! Pings, dead peers, and what counts as a sign of life. T is six seconds.

use super::script::{ID, Script, T, accept_frame, config, framed, reply_frame, secs};
use crate::{
    ErrorCode, SessionConfig,
    records::Empty,
    session::{State, xid},
};
use core::time::Duration;

const TICK: Duration = Duration::from_millis(1);

#[test]
fn a_ping_leaves_after_a_third_of_the_timeout_without_sending() {
    let mut s = Script::up();
    s.pass(T / 3 - TICK);
    assert!(s.sent().is_empty());
    s.pass(TICK);
    assert_eq!(s.sent(), ["ping"]);
    s.reply(xid::PING, 5, ErrorCode::OK);
    s.pass(T / 6);
    s.call("a");
    s.ok([1]);
    s.sent();
    s.pass(T / 3 - TICK);
    assert!(s.sent().is_empty(), "a request is as good as a ping");
    s.pass(TICK);
    assert_eq!(s.sent(), ["ping"]);
    assert_eq!(s.events(), ["bookmark 0x5", "a: ok"]);
}

/// Servers do not take auth packets for a sign of life (protocol.md section 2.3).
#[test]
fn auth_packets_do_not_put_off_pings() {
    let mut s = Script::up();
    s.pass(T / 3 - TICK);
    s.session.add_auth(s.now, "digest", b"bob:secret", "auth");
    s.reply(xid::AUTH, 0, ErrorCode::OK);
    s.pass(TICK);
    assert_eq!(s.sent(), ["auth digest", "ping"]);
}

#[test]
fn an_answered_ping_keeps_the_connection_for_ever() {
    let mut s = Script::<&str>::up();
    for _ in 0..100 {
        s.pass(T / 3);
        assert_eq!(s.sent(), ["ping"]);
        s.reply(xid::PING, 1, ErrorCode::OK);
    }
    s.assert_up();
}

#[test]
fn a_dead_peer_is_found_after_two_thirds_of_the_timeout() {
    let mut s = Script::up();
    s.pass(T / 6);
    s.call("a");
    s.pass(T / 2 - TICK);
    s.assert_up();
    s.events();
    assert_eq!(s.sent(), ["1 getData /a", "ping"]);
    s.pass(TICK);
    assert_eq!(s.events(), ["lost Silent", "a: ConnectionLost Unknown"]);
    assert!(s.sent().is_empty());
}

#[test]
fn timers_follow_the_negotiated_timeout() {
    let mut s = Script::<&str>::new(SessionConfig { timeout: secs(600), ..config() });
    s.dial();
    s.receive(&accept_frame(ID, 3000));
    assert_eq!(s.events(), ["up 0x7 new 3s"]);
    s.sent();
    s.pass(secs(1));
    assert_eq!(s.sent(), ["ping"]);
    s.pass(secs(1));
    assert_eq!(s.events(), ["lost Silent"]);
}

#[test]
fn a_peer_that_dribbles_bytes_is_dead() {
    let mut s = Script::up();
    s.call("a");
    let mut big = reply_frame(1, 5, ErrorCode::OK, &Empty {}).split_off(4);
    big.resize(40_000, 0);
    let big = framed(&big);
    for byte in big.chunks(1).take(4) {
        s.receive(byte);
        s.pass(T / 6);
    }
    assert_eq!(s.events(), ["lost Silent", "a: ConnectionLost Unknown"]);
}

#[test]
fn a_big_reply_on_a_slow_link_is_a_sign_of_life() {
    let mut s = Script::up();
    s.call("a");
    let mut big = reply_frame(1, 5, ErrorCode::OK, &Empty {}).split_off(4);
    big.resize(100_000, 0);
    for part in framed(&big).chunks(5_000) {
        s.receive(part);
        s.pass(T / 3);
    }
    assert_eq!(s.events(), ["a: ok"]);
}

/// The end of a frame that is thrown away must not make the next one look like dribble.
#[test]
fn progress_counts_anew_behind_a_reply_over_the_limit() {
    let mut s = Script::up_with(SessionConfig { reply_len_max: 100_000, ..config() });
    s.call("over");
    s.call("big");
    for (xid, len) in [(1, 200_000), (2, 100_000)] {
        let mut big = reply_frame(xid, 5, ErrorCode::OK, &Empty {}).split_off(4);
        big.resize(len, 0);
        for part in framed(&big).chunks(5_000) {
            s.receive(part);
            s.pass(T / 3);
        }
    }
    assert_eq!(s.events(), ["over: 200000 bytes are over the limit of 100000 bytes", "big: ok"]);
}

/// When a peer that sends `parts` of a reply of `total` bytes is found dead, if they come in pieces of `len` bytes.
fn dead_at(total: usize, parts: &[usize], len: usize) -> Duration {
    let mut s = Script::up_with(SessionConfig { reply_len_max: 9_000, ..config() });
    s.call("a");
    let mut reply = reply_frame(1, 5, ErrorCode::OK, &Empty {}).split_off(4);
    reply.resize(total - 4, 0);
    let mut reply = framed(&reply);
    for part in parts {
        reply.split_to(*part).chunks(len).for_each(|piece| s.receive(piece));
        s.pass(T / 4);
    }
    while s.session.state() == State::Up {
        s.now = s.session.poll_timeout().unwrap();
        s.session.handle_timeout(s.now);
    }
    s.now
}

/// Found by the schedules: 5,000 and then 3,300 bytes were one sign of life or two, and the end of a frame that is
/// thrown away was one or none.
#[test]
fn pieces_make_no_difference_to_what_is_a_sign_of_life() {
    let all: [(usize, &[usize], Duration); 4] = [
        (9_000, &[5_000, 3_300], T / 4),
        (9_000, &[5_000, 3_300, 700], T / 2),
        (9_400, &[9_300, 50, 50], T / 2),
        (60_000, &[5_000, 3_300, 100], T / 4),
    ];
    for (total, parts, heard) in all {
        for len in [usize::MAX, 1, 7, 4_090, 4_099] {
            assert_eq!(dead_at(total, parts, len), heard + T * 2 / 3, "{parts:?} of {total} in pieces of {len}");
        }
    }
}

/// Half a long reply was there when the connection broke; the next server's first bytes are no progress of it.
#[test]
fn the_start_of_a_greeting_does_not_put_off_the_expiry() {
    let mut s = Script::<&str>::up();
    s.call("a");
    s.receive(&[0, 1, 0, 0]);
    s.receive(&[0; 5_000]);
    s.session.handle_closed();
    s.pass(T);
    s.dial();
    s.receive(&accept_frame(ID, 6000)[..10]);
    s.events();
    s.pass(T / 3);
    assert_eq!(s.events(), ["not taken Silent", "expired 0x7"]);
}

#[test]
fn a_late_call_finds_the_peer_dead_and_sends_nothing() {
    let mut s = Script::<&str>::up();
    s.now += T * 10;
    s.session.handle_timeout(s.now);
    assert_eq!(s.events()[0], "lost Silent");
    assert!(s.sent().is_empty());
}
