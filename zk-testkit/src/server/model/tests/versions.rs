//! What a version does not know: protocol.md sections 3 and 10.

use bytes::BytesMut;
use zk_proto::{OpCode, jute::encode_to_bytes, multi::MultiReadRequest, ops, records::RequestHeader};

use super::Script;
use crate::server::{Profile, model::Close};

#[test]
fn an_unknown_operation_is_answered_and_ends_the_connection() {
    let check = |profile: Profile, op: OpCode, known: bool| {
        assert_eq!(profile.knows(op), known, "{op} in {}", profile.version());
        if known {
            return;
        }
        let mut script = Script::new(profile);
        let client = script.client();
        let (bytes, closed) = script.exchange(client.conn, &encode_to_bytes(&RequestHeader { xid: 5, op }));
        let expected = [&[0, 0, 0, 16, 0, 0, 0, 5][..], &[0xff; 8], &(-6_i32).to_be_bytes()].concat();
        assert_eq!((&bytes[..], closed), (&expected[..], true));
        assert!(script.resume(client.session, &client.password).is_some(), "the session lives on");
    };
    for op in [22, 103, 104, 105, 106].map(OpCode) {
        check(Profile::V3_5, op, false);
        check(Profile::V3_6, op, true);
    }
    check(Profile::V3_6, OpCode::WHO_AM_I, false);
    check(Profile::V3_7, OpCode::WHO_AM_I, true);
    for op in [0, -1, -10, 10, 99, 4711].map(OpCode) {
        check(Profile::V3_9, op, false);
    }
}

#[test]
fn single_operations_can_be_taken_away() {
    let mut script = Script::new(Profile::V3_9.without(OpCode::MULTI_READ));
    let mut client = script.client();
    let refused = script.call::<ops::MultiRead>(&mut client, &MultiReadRequest::default());
    assert_eq!(refused.map(|_| ()), Err(zk_proto::ErrorCode::UNIMPLEMENTED));
    assert!(client.closed);
}

#[test]
fn a_bare_check_gets_no_answer_or_the_end() {
    for (profile, answered) in [(Profile::V3_8_0, false), (Profile::V3_9, true)] {
        let mut script = Script::new(profile);
        let client = script.client();
        let header = RequestHeader { xid: 1, op: OpCode::CHECK };
        let (bytes, closed) = script.exchange(client.conn, &encode_to_bytes(&header));
        assert_eq!((!bytes.is_empty(), closed), (answered, answered));
    }
}

#[test]
fn a_request_that_cannot_be_read_is_an_error_and_not_the_end() {
    for op in [1, 2, 3, 4, 5, 6, 7, 8, 12, 14, 15, 17, 18, 19, 21, 22, 101, 104, 105, 106].map(OpCode) {
        let mut script = Script::new(Profile::V3_9);
        let client = script.client();
        let (bytes, closed) = script.exchange(client.conn, &encode_to_bytes(&RequestHeader { xid: 1, op }));
        assert_eq!((&bytes[16..], closed), (&(-5_i32).to_be_bytes()[..], false), "{op}");
    }
}

#[test]
fn words_are_answered_before_a_handshake() {
    let ask = |word: &[u8; 4]| {
        let mut script = Script::new(Profile::V3_8);
        let mut client = script.client();
        script.watch::<ops::Exists>(&mut client, "/a").unwrap_err();
        let conn = script.model.open(script.now, 0, Script::peer());
        script.model.handle_bytes(script.now, conn, &mut BytesMut::from(&word[..]));
        let output = script.model.take_output(conn);
        assert_eq!(output.close, Some(Close::Gently));
        String::from_utf8(output.bytes.to_vec()).unwrap()
    };
    assert_eq!((ask(b"ruok").as_str(), ask(b"isro").as_str()), ("imok", "rw"));
    assert_eq!(ask(b"wchs"), "1 connections watching 1 paths\nTotal watches:1\n");
    assert!(
        ask(b"srvr").contains("Zookeeper version: 3.8.6-")
            && ask(b"srvr").contains("\nZxid: 0x1\nMode: standalone\nNode count: 4\n")
    );
    assert!(ask(b"mntr").contains("zk_watch_count\t1\n"));
    assert!(ask(b"cons").starts_with(" /127.0.0.1:4711[1](queued=0,recved="));
    let sessions = |word| ask(word).matches(",sid=").count();
    assert_eq!((sessions(b"cons"), sessions(b"stat")), (1, 0), "stat is brief, and the asker has no session");
    assert!(ask(b"wchp").starts_with("/a\n\t0x") && ask(b"wchc").ends_with("\n\t/a\n\n"));
    assert_eq!((ask(b"conf").as_str(), ask(b"nope").as_str()), ("", ""), "words that are not answered");
}
