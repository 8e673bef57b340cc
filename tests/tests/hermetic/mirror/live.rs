//! Changes as they come, while the connection stands.

use super::{batch, caught_up, fill, summary};
use crate::stage::{BOTH, Stage, create, settle, within};
use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE, Transaction};
use zk_config::{GapReason, Mirror, Update};
use zk_testkit::server::{Edit, TestEnsemble};
use zk_tests::{Folded, tree_of};

#[tokio::test(start_paused = true)]
async fn each_change_comes_with_old_and_new_value() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 1);
        let client = server.connect().await;
        let (mirror, _) = server.mirror(&client, "/app").await;
        let (_, mut changes) = mirror.subscribe();

        let zxid = server.create("/app/a", b"1").unwrap();
        let told = batch(&mut changes).await;
        assert_eq!((summary(&told), told.exact, told.revision), (vec!["+/app/a".to_owned()], true, zxid));
        server.set("/app/a", b"2").unwrap();
        let told = batch(&mut changes).await;
        let (old, new) = (told.changes[0].old.as_ref().unwrap(), told.changes[0].new.as_ref().unwrap());
        assert_eq!((&old.data[..], &new.data[..], new.stat.version), (b"1".as_slice(), b"2".as_slice(), 1));
        server.delete("/app/a").unwrap();
        let told = batch(&mut changes).await;
        assert_eq!(summary(&told), ["-/app/a"]);
        let parent = told.changes.iter().find(|change| &*change.path == "/app").unwrap();
        assert!(parent.is_stat_only(), "its list of children changed");
        caught_up(&server, &mirror).await;
    }
}

// goal: C3, M5
#[tokio::test(start_paused = true)]
async fn a_transaction_is_one_batch() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 60);
        let client = server.connect().await;
        let (mirror, _) = server.mirror(&client, "/app").await;
        let (_, mut changes) = mirror.subscribe();
        for round in 0..20 {
            let value = format!("round {round}");
            let paths: Vec<String> = (0..50).map(|i| format!("/app/n{i:05}")).collect();
            let (made, gone) = (format!("/app/m{round}"), format!("/app/n{:05}", 59 - round % 10));
            let mut edits: Vec<_> = paths.iter().map(|path| Edit::Set(path, value.as_bytes())).collect();
            edits.push(Edit::Create(&made, b""));
            if round < 10 {
                edits.push(Edit::Delete(&gone));
            }
            let zxid = server.apply(&edits).unwrap();
            let told = batch(&mut changes).await;
            assert_eq!((told.revision, told.exact), (zxid, true));
            assert_eq!(summary(&told).len(), edits.len());
        }
        caught_up(&server, &mirror).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_znode_recreated_between_two_reads_is_seen_as_another_one() {
    let server = Stage::start().await;
    fill(&server, "/app", 1);
    let client = server.connect().await;
    let (mirror, before) = server.mirror(&client, "/app").await;
    server.delete("/app/n00000").unwrap();
    server.create("/app/n00000", b"value 0").unwrap();
    let after = caught_up(&server, &mirror).await;
    let czxid = |snapshot: &zk_config::Snapshot| snapshot.get("/app/n00000").unwrap().stat.czxid;
    assert!(czxid(&after) > czxid(&before));
}

// goal: M7
#[tokio::test(start_paused = true)]
async fn own_writes_are_visible_after_waiting_for_their_zxid() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 1);
        let (client, writer) = (server.connect().await, server.connect().await);
        let (mirror, _) = server.mirror(&client, "/app").await;
        for round in 0..200_u32 {
            let value = round.to_be_bytes();
            let stat = within(writer.set_data("/app/n00000", &value, None)).await.unwrap();
            // The server of the mirror has it; what says so to the mirror is the next reply or ping at the latest.
            let snapshot = within(mirror.wait_for(stat.mzxid)).await.unwrap();
            assert_eq!(snapshot.get("/app/n00000").unwrap().data[..], value);
            let transaction = Transaction::new().set_data("/app", &value, None);
            within(writer.commit(&transaction)).await.unwrap();
            let snapshot = within(mirror.barrier()).await.unwrap();
            assert_eq!(snapshot.get("/app").unwrap().data[..], value);
        }
    }
}

/// The stream of a subscriber who does not read is replaced by the difference.
#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_sees_a_gap_and_then_the_difference() {
    let server = Stage::start().await;
    fill(&server, "/app", 10);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let (snapshot, mut slow) = mirror.subscribe();
    for round in 0..3_000 {
        server.set(&format!("/app/n{:05}", round % 10), format!("round {round}").as_bytes()).unwrap();
        if round % 2 == 0 {
            create(&client, &format!("/app/m{round}"), b"").await;
            within(mirror.barrier()).await.unwrap();
        }
    }
    let last = caught_up(&server, &mirror).await;
    let mut folded = Folded { tree: tree_of(&snapshot), ..Folded::default() };
    let mut updates = Vec::new();
    while folded.tree != tree_of(&last) || folded.in_gap {
        let update = within(slow.next()).await.unwrap();
        folded.take(&update);
        updates.push(update);
    }
    assert!(matches!(updates[0], Update::Gap(GapReason::Overflow)), "{:?}", updates[0]);
    assert!(matches!(updates[2], Update::Resynced { .. }), "{:?}", updates[2]);
    assert_eq!((folded.silent, folded.resynced), (None, 1));
    assert_eq!(mirror.status().gaps, 0, "the mirror itself missed nothing");
    server.set("/app/n00000", b"last").unwrap();
    assert_eq!(summary(&batch(&mut slow).await), ["~/app/n00000"]);
}

#[tokio::test(start_paused = true)]
async fn ephemerals_of_others_come_and_go() {
    let server = Stage::start().await;
    fill(&server, "/app", 0);
    let (client, other) = (server.connect().await, server.connect().await);
    let (mirror, _) = server.mirror(&client, "/app").await;
    let (_, mut changes) = mirror.subscribe();
    within(other.create("/app/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let told = batch(&mut changes).await;
    assert_eq!(summary(&told), ["+/app/e"]);
    within(other.close()).await;
    assert_eq!(summary(&batch(&mut changes).await), ["-/app/e"]);
}

/// Over real sockets: written on server A, mirrored from server B, which has not told of it yet.
// goal: M7
#[tokio::test]
async fn waiting_for_a_write_on_another_server_waits_until_it_is_visible() {
    let ensemble = TestEnsemble::start(2).await.unwrap();
    let (a, b) = (&ensemble.members()[0], &ensemble.members()[1]);
    a.create("/app", b"old").unwrap();
    let writer = within(Client::connect(&a.connect_string())).await.unwrap();
    let client = within(Client::connect(&b.connect_string())).await.unwrap();
    let mirror = Mirror::start(&client, "/app").unwrap();
    within(mirror.ready()).await.unwrap();
    b.hold_replies(true);
    let stat = within(writer.set_data("/app", b"new", None)).await.unwrap();
    let waiting = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.wait_for(stat.mzxid).await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    assert_eq!(&mirror.snapshot().get("/app").unwrap().data[..], b"old");
    b.hold_replies(false);
    let snapshot = within(waiting).await.unwrap().unwrap();
    assert_eq!(&snapshot.get("/app").unwrap().data[..], b"new");
}
