//! Many watches in many frames, and connections that break between them.

use super::script::{Script, Sent, accept_frame, config, read_frames};
use crate::{
    ErrorCode, OpCode, SessionConfig,
    id::Zxid,
    jute::decode_from,
    records::{SetWatches2Request, SetWatchesRequest},
    session::{REARM_FRAME_BYTES_MAX, WatchKind, xid},
    watch::EventType,
};
use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use bytes::BytesMut;

const KINDS: [WatchKind; 5] =
    [WatchKind::Data, WatchKind::Exist, WatchKind::Child, WatchKind::Persistent, WatchKind::PersistentRecursive];

/// The paths of a re-arm frame with their lists, and the zxid that they are compared with.
fn lists(op: OpCode, body: &bytes::Bytes) -> (Zxid, Vec<(usize, String)>) {
    let (zxid, lists) = if op == OpCode::SET_WATCHES2 {
        let r: SetWatches2Request<'_> = decode_from(body).unwrap();
        assert!(!r.persistent.is_empty() || !r.recursive.is_empty(), "setWatches would do");
        (r.relative_zxid, alloc::vec![r.data, r.exist, r.child, r.persistent, r.recursive])
    } else {
        assert_eq!(op, OpCode::SET_WATCHES);
        let r: SetWatchesRequest<'_> = decode_from(body).unwrap();
        (r.relative_zxid, alloc::vec![r.data, r.exist, r.child])
    };
    let paths = lists.into_iter().enumerate();
    (zxid, paths.flat_map(|(list, paths)| paths.to_strings().into_iter().map(move |path| (list, path))).collect())
}

// goal: N1
#[test]
fn ten_thousand_long_paths_leave_in_small_frames_each_path_once() {
    let mut s = Script::<i32>::up();
    let mut expected = BTreeSet::new();
    for n in 1..=10_000 {
        let list = usize::try_from(n).unwrap() % KINDS.len();
        let path = format!("/{n:0>width$}", width = 100 + list * 100);
        s.watch(KINDS[list], &path, n);
        s.reply(n, 0x77, if list == 1 { ErrorCode::NO_NODE } else { ErrorCode::OK });
        expected.insert((list, path));
    }
    s.sent_bytes();
    s.reconnect();
    let (mut wire, mut greeted, mut seen) = (s.sent_bytes(), false, BTreeSet::new());
    let mut frames = 0;
    while let Some(prefix) = wire.first_chunk::<4>() {
        let len = 4 + usize::try_from(u32::from_be_bytes(*prefix)).unwrap();
        assert!(len <= REARM_FRAME_BYTES_MAX, "{len}");
        let mut frame: BytesMut = wire.split_to(len);
        let Some(Sent::Request { op, body, .. }) = read_frames(&mut frame, &mut greeted).pop() else { continue };
        let (zxid, paths) = lists(op, &body);
        assert_eq!(zxid, Zxid(0x77));
        for entry in paths {
            assert!(seen.insert(entry), "a path came twice");
        }
        frames += 1;
    }
    assert_eq!(seen, expected);
    assert_eq!(frames, 24, "for 3 MB");
}

#[test]
fn a_path_longer_than_a_frame_should_be_has_a_frame_of_its_own() {
    let mut s = Script::<i32>::up();
    let long = |fill: &str| format!("/{}", fill.repeat(REARM_FRAME_BYTES_MAX));
    for (n, path) in (1..).zip(["/0".into(), long("a"), long("b"), "/z".into()]) {
        s.watch(WatchKind::Data, &path, n);
        s.ok([n]);
    }
    s.reconnect();
    let frames = s.sent_frames();
    let counts: Vec<usize> = frames
        .iter()
        .filter_map(|frame| {
            let Sent::Request { op: OpCode::SET_WATCHES, body, .. } = frame else { return None };
            Some(lists(OpCode::SET_WATCHES, body).1.len())
        })
        .collect();
    assert_eq!(counts, [1, 1, 1, 1]);
}

/// Two data watches whose paths do not fit into one frame.
fn two_frames() -> (Script<i32>, [String; 2]) {
    let mut s = Script::up();
    let paths = ["a", "b"].map(|fill| format!("/{}", fill.repeat(REARM_FRAME_BYTES_MAX * 2 / 3)));
    for (n, path) in (1..).zip(&paths) {
        s.watch(WatchKind::Data, path, n);
        s.reply(n, 0x10, ErrorCode::OK);
    }
    s.reconnect();
    s.events();
    s.sent_frames();
    (s, paths)
}

