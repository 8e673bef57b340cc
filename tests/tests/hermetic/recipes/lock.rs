//! The lock: who has it, in which order, and how it ends.

use std::time::Duration;

use super::{child_changes, children, expire, session};
use crate::stage::{Stage, pass, poll_and_drop, settle, until_connected, until_suspended, within};
use zk_client::{
    ErrorCode, OPEN_ACL_UNSAFE,
    recipes::{Lock, LockState},
};

const SHORT: Duration = Duration::from_millis(100);

/// Curator's TestInterProcessMutex.testBasic and its lock node names.
// goal: K1
#[tokio::test(start_paused = true)]
async fn one_has_it_and_the_next_gets_it_then() {
    let server = Stage::start().await;
    let (one, two) = (server.connect().await, server.connect().await);
    let (mine, theirs) = (Lock::new(&one, "/a/b/lock", OPEN_ACL_UNSAFE), Lock::new(&two, "/a/b/lock", OPEN_ACL_UNSAFE));
    let guard = within(mine.acquire()).await.unwrap();
    assert!(guard.is_held());
    let name = server.children("/a/b/lock").unwrap().pop().unwrap();
    assert!(name.starts_with("_c_") && name.ends_with("-lock-0000000000"), "{name}");
    assert_eq!(guard.path(), format!("/a/b/lock/{name}"));
    assert_eq!(guard.fencing_token(), server.get(&guard.path()).unwrap().1.czxid);
    assert!(within(theirs.acquire_within(SHORT)).await.unwrap().is_none());
    assert!(within(theirs.try_acquire()).await.unwrap().is_none());
    children(&server, "/a/b/lock", 1).await;
    let waiting = tokio::spawn(async move { theirs.acquire().await });
    children(&server, "/a/b/lock", 2).await;
    assert_eq!(within(mine.participants()).await.unwrap()[0], guard.path());
    let token = guard.fencing_token();
    within(guard.release()).await.unwrap();
    let next = within(waiting).await.unwrap().unwrap();
    assert!(next.is_held() && next.fencing_token() > token, "tokens grow from holder to holder");
    drop(next);
    children(&server, "/a/b/lock", 0).await;
    assert!(within(mine.try_acquire()).await.unwrap().is_some());
}

/// In the order in which they came; each watches the one before it, and a release wakes one.
#[tokio::test(start_paused = true)]
async fn it_is_fair_and_wakes_no_herd() {
    const WAITERS: usize = 20;
    let server = Stage::start().await;
    let client = server.connect().await;
    let first = within(Lock::new(&client, "/lock", OPEN_ACL_UNSAFE).acquire()).await.unwrap();
    let (told, mut order) = tokio::sync::mpsc::channel(WAITERS);
    let (mut clients, mut tasks) = (Vec::new(), Vec::new());
    for waiter in 0..WAITERS {
        let client = server.connect().await;
        clients.push(client.clone());
        let told = told.clone();
        tasks.push(tokio::spawn(async move {
            let guard = Lock::new(&client, "/lock", OPEN_ACL_UNSAFE).acquire().await.unwrap();
            told.send(waiter).await.unwrap();
            guard.release().await.unwrap();
        }));
        children(&server, "/lock", waiter + 2).await;
    }
    settle().await;
    let watches: Vec<_> = server.watches().into_values().flatten().map(|watch| watch.path).collect();
    let distinct: std::collections::BTreeSet<_> = watches.iter().collect();
    assert_eq!((watches.len(), distinct.len()), (WAITERS, WAITERS), "one each, on another znode each");
    drop(server.take_requests());
    within(first.release()).await.unwrap();
    for expected in 0..WAITERS {
        assert_eq!(within(order.recv()).await, Some(expected));
    }
    for task in tasks {
        within(task).await.unwrap();
    }
    let requests = server.take_requests().len();
    assert!(requests <= WAITERS * 6, "{requests} requests for {WAITERS} hand-overs");
}

