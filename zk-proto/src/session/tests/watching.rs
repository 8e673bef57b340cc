//! Which watches stand: what sets one, what takes it away.

use super::script::{Script, set_watch};
use crate::{
    ErrorCode,
    frame::REQUEST_LEN_MAX,
    ops,
    records::WatchesRequest,
    session::{Change, EncodedRequest, WatchKind},
    watch::{EventType, WatchMode, WatcherType},
};
use alloc::string::String;

/// What a new connection would set again: the frame without its xid.
fn rearmed(s: &mut Script) -> String {
    s.reconnect();
    s.events();
    let sent = s.sent();
    let lines = sent.iter().filter_map(|line| line.split_once(" setWatches"));
    lines.map(|(_, watches)| watches).collect()
}

fn remove(s: &mut Script, change: Change, ticket: &'static str) {
    let request = WatchesRequest { path: "/a".into(), watcher_type: WatcherType::ANY };
    let request = EncodedRequest::new::<ops::RemoveWatches>(&request, REQUEST_LEN_MAX).unwrap();
    s.submit(request, Some(change), ticket);
}

// goal: N1
#[test]
fn every_kind_of_watch_is_set_again_from_its_own_list() {
    let mut s = Script::up();
    s.watch(WatchKind::Data, "/data", "data");
    s.watch(WatchKind::Exist, "/there", "there");
    s.watch(WatchKind::Exist, "/missing", "missing");
    s.watch(WatchKind::Child, "/child", "child");
    s.watch(WatchKind::Persistent, "/p", "persistent");
    s.watch(WatchKind::PersistentRecursive, "/r", "recursive");
    s.ok([1, 2]);
    s.reply(3, 1, ErrorCode::NO_NODE);
    s.ok([4, 5, 6]);
    assert_eq!(s.session.watched_paths(), 6);
    let lists =
        r#"2 since 0x1 data["/data", "/there"] exist["/missing"] child["/child"] persistent["/p"] recursive["/r"]"#;
    assert_eq!(rearmed(&mut s), lists);
    assert!(s.session.is_watched("/p", WatchMode::PERSISTENT));
    assert!(!s.session.is_watched("/p", WatchMode::PERSISTENT_RECURSIVE));
    assert!(s.session.is_watched("/r", WatchMode::PERSISTENT_RECURSIVE));
}

