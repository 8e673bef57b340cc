//! Ephemerals that come back: the invariants L1 to L3 of reliability.md section 2d.

use std::time::Duration;

use super::{child_changes, children, expire, session};
use crate::stage::{SESSION, Stage, create, pass, settle, until_connected, until_suspended, within};
use zk_client::{
    Client, CreateMode, ErrorCode, OPEN_ACL_UNSAFE, OpCode, SessionId,
    recipes::{Lock, NodeStatus, PersistentNode},
};

/// Waits until a znode is there and owned by a session.
#[track_caller]
fn owned(server: &Stage, path: &str, owner: SessionId) -> impl Future<Output = ()> {
    let (server, path) = (server.clone(), path.to_owned());
    within(async move {
        server.wait_until(|model| model.get(&path).is_some_and(|(_, stat)| stat.ephemeral_owner == owner)).await;
    })
}

fn start(client: &Client, path: &str, data: &[u8]) -> PersistentNode {
    PersistentNode::start(client, path, data, OPEN_ACL_UNSAFE)
}

/// L1: after each expiry it is made once, with what it is to hold by then.
#[tokio::test(start_paused = true)]
async fn it_is_made_once_a_session() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let node = start(&client, "/dir/n", b"0");
    assert_eq!(within(node.present()).await.unwrap(), "/dir/n");
    for round in 1..=5 {
        node.set_data(round.to_string().as_bytes());
        let id = expire(&server, &client).await;
        owned(&server, "/dir/n", id).await;
        let mut status = node.status();
        let is_this = |status: &NodeStatus| matches!(status, NodeStatus::Present { session, .. } if *session == id);
        within(status.wait_for(is_this)).await.unwrap();
        settle().await;
        assert_eq!(server.get("/dir/n").unwrap().0, round.to_string());
        assert_eq!(child_changes(&server, "/dir"), 1 + 2 * round, "one create and one delete a session");
    }
    // Lost connections alone make nothing anew.
    for _ in 0..3 {
        server.drop_connections();
        until_suspended(&client).await;
        until_connected(&client).await;
        settle().await;
    }
    assert_eq!(child_changes(&server, "/dir"), 11);
}

/// L1: the old session's znode is still there when the new session stands. It is waited for, not overwritten.
#[tokio::test(start_paused = true)]
async fn the_old_sessions_znode_is_waited_for() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let node = start(&client, "/dir/n", b"1");
    within(node.present()).await.unwrap();
    let before = session(&client);
    let old = server.get("/dir/n").unwrap().1;
    server.answer_next_connect_with_another_id();
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    let after = session(&client);
    assert_ne!(before, after);
    node.set_data(b"2");
    settle().await;
    assert_eq!(server.get("/dir/n").unwrap().1, old, "neither deleted nor changed");
    assert_eq!(*node.status().borrow(), NodeStatus::Waiting);
    server.expire_session(before);
    owned(&server, "/dir/n", after).await;
    assert_eq!((child_changes(&server, "/dir"), server.get("/dir/n").unwrap().0), (3, "2".into()));
}

/// L3: what is not ours is neither changed nor deleted, whatever we are told to do.
#[tokio::test(start_paused = true)]
async fn anothers_znode_is_left_alone() {
    let server = Stage::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    let mut log = Vec::new();
    for mode in [CreateMode::Ephemeral, CreateMode::Persistent] {
        within(other.create("/n", b"theirs", mode, OPEN_ACL_UNSAFE)).await.unwrap();
        let theirs = server.get("/n").unwrap();
        let node = start(&client, "/n", b"ours");
        settle().await;
        node.set_data(b"ours, too");
        settle().await;
        server.drop_connections();
        until_suspended(&client).await;
        until_connected(&client).await;
        settle().await;
        log.extend(server.take_requests());
        pass(SESSION * 10).await;
        let asked = server.take_requests();
        let is_ours = |request: &&zk_testkit::server::RequestRecord| {
            request.session == session(&client) && request.op != OpCode::PING
        };
        assert_eq!(asked.iter().filter(is_ours).count(), 0, "it waits, and does not ask again and again");
        assert_eq!(server.get("/n").unwrap(), theirs);
        within(node.close()).await;
        let node = start(&client, "/n", b"ours");
        settle().await;
        drop(node);
        pass(SESSION).await;
        assert_eq!(server.get("/n").unwrap(), theirs);
        let node = start(&client, "/n", b"ours");
        settle().await;
        within(other.delete("/n", None)).await.unwrap();
        owned(&server, "/n", session(&client)).await;
        within(node.close()).await;
    }
    log.extend(server.take_requests());
    let ours: Vec<_> = log.into_iter().filter(|request| request.session == session(&client)).collect();
    let deletes = ours.iter().filter(|request| request.op == OpCode::DELETE).count();
    assert_eq!(deletes, 2, "those of our own");
}

