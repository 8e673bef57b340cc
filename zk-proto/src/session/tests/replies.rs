//! Replies and their requests.

use super::script::{ID, Script, accept_frame, config, event_frame, framed, get_data, hex, reply_frame, set_data};
use crate::{
    ErrorCode, OpCode, SessionConfig,
    frame::TooLarge,
    ops,
    records::{AddWatchResponse, Empty, GetDataRequest},
    session::{Credentials, Event, WatchKind, inflight::next_xid, xid},
    watch::EventType,
};
use alloc::{format, string::String, vec::Vec};

#[test]
fn replies_come_back_with_their_tickets() {
    let mut s = Script::up();
    s.call("a");
    s.call("b");
    assert_eq!(s.sent(), ["1 getData /a", "2 getData /b"]);
    s.receive(&reply_frame(1, 9, ErrorCode::OK, &AddWatchResponse { err: crate::jute::Tail(Some(7)) }));
    let Some(Event::Reply { ticket: "a", zxid, result: Ok(body) }) = s.session.poll_event() else { panic!() };
    assert_eq!((zxid.0, &body[..]), (9, &[0, 0, 0, 7][..]), "the body is what stands behind the header");
    s.reply(2, 9, ErrorCode::NO_NODE);
    assert_eq!(s.events(), ["b: NO_NODE(-101)"]);
    assert_eq!(s.session.queued(), 0);
}

#[test]
fn a_request_that_is_encoded_where_it_leaves_from_is_measured_first() {
    let read = GetDataRequest { path: "/a".into(), watch: false };
    // xid, opcode, the path and its length, the flag.
    let len = 4 + 4 + 4 + 2 + 1;
    let too_large = Err(TooLarge { len, limit: len - 1 });
    let mut s = Script::up();
    assert_eq!(s.session.submit_op::<ops::GetData>(s.now, &read, len - 1, "no"), too_large);
    assert_eq!((s.session.queued(), s.sent().len()), (0, 0));
    assert_eq!(s.session.submit_op::<ops::GetData>(s.now, &read, len, "yes"), Ok(()));
    assert_eq!(s.sent(), ["1 getData /a"]);
    s.ok([1]);
    assert_eq!(s.events(), ["yes: ok"]);
    s.session.handle_closed();
    // Without a connection, too.
    assert_eq!(s.session.submit_op::<ops::GetData>(s.now, &read, len - 1, "no"), too_large);
    assert_eq!(s.session.submit_op::<ops::GetData>(s.now, &read, len, "waits"), Ok(()));
    assert_eq!((s.session.queued(), s.sent().len()), (1, 0));
}

// goal: N6
#[test]
fn ten_thousand_pipelined_requests_keep_their_order() {
    const COUNT: i32 = 10_000;
    let mut s = Script::<i32>::up();
    (1..=COUNT).for_each(|ticket| s.call(ticket));
    let expected: Vec<String> = (1..=COUNT).map(|n| format!("{n} getData /{n}")).collect();
    assert_eq!(s.sent(), expected);
    s.ok(1..=COUNT);
    let expected: Vec<String> = (1..=COUNT).map(|n| format!("{n}: ok")).collect();
    assert_eq!(s.events(), expected);
}

// goal: N6
#[test]
fn xids_wrap_from_the_largest_to_one() {
    let mut s = Script::up_with(SessionConfig { first_xid: i32::MAX - 1, ..config() });
    ["a", "b", "c", "d"].into_iter().for_each(|ticket| s.call(ticket));
    assert_eq!(s.sent(), ["2147483646 getData /a", "2147483647 getData /b", "1 getData /c", "2 getData /d"]);
    s.ok([i32::MAX - 1, i32::MAX, 1, 2]);
    assert_eq!(s.events(), ["a: ok", "b: ok", "c: ok", "d: ok"]);
}

