//! Watches: protocol.md sections 4.3, 4.4 and 4.6.

use zk_proto::{
    Acl, ErrorCode, Permissions, WatchMode, Zxid,
    jute::List,
    ops,
    records::{AddWatchRequest, SetAclRequest, SetWatches2Request, SetWatchesRequest, WatchesRequest},
    watch::WatcherType,
};

use super::{Client, Script, plain};
use crate::server::Profile;

/// The kinds of section 4.3's columns.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Data,
    Exist,
    Child,
    Persistent,
    Recursive,
}
use Kind::{Child, Data, Exist, Persistent, Recursive};

fn add(script: &mut Script, client: &mut Client, path: &str, kind: Kind) -> Result<(), ErrorCode> {
    let mode = match kind {
        Data => return script.watch::<ops::GetData>(client, path),
        Exist => return script.watch::<ops::Exists>(client, path),
        Child => return script.watch::<ops::GetChildren>(client, path),
        Persistent => WatchMode::PERSISTENT,
        Recursive => WatchMode::PERSISTENT_RECURSIVE,
    };
    script.call::<ops::AddWatch>(client, &AddWatchRequest { path: path.into(), mode }).map(|_| ())
}

/// What somebody else does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create(&'static str),
    Delete(&'static str),
    Set(&'static str),
    SetAcl(&'static str),
}

fn run(script: &mut Script, client: &mut Client, step: Step) {
    match step {
        Step::Create(path) => script.create(client, path, 0).map(|_| ()),
        Step::Delete(path) => script.delete(client, path),
        Step::Set(path) => script.set(client, path, -1).map(|_| ()),
        Step::SetAcl(path) => {
            let request =
                SetAclRequest { path: path.into(), acl: zk_proto::records::OPEN_ACL_UNSAFE.into(), version: -1 };
            script.call::<ops::SetAcl>(client, &request).map(|_| ())
        }
    }
    .expect("steps succeed");
}

/// One cell of the table: what exists, which watch, what happens, what is seen.
fn cell(profile: Profile, exists: &[&str], watch: (Kind, &str), step: Step, expected: &[&str]) {
    let mut script = Script::new(profile);
    let mut author = script.client();
    for path in exists {
        script.create(&mut author, path, 0).expect("the parent is there");
    }
    let mut watcher = script.client();
    let _ = add(&mut script, &mut watcher, watch.1, watch.0);
    run(&mut script, &mut author, step);
    let zxid = author.zxid.0;
    let seen = script.seen(&mut watcher);
    assert_eq!(plain(&seen), expected, "{watch:?} {step:?}");
    assert!(seen.iter().all(|event| event.ends_with(&format!("@{zxid}"))), "{seen:?} not at {zxid}");
}

const G: &[&str] = &["/g"];
const P: &[&str] = &["/g", "/g/p"];
const N: &[&str] = &["/g", "/g/p", "/g/p/n"];
const C: &[&str] = &["/g", "/g/p", "/g/p/n", "/g/p/n/c"];

fn check(exists: &[&str], watch: (Kind, &str), step: Step, expected: &[&str]) {
    cell(Profile::V3_9, exists, watch, step, expected);
}

#[test]
fn row_create_n() {
    let step = Step::Create("/g/p/n");
    for kind in [Exist, Persistent, Recursive] {
        check(P, (kind, "/g/p/n"), step, &["CREATED /g/p/n"]);
    }
    for kind in [Data, Child] {
        check(P, (kind, "/g/p/n"), step, &[]);
    }
    for kind in [Child, Persistent] {
        check(P, (kind, "/g/p"), step, &["CHILDREN_CHANGED /g/p"]);
    }
    for path in ["/g/p", "/g", "/"] {
        check(P, (Recursive, path), step, &["CREATED /g/p/n"]);
    }
    for kind in [Data, Exist] {
        check(P, (kind, "/g/p"), step, &[]);
    }
    for kind in [Data, Exist, Child, Persistent] {
        check(P, (kind, "/g"), step, &[]);
    }
}

#[test]
fn row_delete_n() {
    let step = Step::Delete("/g/p/n");
    for kind in [Data, Exist, Child, Persistent, Recursive] {
        check(N, (kind, "/g/p/n"), step, &["DELETED /g/p/n"]);
    }
    for kind in [Child, Persistent] {
        check(N, (kind, "/g/p"), step, &["CHILDREN_CHANGED /g/p"]);
    }
    for path in ["/g/p", "/g", "/"] {
        check(N, (Recursive, path), step, &["DELETED /g/p/n"]);
    }
    for kind in [Data, Exist, Child, Persistent] {
        check(N, (kind, "/g"), step, &[]);
    }
}

#[test]
fn row_set_data_n() {
    let step = Step::Set("/g/p/n");
    for kind in [Data, Exist, Persistent, Recursive] {
        check(N, (kind, "/g/p/n"), step, &["DATA_CHANGED /g/p/n"]);
    }
    check(N, (Child, "/g/p/n"), step, &[]);
    for path in ["/g/p", "/g", "/"] {
        check(N, (Recursive, path), step, &["DATA_CHANGED /g/p/n"]);
    }
    for kind in [Data, Exist, Child, Persistent] {
        check(N, (kind, "/g/p"), step, &[]);
    }
}

#[test]
fn row_set_acl_n() {
    for kind in [Data, Exist, Child, Persistent, Recursive] {
        check(N, (kind, "/g/p/n"), Step::SetAcl("/g/p/n"), &[]);
    }
}

#[test]
fn rows_of_a_child_of_n() {
    for kind in [Data, Exist] {
        for (exists, step) in [(N, Step::Create("/g/p/n/c")), (C, Step::Delete("/g/p/n/c")), (C, Step::Set("/g/p/n/c"))]
        {
            check(exists, (kind, "/g/p/n"), step, &[]);
        }
    }
    for kind in [Child, Persistent] {
        check(N, (kind, "/g/p/n"), Step::Create("/g/p/n/c"), &["CHILDREN_CHANGED /g/p/n"]);
        check(C, (kind, "/g/p/n"), Step::Delete("/g/p/n/c"), &["CHILDREN_CHANGED /g/p/n"]);
        check(C, (kind, "/g/p/n"), Step::Set("/g/p/n/c"), &[]);
    }
    check(N, (Recursive, "/g/p/n"), Step::Create("/g/p/n/c"), &["CREATED /g/p/n/c"]);
    check(C, (Recursive, "/g/p/n"), Step::Delete("/g/p/n/c"), &["DELETED /g/p/n/c"]);
    check(C, (Recursive, "/g/p/n"), Step::Set("/g/p/n/c"), &["DATA_CHANGED /g/p/n/c"]);
}

#[test]
fn top_level_changes_are_changes_of_the_roots_children() {
    check(&[], (Child, "/"), Step::Create("/g"), &["CHILDREN_CHANGED /"]);
    check(G, (Persistent, "/"), Step::Delete("/g"), &["CHILDREN_CHANGED /"]);
}

#[test]
fn one_event_a_path_however_many_watches() {
    let mut script = Script::new(Profile::V3_9);
    let (mut author, mut watcher) = (script.client(), script.client());
    for path in N {
        script.create(&mut author, path, 0).unwrap();
    }
    for kind in [Data, Child, Exist, Persistent, Recursive] {
        add(&mut script, &mut watcher, "/g/p/n", kind).unwrap();
    }
    add(&mut script, &mut watcher, "/g", Recursive).unwrap();
    add(&mut script, &mut watcher, "/g/p", Child).unwrap();
    script.delete(&mut author, "/g/p/n").unwrap();
    assert_eq!(plain(&script.seen(&mut watcher)), ["DELETED /g/p/n", "CHILDREN_CHANGED /g/p"]);
    // one-shot watches are used up, the persistent ones survive even the deletion
    script.create(&mut author, "/g/p/n", 0).unwrap();
    assert_eq!(plain(&script.seen(&mut watcher)), ["CREATED /g/p/n"]);
}

#[test]
fn ones_own_events_come_before_ones_reply() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    add(&mut script, &mut client, "/a", Exist).unwrap_err();
    add(&mut script, &mut client, "/", Child).unwrap();
    script.create(&mut client, "/a", 0).unwrap();
    let zxid = client.zxid.0;
    assert_eq!(script.seen(&mut client), [format!("CREATED /a @{zxid}"), format!("CHILDREN_CHANGED / @{zxid}")]);
}

#[test]
fn events_are_for_those_who_may_read() {
    let mut script = Script::new(Profile::V3_9);
    let (mut author, mut watcher) = (script.client(), script.client());
    script.create(&mut author, "/a", 0).unwrap();
    add(&mut script, &mut watcher, "/a", Data).unwrap();
    add(&mut script, &mut watcher, "/", Recursive).unwrap();
    let nobody =
        [Acl { permissions: Permissions::READ, id: zk_proto::AuthId { scheme: "ip".into(), id: "10.0.0.1".into() } }];
    script.model.set_acl(script.now, "/a", &nobody).unwrap();
    let edits = [super::super::Edit::Set("/a", b"1")];
    script.model.apply(script.now, &edits).unwrap();
    assert!(script.seen(&mut watcher).is_empty());
    assert_eq!(script.model.watches(watcher.conn).len(), 1, "the one-shot watch is used up all the same");
    script.model.set_acl(script.now, "/a", zk_proto::records::OPEN_ACL_UNSAFE).unwrap();
    script.model.apply(script.now, &edits).unwrap();
    assert_eq!(plain(&script.seen(&mut watcher)), ["DATA_CHANGED /a"]);
}

#[test]
fn set_watches_tells_what_was_missed_and_arms_the_rest() {
    let mut script = Script::new(Profile::V3_9);
    let mut author = script.client();
    for path in ["/same", "/set", "/gone", "/again", "/kids", "/there"] {
        script.create(&mut author, path, 0).unwrap();
    }
    let relative_zxid = author.zxid;
    script.set(&mut author, "/set", -1).unwrap();
    script.delete(&mut author, "/gone").unwrap();
    script.delete(&mut author, "/again").unwrap();
    script.create(&mut author, "/again", 0).unwrap();
    script.create(&mut author, "/kids/k", 0).unwrap();
    let mut watcher = script.client();
    let request = SetWatches2Request {
        relative_zxid,
        data: List::of_texts(["/same", "/set", "/gone", "/again", "/kids"]),
        exist: List::of_texts(["/there", "/nowhere"]),
        child: List::of_texts(["/same", "/gone", "/again", "/kids"]),
        persistent: List::of_texts(["/set"]),
        recursive: List::of_texts(["/kids"]),
    };
    script.call::<ops::SetWatches2>(&mut watcher, &request).unwrap();
    let missed = [
        "DATA_CHANGED /set @-1",
        "DELETED /gone @-1",
        "DATA_CHANGED /again @-1",
        "CREATED /there @-1",
        "DELETED /gone @-1",
        "CHILDREN_CHANGED /again @-1",
        "CHILDREN_CHANGED /kids @-1",
    ];
    assert_eq!(script.seen(&mut watcher), missed);
    // armed: /same, /kids (data), /nowhere, /same (child), /set, /kids recursive
    for path in ["/same", "/there", "/kids", "/set"] {
        script.set(&mut author, path, -1).unwrap();
    }
    script.create(&mut author, "/nowhere", 0).unwrap();
    script.create(&mut author, "/same/k", 0).unwrap();
    script.delete(&mut author, "/again").unwrap();
    let seen = script.seen(&mut watcher);
    let after =
        ["DATA_CHANGED /same", "DATA_CHANGED /kids", "DATA_CHANGED /set", "CREATED /nowhere", "CHILDREN_CHANGED /same"];
    assert_eq!(plain(&seen), after);
    assert!(seen.iter().all(|event| !event.ends_with("@-1")));
}

#[test]
fn set_watches_from_zero_fires_for_all_that_exists() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/a", 0).unwrap();
    let request = SetWatchesRequest {
        relative_zxid: Zxid(0),
        data: List::of_texts(["/a"]),
        exist: List::default(),
        child: List::of_texts(["/a"]),
    };
    script.call::<ops::SetWatches>(&mut client, &request).unwrap();
    assert_eq!(plain(&script.seen(&mut client)), ["DATA_CHANGED /a", "CHILDREN_CHANGED /a"]);
}

