//! What a mirror says and holds when the connection does not stand.

use std::time::Duration;

use super::{batch, caught_up, fill, summary};
use crate::stage::{BOTH, SESSION, Stage, settle, until_connected, until_suspended, within};
use tokio::time::Instant;
use zk_client::OpCode;
use zk_config::{Changes, GapReason, Update};
use zk_testkit::server::ConnectAnswer;
use zk_tests::fold;

/// The next update in short.
async fn told(changes: &mut Changes) -> String {
    match within(changes.next()).await {
        Some(Update::Changes(batch)) => summary(&batch).join(" "),
        Some(Update::Gap(reason)) => format!("gap: {reason:?}"),
        Some(Update::Resynced { .. }) => "resynced".to_owned(),
        other => panic!("{other:?}"),
    }
}

// goal: M6
#[tokio::test(start_paused = true)]
async fn what_was_missed_is_told_between_gap_and_resynced() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 5);
        let client = server.connect().await;
        let (mirror, before) = server.mirror(&client, "/app").await;
        let (_, mut changes) = mirror.subscribe();
        server.stop().await;
        until_suspended(&client).await;
        assert_eq!(told(&mut changes).await, "gap: ConnectionLost");
        assert!(!mirror.is_live() && !mirror.snapshot().is_live());
        assert_eq!(mirror.snapshot().len(), before.len(), "stale values stay readable");
        server.set("/app/n00001", b"new").unwrap();
        server.delete("/app/n00002").unwrap();
        server.create("/app/n00009", b"").unwrap();
        server.start_again().await.unwrap();
        assert_eq!(told(&mut changes).await, "~/app/n00001 -/app/n00002 +/app/n00009");
        assert_eq!(told(&mut changes).await, "resynced");
        caught_up(&server, &mirror).await;
        server.set("/app/n00001", b"newer").unwrap();
        assert_eq!(told(&mut changes).await, "~/app/n00001");
        assert_eq!((mirror.status().gaps, mirror.status().resyncs), (1, 2));
    }
}

/// Everything that a version says is as before, and the value too.
// goal: M1
#[tokio::test(start_paused = true)]
async fn a_znode_deleted_and_recreated_at_the_same_version_during_a_cut_is_seen() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 2);
        let client = server.connect().await;
        let (mirror, _) = server.mirror(&client, "/app").await;
        let (_, mut changes) = mirror.subscribe();
        server.stop().await;
        server.delete("/app/n00001").unwrap();
        server.create("/app/n00001", b"value 1").unwrap();
        server.start_again().await.unwrap();
        assert_eq!(told(&mut changes).await, "gap: ConnectionLost");
        let told = batch(&mut changes).await;
        let change = told.changes.iter().find(|change| &*change.path == "/app/n00001").unwrap();
        assert!(change.is_recreated() && !change.is_stat_only());
        caught_up(&server, &mirror).await;
    }
}

/// The case in which Curator's cache loses a znode for good.
// goal: M1
#[tokio::test(start_paused = true)]
async fn a_parent_replaced_with_other_children_during_a_cut_is_seen() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        for path in ["/app", "/app/p", "/app/p/a", "/app/p/b", "/app/p/b/c"] {
            server.create(path, b"").unwrap();
        }
        let client = server.connect().await;
        let (mirror, _) = server.mirror(&client, "/app").await;
        server.stop().await;
        for path in ["/app/p/b/c", "/app/p/b", "/app/p/a", "/app/p"] {
            server.delete(path).unwrap();
        }
        for path in ["/app/p", "/app/p/x", "/app/p/b", "/app/p/b/y"] {
            server.create(path, b"").unwrap();
        }
        server.start_again().await.unwrap();
        within(mirror.status_channel().wait_for(|status| status.gaps == 1 && status.live)).await.unwrap();
        let snapshot = caught_up(&server, &mirror).await;
        let paths: Vec<_> = snapshot.iter().map(|(path, _)| &**path).collect();
        assert_eq!(paths, ["/app", "/app/p", "/app/p/b", "/app/p/b/y", "/app/p/x"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tree_deleted_during_a_cut_is_gone() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    server.stop().await;
    (0..3).for_each(|i| assert!(server.delete(&format!("/app/n{i:05}")).is_ok()));
    server.delete("/app").unwrap();
    server.start_again().await.unwrap();
    within(mirror.status_channel().wait_for(|status| status.gaps == 1 && status.live)).await.unwrap();
    assert!(caught_up(&server, &mirror).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_costs_a_resynchronisation_and_is_told() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 3);
        let client = server.connect().await;
        let (mirror, _) = server.mirror(&client, "/app").await;
        let (_, mut changes) = mirror.subscribe();
        server.expire_session(client.session_id().unwrap());
        server.set("/app/n00000", b"new").unwrap();
        assert_eq!(told(&mut changes).await, "gap: ConnectionLost");
        assert_eq!(told(&mut changes).await, "gap: SessionExpired");
        assert_eq!(told(&mut changes).await, "~/app/n00000");
        assert_eq!(told(&mut changes).await, "resynced");
        caught_up(&server, &mirror).await;
        assert_eq!(server.watches().values().map(Vec::len).sum::<usize>(), 1);
    }
}

