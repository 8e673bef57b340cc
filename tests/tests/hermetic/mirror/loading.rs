//! The first copy, whatever there is to copy.

use std::time::Duration;

use super::{assert_exact, batch, caught_up, fill, summary};
use crate::stage::{BOTH, Stage, settle, within};
use zk_client::{Acl, AuthId, ErrorCode, OPEN_ACL_UNSAFE, OpCode, Permissions};
use zk_config::{GapReason, Hidden, Mirror, MirrorError, Update};
use zk_testkit::server::{Profile, TestServer};

// goal: M6
#[tokio::test(start_paused = true)]
async fn trees_of_any_size_are_loaded_exactly() {
    for (profile, children) in BOTH.into_iter().flat_map(|profile| [0, 1, 10_000].map(|n| (profile.clone(), n))) {
        let server = Stage::like(profile).await;
        fill(&server, "/app", children);
        let client = server.connect().await;
        let (mirror, snapshot) = server.mirror(&client, "/app").await;
        assert_exact(&server, &snapshot);
        assert_eq!((snapshot.len(), snapshot.revision()), (children + 1, server.zxid()));
        assert_eq!(mirror.status().resyncs, 1);
        let requests = server.requests();
        let plain = requests.iter().filter(|request| request.op == OpCode::GET_DATA).count();
        assert!(plain <= 2, "{plain} single reads: the rest goes in batches");
        assert!(requests.len() < 40, "{} requests for {children} children", requests.len());
    }
}

#[tokio::test(start_paused = true)]
async fn deep_trees_and_the_root_of_all_are_loaded() {
    let server = Stage::start().await;
    let mut path = String::new();
    for level in 0..100 {
        path.push_str(&format!("/level-{level}"));
        server.create(&path, path.as_bytes()).unwrap();
    }
    let client = server.connect().await;
    let (mirror, snapshot) = server.mirror(&client, "/").await;
    assert_exact(&server, &snapshot);
    assert!(snapshot.get("/zookeeper").is_some() && snapshot.get(&path).is_some());
    assert_eq!(snapshot.below("/level-0").count(), 99);
    server.create("/new", b"").unwrap();
    caught_up(&server, &mirror).await;
}

