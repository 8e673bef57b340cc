//! What the oddities among the vectors decode to: that bytes come back unchanged does not say that they were understood.

use zk_proto::jute::{Decode, Reader, decode_from};
use zk_proto::multi::MultiResponse;
use zk_proto::records::{
    AddWatchResponse, ConnectResponse, Create2Response, CreateResponse, GetAclResponse, GetDataRequest,
    GetDataResponse, ReplyHeader, SaslResponse, SetDataRequest, SyncResponse, WatcherEvent, WhoAmIResponse,
};
use zk_proto::{ErrorCode, EventType};

use super::{Vector, all, scene};

const VERSIONS: [&str; 3] = ["3.6.4", "3.8.6", "3.9.5"];

impl Vector {
    fn header(&self) -> ReplyHeader {
        decode_from(&self.frame).unwrap()
    }

    /// The body behind a reply's header.
    fn body<T: for<'a> Decode<'a>>(&self) -> T {
        decode_from(&self.frame.slice(16..)).unwrap_or_else(|error| panic!("{}: {error}", self.place))
    }
}

/// The last frame of a scene: its reply.
fn reply(file: &str, name: &str, version: &str) -> Vector {
    scene(file, name, version).pop().unwrap()
}

fn greeting(name: &str, version: &str) -> ConnectResponse {
    decode_from(&reply("connect", name, version).frame).unwrap()
}

#[test]
fn greetings() {
    for version in VERSIONS {
        let new = greeting("connect", version);
        assert!(new.timeout_ms == 8000 && new.session_id.0 > 0 && new.read_only.0 == Some(false));
        let expired = greeting("expired", version);
        assert_eq!((expired.timeout_ms, expired.session_id.0), (0, 0));
        assert_eq!(greeting("wrong password", version), expired);
        assert_eq!(greeting("no readOnly byte", version).read_only.0, None);
        assert_eq!(greeting("read-only", version).read_only.0, Some(true));
        assert_eq!(greeting("protocolVersion 7", version).protocol_version, 0);
    }
    assert_eq!(greeting("no readOnly byte", "3.9.1").read_only.0, Some(false), "3.9.0 to 3.9.2 send it unasked");
}

#[test]
fn a_read_only_server_refuses_in_sixteen_bytes() {
    let refusal = reply("connect", "read-only refused", "3.9.5");
    assert_eq!((refusal.frame.len(), refusal.header().err), (16, ErrorCode::NOT_READ_ONLY));
    assert!(decode_from::<ConnectResponse>(&refusal.frame).is_err(), "it is no response");
}

#[test]
fn numbers_of_replies() {
    assert_eq!(reply("ping", "other xid", "3.9.5").header().xid, -2);
    assert_eq!(reply("auth", "other xid", "3.9.5").header().xid, 77);
    assert_eq!(reply("exists", "xid -77", "3.9.5").header().xid, -77);
    assert_eq!(reply("unknown", "opcode 999", "3.9.5").header().zxid.0, -1);
    let order: Vec<i32> = scene("auth", "overtaking", "3.9.5")[2..].iter().map(|reply| reply.header().xid).collect();
    assert_eq!(order, [-4, 1], "the auth packet was sent last");
}