#[test]
fn data_is_awaited_until_the_last_of_it_has_come() {
    for first_xid in [1, i32::MAX - 3, i32::MAX - 2, i32::MAX - 1, i32::MAX] {
        let mut s = Script::up_with(SessionConfig { first_xid, ..config() });
        let read = GetDataRequest { path: "/a".into(), watch: false };
        let xids: Vec<i32> = core::iter::successors(Some(first_xid), |xid| Some(next_xid(*xid))).take(6).collect();
        s.submit(set_data("/w"), None, "write");
        s.session.submit_op::<ops::GetData>(s.now, &read, 100, "of who knows its length").unwrap();
        assert!(!s.session.awaits_data());
        s.call("a");
        s.submit(set_data("/w"), None, "write");
        s.call("b");
        s.submit(set_data("/w"), None, "write");
        let mut awaited = Vec::new();
        for xid in xids {
            awaited.push(s.session.awaits_data());
            s.ok([xid]);
        }
        assert_eq!(awaited, [true, true, true, true, true, false], "{first_xid}");
        s.call("c");
        assert!(s.session.awaits_data());
        s.session.handle_closed();
        assert!(!s.session.awaits_data(), "it has gone with the connection");
        s.call("d");
        s.reconnect();
        assert!(s.session.awaits_data(), "what has waited for a connection");
    }
}

#[test]
fn a_write_that_a_read_only_server_refuses_overtakes_reads() {
    let mut s = Script::up();
    s.call("read");
    s.submit(set_data("/w"), None, "write");
    s.call("read2");
    s.reply(2, 5, ErrorCode::NOT_READ_ONLY);
    s.ok([1, 3]);
    assert_eq!(s.events(), ["write: NOT_READ_ONLY(-119)", "read: ok", "read2: ok"]);
}

/// Nothing but a refusal overtakes: when the second reply is here, the first one was lost, and its caller would wait for ever.
#[test]
fn a_reply_that_was_left_out_ends_the_connection() {
    let mut s = Script::up();
    ["a", "b", "c"].into_iter().for_each(|ticket| s.call(ticket));
    s.reply(1, 5, ErrorCode::OK);
    s.reply(3, 5, ErrorCode::OK);
    let ends = ["b: ConnectionLost Unknown", "c: ConnectionLost Unknown"];
    assert_eq!(s.events(), [&["a: ok", "lost UnexpectedReply { xid: 3 }"][..], &ends].concat());
}

#[test]
fn a_reply_to_no_request_ends_the_connection() {
    for stranger in [2, 0, -8, i32::MIN] {
        let mut s = Script::up();
        s.call("a");
        s.reply(stranger, 5, ErrorCode::OK);
        let lost = format!("lost UnexpectedReply {{ xid: {stranger} }}");
        assert_eq!(s.events(), [lost.as_str(), "a: ConnectionLost Unknown"]);
    }
    let mut s = Script::<&str>::up();
    s.reply(xid::AUTH, 0, ErrorCode::OK);
    assert_eq!(s.events(), ["lost UnexpectedReply { xid: -4 }"]);
}

/// A server that answers what it cannot have got yet lies, whatever it says; what it answered is sent on the next connection.
#[test]
fn a_reply_to_what_has_not_left_ends_the_connection() {
    for (answered, err) in [(2, ErrorCode::OK), (3, ErrorCode::NO_NODE), (xid::AUTH, ErrorCode::OK)] {
        let mut s = Script::up();
        s.call("sent");
        s.session.submit(s.now, get_data("/b", false), None, "b");
        s.session.submit(s.now, set_data("/c"), None, "c");
        s.session.add_auth(s.now, "ip", b"", "auth");
        // The answer to what has left is taken, though not all has.
        s.receive_early(&reply_frame(1, 5, ErrorCode::OK, &Empty {}));
        s.receive_early(&reply_frame(answered, 6, err, &Empty {}));
        let lost = format!("lost UnexpectedReply {{ xid: {answered} }}");
        assert_eq!(s.events(), ["sent: ok", &lost]);
        assert_eq!(s.session.last_zxid().0, 5, "nothing that it says counts");
        s.sent();
        s.dial();
        s.accept(ID);
        assert_eq!(s.sent()[1..], ["auth ip", "4 getData /b", "5 setData /c"]);
        s.ok([xid::AUTH, 4, 5]);
        assert_eq!(s.events(), ["up 0x7 resumed 6s", "auth: ok", "b: ok", "c: ok"]);
    }
}

