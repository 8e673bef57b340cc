//! Sessions and connections: protocol.md sections 2.2 to 2.7.

use std::time::Duration;

use bytes::BytesMut;
use zk_proto::{
    ErrorCode, Op as _, SessionId, Zxid,
    jute::{Tail, encode_to_bytes},
    ops,
    records::{ConnectRequest, Empty, RequestHeader, Secret},
};

use super::{Script, plain};
use crate::server::{
    Profile,
    model::{Close, ConnectAnswer},
};

#[test]
fn a_session_that_is_not_there_is_expired_in_37_bytes() {
    let mut script = Script::new(Profile::V3_9);
    let (_, bytes, closed) = script.greet(SessionId(4711), &[0; 16], Zxid(0));
    let mut expected = vec![0, 0, 0, 37];
    expected.extend([0; 4 + 4 + 8]);
    expected.extend([0, 0, 0, 16]);
    expected.extend([0; 17]);
    assert_eq!((&bytes[..], closed), (&expected[..], true));
}

#[test]
fn a_client_without_the_read_only_byte_gets_none() {
    let mut script = Script::new(Profile::V3_9);
    let conn = script.model.open(script.now, 0, Script::peer());
    let request = ConnectRequest {
        protocol_version: 7,
        last_zxid_seen: Zxid(0),
        timeout_ms: 0,
        session_id: SessionId::NONE,
        password: None,
        read_only: Tail(None),
    };
    let (bytes, closed) = script.exchange(conn, &encode_to_bytes(&request));
    assert_eq!((bytes.len(), closed), (4 + 36, false));
    assert_eq!(bytes[4..12], [0, 0, 0, 0, 0, 0, 3, 0xe8], "version 0, two ticks of 500 ms");
}

#[test]
fn a_server_behind_the_client_hangs_up_without_a_word() {
    let mut script = Script::new(Profile::V3_9);
    let client = script.client();
    let ahead = Zxid(script.model.zxid().0 + 1);
    let (_, bytes, closed) = script.greet(client.session, &client.password, ahead);
    assert!(bytes.is_empty() && closed);
    assert_eq!(script.model.take_output(client.conn).close, None, "the old connection survives");
}

#[test]
fn resuming_takes_the_session_and_kicks_the_old_connection() {
    let mut script = Script::new(Profile::V3_9);
    let client = script.client();
    let zxid = script.model.zxid();
    let again = script.resume(client.session, &client.password).unwrap();
    assert_eq!((again.session, &again.password), (client.session, &client.password));
    assert_eq!(script.model.take_output(client.conn).close, Some(Close::Gently));
    assert_eq!(script.model.zxid(), zxid, "a renewal is no transaction");
    // so does a wrong password, but without getting the session
    assert!(script.resume(client.session, b"wrong password!!").is_none());
    assert_eq!(script.model.take_output(again.conn).close, Some(Close::Gently));
    assert!(script.resume(client.session, &client.password).is_some());
}

#[test]
fn a_silent_session_expires_with_its_ephemerals_in_one_transaction() {
    let mut script = Script::new(Profile::V3_9);
    let (mut client, mut watcher) = (script.client(), script.client());
    script.create(&mut client, "/e1", 1).unwrap();
    script.create(&mut client, "/e2", 1).unwrap();
    for path in ["/e1", "/e2"] {
        script.watch::<ops::Exists>(&mut watcher, path).unwrap();
    }
    script.now = Duration::from_millis(2400);
    script.call::<ops::Ping>(&mut watcher, &Empty {}).unwrap();
    assert_eq!(script.model.poll_timeout(), Some(Duration::from_millis(2500)));
    script.model.handle_timeout(Duration::from_millis(2499));
    assert!(script.seen(&mut watcher).is_empty());
    let zxid = script.model.zxid().0 + 1;
    script.model.handle_timeout(Duration::from_millis(2500));
    assert_eq!(script.seen(&mut watcher), [format!("DELETED /e1 @{zxid}"), format!("DELETED /e2 @{zxid}")]);
    assert_eq!(script.model.zxid().0, zxid);
    assert_eq!(script.model.take_output(client.conn).close, Some(Close::Gently));
    assert!(script.resume(client.session, &client.password).is_none());
}

#[test]
fn closing_removes_ephemerals_before_the_reply() {
    let mut script = Script::new(Profile::V3_9);
    let (mut client, mut watcher) = (script.client(), script.client());
    script.create(&mut client, "/e", 1).unwrap();
    script.watch::<ops::Exists>(&mut client, "/e").unwrap();
    script.watch::<ops::GetChildren>(&mut watcher, "/").unwrap();
    let before = client.zxid.0;
    script.call::<ops::CloseSession>(&mut client, &Empty {}).unwrap();
    assert_eq!((client.zxid.0, client.closed), (before + 1, true));
    assert_eq!(plain(&script.seen(&mut client)), ["DELETED /e"]);
    assert_eq!(plain(&script.seen(&mut watcher)), ["CHILDREN_CHANGED /"]);
    assert!(script.resume(client.session, &client.password).is_none());
}

