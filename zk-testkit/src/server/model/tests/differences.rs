//! What the comparison with real servers has found (tests/tests/live/differential.rs), pinned without Java.

use bytes::BytesMut;
use zk_proto::{
    Acl, AuthId, ErrorCode, OpCode, Permissions,
    jute::{Encode, Label, encode_to_bytes},
    multi::{MultiOp, MultiRequest},
    ops,
    records::{GetEphemeralsRequest, PathVersionRequest, RequestHeader, SetAclRequest},
};

use super::{Client, Script};
use crate::server::Profile;

/// Error code, bytes behind the header, transactions used up and whether the connection is over, for a request with
/// this body; without a reply the code is `None`.
fn ask(profile: Profile, op: i32, body: &[u8]) -> (Option<i32>, Vec<u8>, i64, bool) {
    let mut script = Script::new(profile);
    let client = script.client();
    let before = script.model.zxid().0;
    let payload = [&encode_to_bytes(&RequestHeader { xid: 1, op: OpCode(op) })[..], body].concat();
    let (bytes, closed) = script.exchange(client.conn, &payload);
    let code = bytes.get(16..20).map(|code| i32::from_be_bytes(code.try_into().unwrap()));
    let behind = bytes.get(20..).unwrap_or_default().to_vec();
    (code, behind, script.model.zxid().0 - before, closed)
}

fn codes(profile: &Profile, op: i32, body: &[u8]) -> (Option<i32>, i64) {
    let (code, _, zxids, closed) = ask(profile.clone(), op, body);
    assert!(!closed, "{op}");
    (code, zxids)
}

#[test]
fn a_write_that_cannot_be_read_takes_a_zxid_before_3_9() {
    for op in [1, 2, 5, 7, 15, 19, 21] {
        for (profile, zxids) in [(Profile::V3_5, 1), (Profile::V3_8, 1), (Profile::V3_9, 0)] {
            assert_eq!(codes(&profile, op, &[0, 0]), (Some(-5), zxids), "{op} in {}", profile.version());
        }
    }
    for profile in [Profile::V3_5, Profile::V3_9] {
        assert_eq!(codes(&profile, 14, &[0, 0]), (Some(-5), 1), "multi in {}", profile.version());
        assert_eq!(codes(&profile, 16, &[0, 0]), (Some(-5), 0), "reconfig in {}", profile.version());
    }
}

/// A path that is null, and zeros for whatever follows.
const NULL: [u8; 40] = {
    let mut body = [0; 40];
    (body[0], body[1], body[2], body[3]) = (0xFF, 0xFF, 0xFF, 0xFF);
    body
};

#[test]
fn a_path_that_is_null_can_be_read_and_fails_later() {
    for (op, code) in [(1, -5), (2, -5), (15, -5), (5, -8), (7, -8), (21, -6)] {
        assert_eq!(codes(&Profile::V3_9, op, &NULL), (Some(code), 1), "{op}");
    }
    assert_eq!(codes(&Profile::V3_9.with_ttl(), 21, &NULL), (Some(-5), 1));
    assert_eq!(codes(&Profile::V3_9, 106, &NULL), (Some(0), 0), "addWatch takes it");
    let data = [&NULL[..4], &[0, 0, 0, 2]].concat();
    for op in [17, 18] {
        assert_eq!(codes(&Profile::V3_9, op, &data), (Some(-121), 0));
        assert_eq!(codes(&Profile::V3_9, op, &NULL), (Some(-5), 0), "the type is looked at first");
    }
    assert_eq!(codes(&Profile::V3_8, 17, &data), (Some(-5), 0), "checkWatches walks up the path");
}

#[test]
fn check_watches_from_3_6_to_3_8_falls_over_a_path_without_a_slash() {
    let body = [&[0, 0, 0, 1][..], b"a", &[0, 0, 0, 1]].concat();
    for (profile, code) in [(Profile::V3_5, -121), (Profile::V3_6, -5), (Profile::V3_8, -5), (Profile::V3_9, -121)] {
        assert_eq!(codes(&profile, 17, &body), (Some(code), 0), "{}", profile.version());
    }
    assert_eq!(codes(&Profile::V3_8, 17, &[0, 0, 0, 0, 0, 0, 0, 1]), (Some(-121), 0), "the empty path has no parent");
}

#[test]
fn auth_that_cannot_be_read_costs_the_connection_and_gets_no_answer() {
    for op in [100, 102] {
        assert_eq!(ask(Profile::V3_9, op, &[0, 0]), (None, Vec::new(), 0, true));
    }
}

#[test]
fn writes_in_a_multi_read_are_refused_with_an_empty_list() {
    let op = MultiOp::Delete(PathVersionRequest { path: "/a".into(), version: -1 });
    let mut body = BytesMut::new();
    MultiRequest { ops: vec![op].into() }.encode(&mut body);
    let end = [0xFF, 0xFF, 0xFF, 0xFF, 1, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(ask(Profile::V3_9, 22, &body), (Some(-5), end.to_vec(), 0, false));
    assert_eq!(ask(Profile::V3_9, 22, &[0, 0]), (Some(-5), Vec::new(), 0, false));
}

#[test]
fn who_may_not_delete_is_told_before_3_6_that_there_is_nothing() {
    for (profile, code) in [(Profile::V3_5, ErrorCode::NO_NODE), (Profile::V3_6, ErrorCode::NO_AUTH)] {
        let mut script = Script::new(profile);
        let mut client: Client = script.client();
        script.create(&mut client, "/a", 0).unwrap();
        script.create(&mut client, "/a/b", 0).unwrap();
        let read = Acl {
            permissions: Permissions::READ,
            id: AuthId { scheme: Label::from_static("world"), id: Label::from_static("anyone") },
        };
        let request = SetAclRequest { path: "/a".into(), acl: vec![read].into(), version: -1 };
        script.call::<ops::SetAcl>(&mut client, &request).unwrap();
        assert_eq!(script.delete(&mut client, "/a/b"), Err(ErrorCode::NO_AUTH));
        assert_eq!(script.delete(&mut client, "/a/no"), Err(code));
    }
}

#[test]
fn control_characters_around_a_prefix_of_ephemerals_do_not_count() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/a", 1).unwrap();
    for (prefix, found) in [("/\0", 1), ("\u{1f}/ ", 1), (" ", 1), ("/a\0", 0), ("\u{a0}", 0)] {
        let request = GetEphemeralsRequest { prefix: Some(prefix.into()) };
        let reply = script.call::<ops::GetEphemerals>(&mut client, &request).unwrap();
        assert_eq!(reply.paths.len(), found, "{prefix:?}");
    }
}
