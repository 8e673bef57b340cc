//! The election of a leader.

use super::{children, expire};
use crate::stage::{Stage, settle, until_connected, until_suspended, within};
use zk_client::{
    OPEN_ACL_UNSAFE,
    recipes::{LeaderLatch, Participant},
};

/// Curator's TestLeaderLatch: one leads; it moves on when the leader goes, or its session does.
// goal: K1
#[tokio::test(start_paused = true)]
async fn leadership_moves_on() {
    let server = Stage::start().await;
    let clients = [server.connect().await, server.connect().await, server.connect().await];
    let (told, mut leaders) = tokio::sync::mpsc::channel(10);
    for (number, client) in clients.iter().enumerate() {
        let latch = LeaderLatch::new(client, "/leader", &format!("n{number}"), OPEN_ACL_UNSAFE);
        let told = told.clone();
        tokio::spawn(async move { told.send(latch.lead().await.unwrap()).await });
        children(&server, "/leader", number + 1).await;
    }
    let names = server.children("/leader").unwrap();
    assert!(names.iter().all(|name| name.starts_with("_c_") && name.contains("-latch-000000000")), "{names:?}");
    let watcher = LeaderLatch::new(&clients[2], "/leader", "watcher", OPEN_ACL_UNSAFE);
    let first = within(leaders.recv()).await.unwrap();
    let everybody = within(watcher.participants()).await.unwrap();
    let participant = |id: &str, is_leader| Participant { id: id.to_owned(), is_leader };
    assert_eq!(everybody, [participant("n0", true), participant("n1", false), participant("n2", false)]);

    expire(&server, &clients[0]).await;
    within(first.lost()).await;
    let second = within(leaders.recv()).await.unwrap();
    assert!(second.fencing_token() > first.fencing_token());
    assert_eq!(within(watcher.leader()).await.unwrap().as_deref(), Some("n1"));
    within(second.release()).await.unwrap();
    let third = within(leaders.recv()).await.unwrap();
    assert_eq!(within(watcher.leader()).await.unwrap().as_deref(), Some("n2"));
    drop(third);
    children(&server, "/leader", 0).await;
    assert_eq!(within(watcher.leader()).await.unwrap(), None);
}

/// Curator's testLosingLeadership: it is doubtful while the connection is lost, and stays with who has it.
#[tokio::test(start_paused = true)]
async fn a_lost_connection_does_not_move_leadership() {
    let server = Stage::start().await;
    let (one, two) = (server.connect().await, server.connect().await);
    let leader = within(LeaderLatch::new(&one, "/leader", "one", OPEN_ACL_UNSAFE).lead()).await.unwrap();
    let second = LeaderLatch::new(&two, "/leader", "two", OPEN_ACL_UNSAFE);
    let waiting = tokio::spawn(async move { second.lead().await });
    children(&server, "/leader", 2).await;
    for _ in 0..5 {
        let doubtful = leader.doubtful();
        server.drop_connections();
        within(doubtful).await;
        until_suspended(&one).await;
        until_connected(&one).await;
        until_connected(&two).await;
        settle().await;
        assert!(leader.is_held() && !waiting.is_finished());
    }
    within(leader.release()).await.unwrap();
    assert!(within(waiting).await.unwrap().unwrap().is_held());
}