#[test]
fn null_and_empty_and_what_stands_behind_a_record() {
    assert_eq!(reply("getData", "data null", "3.9.5").body::<GetDataResponse>().data, None);
    assert_eq!(reply("getData", "data empty", "3.9.5").body::<GetDataResponse>().data.as_deref(), Some(&b""[..]));
    assert_eq!(reply("sync", "path null", "3.9.5").body::<SyncResponse>().path, None);
    assert_eq!(reply("sync", "CESU-8", "3.9.5").body::<SyncResponse>().path.as_deref(), Some("/\u{1F600}"));
    let request = |file: &str, name: &str| scene(file, name, "3.9.5").remove(0).frame.slice(8..);
    let trailing = request("setData", "trailing bytes");
    assert_eq!(decode_from::<SetDataRequest<'_>>(&trailing).unwrap().data, Some(&b"three"[..]));
    assert!(decode_from::<GetDataRequest<'_>>(&request("getData", "bool of 2")).unwrap().watch);
}

#[test]
fn bodies_behind_errors() {
    for name in ["wrong password", "second exchange"] {
        let refused = reply("sasl", name, "3.9.5");
        assert_eq!(refused.header().err, ErrorCode::AUTH_FAILED);
        assert!(refused.body::<SaslResponse>().token.is_none());
    }
    assert!(reply("sasl", "no SASL here", "3.9.5").body::<SaslResponse>().token.is_none(), "and no error");
    let reads = reply("multiRead", "write inside", "3.9.5");
    assert_eq!(reads.header().err, ErrorCode::MARSHALLING_ERROR);
    assert_eq!(
        (reads.body::<MultiResponse>().failure(), reads.frame.len()),
        (None, 16 + 9),
        "the end of a list, and no result"
    );
}

#[test]
fn transactions() {
    for version in VERSIONS {
        let failed = reply("multi", "failed", version);
        assert_eq!(failed.header().err, ErrorCode::OK, "the failure is in the body");
        assert_eq!(failed.body::<MultiResponse>().failure(), Some((1, ErrorCode::NODE_EXISTS)));
        assert_eq!(reply("multi", "empty", version).body::<MultiResponse>().failure(), None);
        for (name, code) in [
            ("failed", ErrorCode::BAD_VERSION),
            ("missing", ErrorCode::NO_NODE),
            ("no permission", ErrorCode::NO_AUTH),
            ("path invalid", ErrorCode::BAD_ARGUMENTS),
        ] {
            assert_eq!(reply("check", name, version).body::<MultiResponse>().failure(), Some((0, code)), "{name}");
        }
    }
    let result_type = |name: &str, version: &str| reply("multi", name, version).frame[19];
    for (version, expected) in [("3.6.4", 1), ("3.8.1", 1), ("3.8.6", 15), ("3.9.5", 15)] {
        assert_eq!(result_type("create2 inside", version), expected, "{version}");
        assert_eq!(result_type("createContainer inside", version), 15, "{version}");
    }
    assert_eq!(result_type("createTTL inside", "3.9.5"), 15);
}

#[test]
fn names_and_identities() {
    let path = |name: &str| reply("create", name, "3.9.5").body::<CreateResponse>().path.to_string();
    assert!(path("sequential").starts_with("/v/n-00000") && path("sequential below a slash").starts_with("/v/00000"));
    let created: Create2Response = reply("create2", "ephemeral", "3.9.5").body();
    assert!(created.stat.ephemeral_owner.0 > 0);
    let acl: GetAclResponse = reply("getACL", "masked", "3.9.5").body();
    assert!(acl.acl.iter().any(|acl| format!("{}:{}", acl.id.scheme, acl.id.id) == "digest:joe:x"), "{:?}", acl.acl);
    let who: WhoAmIResponse = reply("whoAmI", "digest", "3.9.5").body();
    assert!(who.identities.iter().any(|who| who.scheme == "digest" && who.user == "bob"), "{:?}", who.identities);
}

/// Zxid, type and path of the events of a scene.
fn events(file: &str, name: &str, version: &str) -> Vec<(i64, EventType, String)> {
    let events = scene(file, name, version).into_iter().filter(|vector| vector.kind == "notification");
    let event = |vector: Vector| {
        let mut reader = Reader::new(&vector.frame);
        let header = ReplyHeader::decode(&mut reader).unwrap();
        let event = WatcherEvent::decode(&mut reader).unwrap();
        (header.zxid.0, event.event_type, event.path.to_string())
    };
    events.map(event).collect()
}

// goal: W3
#[test]
fn events_of_a_transaction_share_a_zxid_on_3_9_and_have_none_before() {
    for version in VERSIONS {
        let events = events("notification", "one transaction", version);
        let [(one, _, x), (other, _, y)] = &events[..] else { panic!("{version}: {events:?}") };
        assert_eq!((one, &x[..], &y[..]), (other, "/w/x", "/w/y"));
        assert_eq!(*one > 0, version == "3.9.5", "{version}: {one}");
    }
}

// goal: W3
#[test]
fn what_was_missed_is_told_before_the_reply_and_without_a_zxid() {
    let expected = [
        (-1, EventType::NODE_DATA_CHANGED, "/w/a".to_owned()),
        (-1, EventType::NODE_DELETED, "/w/gone".to_owned()),
        (-1, EventType::NODE_CREATED, "/w/y".to_owned()),
        (-1, EventType::NODE_CHILDREN_CHANGED, "/w/p".to_owned()),
    ];
    for version in VERSIONS {
        for file in ["setWatches", "setWatches2"] {
            assert_eq!(events(file, file, version), expected, "{file} on {version}");
            assert_eq!(reply(file, file, version).kind, "reply", "the reply is last");
        }
    }
}

#[test]
fn watches_differ_before_3_9() {
    let err = |file: &str, name: &str, version: &str| reply(file, name, version).header().err;
    for (version, persistent, half, other) in [
        ("3.6.4", ErrorCode::MARSHALLING_ERROR, ErrorCode::OK, ErrorCode::OK),
        ("3.8.6", ErrorCode::MARSHALLING_ERROR, ErrorCode::OK, ErrorCode::OK),
        ("3.9.5", ErrorCode::OK, ErrorCode::NO_WATCHER, ErrorCode::NO_WATCHER),
    ] {
        assert_eq!(err("removeWatches", "persistent", version), persistent, "{version}");
        assert_eq!(err("removeWatches", "persistent recursive", version), persistent, "{version}");
        assert_eq!(err("removeWatches", "data of a persistent watch", version), half, "{version}");
        assert_eq!(err("checkWatches", "another's watch", version), other, "{version}");
        assert_eq!(reply("addWatch", "addWatch", version).body::<AddWatchResponse>().err.0, Some(0));
    }
}

/// Codes that no frame of a server carries in its header, and why.
const NEVER_SENT: [(ErrorCode, &str); 6] = [
    (ErrorCode::SYSTEM_ERROR, "a mark in a range"),
    (ErrorCode::RUNTIME_INCONSISTENCY, "in results of a multi only"),
    (ErrorCode::DATA_INCONSISTENCY, "nothing sends it"),
    (ErrorCode::UNKNOWN_SESSION, "between servers"),
    (ErrorCode::API_ERROR, "a mark in a range"),
    (ErrorCode::SESSION_MOVED, "the server closes the connection instead"),
];

// goal: P1
#[test]
fn every_error_code_was_seen() {
    let seen: Vec<ErrorCode> = all()
        .into_iter()
        .flat_map(|(_, vectors)| vectors)
        .filter(|vector| vector.kind == "refused")
        .map(|vector| vector.header().err)
        .collect();
    let known = (-200..0).map(ErrorCode).filter(|code| code.name().is_some());
    let missing: Vec<ErrorCode> =
        known.filter(|code| seen.contains(code) == NEVER_SENT.iter().any(|(never, _)| never == code)).collect();
    assert!(missing.is_empty(), "no refused vector, or one after all: {missing:?}");
}

/// What any request can be answered; see the documentation of `zk_proto::records`.
const COMMON: [ErrorCode; 5] = [
    ErrorCode::MARSHALLING_ERROR,
    ErrorCode::SESSION_EXPIRED,
    ErrorCode::NOT_READ_ONLY,
    ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
    ErrorCode::THROTTLED_OP,
];

/// Real servers refuse an operation only as the table says; one that is too new for a server is unknown to it.
#[test]
fn refusals_are_those_of_the_table() {
    let mut count = 0;
    for (op, since) in zk_proto::ops::TABLE {
        for vector in super::load(&format!("{}.hex", op.text().unwrap())).unwrap_or_default() {
            if vector.kind != "refused" {
                continue;
            }
            count += 1;
            let err = vector.header().err;
            let listed = COMMON.contains(&err) || zk_proto::ops::errors(*op).contains(&err);
            let too_new = err == ErrorCode::UNIMPLEMENTED && *since > "3.4";
            assert!(listed || too_new, "{}: {op} is refused with {err}", vector.place);
        }
    }
    assert!(count > 60, "{count} refusals");
}
