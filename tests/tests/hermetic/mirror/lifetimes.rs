//! Mirrors that come and go, several on one client, and the end of their session.

use super::{caught_up, fill, truth};
use std::sync::Arc;

use crate::stage::{BOTH, Stage, settle, until_suspended, within};
use futures_util::{FutureExt, StreamExt};
use zk_client::{End, Interruption};
use zk_config::{BarrierError, Mirror, MirrorError, Update};
use zk_tests::{Folded, tree_of};

#[tokio::test(start_paused = true)]
async fn a_dropped_mirror_removes_its_watch() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 3);
        let client = server.connect().await;
        let (mirror, _) = server.mirror(&client, "/app").await;
        let other = mirror.clone();
        drop(mirror);
        settle().await;
        assert!(server.watch_count() > 0, "a handle is left");
        drop(other);
        settle().await;
        assert_eq!(server.watch_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn mirrors_of_one_client_do_not_disturb_each_other() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    fill(&server, "/app/n00001/deep", 3);
    let client = server.connect().await;
    let (outer, _) = server.mirror(&client, "/app").await;
    let (inner, _) = server.mirror(&client, "/app/n00001").await;
    let (twin, _) = server.mirror(&client, "/app").await;
    server.set("/app/n00001/deep/n00002", b"new").unwrap();
    for mirror in [&outer, &inner, &twin] {
        caught_up(&server, mirror).await;
    }
    drop(twin);
    settle().await;
    server.set("/app/n00001/deep/n00002", b"newer").unwrap();
    for mirror in [&outer, &inner] {
        caught_up(&server, mirror).await;
    }
    server.drop_connections();
    until_suspended(&client).await;
    server.set("/app/n00001/deep/n00002", b"newest").unwrap();
    for mirror in [&outer, &inner] {
        within(mirror.status_channel().wait_for(|status| status.live && status.gaps == 1)).await.unwrap();
        caught_up(&server, mirror).await;
    }
}

/// What only the last snapshot held is not freed before the subscriber has its update, but when it asks for the next one.
#[tokio::test(start_paused = true)]
async fn a_subscriber_frees_what_was_replaced_when_it_asks_for_more() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let (snapshot, mut changes) = mirror.subscribe();
    let replaced = Arc::downgrade(&snapshot);
    drop(snapshot);
    server.set("/app/n00001", b"new").unwrap();
    within(changes.next()).await.unwrap();
    assert!(replaced.upgrade().is_some());
    assert!(changes.next().now_or_never().is_none());
    assert!(replaced.upgrade().is_none());
    // As a stream, too.
    let replaced = Arc::downgrade(&mirror.snapshot());
    server.set("/app/n00001", b"newer").unwrap();
    within(StreamExt::next(&mut changes)).await.unwrap();
    assert!(replaced.upgrade().is_some());
    assert!(StreamExt::next(&mut changes).now_or_never().is_none());
    assert!(replaced.upgrade().is_none());
}

/// The answers to the first mirror's reads come when the second one waits for its own.
#[tokio::test(start_paused = true)]
async fn answers_for_a_dropped_mirror_are_not_taken_for_the_next_ones() {
    let server = Stage::start().await;
    fill(&server, "/old", 3);
    fill(&server, "/new", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/old").await;
    server.hold_replies(true);
    server.set("/old/n00000", b"never read").unwrap();
    drop(mirror);
    server.hold_replies(false);
    settle().await;
    drop(server.take_requests());

    let first = Mirror::start(&client, "/old").unwrap();
    within(server.wait_until(|model| !model.requests().is_empty())).await;
    let mut steps = 0;
    while server.requests().len() < 2 {
        tokio::task::yield_now().await;
        steps += 1;
        assert!(steps < 10_000, "the watch and the first read: {:?}", server.requests());
    }
    server.hold_replies(true);
    drop(first);
    settle().await;
    let second = Mirror::start(&client, "/new").unwrap();
    settle().await;
    server.hold_replies(false);
    let snapshot = within(second.ready()).await.unwrap();
    assert_eq!(tree_of(&snapshot), truth(&server, "/new"));
    caught_up(&server, &second).await;
}

#[tokio::test(start_paused = true)]
async fn a_mirror_below_a_chroot_has_the_clients_paths() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        let client = server.connect_below("/base").await;
        fill(&server, "/base/app", 3);
        let (mirror, _) = server.mirror(&client, "/app").await;
        server.set("/base/app/n00001", b"new").unwrap();
        let snapshot = within(mirror.barrier()).await.unwrap();
        let paths: Vec<_> = snapshot.iter().map(|(path, _)| &**path).collect();
        assert_eq!(paths, ["/app", "/app/n00000", "/app/n00001", "/app/n00002"]);
        assert_eq!(&snapshot.get("/app/n00001").unwrap().data[..], b"new");
        server.drop_connections();
        until_suspended(&client).await;
        server.delete("/base/app/n00001").unwrap();
        within(mirror.status_channel().wait_for(|status| status.live)).await.unwrap();
        assert_eq!(mirror.snapshot().len(), 3);

        let (all, snapshot) = server.mirror(&client, "/").await;
        assert_eq!(snapshot.iter().next().unwrap().0.as_ref(), "/");
        server.set("/base", b"root").unwrap();
        assert_eq!(&within(all.barrier()).await.unwrap().get("/").unwrap().data[..], b"root");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_is_the_end_of_the_mirror() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, before) = server.mirror(&client, "/app").await;
    let (_, mut changes) = mirror.subscribe();
    within(client.close()).await;
    settle().await;
    assert!(matches!(within(changes.next()).await, Some(Update::Gap(_))));
    assert!(!mirror.is_live());
    assert_eq!(mirror.snapshot().len(), before.len(), "what was known stays readable");
    assert_eq!(within(mirror.ready()).await.unwrap_err(), MirrorError::Ended(End::Closed));
    let barrier = within(mirror.barrier()).await.unwrap_err();
    let closed = |error: &BarrierError| {
        matches!(error, BarrierError::Sync(zk_client::Error::Interrupted { by: Interruption::Closed, .. }))
    };
    assert!(closed(&barrier), "{barrier:?}");
    assert!(within(changes.next()).await.is_none(), "nothing more will come");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_mirror() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let (_, mut changes) = mirror.subscribe();
    drop(mirror);
    assert!(within(changes.next()).await.is_none());
}

/// A reader keeps what it has read, and nothing that somebody waits for.
#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_mirror_although_a_reader_is_left() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let (mut reader, (_, mut changes)) = (mirror.reader(), mirror.subscribe());
    drop(mirror);
    assert!(within(changes.next()).await.is_none());
    assert_eq!(reader.snapshot().len(), 4);
}

/// What a slow subscriber missed is not left out in silence because the mirror has gone meanwhile.
#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_of_a_dropped_mirror_is_told_of_its_gap() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let (snapshot, mut slow) = mirror.subscribe();
    for round in 0..2_000_u32 {
        server.set("/app/n00001", &round.to_be_bytes()).unwrap();
        within(mirror.barrier()).await.unwrap();
    }
    drop(mirror);
    within(client.close()).await;
    let mut folded = Folded { tree: tree_of(&snapshot), ..Folded::default() };
    let mut gap = false;
    while let Some(update) = within(slow.next()).await {
        gap |= matches!(update, Update::Gap(_));
        folded.take(&update);
    }
    assert!(gap);
    assert_eq!(folded.silent, None);
}