/// Servers before 3.6 do not know setWatches2.
#[test]
fn without_persistent_watches_the_old_set_watches_is_sent() {
    let mut s = Script::up();
    s.watch(WatchKind::Data, "/d", "data");
    s.ok([1]);
    assert_eq!(rearmed(&mut s), r#" since 0x1 data["/d"] exist[] child[]"#);
}

#[test]
fn a_read_that_failed_leaves_no_watch() {
    let mut s = Script::up();
    for (xid, kind) in (1..).zip([WatchKind::Data, WatchKind::Child, WatchKind::Exist, WatchKind::Persistent]) {
        s.watch(kind, "/a", "a");
        let err = if kind == WatchKind::Data { ErrorCode::NO_NODE } else { ErrorCode::NO_AUTH };
        s.reply(xid, 1, err);
    }
    assert_eq!(s.session.watched_paths(), 0);
    assert_eq!(rearmed(&mut s), "");
}

#[test]
fn a_watch_whose_answer_was_lost_is_not_set() {
    let mut s = Script::up();
    s.watch(WatchKind::Data, "/a", "a");
    assert_eq!(rearmed(&mut s), "");
}

#[test]
fn a_fired_one_shot_watch_is_gone_and_a_persistent_one_stays() {
    use EventType as E;
    let all = [WatchKind::Data, WatchKind::Child, WatchKind::Persistent, WatchKind::PersistentRecursive];
    for (event, left) in [
        (E::NODE_DATA_CHANGED, r#"data[] exist[] child["/a"]"#),
        (E::NODE_CREATED, r#"data[] exist[] child["/a"]"#),
        (E::NODE_CHILDREN_CHANGED, r#"data["/a"] exist[] child[]"#),
        (E::NODE_DELETED, "data[] exist[] child[]"),
        (EventType(77), r#"data["/a"] exist[] child["/a"]"#),
    ] {
        let mut s = Script::up();
        all.into_iter().for_each(|kind| s.watch(kind, "/a", "a"));
        s.ok(1..=4);
        s.fire(event, "/a");
        s.fire(event, "/elsewhere");
        let expected = alloc::format!(r#"2 since 0x1 {left} persistent["/a"] recursive["/a"]"#);
        assert_eq!(rearmed(&mut s), expected, "after {event:?}");
    }
}

#[test]
fn a_fired_watch_for_a_creation_is_gone() {
    let mut s = Script::up();
    s.watch(WatchKind::Exist, "/a", "a");
    s.reply(1, 1, ErrorCode::NO_NODE);
    s.fire(EventType::NODE_CREATED, "/a");
    assert_eq!(rearmed(&mut s), "");
    assert_eq!(s.session.watched_paths(), 0);
}

#[test]
fn a_removed_watch_stays_removed_although_the_answer_was_lost() {
    let mut s = Script::up();
    s.watch(WatchKind::Persistent, "/a", "add");
    s.watch(WatchKind::PersistentRecursive, "/a", "add recursive");
    s.ok([1, 2]);
    remove(&mut s, Change::Remove(WatchKind::Persistent, "/a".into()), "remove");
    assert_eq!(rearmed(&mut s), r#"2 since 0x1 data[] exist[] child[] persistent[] recursive["/a"]"#);
    remove(&mut s, Change::RemoveAll("/a".into()), "remove all");
    assert_eq!(rearmed(&mut s), "");
}

/// The addWatch was on its way when its removal was asked for, and the connection broke between the answers.
#[test]
fn a_removal_also_covers_a_watch_that_is_answered_after_it_left() {
    for change in [Change::Remove(WatchKind::Persistent, "/a".into()), Change::RemoveAll("/a".into())] {
        let mut s = Script::up();
        s.watch(WatchKind::Persistent, "/a", "add");
        remove(&mut s, change.clone(), "remove");
        s.ok([1]);
        assert_eq!(rearmed(&mut s), "", "{change:?}, answer lost");

        let mut s = Script::up();
        s.watch(WatchKind::Persistent, "/a", "add");
        remove(&mut s, change, "remove");
        s.ok([1, 2]);
        assert_eq!(rearmed(&mut s), "");
    }
}

#[test]
fn a_watch_that_is_set_behind_its_removal_stands() {
    let mut s = Script::up();
    s.watch(WatchKind::Persistent, "/a", "add");
    remove(&mut s, Change::Remove(WatchKind::Persistent, "/a".into()), "remove");
    s.watch(WatchKind::Persistent, "/a", "add again");
    s.ok([1, 2, 3]);
    assert_eq!(rearmed(&mut s), r#"2 since 0x1 data[] exist[] child[] persistent["/a"] recursive[]"#);
}

#[test]
fn removing_one_kind_leaves_the_others() {
    let mut s = Script::up();
    for kind in [WatchKind::Data, WatchKind::Child, WatchKind::Persistent] {
        let (request, change) = set_watch(kind, "/a");
        s.submit(request, Some(change), "a");
    }
    s.ok([1, 2, 3]);
    remove(&mut s, Change::Remove(WatchKind::Data, "/a".into()), "remove");
    s.ok([4]);
    assert_eq!(rearmed(&mut s), r#"2 since 0x1 data[] exist[] child["/a"] persistent["/a"] recursive[]"#);
}

// goal: W3
#[test]
fn events_carry_the_zxid_where_the_server_sends_it() {
    let mut s = Script::<&str>::up();
    s.receive(&super::script::event_frame(EventType::NODE_CREATED, "/a", 0x1_0000_0005));
    s.fire(EventType::NODE_DELETED, "/a");
    assert_eq!(s.events(), ["/a created (1) 0x100000005", "/a deleted (2) 0xffffffffffffffff"]);
}