/// The zxid that each path is compared with on the next connection.
fn compared_with(s: &mut Script<i32>) -> Vec<(Zxid, String)> {
    s.reconnect();
    let mut compared = Vec::new();
    for frame in s.sent_frames() {
        if let Sent::Request { op: op @ OpCode::SET_WATCHES, body, .. } = frame {
            let (zxid, paths) = lists(op, &body);
            compared.extend(paths.into_iter().map(|(_, path)| (zxid, path)));
        }
    }
    compared
}

/// Both znodes changed at 0x20. The server compared the first and said so in a reply with zxid 0x20, then
/// the connection broke: the second watch must still be compared with 0x10, or its change is never told.
#[test]
fn a_cut_between_two_frames_of_watches_hides_no_change() {
    let (mut s, [first, second]) = two_frames();
    s.fire(EventType::NODE_DATA_CHANGED, &first);
    s.reply(3, 0x20, ErrorCode::OK);
    assert_eq!(compared_with(&mut s), [(Zxid(0x10), second)]);
    assert_eq!(s.session.last_zxid(), Zxid(0x20), "what was seen counts all the same");
}

#[test]
fn watches_that_are_set_again_are_compared_with_the_newest_zxid() {
    let (mut s, [first, second]) = two_frames();
    s.reply(3, 0x20, ErrorCode::OK);
    s.reply(4, 0x20, ErrorCode::OK);
    s.reply(xid::PING, 0x30, ErrorCode::OK);
    assert_eq!(compared_with(&mut s), [(Zxid(0x30), first), (Zxid(0x30), second)]);
}

#[test]
fn a_server_that_refuses_the_watches_is_left() {
    let mut s = Script::up();
    s.watch(WatchKind::Persistent, "/p", "p");
    s.ok([1]);
    s.reconnect();
    s.call("a");
    s.events();
    s.reply(2, 0x20, ErrorCode::MARSHALLING_ERROR);
    assert_eq!(s.events(), ["lost WatchesRefused(MARSHALLING_ERROR(-5))", "a: ConnectionLost Unknown"]);
    s.reconnect();
    let rearm = r#"4 setWatches2 since 0x1 data[] exist[] child[] persistent["/p"] recursive[]"#;
    assert_eq!(s.sent().last().unwrap(), rearm, "it is tried again elsewhere, and compared with the old zxid");
}

#[test]
fn a_server_that_wants_authentication_before_the_watches_ends_the_session() {
    let mut s = Script::up();
    s.watch(WatchKind::Persistent, "/p", "p");
    s.ok([1]);
    s.reconnect();
    s.events();
    s.reply(2, 0, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
    assert_eq!(s.events(), ["ended AuthFailed(SESSION_CLOSED_REQUIRE_SASL_AUTH(-124))"]);
}

/// The wrap falls between the frames.
#[test]
fn frames_of_watches_have_xids_of_their_own() {
    let mut s = Script::<i32>::up_with(SessionConfig { first_xid: i32::MAX - 2, ..config() });
    for path in ["a", "b"].map(|fill| format!("/{}", fill.repeat(REARM_FRAME_BYTES_MAX * 2 / 3))) {
        s.watch(WatchKind::Data, &path, 0);
    }
    s.ok([i32::MAX - 2, i32::MAX - 1]);
    s.sent();
    s.session.handle_closed();
    s.dial();
    s.receive(&accept_frame(super::script::ID, 6000));
    s.call(7);
    let frames = s.sent_frames();
    let xids = frames.iter().filter_map(|frame| match frame {
        Sent::Request { xid, op, .. } => Some((*xid, *op)),
        Sent::Connect { .. } => None,
    });
    let expected = [(i32::MAX, OpCode::SET_WATCHES), (1, OpCode::SET_WATCHES), (2, OpCode::GET_DATA)];
    assert_eq!(xids.collect::<Vec<_>>(), expected);
    s.ok([i32::MAX, 1, 2]);
    assert_eq!(s.events().last().unwrap(), "7: ok");
}
