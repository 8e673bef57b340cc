//! Recipes, given up at every point where they wait.

use crate::stage::{Stage, give_up_twice, poll_and_drop, settle, until_connected, within};
use std::time::Duration;
use zk_client::{
    Client, OPEN_ACL_UNSAFE as OPEN,
    recipes::{Group, LeaderLatch, Lock, LockState, PersistentNode, ReadWriteLock},
};

/// Those that end by themselves.
const OPERATIONS: [&str; 20] = [
    "Lock::acquire",
    "Lock::acquire_within",
    "Lock::try_acquire",
    "Lock::participants",
    "ReadWriteLock::read",
    "ReadWriteLock::read_within",
    "ReadWriteLock::write",
    "ReadWriteLock::write_within",
    "ReadWriteLock::participants",
    "LeaderLatch::lead",
    "LeaderLatch::lead_within",
    "LeaderLatch::participants",
    "LeaderLatch::leader",
    "Group::members",
    "Group::watch",
    "Members::next",
    "PersistentNode::present",
    "PersistentNode::close",
    "LockGuard::release",
    "PersistentNode::leave",
];

/// Calls one of the operations and gives it up after so many polls; whether it was ready before.
async fn abandon(server: &Stage, client: &Client, name: &str, polls: usize) -> bool {
    let patience = Duration::from_secs(1);
    let lock = Lock::new(client, "/lock", OPEN);
    let both = ReadWriteLock::new(client, "/both", OPEN);
    let latch = LeaderLatch::new(client, "/latch", "me", OPEN);
    let group = Group::new(client, "/group", OPEN);
    match name {
        "Lock::acquire" => poll_and_drop(lock.acquire(), polls).await.is_some(),
        "Lock::acquire_within" => poll_and_drop(lock.acquire_within(patience), polls).await.is_some(),
        "Lock::try_acquire" => poll_and_drop(lock.try_acquire(), polls).await.is_some(),
        "Lock::participants" => poll_and_drop(lock.participants(), polls).await.is_some(),
        "ReadWriteLock::read" => poll_and_drop(both.read(), polls).await.is_some(),
        "ReadWriteLock::read_within" => poll_and_drop(both.read_within(patience), polls).await.is_some(),
        "ReadWriteLock::write" => poll_and_drop(both.write(), polls).await.is_some(),
        "ReadWriteLock::write_within" => poll_and_drop(both.write_within(patience), polls).await.is_some(),
        "ReadWriteLock::participants" => poll_and_drop(both.participants(), polls).await.is_some(),
        "LeaderLatch::lead" => poll_and_drop(latch.lead(), polls).await.is_some(),
        "LeaderLatch::lead_within" => poll_and_drop(latch.lead_within(patience), polls).await.is_some(),
        "LeaderLatch::participants" => poll_and_drop(latch.participants(), polls).await.is_some(),
        "LeaderLatch::leader" => poll_and_drop(latch.leader(), polls).await.is_some(),
        "Group::members" => poll_and_drop(group.members(), polls).await.is_some(),
        "Group::watch" => poll_and_drop(group.watch(), polls).await.is_some(),
        "Members::next" => {
            let mut members = within(group.watch()).await.unwrap();
            poll_and_drop(members.next(), polls).await.is_some()
        }
        "PersistentNode::present" => {
            let node = PersistentNode::start(client, "/node", b"", OPEN);
            let ready = poll_and_drop(node.present(), polls).await.is_some();
            within(node.close()).await;
            ready
        }
        "PersistentNode::close" => {
            poll_and_drop(PersistentNode::start(client, "/node", b"", OPEN).close(), polls).await.is_some()
        }
        "LockGuard::release" => {
            let held = within(lock.acquire()).await.unwrap();
            poll_and_drop(held.release(), polls).await.is_some()
        }
        "PersistentNode::leave" => {
            let node = PersistentNode::start(client, "/left", b"", OPEN);
            within(node.present()).await.unwrap();
            let ready = poll_and_drop(node.leave(), polls).await.is_some();
            settle().await;
            // It is there, and nobody keeps it any more.
            server.delete("/left").unwrap();
            settle().await;
            assert_eq!(server.get("/left").map(|_| ()), None);
            ready
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
    for name in OPERATIONS {
        let mut polls = 0;
        while !abandon(&server, &client, name, polls).await {
            polls += 1;
            assert!(polls < 200, "{name} is never ready");
        }
        within(Lock::new(&other, "/lock", OPEN).acquire()).await.unwrap().release().await.unwrap();
        within(ReadWriteLock::new(&other, "/both", OPEN).write()).await.unwrap().release().await.unwrap();
        within(LeaderLatch::new(&other, "/latch", "other", OPEN).lead()).await.unwrap().release().await.unwrap();
        within(client.sync("/")).await.unwrap();
        settle().await;
        for path in ["/lock", "/both", "/latch", "/group"] {
            assert_eq!(server.children(path).unwrap(), [""; 0], "{name} left something below {path}");
        }
        assert_eq!(server.watch_count(), 0, "{name} left a watch");
    }
    assert_eq!(server.get("/node").map(|_| ()), None, "no member is left");
}

/// Waits for what others do.
const WAITS: [&str; 3] = ["Members::next of a change", "LockGuard::doubtful", "LockGuard::lost"];

/// Makes one of them, gives it up before and after it comes true, and asserts that it was told all the same.
async fn wait(server: &Stage, client: &Client, name: &str, polls: usize) {
    let lock = Lock::new(client, "/lock", OPEN);
    match name {
        "Members::next of a change" => {
            let mut members = within(Group::new(client, "/group", OPEN).watch()).await.unwrap();
            assert!(within(members.next()).await.unwrap().is_empty());
            let joins = || server.create("/group/other", b"").unwrap();
            let now = give_up_twice(async || members.next().await, polls, joins).await.unwrap();
            assert_eq!(now.keys().collect::<Vec<_>>(), ["other"]);
            assert!(poll_and_drop(members.next(), 50).await.is_none(), "told once");
            server.delete("/group/other").unwrap();
        }
        "LockGuard::doubtful" => {
            let held = within(lock.acquire()).await.unwrap();
            give_up_twice(async || held.doubtful().await, polls, || server.drop_connections()).await;
            assert!(matches!(held.state(), LockState::Suspended { .. }));
            within(held.release()).await.unwrap();
        }
        "LockGuard::lost" => {
            let held = within(lock.acquire()).await.unwrap();
            let ends = || assert!(server.expire_session(held.session()));
            give_up_twice(async || held.lost().await, polls, ends).await;
            assert_eq!(held.state(), LockState::Lost);
            until_connected(client).await;
        }
        _ => panic!("no such wait"),
    }
}

// goal: N7
#[tokio::test(start_paused = true)]
async fn waits_that_are_given_up_miss_nothing() {
    let server = Stage::start().await;
    let client = server.connect().await;
    for path in ["/lock", "/group"] {
        server.create(path, b"").unwrap();
    }
    for (name, polls) in WAITS.iter().flat_map(|name| (0..20).map(move |polls| (name, polls))) {
        wait(&server, &client, name, polls).await;
        within(client.sync("/")).await.unwrap();
        settle().await;
        assert_eq!(
            (server.watch_count(), server.children("/lock").unwrap()),
            (0, vec![]),
            "{name} after {polls} polls"
        );
    }
}
