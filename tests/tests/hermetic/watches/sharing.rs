//! One watch at the server for any number of streams, and none for nobody.

use super::{LINES, MODES, arrived, event, events};
use crate::stage::{BOTH, Stage, settle, within};
use futures_util::future::try_join_all;
use zk_client::{
    Acl, Error, ErrorCode, EventType, OPEN_ACL_UNSAFE, OpCode, Permissions, UsageError, WatchItem, WatchMode,
    WatcherType,
};
use zk_config::{Mirror, MirrorError};
use zk_testkit::server::{Profile, WatchInfo, WatchedKind};

fn watches(server: &Stage) -> Vec<WatchInfo> {
    server.watches().into_values().flatten().collect()
}

// goal: W2
#[tokio::test(start_paused = true)]
async fn a_thousand_subscribers_share_one_watch_and_the_last_drop_removes_it() {
    for (profile, mode) in BOTH.into_iter().flat_map(|profile| MODES.map(|mode| (profile.clone(), mode))) {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let mut streams = within(try_join_all((0..1_000).map(|_| client.watch("/a", mode)))).await.unwrap();
        assert_eq!(watches(&server).len(), 1);
        assert_eq!(server.requests().iter().filter(|request| request.op == OpCode::ADD_WATCH).count(), 1);
        server.create("/a", b"").unwrap();
        for stream in &mut streams {
            assert_eq!(event(stream).await, (EventType::NODE_CREATED, "/a".into()));
        }
        let last = streams.pop();
        drop(streams);
        settle().await;
        assert_eq!(watches(&server).len(), 1);
        drop(last);
        settle().await;
        assert_eq!(server.watch_count(), 0);
        within(client.get_data("/")).await.unwrap();
        assert_eq!(server.connections().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn clients_have_watches_of_their_own() {
    let server = Stage::start().await;
    let (one, two) = (server.connect().await, server.connect().await);
    let mut first = within(one.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    let second = within(two.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    drop(second);
    settle().await;
    server.create("/a", b"").unwrap();
    assert_eq!(event(&mut first).await, (EventType::NODE_CREATED, "/a".into()));
    assert_eq!(watches(&server).len(), 1);
}

/// A watch on every level: one event each on the wire, handed to all whom it concerns, however many others there are.
#[tokio::test(start_paused = true)]
async fn nested_recursive_watches_each_tell_once() {
    for (profile, others) in BOTH.into_iter().flat_map(|profile| [0, 20].map(|others| (profile.clone(), others))) {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let elsewhere = (0..others).map(|n| client.watch(&format!("/a{n}"), WatchMode::PERSISTENT_RECURSIVE));
        let mut elsewhere = within(try_join_all(elsewhere.collect::<Vec<_>>())).await.unwrap();
        let paths = ["/", "/a", "/a/b", "/a/b/c"];
        let mode = WatchMode::PERSISTENT_RECURSIVE;
        let mut streams = within(try_join_all(paths.map(|path| client.watch(path, mode)))).await.unwrap();
        for path in &paths[1..] {
            server.create(path, b"").unwrap();
        }
        for (seen, stream) in [3, 3, 2, 1].into_iter().zip(&mut streams) {
            let items = arrived(stream).await;
            assert_eq!(items.len(), seen, "{items:?}");
            assert_eq!(events(&items).last(), Some(&(EventType::NODE_CREATED, "/a/b/c")));
        }
        for stream in &mut elsewhere {
            assert_eq!(arrived(stream).await, []);
        }
    }
}

/// The next subscriber comes while the removal for the last one is on its way.
#[tokio::test(start_paused = true)]
async fn a_watch_set_again_while_it_is_being_removed_stands() {
    for (profile, mode) in BOTH.into_iter().flat_map(|profile| MODES.map(|mode| (profile.clone(), mode))) {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        for pauses in 0..20 {
            drop(within(client.watch("/a", mode)).await.unwrap());
            for _ in 0..pauses {
                tokio::task::yield_now().await;
            }
            let mut stream = within(client.watch("/a", mode)).await.unwrap();
            settle().await;
            server.create("/a", b"").unwrap();
            assert_eq!(event(&mut stream).await, (EventType::NODE_CREATED, "/a".into()), "after {pauses} pauses");
            server.delete("/a").unwrap();
        }
    }
}

/// Servers before 3.9 keep the last mode that was set on a path and drop the other in silence. Nobody is left to find
/// that out: neither a stream nor a mirror.
#[tokio::test(start_paused = true)]
async fn a_path_is_watched_in_one_mode_only() {
    let server = Stage::like(Profile::V3_8).await;
    let client = server.connect().await;
    let conflict = |path: &str| Error::Usage(UsageError::WatchConflict { path: path.to_owned() });
    let one = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    let refused = within(client.watch("/a", WatchMode::PERSISTENT_RECURSIVE)).await;
    assert_eq!(refused.err(), Some(conflict("/a")));
    let mirror = Mirror::start(&client, "/a").unwrap();
    assert_eq!(within(mirror.ready()).await.err(), Some(MirrorError::WatchConflict));
    drop((one, mirror));

    within(client.sync("/")).await.unwrap();
    let mirror = Mirror::start(&client, "/a").unwrap();
    within(mirror.ready()).await.unwrap();
    let refused = within(client.watch("/a", WatchMode::PERSISTENT)).await;
    assert_eq!(refused.err(), Some(conflict("/a")));
    assert_eq!(watches(&server), [WatchInfo { path: "/a".into(), kind: WatchedKind::Recursive }]);
    server.create("/a", b"1").unwrap();
    until_held(&mirror, "/a").await;
}

async fn until_held(mirror: &Mirror, path: &str) {
    let mut status = mirror.status_channel();
    within(status.wait_for(|_| mirror.snapshot().get(path).is_some())).await.unwrap();
}

/// RemoveWatchesTest for persistent watches: the streams say so and end; another mode, another path and mirrors stay.
#[tokio::test(start_paused = true)]
async fn streams_whose_watch_is_removed_by_name_say_so_and_end() {
    for profile in &LINES[1..] {
        let server = Stage::like(profile.clone()).await;
        let client = server.connect().await;
        for (mode, kinds) in MODES.into_iter().flat_map(|mode| [(mode, mode.watcher_type()), (mode, WatcherType::ANY)])
        {
            let mut streams =
                [within(client.watch("/a", mode)).await.unwrap(), within(client.watch("/a", mode)).await.unwrap()];
            let other = within(client.watch("/b", mode)).await.unwrap();
            for not_meant in [WatcherType::DATA, WatcherType::CHILDREN] {
                let error = within(client.remove_watches("/a", not_meant)).await.unwrap_err();
                assert_eq!(error.code(), Some(ErrorCode::NO_WATCHER));
            }
            within(client.remove_watches("/a", kinds)).await.unwrap();
            for stream in &mut streams {
                assert_eq!(within(stream.next()).await, Some(WatchItem::Removed));
                assert_eq!(within(stream.next()).await, None);
            }
            let left: Vec<_> = watches(&server).into_iter().map(|info| info.path.to_string()).collect();
            assert_eq!(left, ["/b"], "{} {kinds:?}", profile.version());
            drop(other);
            settle().await;
            assert_eq!(server.watch_count(), 0);
        }
        let mirror = Mirror::start(&client, "/m").unwrap();
        within(mirror.ready()).await.unwrap();
        let mut stream = within(client.watch("/m", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
        within(client.remove_watches("/m", WatcherType::ANY)).await.unwrap();
        assert_eq!(within(stream.next()).await, Some(WatchItem::Removed));
        server.create("/m", b"1").unwrap();
        until_held(&mirror, "/m").await;
    }
}

/// UnsupportedAddWatcherTest: a server with another watch manager refuses, and the session goes on.
#[tokio::test(start_paused = true)]
async fn a_watch_that_the_server_refuses_is_an_error() {
    let server = Stage::start().await;
    let client = server.connect().await;
    for mode in MODES {
        server.refuse_next(OpCode::ADD_WATCH, ErrorCode::MARSHALLING_ERROR);
        let error = within(client.watch("/a", mode)).await.unwrap_err();
        assert_eq!(error, Error::Refused { op: OpCode::ADD_WATCH, code: ErrorCode::MARSHALLING_ERROR });
        let _stream = within(client.watch("/a", mode)).await.unwrap();
        assert_eq!(within(client.watches()).await.unwrap().len(), 1);
    }
}

/// PersistentWatcherACLTest: since 3.8.4 and 3.9.2 events are for those who may read the znode; the watch stays.
#[tokio::test(start_paused = true)]
async fn events_are_for_those_who_may_read() {
    let unreadable = [Acl { permissions: Permissions::WRITE, ..OPEN_ACL_UNSAFE[0].clone() }];
    for (profile, filters) in [(Profile::V3_8_0, false), (Profile::V3_8, true), (Profile::V3_9, true)] {
        for mode in MODES {
            let server = Stage::like(profile.clone()).await;
            let client = server.connect().await;
            server.create("/a", b"").unwrap();
            let mut stream = within(client.watch("/a", mode)).await.unwrap();
            server.set_acl("/a", &unreadable).unwrap();
            server.set("/a", b"").unwrap();
            server.create("/a/open", b"").unwrap();
            let items = arrived(&mut stream).await;
            let child = match mode {
                WatchMode::PERSISTENT => (EventType::NODE_CHILDREN_CHANGED, "/a"),
                _ => (EventType::NODE_CREATED, "/a/open"),
            };
            let all = [(EventType::NODE_DATA_CHANGED, "/a"), child];
            let expected = match (filters, mode) {
                (false, _) => &all[..],
                (true, WatchMode::PERSISTENT) => &[],
                // The child is open to all.
                (true, _) => &all[1..],
            };
            assert_eq!(events(&items), expected);
            server.set_acl("/a", OPEN_ACL_UNSAFE).unwrap();
            server.set("/a", b"").unwrap();
            assert_eq!(event(&mut stream).await, (EventType::NODE_DATA_CHANGED, "/a".into()));
        }
    }
}