// goal: M10
#[tokio::test(start_paused = true)]
async fn a_black_hole_is_noticed_in_two_thirds_of_the_timeout() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    settle().await;
    let start = Instant::now();
    server.black_hole(true);
    server.set("/app/n00000", b"new").unwrap();
    let mut status = mirror.status_channel();
    within(status.wait_for(|status| !status.live)).await.unwrap();
    let noticed = start.elapsed();
    assert!(noticed <= SESSION * 2 / 3 + Duration::from_secs(1), "live for {noticed:?}");
    assert!(mirror.status().staleness().unwrap() >= SESSION / 3, "{:?}", mirror.status().staleness());
    server.black_hole(false);
    within(status.wait_for(|status| status.live)).await.unwrap();
    caught_up(&server, &mirror).await;
    assert_eq!(mirror.status().staleness().unwrap(), Duration::ZERO);
}

/// The connection is cut at many places, in the greeting, the watch, the load; every folded tree is right.
#[tokio::test(start_paused = true)]
async fn a_connection_cut_anywhere_in_a_resynchronisation_costs_time_only() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 50);
        let client = server.connect().await;
        let (mirror, _) = server.mirror(&client, "/app").await;
        let (snapshot, changes) = mirror.subscribe();
        let mut folded = fold(&snapshot, changes);
        for cut in (0..60).map(|step| 1 + step * 119) {
            server.cut_after_bytes(cut);
            server.drop_connections();
            until_suspended(&client).await;
            server.set(&format!("/app/n{:05}", cut % 50), &cut.to_be_bytes()).unwrap();
            let live = |status: &zk_config::Status| status.live;
            within(mirror.status_channel().wait_for(live)).await.unwrap();
            // The cut may be yet to come: behind it, everything is told.
            server.set("/app", &cut.to_be_bytes()).unwrap();
        }
        let last = loop {
            until_connected(&client).await;
            if let Ok(snapshot) = within(mirror.barrier()).await {
                break snapshot;
            }
        };
        super::assert_exact(&server, &last);
        let tree = zk_tests::tree_of(&last);
        let folded = within(folded.wait_for(|folded| folded.tree == tree)).await.unwrap();
        assert_eq!(folded.silent, None);
    }
}

/// Half a resynchronisation is thrown away with its connection; what was read on it stays, and is checked again.
#[tokio::test(start_paused = true)]
async fn a_mirror_cut_off_again_and_again_says_so_and_catches_up() {
    let server = Stage::start().await;
    // More than the window of four requests takes: the last reads leave behind the first answers.
    fill(&server, "/app", 3_000);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    server.delay_replies(Duration::from_millis(20));
    for round in 0..10 {
        server.script_next_connect(ConnectAnswer::Close);
        server.drop_connections();
        until_suspended(&client).await;
        server.set(&format!("/app/n{round:05}"), b"new").unwrap();
        server.delete(&format!("/app/n{:05}", 1_000 + round)).unwrap();
        until_connected(&client).await;
        drop(tokio::time::timeout(Duration::from_millis(25), std::future::pending::<()>()).await);
        assert!(!mirror.is_live(), "round {round}: half a load is not a copy");
    }
    server.delay_replies(Duration::ZERO);
    within(mirror.status_channel().wait_for(|status| status.live)).await.unwrap();
    caught_up(&server, &mirror).await;
}

/// The server answers a read with an error that says nothing of the znode.
#[tokio::test(start_paused = true)]
async fn a_throttled_read_is_repeated() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    server.refuse_next(OpCode::GET_DATA, zk_client::ErrorCode::THROTTLED_OP);
    server.set("/app/n00000", b"new").unwrap();
    let snapshot = caught_up(&server, &mirror).await;
    assert_eq!(&snapshot.get("/app/n00000").unwrap().data[..], b"new");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_who_comes_during_a_gap_is_told_of_it() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    server.stop().await;
    until_suspended(&client).await;
    let (snapshot, mut changes) = mirror.subscribe();
    assert!(!snapshot.is_live());
    assert!(matches!(within(changes.next()).await, Some(Update::Gap(GapReason::ConnectionLost))));
    server.start_again().await.unwrap();
    assert_eq!(told(&mut changes).await, "resynced");
}
