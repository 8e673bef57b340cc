//! One watch at the server for any number of streams, and none for nobody.

use super::{MODES, arrived, event, events};
use crate::stage::{BOTH, Stage, settle, within};
use futures_util::future::try_join_all;
use zk_client::{Error, EventType, OpCode, UsageError, WatchMode};
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