/// Curator's testWaitingProcessKilledServer and testKilledSession: the guard says so at once, and the next one has it.
#[tokio::test(start_paused = true)]
async fn a_lost_session_is_a_lost_lock_and_the_guard_says_so() {
    let server = Stage::start().await;
    let (one, two) = (server.connect().await, server.connect().await);
    let guard = within(Lock::new(&one, "/lock", OPEN_ACL_UNSAFE).acquire()).await.unwrap();
    let waiting = tokio::spawn(async move { Lock::new(&two, "/lock", OPEN_ACL_UNSAFE).acquire().await });
    children(&server, "/lock", 2).await;
    let before = session(&one);
    expire(&server, &one).await;
    within(guard.lost()).await;
    assert_eq!((guard.state(), guard.session()), (LockState::Lost, before));
    let next = within(waiting).await.unwrap().unwrap();
    assert!(next.is_held());
    let late = within(guard.client().create("/x", b"", zk_client::CreateMode::Persistent, OPEN_ACL_UNSAFE)).await;
    assert!(late.unwrap_err().is_session_over());
    assert!(server.get("/x").is_none());
    let released = within(guard.release()).await.unwrap_err();
    assert!(released.is_session_over(), "{released:?}");
    assert!(next.is_held() && server.children("/lock").unwrap().len() == 1, "the other's znode is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_makes_the_lock_doubtful_and_no_more() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let guard = within(Lock::new(&client, "/lock", OPEN_ACL_UNSAFE).acquire()).await.unwrap();
    server.black_hole(true);
    within(guard.doubtful()).await;
    assert!(!guard.is_held() && matches!(guard.state(), LockState::Suspended { .. }));
    until_suspended(&client).await;
    server.black_hole(false);
    until_connected(&client).await;
    assert!(guard.is_held());
    within(guard.release()).await.unwrap();
    assert_eq!(child_changes(&server, "/lock"), 2);
}

/// A waiter whose session expires waits on in the next one, behind those who have come meanwhile.
#[tokio::test(start_paused = true)]
async fn a_waiter_goes_on_in_its_next_session() {
    let server = Stage::start().await;
    let (one, two) = (server.connect().await, server.connect().await);
    let guard = within(Lock::new(&one, "/lock", OPEN_ACL_UNSAFE).acquire()).await.unwrap();
    let lock = Lock::new(&two, "/lock", OPEN_ACL_UNSAFE);
    let waiting = tokio::spawn(async move { lock.acquire().await });
    children(&server, "/lock", 2).await;
    let after = expire(&server, &two).await;
    children(&server, "/lock", 2).await;
    within(guard.release()).await.unwrap();
    assert_eq!(within(waiting).await.unwrap().unwrap().session(), after);
    let last = Lock::new(&one, "/lock", OPEN_ACL_UNSAFE);
    let waiting = tokio::spawn(async move { last.acquire().await });
    within(one.close()).await;
    assert!(within(waiting).await.unwrap().is_err(), "a closed client waits for nothing");
}

/// Curator's testDeletedLockNode: somebody deletes the znode of one who waits.
#[tokio::test(start_paused = true)]
async fn a_waiter_whose_znode_is_deleted_queues_again() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let lock = Lock::new(&client, "/lock", OPEN_ACL_UNSAFE).data(b"me");
    let guard = within(lock.acquire()).await.unwrap();
    let second = lock.clone();
    let waiting = tokio::spawn(async move { second.acquire().await });
    children(&server, "/lock", 2).await;
    let deleted = within(lock.participants()).await.unwrap().pop().unwrap();
    assert_eq!(server.get(&deleted).unwrap().0, "me");
    server.delete(&deleted).unwrap();
    within(guard.release()).await.unwrap();
    let guard = within(waiting).await.unwrap().unwrap();
    assert_ne!(guard.path(), deleted);
    assert!(guard.is_held());
}

