//! What a stream says when events may be missing, and that it goes on afterwards.

use super::{MODES, arrived, event, events};
use crate::stage::{BOTH, Stage, settle, until_connected, until_suspended, within};
use zk_client::{EventType, GapReason, OpCode, WatchItem, WatchMode};

const LOST: WatchItem = WatchItem::Gap(GapReason::ConnectionLost);
const OVERFLOW: WatchItem = WatchItem::Gap(GapReason::Overflow);
const SAME: WatchItem = WatchItem::Resumed { new_session: false };
const NEW: WatchItem = WatchItem::Resumed { new_session: true };

// goal: N1, N3
#[tokio::test(start_paused = true)]
async fn a_stream_marks_a_lost_connection_and_goes_on() {
    for (profile, mode) in BOTH.into_iter().flat_map(|profile| MODES.map(|mode| (profile.clone(), mode))) {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let mut stream = within(client.watch("/a", mode)).await.unwrap();
        for _ in 0..3 {
            server.stop().await;
            until_suspended(&client).await;
            server.create("/a", b"missed, and never told").unwrap();
            server.delete("/a").unwrap();
            server.start_again().await.unwrap();
            until_connected(&client).await;
            settle().await;
            server.create("/a", b"").unwrap();
            server.delete("/a").unwrap();
            let items = arrived(&mut stream).await;
            assert_eq!(items[..2], [LOST, SAME]);
            assert_eq!(events(&items), [(EventType::NODE_CREATED, "/a"), (EventType::NODE_DELETED, "/a")]);
        }
    }
}

// goal: N2
#[tokio::test(start_paused = true)]
async fn a_stream_lives_on_in_a_new_session_and_says_so() {
    for (profile, mode) in BOTH.into_iter().flat_map(|profile| MODES.map(|mode| (profile.clone(), mode))) {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let mut stream = within(client.watch("/a", mode)).await.unwrap();
        server.expire_session(client.session_id().unwrap());
        until_suspended(&client).await;
        until_connected(&client).await;
        assert_eq!(arrived(&mut stream).await, [LOST, NEW]);
        assert_eq!(server.watches().values().map(Vec::len).collect::<Vec<_>>(), [1]);
        server.create("/a", b"").unwrap();
        assert_eq!(event(&mut stream).await, (EventType::NODE_CREATED, "/a".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_watch_asked_for_while_suspended_stands_when_it_is_given() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.stop().await;
    until_suspended(&client).await;
    let other = client.clone();
    let watching = tokio::spawn(async move { other.watch("/a", WatchMode::PERSISTENT).await });
    settle().await;
    assert!(!watching.is_finished());
    server.start_again().await.unwrap();
    let mut stream = within(watching).await.unwrap().unwrap();
    server.create("/a", b"").unwrap();
    let items = arrived(&mut stream).await;
    assert_eq!(events(&items), [(EventType::NODE_CREATED, "/a")]);
    assert_eq!(items.len(), 1, "no gap: it never stood before");
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_watch_while_suspended_joins_it_in_its_gap() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let mut first = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    server.stop().await;
    until_suspended(&client).await;
    let mut second = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    server.start_again().await.unwrap();
    until_connected(&client).await;
    assert_eq!(arrived(&mut first).await, [LOST, SAME]);
    assert_eq!(arrived(&mut second).await, [LOST, SAME]);
}

/// That a session is another one must not drown in an overflow: its ephemerals are gone.
#[tokio::test(start_paused = true)]
async fn an_overflow_keeps_the_news_of_a_new_session() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/a", b"").unwrap();
    let mut stream = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    server.expire_session(client.session_id().unwrap());
    until_suspended(&client).await;
    until_connected(&client).await;
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    within(client.sync("/")).await.unwrap();
    (0..2_000).for_each(|_| assert!(server.set("/a", b"").is_ok()));
    within(client.sync("/")).await.unwrap();
    server.stop().await;
    until_suspended(&client).await;
    let items = arrived(&mut stream).await;
    assert_eq!(items[..2], [OVERFLOW, NEW]);
    assert_eq!(items.last(), Some(&LOST));
}

/// Many long paths: frames of at most 128 KiB, each path once.
// goal: N1
#[tokio::test(start_paused = true)]
async fn three_thousand_long_paths_are_watched_again_after_a_reconnect() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let name = "x".repeat(200);
    let paths: Vec<String> = (0..3_000).map(|i| format!("/{name}-{i:05}")).collect();
    let watches = paths.iter().map(|path| client.watch(path, WatchMode::PERSISTENT));
    let streams = within(futures_util::future::try_join_all(watches)).await.unwrap();
    let before = server.watch_count();
    drop(server.take_requests());
    server.drop_connections();
    until_suspended(&client).await;
    let bytes_in = server.bytes_in();
    within(client.exists("/")).await.unwrap();
    let frames = server.take_requests().iter().filter(|request| request.op == OpCode::SET_WATCHES2).count();
    let sent = server.bytes_in() - bytes_in;
    let least = paths.iter().map(|path| path.len() as u64 + 4).sum::<u64>();
    assert_eq!((server.watch_count(), frames), (before, 5));
    assert!(sent > least && sent < least + 1_000, "each path once: {sent} bytes for {least}");
    drop(streams);
}
