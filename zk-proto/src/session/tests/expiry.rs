//! Sessions that end at the servers.

use super::script::{ID, Script, T, config, hex, secs};
use crate::{ErrorCode, SessionConfig, session::WatchKind};
use core::time::Duration;

const GONE: &str = "00000025 00000000 00000000 0000000000000000 00000010 00000000000000000000000000000000 00";
const TICK: Duration = Duration::from_millis(1);

/// A session with a data watch on `/d` and a recursive one on `/r`, which saw zxid 0x50 and whose
/// connection was lost.
fn lost_session(config: SessionConfig) -> Script {
    let mut s = Script::up_with(config);
    s.watch(WatchKind::Data, "/d", "data");
    s.watch(WatchKind::PersistentRecursive, "/r", "recursive");
    s.ok([1]);
    s.reply(2, 0x50, ErrorCode::OK);
    s.session.handle_closed();
    s.events();
    s.sent();
    s
}

const REARM: &str = r#"setWatches2 since 0x50 data["/d"] exist[] child[] persistent[] recursive["/r"]"#;

// goal: N2
#[test]
fn an_expired_session_is_replaced_and_its_watches_are_set_again() {
    let mut s = lost_session(config());
    s.call("waits");
    s.dial();
    s.receive(&hex(GONE));
    assert_eq!(s.events(), ["not taken Expired", "expired 0x7", "waits: SessionExpired NotSent"]);
    s.call("next");
    s.dial();
    s.accept(0x8);
    assert_eq!(s.events(), ["up 0x8 new 6s"]);
    let rearm = alloc::format!("3 {REARM}");
    assert_eq!(s.sent(), ["connect 0x7 seen 0x50", "connect 0x0 seen 0x50", &rearm, "4 getData /next"]);
}

#[test]
fn without_renewal_expiry_is_the_end() {
    let mut s = lost_session(SessionConfig { renew: false, ..config() });
    s.call("waits");
    s.dial();
    s.receive(&hex(GONE));
    let end = ["not taken Expired", "expired 0x7", "waits: SessionExpired NotSent", "ended Expired"];
    assert_eq!(s.events(), end);
    s.call("late");
    s.dial();
    assert_eq!(s.events(), ["late: SessionExpired NotSent"]);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x50"]);
    assert_eq!(s.session.poll_timeout(), None);
}

// goal: N4
#[test]
fn a_session_that_is_silently_replaced_is_an_expired_one() {
    let mut s = lost_session(config());
    s.call("waits");
    s.dial();
    s.accept(0x666);
    assert_eq!(s.events(), ["expired 0x7", "waits: SessionExpired NotSent", "up 0x666 new 6s"]);
    let rearm = alloc::format!("3 {REARM}");
    assert_eq!(s.sent(), ["connect 0x7 seen 0x50", &rearm]);

    let mut s = lost_session(SessionConfig { renew: false, ..config() });
    s.dial();
    s.accept(0x666);
    assert_eq!(s.events(), ["expired 0x7", "ended Expired"]);
    assert_eq!(s.sent(), ["connect 0x7 seen 0x50"], "nothing for the new session");
}

#[test]
fn a_session_expires_by_itself_after_four_thirds_of_the_timeout() {
    let mut s = lost_session(config());
    s.call("waits");
    s.pass(T * 4 / 3 - TICK);
    assert!(s.events().is_empty());
    s.pass(TICK);
    assert_eq!(s.events(), ["expired 0x7", "waits: SessionExpired NotSent"]);
    assert_eq!(s.session.poll_timeout(), None);
    s.dial();
    assert_eq!(s.sent(), ["connect 0x0 seen 0x50"], "the last zxid is kept: never back in time");
}

#[test]
fn a_session_expires_by_itself_in_the_middle_of_a_greeting() {
    let mut s = lost_session(config());
    s.pass(T * 4 / 3 - TICK);
    s.dial();
    s.pass(TICK);
    assert_eq!(s.events(), ["not taken Silent", "expired 0x7"]);
}

/// Only a server that takes us counts, not one that refuses.
#[test]
fn refusals_do_not_put_off_the_expiry() {
    let mut s = lost_session(config());
    for _ in 0..8 {
        s.dial();
        s.receive(&hex("00000010 00000000 0000000000000005 ffffff89"));
        s.pass(secs(1));
    }
    assert_eq!(s.events().last().unwrap(), "expired 0x7");
}

#[test]
fn a_session_that_never_was_does_not_expire() {
    let mut s = Script::new(config());
    s.call("waits");
    for _ in 0..10 {
        s.dial();
        s.pass(T * 3);
    }
    let events = s.events();
    assert_eq!(events.len(), 10);
    assert!(events.iter().all(|event| event == "not taken Silent"), "{events:?}");
    s.dial();
    s.accept(ID);
    assert_eq!(s.events(), ["up 0x7 new 6s"]);
    assert_eq!(s.sent().last().unwrap(), "1 getData /waits", "it still waits");
}

#[test]
fn a_wanted_timeout_is_asked_for_again_by_a_new_session() {
    let mut s = Script::<&str>::new(config());
    s.dial();
    s.receive(&super::script::accept_frame(ID, 40_000));
    s.session.handle_closed();
    s.pass(secs(40) * 4 / 3);
    assert_eq!(s.events(), ["up 0x7 new 40s", "lost Transport", "expired 0x7"]);
    s.sent_bytes();
    s.dial();
    assert_eq!(s.sent_bytes()[16..20], hex("00001770"));
}

/// An ensemble that lost its data takes nobody who has seen more than it has, until what was seen is forgotten by name.
// goal: N5
#[test]
fn a_rebuilt_ensemble_is_met_without_what_was_seen_of_the_old_one() {
    for greets in [false, true] {
        let mut s = lost_session(config());
        s.call("waits");
        if greets {
            s.dial();
            assert_eq!(s.sent(), ["connect 0x7 seen 0x50"]);
        }
        assert!(s.session.accept_rebuilt());
        let events = s.events();
        assert_eq!(events[usize::from(greets)..], ["expired 0x7", "waits: SessionExpired NotSent"], "{events:?}");
        s.dial();
        s.accept(0x8);
        let rearm = r#"3 setWatches2 since 0x0 data["/d"] exist[] child[] persistent[] recursive["/r"]"#;
        assert_eq!(s.sent(), ["connect 0x0 seen 0x0", rearm]);
        assert!(!s.session.accept_rebuilt(), "who serves us has all that we have seen");
        assert_eq!(s.events(), ["up 0x8 new 6s"]);
    }
    let mut s = lost_session(SessionConfig { renew: false, ..config() });
    assert!(s.session.accept_rebuilt());
    assert_eq!(s.events(), ["expired 0x7", "ended Expired"]);
    assert!(!s.session.accept_rebuilt(), "nothing comes after the end");
}