/// In one piece with the greeting: the owner had no chance to send anything.
#[test]
fn a_reply_that_comes_with_the_greeting_ends_the_connection() {
    let mut s = Script::up();
    s.watch(WatchKind::Data, "/a", "a");
    s.ok([1]);
    s.session.handle_closed();
    s.call("b");
    s.events();
    for number in [2, 5] {
        // To setting the watch again, then to the request.
        s.dial();
        let early = reply_frame(number, 5, ErrorCode::OK, &Empty {});
        s.receive(&[&accept_frame(ID, 6000)[..], &early].concat());
        let lost = format!("lost UnexpectedReply {{ xid: {number} }}");
        assert_eq!(s.events(), ["up 0x7 resumed 6s", &lost]);
        s.sent();
    }
    s.dial();
    s.accept(ID);
    let watches = r#"6 setWatches since 0x1 data["/a"] exist[] child[]"#;
    assert_eq!(s.sent()[1..], [watches, "7 getData /b"]);
}

#[test]
fn a_second_reply_to_the_same_request_ends_the_connection() {
    let mut s = Script::up();
    s.call("a");
    s.ok([1, 1]);
    assert_eq!(s.events(), ["a: ok", "lost UnexpectedReply { xid: 1 }"]);
}

#[test]
fn answers_to_auth_packets_overtake_replies() {
    let mut s = Script::up();
    s.call("a");
    s.session.add_auth(s.now, "digest", b"bob:secret", "auth");
    s.session.add_auth(s.now, "ip", b"", "auth2");
    s.call("b");
    s.reply(xid::AUTH, 0, ErrorCode::OK);
    s.ok([1]);
    s.reply(xid::AUTH, 0, ErrorCode::OK);
    s.ok([2]);
    assert_eq!(s.events(), ["auth: ok", "a: ok", "auth2: ok", "b: ok"]);
}

/// The ticket of add_auth comes back once, however often the packet is sent.
#[test]
fn an_auth_packet_is_sent_on_every_connection_and_answered_once() {
    let mut s = Script::up();
    s.session.add_auth(s.now, "digest", b"bob:secret", "auth");
    s.reconnect();
    assert_eq!(s.events(), ["lost Transport", "up 0x7 resumed 6s"]);
    s.reply(xid::AUTH, 0, ErrorCode::OK);
    s.sent();
    s.reconnect();
    s.reply(xid::AUTH, 0, ErrorCode::OK);
    assert_eq!(s.events(), ["auth: ok", "lost Transport", "up 0x7 resumed 6s"]);
    assert_eq!(s.sent().iter().filter(|line| *line == "auth digest").count(), 1, "on the last connection");
}

#[test]
fn a_reply_over_the_limit_fails_its_own_request_only() {
    let mut s = Script::up_with(SessionConfig { reply_len_max: 100, ..config() });
    s.call("big");
    s.call("small");
    let mut big = reply_frame(1, 5, ErrorCode::OK, &Empty {}).split_off(4);
    big.resize(101, 0);
    s.receive(&framed(&big));
    s.ok([2]);
    assert_eq!(s.events(), ["big: 101 bytes are over the limit of 100 bytes", "small: ok"]);
    s.assert_up();
    assert_eq!(s.session.last_zxid().0, 5);
}

#[test]
fn a_negative_frame_length_ends_the_connection() {
    let mut s = Script::up();
    s.call("a");
    s.receive(&hex("fffffffe"));
    assert_eq!(s.events(), ["lost Frame(NegativeLength(-2))", "a: ConnectionLost Unknown"]);
}