/// Curator's: deleted by somebody, it is made again.
#[tokio::test(start_paused = true)]
async fn deleted_by_somebody_it_comes_back() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let node = start(&client, "/n", b"1");
    within(node.present()).await.unwrap();
    for _ in 0..3 {
        let before = server.get("/n").unwrap().1.czxid;
        server.delete("/n").unwrap();
        within(server.wait_until(|model| model.get("/n").is_some_and(|(_, stat)| stat.czxid > before))).await;
    }
    // Deleted while the connection is lost.
    let before = server.get("/n").unwrap().1.czxid;
    server.drop_connections();
    until_suspended(&client).await;
    server.delete("/n").unwrap();
    within(server.wait_until(|model| model.get("/n").is_some_and(|(_, stat)| stat.czxid > before))).await;
}

/// Data that others set stays, until ours is set again.
#[tokio::test(start_paused = true)]
async fn data_that_others_set_stays() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let node = start(&client, "/n", b"1");
    within(node.present()).await.unwrap();
    settle().await;
    server.set("/n", b"theirs").unwrap();
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    settle().await;
    assert_eq!(server.get("/n").unwrap().0, "theirs");
    node.set_data(b"2");
    within(server.wait_until(|model| model.get("/n").unwrap().0 == "2")).await;
}

#[tokio::test(start_paused = true)]
async fn sequential_ones_have_curators_names_and_a_new_number_each() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let node = PersistentNode::start_sequential(&client, "/dir/n-", b"1", OPEN_ACL_UNSAFE);
    let first = within(node.present()).await.unwrap();
    assert!(first.starts_with("/dir/_c_") && first.ends_with("-n-0000000000"), "{first}");
    expire(&server, &client).await;
    let names = children(&server, "/dir", 1).await;
    assert!(names[0].ends_with("-n-0000000001"), "{names:?}");
    within(node.close()).await;
    assert_eq!((server.children("/dir").unwrap().len(), child_changes(&server, "/dir")), (0, 4));
}

