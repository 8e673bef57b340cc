//! A tree that is larger than a mirror may hold.

use super::{assert_exact, caught_up, fill, loading::secret};
use crate::stage::{BOTH, Stage, settle, within};
use zk_client::{Client, OpCode};
use zk_config::{GapReason, Limits, Mirror, MirrorError, Update};

/// `/app` with three children: 4 + 3 * 11 bytes of paths, 4 + 3 * 7 of data.
const NODES: usize = 4;
const BYTES: usize = 62;

fn start(client: &Client, nodes: usize, bytes: usize) -> Mirror {
    Mirror::start_within(client, "/app", Limits { nodes, bytes }).unwrap()
}

async fn removed_watches(server: &Stage) -> usize {
    settle().await;
    server.requests().iter().filter(|request| request.op == OpCode::REMOVE_WATCHES).count()
}

// goal: M8
#[tokio::test(start_paused = true)]
async fn what_fits_exactly_is_loaded_and_what_does_not_is_a_typed_error() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        assert!(within(start(&client, 0, 0).ready()).await.unwrap().is_empty());
        fill(&server, "/app", 3);
        let before = removed_watches(&server).await;
        let exactly = start(&client, NODES, BYTES);
        assert_exact(&server, &within(exactly.ready()).await.unwrap());
        for (nodes, bytes, expected) in [
            (NODES - 1, BYTES, MirrorError::TooManyNodes { limit: NODES - 1 }),
            (NODES, BYTES - 1, MirrorError::TooManyBytes { limit: BYTES - 1 }),
            (0, BYTES, MirrorError::TooManyNodes { limit: 0 }),
        ] {
            let mirror = start(&client, nodes, bytes);
            assert_eq!(within(mirror.ready()).await.unwrap_err(), expected);
            assert!(mirror.snapshot().is_empty() && !mirror.is_live(), "no part of it is shown");
        }
        assert!(exactly.is_live(), "others of the same client go on, and so does their watch");
        assert_eq!(removed_watches(&server).await, before);
        server.set("/app/n00001", b"another").unwrap();
        caught_up(&server, &exactly).await;
    }
}

/// What is not read need not be held, nor asked for.
#[tokio::test(start_paused = true)]
async fn a_load_that_is_too_large_stops_where_that_is_known() {
    let server = Stage::start().await;
    fill(&server, "/app", 0);
    for folder in 0..20 {
        fill(&server, &format!("/app/f{folder:02}"), 500);
    }
    let client = server.connect().await;
    // One list has more names than are allowed.
    let mirror = start(&client, 400, usize::MAX);
    assert_eq!(within(mirror.ready()).await.unwrap_err(), MirrorError::TooManyNodes { limit: 400 });
    assert!(mirror.status().reads < 2_000, "{:?}", mirror.status());
    // No list has.
    let mirror = start(&client, 1_000, usize::MAX);
    assert_eq!(within(mirror.ready()).await.unwrap_err(), MirrorError::TooManyNodes { limit: 1_000 });
    assert!(mirror.status().reads < 5_000, "{:?}", mirror.status());
    let mirror = start(&client, usize::MAX, 10_000);
    assert_eq!(within(mirror.ready()).await.unwrap_err(), MirrorError::TooManyBytes { limit: 10_000 });
    assert!(mirror.status().reads < 5_000, "{:?}", mirror.status());
    assert_eq!(removed_watches(&server).await, 3, "nobody watches any more");
    within(client.get_data("/app")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_live_mirror_whose_tree_outgrows_it_is_stale_for_good_and_says_why() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let mirror = start(&client, NODES, usize::MAX);
    let before = within(mirror.ready()).await.unwrap();
    let (_, mut changes) = mirror.subscribe();
    server.create("/app/one-too-many", b"").unwrap();
    assert!(matches!(within(changes.next()).await, Some(Update::Gap(GapReason::GivenUp))));
    assert!(within(changes.next()).await.is_none(), "nothing more will come");
    let failure = MirrorError::TooManyNodes { limit: NODES };
    assert_eq!(mirror.status().failure, Some(failure));
    assert_eq!(within(mirror.ready()).await.unwrap_err(), failure);
    assert_eq!(
        failure.to_string(),
        "the subtree has more than 4 znodes, the limit of this mirror: raise it, or mirror less of the tree"
    );
    let after = mirror.snapshot();
    assert!(!after.is_live() && after.iter().eq(before.iter()), "what was known stays readable");
    assert_eq!(removed_watches(&server).await, 1);
    server.set("/app/n00001", b"unseen").unwrap();
    server.drop_connections();
    crate::stage::until_suspended(&client).await;
    crate::stage::until_connected(&client).await;
    settle().await;
    assert!(!mirror.is_live() && mirror.snapshot().iter().eq(before.iter()));
}

/// Counted as they come and go: after any change, what fits is what is there.
#[tokio::test(start_paused = true)]
async fn what_went_makes_room() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 3);
        let client = server.connect().await;
        let mirror = start(&client, NODES, BYTES);
        within(mirror.ready()).await.unwrap();
        for round in 0..10 {
            server.set("/app/n00000", b"").unwrap();
            server.set("/app/n00001", b"as long as 2 ").unwrap();
            caught_up(&server, &mirror).await;
            server.set("/app/n00001", b"").unwrap();
            server.delete("/app/n00002").unwrap();
            caught_up(&server, &mirror).await;
            server.create("/app/n00002", b"value 2").unwrap();
            server.set("/app/n00000", b"value 0value 1").unwrap();
            if round == 5 {
                server.drop_connections();
            }
            caught_up(&server, &mirror).await;
            server.set("/app/n00000", b"value 0").unwrap();
            caught_up(&server, &mirror).await;
            server.set("/app/n00001", b"value 1").unwrap();
            assert_eq!(caught_up(&server, &mirror).await.len(), NODES);
        }
        server.set("/app/n00001", b"value 1!").unwrap();
        let mut status = mirror.status_channel();
        within(status.wait_for(|status| status.failure == Some(MirrorError::TooManyBytes { limit: BYTES })))
            .await
            .unwrap();
    }
}

/// They take room, too: each has its path and a reason.
#[tokio::test(start_paused = true)]
async fn znodes_that_cannot_be_read_count() {
    let server = Stage::start().await;
    for path in ["/app", "/app/folder", "/app/folder/secret"] {
        server.create(path, b"").unwrap();
    }
    server.set_acl("/app/folder/secret", &secret()).unwrap();
    let client = server.connect().await;
    let snapshot = within(start(&client, 3, usize::MAX).ready()).await.unwrap();
    assert_eq!((snapshot.len(), snapshot.hidden().len()), (2, 1));
    let failure = within(start(&client, 2, usize::MAX).ready()).await.unwrap_err();
    assert_eq!(failure, MirrorError::TooManyNodes { limit: 2 });
}