#[tokio::test(start_paused = true)]
async fn a_root_that_does_not_exist_is_an_empty_copy_until_it_is_created() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let (mirror, snapshot) = server.mirror(&client, "/app").await;
        assert!(snapshot.is_empty() && snapshot.is_exact() && mirror.is_live());
        let (_, mut changes) = mirror.subscribe();
        server.create("/app", b"").unwrap();
        assert_eq!(summary(&batch(&mut changes).await), ["+/app"]);
        server.create("/app/a", b"").unwrap();
        assert_eq!(summary(&batch(&mut changes).await), ["+/app/a"]);
        server.delete("/app/a").unwrap();
        server.delete("/app").unwrap();
        assert!(caught_up(&server, &mirror).await.is_empty());
        server.create("/app", b"again").unwrap();
        assert_eq!(caught_up(&server, &mirror).await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_from_the_beginning_sees_the_load_as_the_end_of_a_gap() {
    let server = Stage::start().await;
    fill(&server, "/app", 2);
    let client = server.connect().await;
    let mirror = Mirror::start(&client, "/app").unwrap();
    let (snapshot, mut changes) = mirror.subscribe();
    assert!(snapshot.is_empty() && !snapshot.is_live());
    assert!(matches!(within(changes.next()).await, Some(Update::Gap(GapReason::NotLoaded))));
    assert_eq!(summary(&batch(&mut changes).await), ["+/app", "+/app/n00000", "+/app/n00001"]);
    let Some(Update::Resynced { revision }) = within(changes.next()).await else { panic!("not resynced") };
    assert_eq!(revision, server.zxid());
}

#[tokio::test(start_paused = true)]
async fn a_mirror_started_before_there_is_a_connection_loads_when_there_is_one() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    server.stop().await;
    let client = server.connector().connect_in_background();
    let mirror = Mirror::start(&client, "/app").unwrap();
    settle().await;
    assert!(!mirror.is_live());
    let deadline = tokio::time::timeout(Duration::from_secs(1), mirror.ready()).await;
    assert!(deadline.is_err(), "ready takes a deadline");
    server.start_again().await.unwrap();
    assert_exact(&server, &within(mirror.ready()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn without_batched_reads_the_mirror_reads_one_by_one() {
    let server = Stage::like(Profile::V3_9.without(OpCode::MULTI_READ)).await;
    fill(&server, "/app", 1_000);
    let client = server.connect().await;
    let (mirror, snapshot) = server.mirror(&client, "/app").await;
    assert_exact(&server, &snapshot);
    let batches = server.requests().iter().filter(|request| request.op == OpCode::MULTI_READ).count();
    assert!((1..=4).contains(&batches), "{batches}: learned once");
    drop(server.take_requests());
    server.expire_session(client.session_id().unwrap());
    crate::stage::until_suspended(&client).await;
    crate::stage::until_connected(&client).await;
    caught_up(&server, &mirror).await;
    assert!(server.requests().iter().all(|request| request.op != OpCode::MULTI_READ), "and not forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_recursive_watches_is_told_by_a_typed_error() {
    let server = Stage::like(Profile::V3_5).await;
    let client = server.connect().await;
    let mirror = Mirror::start(&client, "/app").unwrap();
    let error = within(mirror.ready()).await.unwrap_err();
    assert_eq!(error, MirrorError::Watch(ErrorCode::UNIMPLEMENTED));
    assert_eq!(error.to_string(), "the server has no recursive watches; they need ZooKeeper 3.6 or newer");
    within(client.get_data("/")).await.unwrap();
}

/// For nobody but one who never comes.
pub(super) fn secret() -> [Acl; 1] {
    [Acl { permissions: Permissions::ALL, id: AuthId { scheme: "digest".into(), id: "ann:x".into() } }]
}

#[tokio::test(start_paused = true)]
async fn a_root_that_may_not_be_read_is_an_error_until_it_may() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    server.set_acl("/app", &secret()).unwrap();
    let client = server.connect().await;
    let mirror = Mirror::start(&client, "/app").unwrap();
    let refused = Hidden::Refused(ErrorCode::NO_AUTH);
    assert_eq!(within(mirror.ready()).await.unwrap_err(), MirrorError::Root(refused));
    server.set_acl("/app", OPEN_ACL_UNSAFE).unwrap();
    server.drop_connections();
    let mut status = mirror.status_channel();
    within(status.wait_for(|status| status.failure.is_none() && status.live)).await.unwrap();
    assert_exact(&server, &mirror.snapshot());
}

#[tokio::test(start_paused = true)]
async fn a_znode_that_may_not_be_read_is_listed_as_hidden_and_the_rest_is_exact() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 5);
        server.set_acl("/app/n00002", &secret()).unwrap();
        let client = server.connect().await;
        let (mirror, snapshot) = server.mirror(&client, "/app").await;
        assert_eq!(snapshot.hidden(), [("/app/n00002".into(), Hidden::Refused(ErrorCode::NO_AUTH))]);
        assert_eq!((snapshot.len(), snapshot.get("/app/n00002")), (5, None));
        server.set("/app/n00003", b"new").unwrap();
        let snapshot = within(mirror.barrier()).await.unwrap();
        assert_eq!(&snapshot.get("/app/n00003").unwrap().data[..], b"new");

        server.set_acl("/app/n00002", OPEN_ACL_UNSAFE).unwrap();
        server.set("/app/n00002", b"seen").unwrap();
        let snapshot = caught_up(&server, &mirror).await;
        assert_eq!(snapshot.hidden(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn large_values_are_loaded_and_one_over_the_limit_is_hidden() {
    let server = Stage::start().await;
    fill(&server, "/app", 2_000);
    for name in ["w", "x", "y", "z"] {
        server.create(&format!("/app/{name}"), &vec![7; 1_000_000]).unwrap();
    }
    let client = server.connect().await;
    let (_, snapshot) = server.mirror(&client, "/app").await;
    assert_exact(&server, &snapshot);
    within(client.close()).await;

    let narrow = within(server.connector().reply_len_max(100_000).connect()).await.unwrap();
    let (mirror, snapshot) = server.mirror(&narrow, "/app").await;
    let hidden: Vec<_> =
        snapshot.hidden().iter().map(|(path, why)| (&**path, matches!(why, Hidden::TooLarge(_)))).collect();
    assert_eq!(hidden, [("/app/w", true), ("/app/x", true), ("/app/y", true), ("/app/z", true)]);
    assert_eq!(snapshot.len(), 2_001);
    for name in ["w", "x", "y", "z"] {
        server.set(&format!("/app/{name}"), b"small").unwrap();
    }
    caught_up(&server, &mirror).await;
    drop(server.take_requests());
    server.drop_connections();
    crate::stage::until_suspended(&narrow).await;
    within(mirror.status_channel().wait_for(|status| status.live)).await.unwrap();
    let requests = server.take_requests().len();
    assert!(requests < 100, "{requests} requests for 2,005 znodes: batches have not grown again");
}

/// Some servers take longer than others: an answer that comes late is still the right one.
#[tokio::test(start_paused = true)]
async fn changes_during_the_load_are_not_lost() {
    let server = Stage::with(TestServer::builder()).await;
    fill(&server, "/app", 3_000);
    let client = server.connect().await;
    server.delay_replies(Duration::from_millis(5));
    let mirror = Mirror::start(&client, "/app").unwrap();
    for round in 0..50 {
        drop(tokio::time::timeout(Duration::from_millis(1), mirror.ready()).await);
        server.set(&format!("/app/n{:05}", round * 7), b"new").unwrap();
        server.delete(&format!("/app/n{:05}", 1_000 + round)).unwrap();
        server.create(&format!("/app/m{round}"), b"").unwrap();
    }
    server.delay_replies(Duration::ZERO);
    within(mirror.ready()).await.unwrap();
    caught_up(&server, &mirror).await;
}
