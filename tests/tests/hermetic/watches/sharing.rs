//! One watch at the server for any number of streams, and none for nobody.

use super::{MODES, arrived, event, events};
use crate::stage::{BOTH, Stage, settle, within};
use futures_util::future::try_join_all;
use zk_client::{EventType, OpCode, WatchMode};
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

/// ZOOKEEPER-4466 and 4471: before 3.9 a path has room for one kind, and cannot lose one of two.
#[tokio::test(start_paused = true)]
async fn both_modes_live_side_by_side_on_a_path_since_3_9() {
    let server = Stage::like(Profile::V3_9).await;
    let client = server.connect().await;
    let mut one = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    let mut all = within(client.watch("/a", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
    server.create("/a", b"").unwrap();
    server.create("/a/b", b"").unwrap();
    let created = (EventType::NODE_CREATED, "/a");
    assert_eq!(events(&arrived(&mut one).await), [created, (EventType::NODE_CHILDREN_CHANGED, "/a")]);
    assert_eq!(events(&arrived(&mut all).await), [created, (EventType::NODE_CREATED, "/a/b")]);
    drop(all);
    settle().await;
    let left = WatchInfo { path: "/a".into(), kind: WatchedKind::Persistent };
    assert_eq!(watches(&server), [left]);
    server.delete("/a/b").unwrap();
    assert_eq!(events(&arrived(&mut one).await), [(EventType::NODE_CHILDREN_CHANGED, "/a")]);
}

/// A watch on every level: one event each on the wire, handed to all whom it concerns.
#[tokio::test(start_paused = true)]
async fn nested_recursive_watches_each_tell_once() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
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
    }
}

/// Everything that a cycle leaves behind would be seen ten thousand times over.
// goal: W4
#[tokio::test(start_paused = true)]
async fn ten_thousand_cycles_of_watch_and_drop_leave_nothing_behind() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        for cycle in 0..10_000 {
            let mode = MODES[cycle % 2];
            drop(within(client.watch(if cycle % 3 == 0 { "/a" } else { "/b" }, mode)).await.unwrap());
        }
        settle().await;
        within(client.sync("/")).await.unwrap();
        assert_eq!(server.watch_count(), 0, "{:?}", server.watches());
        // What the client remembers, it would set again now.
        drop(server.take_requests());
        server.drop_connections();
        crate::stage::until_suspended(&client).await;
        within(client.exists("/")).await.unwrap();
        let ops: Vec<_> = server.take_requests().iter().map(|request| request.op).collect();
        assert_eq!(ops, [OpCode::EXISTS]);
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

/// ZOOKEEPER-4466: the server has one of two watches left, and what it sends is handed to both.
#[tokio::test(start_paused = true)]
async fn before_3_9_the_last_mode_set_on_a_path_is_the_one_that_stands() {
    let server = Stage::like(Profile::V3_8).await;
    let client = server.connect().await;
    let mut one = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    let mut all = within(client.watch("/a", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
    assert_eq!(watches(&server), [WatchInfo { path: "/a".into(), kind: WatchedKind::Recursive }]);
    server.create("/a", b"").unwrap();
    server.create("/a/b", b"").unwrap();
    let created = (EventType::NODE_CREATED, "/a");
    assert_eq!(events(&arrived(&mut all).await), [created, (EventType::NODE_CREATED, "/a/b")]);
    assert_eq!(events(&arrived(&mut one).await), [created], "nobody tells it of its children");
}