/// A future dropped at any point gives its place up: nothing is left, and nobody waits for it.
// goal: N7
#[tokio::test(start_paused = true)]
async fn a_dropped_acquire_leaves_no_znode_at_whatever_point() {
    let server = Stage::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    let mut acquired = 0;
    for polls in 0..60 {
        for is_free in [true, false] {
            let path = format!("/locks/{polls}-{is_free}");
            let holder = Lock::new(&other, &path, OPEN_ACL_UNSAFE);
            let held = if is_free { None } else { Some(within(holder.acquire()).await.unwrap()) };
            let lock = Lock::new(&client, &path, OPEN_ACL_UNSAFE);
            let guard = poll_and_drop(lock.acquire(), polls).await;
            assert!(guard.is_none() || is_free, "granted while another has it");
            acquired += usize::from(guard.is_some());
            drop(guard);
            if let Some(held) = held {
                within(held.release()).await.unwrap();
            }
            let next = within(holder.acquire()).await.unwrap();
            within(client.sync("/")).await.unwrap();
            settle().await;
            assert_eq!(server.children(&path).unwrap().len(), 1, "{path}: only the holder is left");
            within(next.release()).await.unwrap();
        }
    }
    assert!(acquired > 0, "some got so far");
    settle().await;
    assert_eq!(server.watch_count(), 0, "and no watch");
}

/// The connection goes with the create on its way, and the future is dropped: the znode that was made goes, too.
#[tokio::test(start_paused = true)]
async fn a_dropped_acquire_whose_reply_is_lost_leaves_no_znode() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/lock", b"").unwrap();
    server.hold_replies(true);
    let lock = Lock::new(&client, "/lock", OPEN_ACL_UNSAFE);
    assert!(poll_and_drop(lock.acquire(), 20).await.is_none());
    children(&server, "/lock", 1).await;
    server.drop_connections();
    server.hold_replies(false);
    children(&server, "/lock", 0).await;
    assert_eq!(child_changes(&server, "/lock"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_refuses_is_told_and_leaves_nothing() {
    let server = Stage::start().await;
    let client = server.connect().await;
    within(client.create("/e", b"", zk_client::CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let refused = within(Lock::new(&client, "/e", OPEN_ACL_UNSAFE).acquire()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS));
    let wrong = within(Lock::new(&client, "no-slash", OPEN_ACL_UNSAFE).acquire()).await.unwrap_err();
    assert!(matches!(wrong, zk_client::Error::Usage(_)), "{wrong:?}");
    pass(Duration::from_secs(1)).await;
    assert_eq!(server.children("/e").unwrap().len(), 0);
}

/// Curator's testWithNamespace and testContainerCleanup.
#[tokio::test(start_paused = true)]
async fn it_works_below_a_chroot_and_its_container_goes() {
    let interval = Duration::from_secs(1);
    let server = Stage::with(zk_testkit::server::TestServer::builder().container_interval(interval)).await;
    let client = server.connect_below("/app").await;
    let lock = Lock::new(&client, "/locks/a", OPEN_ACL_UNSAFE);
    let guard = within(lock.acquire()).await.unwrap();
    assert!(guard.path().starts_with("/locks/a/_c_"), "{}", guard.path());
    assert_eq!(server.children("/app/locks/a").unwrap().len(), 1);
    assert!(within(lock.try_acquire()).await.unwrap().is_none());
    within(guard.release()).await.unwrap();
    pass(interval * 5).await;
    assert_eq!(server.children("/app").unwrap(), [""; 0], "an empty container goes");
    assert!(within(lock.try_acquire()).await.unwrap().is_some(), "and comes back");
}

/// Curator's TestLockACLs.
#[tokio::test(start_paused = true)]
async fn every_znode_has_the_acl_that_was_given() {
    let server = Stage::start().await;
    let (client, other) =
        (within(server.connector().auth("digest", b"ann:1").connect()).await.unwrap(), server.connect().await);
    let lock = Lock::new(&client, "/locks/a", zk_client::CREATOR_ALL_ACL);
    let guard = within(lock.acquire()).await.unwrap();
    for path in ["/locks", "/locks/a", &guard.path()] {
        let (acl, _) = within(client.get_acl(path)).await.unwrap();
        assert!(acl.iter().all(|acl| acl.id.scheme == "digest".into()), "{path}: {acl:?}");
    }
    let refused = within(Lock::new(&other, "/locks/a", OPEN_ACL_UNSAFE).acquire()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NO_AUTH));
}

/// A guard may be dropped where there is no runtime: its znode goes all the same.
#[tokio::test(start_paused = true)]
async fn a_guard_dropped_on_another_thread_releases() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let guard = within(Lock::new(&client, "/lock", OPEN_ACL_UNSAFE).acquire()).await.unwrap();
    std::thread::spawn(move || drop(guard)).join().unwrap();
    children(&server, "/lock", 0).await;
}