fn remove(script: &mut Script, client: &mut Client, kind: WatcherType) -> Result<(), ErrorCode> {
    let request = WatchesRequest { path: "/a".into(), watcher_type: kind };
    let checked = script.call::<ops::CheckWatches>(client, &request).map(|_| ());
    let removed = script.call::<ops::RemoveWatches>(client, &request).map(|_| ());
    assert_eq!(checked, removed, "{kind:?}");
    removed
}

#[test]
fn watches_are_removed_by_kind() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/a", 0).unwrap();
    for kind in [WatcherType(0), WatcherType(6), WatcherType(-1)] {
        assert_eq!(remove(&mut script, &mut client, kind), Err(ErrorCode::MARSHALLING_ERROR));
    }
    assert_eq!(remove(&mut script, &mut client, WatcherType::ANY), Err(ErrorCode::NO_WATCHER));
    for kind in [Data, Child, Persistent, Recursive] {
        add(&mut script, &mut client, "/a", kind).unwrap();
    }
    let kinds = [WatcherType::CHILDREN, WatcherType::DATA, WatcherType::PERSISTENT, WatcherType::PERSISTENT_RECURSIVE];
    for (left, kind) in (0..4).rev().zip(kinds) {
        assert_eq!(remove(&mut script, &mut client, kind), Ok(()));
        assert_eq!(remove(&mut script, &mut client, kind), Err(ErrorCode::NO_WATCHER));
        assert_eq!(script.model.watches(client.conn).len(), left);
    }
    assert_eq!(script.model.watch_count(), 0);
}

