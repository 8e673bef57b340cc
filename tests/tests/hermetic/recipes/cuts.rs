//! Connections cut at every few bytes of everything a recipe sends and gets: what was lost is looked for, and nothing is
//! made twice. The server counts: a directory's `cversion` is the number of children made and deleted.

use super::child_changes;
use crate::stage::{Stage, within};
use std::time::Duration;
use zk_client::{
    Client, CreateMode, OPEN_ACL_UNSAFE,
    recipes::{LeaderLatch, Lock, NodeStatus, PersistentNode, ReadWriteLock},
};
use zk_testkit::server::{Fault, TestServer};

/// The answer to the handshake, and the handshake: cuts within these are tests of the client's own.
const GREETING: usize = 41;
const HANDSHAKE: usize = 49;

/// Longer than any of these tests takes by its paused clock.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Cuts of the next connection: of what the client gets (carried out, and nobody told), and of what it sends.
fn cuts() -> impl Iterator<Item = Fault> {
    let replies = (GREETING..GREETING + 900).step_by(7).map(Fault::CutReplies);
    let requests = (HANDSHAKE..HANDSHAKE + 900).step_by(7).map(Fault::CutRequests);
    replies.chain(requests)
}

/// Plays a recipe over a connection that is cut, for every cut; below `/<number>`. Says how many were in its way.
async fn play<F: Future<Output = ()>>(act: impl Fn(Stage, Client, String, String) -> F) -> usize {
    // The minutes that all cuts take together are longer than an empty directory, a container, would be left alone.
    let server = Stage::with(TestServer::builder().container_interval(FOREVER)).await;
    let mut met = 0;
    for (number, cut) in cuts().enumerate() {
        server.inject(cut.clone()).await;
        let client = server.connector().connect_in_background();
        let mut events = client.session_events();
        act(server.clone(), client.clone(), format!("/{number}"), cut.to_string()).await;
        within(client.close()).await;
        let mut changes = 0;
        while within(events.next()).await.is_some() {
            changes += 1;
        }
        met += usize::from(changes > 3);
        server.heal().await.unwrap();
    }
    met
}

/// Cuts that must have been met for the test to be worth something.
const MET_MIN: usize = 100;

#[tokio::test(start_paused = true)]
async fn a_lock_makes_one_znode_and_deletes_it_wherever_the_connection_is_cut() {
    let met = play(async |server, client, path, cut| {
        let guard = within(Lock::new(&client, &path, OPEN_ACL_UNSAFE).acquire()).await.unwrap();
        assert_eq!(server.children(&path).unwrap().len(), 1, "{cut}");
        assert_eq!(server.get(&guard.path()).unwrap().1.czxid, guard.fencing_token(), "{cut}");
        within(guard.release()).await.unwrap();
        assert_eq!((server.children(&path).unwrap().len(), child_changes(&server, &path)), (0, 2), "{cut}");
    })
    .await;
    assert!(met >= MET_MIN, "{met}");
}

/// The checker on a planted bug: a create that is simply repeated after a lost reply.
#[tokio::test(start_paused = true)]
async fn the_checker_sees_a_create_that_is_repeated_blindly() {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    play(async |server, client, path, _| {
        server.create(&path, b"").unwrap();
        let lock = format!("{path}/lock-");
        while within(client.create(&lock, b"", CreateMode::EphemeralSequential, OPEN_ACL_UNSAFE)).await.is_err() {}
        seen.fetch_add(usize::from(child_changes(&server, &path) != 1), std::sync::atomic::Ordering::Relaxed);
    })
    .await;
    assert!(seen.into_inner() > 0);
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_gets_its_turn_wherever_the_connection_is_cut() {
    let met = play(async |server, client, path, cut| {
        let other = server.connect().await;
        let held = within(ReadWriteLock::new(&other, &path, OPEN_ACL_UNSAFE).read()).await.unwrap();
        let waiting = ReadWriteLock::new(&client, &path, OPEN_ACL_UNSAFE);
        let waiting = tokio::spawn(async move { waiting.write().await });
        super::children(&server, &path, 2).await;
        within(held.release()).await.unwrap();
        let writer = within(waiting).await.unwrap().unwrap();
        assert_eq!(server.children(&path).unwrap().len(), 1, "{cut}");
        within(writer.release()).await.unwrap();
        assert_eq!((server.children(&path).unwrap().len(), child_changes(&server, &path)), (0, 4), "{cut}");
        within(other.close()).await;
    })
    .await;
    assert!(met >= MET_MIN, "{met}");
}

#[tokio::test(start_paused = true)]
async fn an_election_is_entered_once_wherever_the_connection_is_cut() {
    let met = play(async |server, client, path, cut| {
        let latch = LeaderLatch::new(&client, &path, "me", OPEN_ACL_UNSAFE);
        let leader = within(latch.lead()).await.unwrap();
        assert!(leader.path().contains("-latch-"), "{cut}");
        within(leader.release()).await.unwrap();
        assert_eq!((server.children(&path).unwrap().len(), child_changes(&server, &path)), (0, 2), "{cut}");
    })
    .await;
    assert!(met >= MET_MIN, "{met}");
}

/// L1 and L2 of reliability.md: made once a session, and settled by a look.
#[tokio::test(start_paused = true)]
async fn an_ephemeral_is_made_once_wherever_the_connection_is_cut() {
    for sequential in [false, true] {
        let met = play(async |server, client, path, cut| {
            let wanted = format!("{path}/node");
            let node = if sequential {
                PersistentNode::start_sequential(&client, &wanted, b"1", OPEN_ACL_UNSAFE)
            } else {
                PersistentNode::start(&client, &wanted, b"1", OPEN_ACL_UNSAFE)
            };
            let made = within(node.present()).await.unwrap();
            node.set_data(b"2");
            within(server.wait_until(|model| model.get(&made).is_some_and(|(data, _)| data == "2"))).await;
            let mut status = node.status();
            let is_present = |status: &NodeStatus| matches!(status, NodeStatus::Present { .. });
            within(status.wait_for(is_present)).await.unwrap();
            let owner = server.get(&made).unwrap().1.ephemeral_owner;
            assert!(server.sessions().iter().any(|session| session.id == owner), "{cut}");
            assert_eq!(child_changes(&server, &path), 1, "{cut}");
            within(node.close()).await;
            assert_eq!((server.children(&path).unwrap().len(), child_changes(&server, &path)), (0, 2), "{cut}");
        })
        .await;
        assert!(met >= MET_MIN, "{met}");
    }
}
