//! Recipes, given up at every point where they wait.

use crate::stage::{Stage, poll_and_drop, settle, within};
use std::time::Duration;
use zk_client::{
    Client, OPEN_ACL_UNSAFE as OPEN,
    recipes::{Group, LeaderLatch, Lock, PersistentNode, ReadWriteLock},
};

/// How many of them there are.
const OPERATIONS: usize = 18;

/// Calls one of the operations, by its number, and gives it up after so many polls; whether it was ready before.
async fn abandon(client: &Client, number: usize, polls: usize) -> bool {
    let patience = Duration::from_secs(1);
    let lock = Lock::new(client, "/lock", OPEN);
    let both = ReadWriteLock::new(client, "/both", OPEN);
    let latch = LeaderLatch::new(client, "/latch", "me", OPEN);
    let group = Group::new(client, "/group", OPEN);
    match number {
        0 => poll_and_drop(lock.acquire(), polls).await.is_some(),
        1 => poll_and_drop(lock.acquire_within(patience), polls).await.is_some(),
        2 => poll_and_drop(lock.try_acquire(), polls).await.is_some(),
        3 => poll_and_drop(lock.participants(), polls).await.is_some(),
        4 => poll_and_drop(both.read(), polls).await.is_some(),
        5 => poll_and_drop(both.read_within(patience), polls).await.is_some(),
        6 => poll_and_drop(both.write(), polls).await.is_some(),
        7 => poll_and_drop(both.write_within(patience), polls).await.is_some(),
        8 => poll_and_drop(both.participants(), polls).await.is_some(),
        9 => poll_and_drop(latch.lead(), polls).await.is_some(),
        10 => poll_and_drop(latch.lead_within(patience), polls).await.is_some(),
        11 => poll_and_drop(latch.participants(), polls).await.is_some(),
        12 => poll_and_drop(latch.leader(), polls).await.is_some(),
        13 => poll_and_drop(group.members(), polls).await.is_some(),
        14 => {
            let first = async { group.watch().await.unwrap().next().await };
            poll_and_drop(first, polls).await.is_some()
        }
        15 => {
            let node = PersistentNode::start(client, "/node", b"", OPEN);
            let ready = poll_and_drop(node.present(), polls).await.is_some();
            within(node.close()).await;
            ready
        }
        16 => poll_and_drop(PersistentNode::start(client, "/node", b"", OPEN).close(), polls).await.is_some(),
        17 => {
            let held = within(lock.acquire()).await.unwrap();
            poll_and_drop(held.release(), polls).await.is_some()
        }
        _ => panic!("no such operation"),
    }
}

/// Neither a znode nor a watch is left, and whoever comes next has its turn at once.
// goal: N7
#[tokio::test(start_paused = true)]
async fn recipes_leave_nothing_behind_wherever_they_are_given_up() {
    let server = Stage::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    for path in ["/lock", "/both", "/latch", "/group"] {
        server.create(path, b"").unwrap();
    }
    for number in 0..OPERATIONS {
        let mut polls = 0;
        while !abandon(&client, number, polls).await {
            polls += 1;
            assert!(polls < 200, "operation {number} is never ready");
        }
        within(Lock::new(&other, "/lock", OPEN).acquire()).await.unwrap().release().await.unwrap();
        within(ReadWriteLock::new(&other, "/both", OPEN).write()).await.unwrap().release().await.unwrap();
        within(LeaderLatch::new(&other, "/latch", "other", OPEN).lead()).await.unwrap().release().await.unwrap();
        within(client.sync("/")).await.unwrap();
        settle().await;
        for path in ["/lock", "/both", "/latch", "/group"] {
            assert_eq!(server.children(path).unwrap(), [""; 0], "operation {number} left something below {path}");
        }
        assert_eq!(server.watch_count(), 0, "operation {number} left a watch");
    }
    assert_eq!(server.get("/node").map(|_| ()), None, "no member is left");
}