#[test]
fn before_3_9_a_path_has_one_mode_and_events_no_zxid() {
    let mut script = Script::new(Profile::V3_8);
    let (mut author, mut watcher) = (script.client(), script.client());
    script.create(&mut author, "/a", 0).unwrap();
    add(&mut script, &mut watcher, "/a", Persistent).unwrap();
    script.set(&mut author, "/a", -1).unwrap();
    assert_eq!(script.seen(&mut watcher), ["DATA_CHANGED /a @-1"]);
    // a one-shot watch replaces the persistent one, in its table
    add(&mut script, &mut watcher, "/a", Data).unwrap();
    for _ in 0..3 {
        script.set(&mut author, "/a", -1).unwrap();
    }
    script.create(&mut author, "/a/b", 0).unwrap();
    assert_eq!(plain(&script.seen(&mut watcher)), ["DATA_CHANGED /a", "CHILDREN_CHANGED /a"]);
}

#[test]
fn before_3_9_removing_goes_by_table() {
    // ZOOKEEPER-4471, protocol.md section 4.6
    let seen_after = |kind: Kind, removed: WatcherType| {
        let mut script = Script::new(Profile::V3_8);
        let (mut author, mut watcher) = (script.client(), script.client());
        script.create(&mut author, "/a", 0).unwrap();
        add(&mut script, &mut watcher, "/a", kind).unwrap();
        remove(&mut script, &mut watcher, removed).unwrap();
        script.set(&mut author, "/a", -1).unwrap();
        script.create(&mut author, "/a/b", 0).unwrap();
        script.delete(&mut author, "/a/b").unwrap();
        script.delete(&mut author, "/a").unwrap();
        plain(&script.seen(&mut watcher)).iter().map(|event| (*event).to_owned()).collect::<Vec<_>>()
    };
    let children = "CHILDREN_CHANGED /a";
    assert_eq!(seen_after(Persistent, WatcherType::DATA), [children, children, "DELETED /a"]);
    assert_eq!(seen_after(Persistent, WatcherType::CHILDREN), ["DATA_CHANGED /a", "DELETED /a"]);
    assert_eq!(seen_after(Recursive, WatcherType::DATA), ["DELETED /a/b", "DELETED /a"]);
}

#[test]
fn before_3_9_check_watches_is_content_with_anybodys() {
    let mut script = Script::new(Profile::V3_8);
    let (mut one, mut other) = (script.client(), script.client());
    add(&mut script, &mut one, "/a", Exist).unwrap_err();
    let request = WatchesRequest { path: "/a".into(), watcher_type: WatcherType::DATA };
    assert!(script.call::<ops::CheckWatches>(&mut other, &request).is_ok());
    assert_eq!(script.call::<ops::RemoveWatches>(&mut other, &request).map(|_| ()), Err(ErrorCode::NO_WATCHER));
}