#[test]
fn a_frame_too_short_for_a_header_ends_the_connection() {
    let mut s = Script::<&str>::up();
    s.receive(&framed(&[0; 15]));
    let lost =
        "lost Decode(DecodeError { record: \"ReplyHeader\", field: \"err\", fault: Short { needed: 4, left: 3 } })";
    assert_eq!(s.events(), [lost]);
}

#[test]
fn replies_and_pings_move_the_last_zxid_and_events_do_not() {
    let mut s = Script::up();
    let last = |s: &Script| s.session.last_zxid().0;
    s.call("a");
    s.call("b");
    s.call("c");
    s.receive(&event_frame(EventType::NODE_CREATED, "/a", 90));
    assert_eq!(last(&s), 0, "one transaction may cause several events");
    s.reply(1, 50, ErrorCode::NO_NODE);
    assert_eq!(last(&s), 50);
    s.reply(xid::PING, 60, ErrorCode::OK);
    assert_eq!(last(&s), 60);
    s.reply(2, 40, ErrorCode::OK);
    s.reply(3, -1, ErrorCode::UNIMPLEMENTED);
    assert_eq!(last(&s), 60, "never back");
    assert_eq!(s.events().last().unwrap(), "c: UNIMPLEMENTED(-6)");
}

#[test]
fn bytes_of_a_lost_connection_are_thrown_away() {
    let mut s = Script::up();
    s.call("a");
    s.session.handle_closed();
    s.events();
    s.ok([1]);
    assert!(s.events().is_empty());
    assert!(s.inbox.is_empty(), "the buffer may serve the next connection");
    s.dial();
    s.accept(ID);
    assert_eq!(s.events(), ["up 0x7 resumed 6s"]);
}

#[test]
fn answers_to_auth_packets_are_counted_anew_on_each_connection() {
    let mut s = Script::up();
    s.session.add_auth(s.now, "digest", b"bob:secret", "auth");
    s.session.add_auth(s.now, "ip", b"", "auth2");
    s.reconnect();
    s.reply(xid::AUTH, 0, ErrorCode::OK);
    s.reply(xid::AUTH, 0, ErrorCode::OK);
    assert_eq!(s.events()[2..], ["auth: ok", "auth2: ok"]);
}

// goal: N14
#[test]
fn debug_output_shows_no_secret() {
    const CANARY: &str = "CANARY0123456789";
    let mut s = Script::up();
    let resume = Credentials { id: crate::SessionId(7), password: CANARY.as_bytes().into() };
    let answer = crate::records::ConnectResponse {
        protocol_version: 0,
        timeout_ms: 6000,
        session_id: crate::SessionId(7),
        password: Some(crate::records::SecretBytes(CANARY.as_bytes().into())),
        read_only: crate::jute::Tail(None),
    };
    let mut shown = format!("{:?} {answer:?}", SessionConfig { resume: Some(resume), ..config() });
    s.session.handle_closed();
    s.dial();
    s.receive(&framed(&crate::jute::encode_to_bytes(&answer)));
    s.session.add_auth(s.now, "digest", CANARY.as_bytes(), "auth");
    let token = crate::records::SaslRequest { token: crate::records::Secret(CANARY.as_bytes()) };
    let sasl = crate::session::EncodedRequest::new::<crate::ops::Sasl>(&token, 1000).unwrap();
    assert_eq!(sasl.op(), OpCode::SASL);
    shown += &format!("{token:?} {sasl:?} {:?} {:?}", s.session, s.session.credentials());
    s.submit(sasl, None, "sasl");
    let sent = s.sent_bytes();
    assert!(sent.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "it was there to be shown");
    while let Some(event) = s.session.poll_event() {
        shown += &format!("{event:?}");
    }
    shown += &format!("{:?}", s.session);
    let canary_bytes = "67, 65, 78, 65, 82, 89";
    assert!(!shown.contains("CANARY") && !shown.contains(canary_bytes), "{shown}");
}