#[test]
fn a_lost_connection_loses_its_watches_and_not_its_session() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/e", 1).unwrap();
    script.watch::<ops::GetData>(&mut client, "/e").unwrap();
    script.model.close(client.conn);
    assert_eq!(script.model.watch_count(), 0);
    assert!(script.model.get("/e").is_some());
    assert_eq!(script.model.sessions()[0].ephemerals, ["/e"]);
    assert!(script.resume(client.session, &client.password).is_some());
}

#[test]
fn auth_and_sasl_do_not_keep_a_session_alive() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.now = Duration::from_millis(2400);
    let packet =
        zk_proto::records::AuthPacket { auth_type: 0, scheme: "digest".into(), auth: Some(Secret(b"bob:secret")) };
    script.call::<ops::Auth>(&mut client, &packet).unwrap();
    assert_eq!(client.zxid, Zxid(0));
    let who = script.model.poll_timeout();
    assert_eq!(who, Some(Duration::from_millis(2500)));
    let reply = script.call::<ops::WhoAmI>(&mut client, &Empty {}).unwrap();
    let identities = reply.identities.to_vec();
    let users: Vec<_> = identities.iter().map(|id| (id.scheme.as_str(), id.user.as_str())).collect();
    assert_eq!(users, [("ip", "127.0.0.1"), ("digest", "bob")]);
    assert_eq!(script.model.poll_timeout(), Some(Duration::from_millis(4500)));
    let bad = zk_proto::records::AuthPacket { auth_type: 0, scheme: "x".into(), auth: Some(Secret(b"")) };
    assert_eq!(script.call::<ops::Auth>(&mut client, &bad).map(|_| ()), Err(ErrorCode::AUTH_FAILED));
    assert!(client.closed);
}

#[test]
fn who_says_nothing_is_hung_up_on() {
    let mut script = Script::new(Profile::V3_9);
    let conn = script.model.open(script.now, 0, Script::peer());
    script.model.handle_timeout(Duration::from_secs(10));
    assert_eq!(script.model.take_output(conn).close, Some(Close::Gently));
}

#[test]
fn frames_that_cannot_be_end_the_connection() {
    for prefix in [0x0010_0000_u32, 0xffff_ffff, 0x7275_6f6b, 7] {
        let mut script = Script::new(Profile::V3_9);
        let client = script.client();
        let mut inbox = BytesMut::from(&prefix.to_be_bytes()[..]);
        script.model.handle_bytes(script.now, client.conn, &mut inbox);
        let output = script.model.take_output(client.conn);
        assert_eq!((output.bytes.len(), output.close), (0, Some(Close::Gently)), "{prefix:#x}");
    }
}

#[test]
fn a_ping_is_answered_as_a_ping_whatever_its_xid() {
    let mut script = Script::new(Profile::V3_9);
    let client = script.client();
    let (bytes, _) = script.exchange(client.conn, &encode_to_bytes(&RequestHeader { xid: 9, op: ops::Ping::CODE }));
    assert_eq!(bytes[..], [0, 0, 0, 16, 255, 255, 255, 254, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn connects_go_wrong_by_script() {
    let mut script = Script::new(Profile::V3_9);
    let client = script.client();
    let mut answer = |answer: ConnectAnswer| {
        script.model.script_connect(answer);
        script.greet(client.session, &client.password, Zxid(0))
    };
    let (_, bytes, closed) = answer(ConnectAnswer::Close);
    assert!(bytes.is_empty() && closed);
    let (_, bytes, closed) = answer(ConnectAnswer::ReadOnlyRefusal);
    assert_eq!((bytes.len(), &bytes[16..], closed), (20, &(-119_i32).to_be_bytes()[..], false));
    let (_, bytes, closed) = answer(ConnectAnswer::Expired);
    assert_eq!((&bytes[8..20], closed), (&[0; 12][..], true));
    let (_, bytes, closed) = answer(ConnectAnswer::AnotherId);
    assert!(bytes[12..20] != client.session.0.to_be_bytes() && bytes[8..12] != [0; 4] && !closed);
    let (_, bytes, _) = answer(ConnectAnswer::Bytes("HTTP".into()));
    assert_eq!(&bytes[..], b"HTTP");
    let (_, bytes, closed) = answer(ConnectAnswer::Followed("HTTP".into()));
    assert_eq!((&bytes[12..20], &bytes[41..], closed), (&client.session.0.to_be_bytes()[..], &b"HTTP"[..], false));
    assert!(script.resume(client.session, &client.password).is_some(), "the scripts are used up");
}

#[test]
fn a_read_only_server_takes_who_will_do_with_it_and_no_writes() {
    let mut script = Script::new(Profile::V3_9);
    let client = script.client();
    script.model.set_read_only(true);
    assert_eq!(script.model.take_output(client.conn).close, Some(Close::Gently));
    let (_, bytes, closed) = script.greet(SessionId::NONE, &[0; 16], Zxid(0));
    assert!(bytes.is_empty() && closed);
}