/// Close waits for the removal; drop removes in the background; leave leaves it to the session.
#[tokio::test(start_paused = true)]
async fn close_drop_and_leave() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/dir", b"").await;
    let node = start(&client, "/dir/closed", b"");
    within(node.present()).await.unwrap();
    within(node.close()).await;
    assert!(server.get("/dir/closed").is_none());

    let node = start(&client, "/dir/dropped", b"");
    within(node.present()).await.unwrap();
    drop(node);
    children(&server, "/dir", 0).await;

    let node = start(&client, "/dir/never", b"");
    drop(node);
    pass(SESSION).await;
    assert!(server.get("/dir/never").is_none(), "given up before it was there, or after");

    let node = start(&client, "/dir/left", b"");
    within(node.present()).await.unwrap();
    within(node.leave()).await;
    settle().await;
    assert!(server.get("/dir/left").is_some());
    expire(&server, &client).await;
    settle().await;
    assert!(server.get("/dir/left").is_none(), "and nobody makes it anew");
    assert_eq!(server.watch_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_told() {
    let server = Stage::start().await;
    let client = server.connect().await;
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let node = start(&client, "/e/n", b"");
    assert_eq!(within(node.present()).await.unwrap_err().code(), Some(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS));
    assert!(matches!(&*node.status().borrow(), NodeStatus::Failed(_)));
    let node = start(&client, "/n", b"");
    within(node.present()).await.unwrap();
    within(client.close()).await;
    let mut status = node.status();
    within(status.wait_for(|status| matches!(status, NodeStatus::Failed(_)))).await.unwrap();
}

/// A deadline for each call is for the user's calls: what a recipe has begun it ends, however long a server is silent.
#[tokio::test(start_paused = true)]
async fn a_silent_server_is_waited_for_whatever_the_deadline_of_calls() {
    let server = Stage::start().await;
    let hasty = server.connector().call_timeout(Duration::from_millis(100));
    let client = within(hasty.connect()).await.unwrap();
    let guard = within(Lock::new(&client, "/lock", OPEN_ACL_UNSAFE).acquire()).await.unwrap();
    server.black_hole(true);
    let node = start(&client, "/n", b"");
    let read = within(guard.client().get_data("/lock")).await.unwrap_err();
    assert!(matches!(read, zk_client::Error::TimedOut { .. }), "{read:?}");
    let released = tokio::spawn(guard.release());
    pass(SESSION / 2).await;
    server.black_hole(false);
    assert_eq!(within(node.present()).await.unwrap(), "/n");
    within(released).await.unwrap().unwrap();
    assert_eq!(server.children("/lock").unwrap().len(), 0);
}

/// What a znode was seen to be: by whom it was made, and when.
type Made = std::collections::BTreeMap<SessionId, std::collections::BTreeSet<zk_client::Zxid>>;

/// L1 to L3 under seeded faults: cuts, lost replies, expiries, black holes. Each session makes the znode once at most, the
/// directory's `cversion` says that no other was made or deleted, and in the end the living session has it.
#[tokio::test(start_paused = true)]
async fn under_any_fault_each_session_makes_it_once() {
    let mut sessions = 0;
    for seed in 0..60 {
        fastrand::seed(seed);
        let mut chance = fastrand::Rng::with_seed(seed);
        let server = Stage::start().await;
        server.create("/dir", b"").unwrap();
        server.delay_replies(Duration::from_millis(1));
        let client = server.connect().await;
        let node = start(&client, "/dir/n", b"0");
        let made = std::sync::Arc::new(std::sync::Mutex::new(Made::new()));
        let watching = tokio::spawn({
            let (server, made) = (server.clone(), made.clone());
            async move {
                let note = server.wait_until(|model| {
                    if let Some((_, stat)) = model.get("/dir/n") {
                        made.lock().unwrap().entry(stat.ephemeral_owner).or_default().insert(stat.czxid);
                    }
                    false
                });
                note.await;
            }
        });
        for round in 1..12 {
            super::exclusion::fault(&server, &mut chance).await;
            node.set_data(round.to_string().as_bytes());
            pass(Duration::from_millis(chance.u64(0..2_000))).await;
        }
        server.heal().await.unwrap();
        until_connected(&client).await;
        let living = within(node_of_living(&server, &client)).await;
        settle().await;
        watching.abort();
        let made = made.lock().unwrap();
        assert!(made.values().all(|czxids| czxids.len() == 1), "seed {seed}: made twice in a session: {made:?}");
        let changes = i32::try_from(made.len()).unwrap() * 2 - 1;
        assert_eq!(child_changes(&server, "/dir"), changes, "seed {seed}: {made:?}");
        assert!(made.contains_key(&living), "seed {seed}");
        assert_eq!(server.get("/dir/n").unwrap().0, "11", "seed {seed}");
        sessions += made.len();
    }
    assert!(sessions > 100, "{sessions} sessions in 60 seeds");
}

/// Waits until the session that lives has the znode, with what it is to hold.
async fn node_of_living(server: &Stage, client: &Client) -> SessionId {
    loop {
        until_connected(client).await;
        let owner = server.get("/dir/n").map(|(data, stat)| (data, stat.ephemeral_owner));
        match owner {
            Some((data, owner)) if Some(owner) == client.session_id() && data == "11" => return owner,
            _ => pass(Duration::from_millis(10)).await,
        }
    }
}
