//! Memberships.

use super::expire;
use crate::stage::{Stage, until_connected, until_suspended, within};
use zk_client::{
    OPEN_ACL_UNSAFE,
    recipes::{Group, Members},
};

async fn next(members: &mut Members) -> Vec<String> {
    let members = within(members.next()).await.unwrap();
    members.iter().map(|(id, data)| format!("{id}={}", String::from_utf8_lossy(data))).collect()
}

/// The next list but one or two: several changes may come in one list, or in more.
async fn until_members(members: &mut Members, wanted: &[&str]) {
    while next(members).await != wanted {}
}

/// Curator's TestGroupMember: members are znodes named by their ids; who goes is missing, who is back is there.
// goal: K1
#[tokio::test(start_paused = true)]
async fn members_come_and_go() {
    let server = Stage::start().await;
    let (one, two, third) = (server.connect().await, server.connect().await, server.connect().await);
    let mut members = within(Group::new(&third, "/g", OPEN_ACL_UNSAFE).watch()).await.unwrap();
    assert_eq!(next(&mut members).await, [""; 0]);
    let first = Group::new(&one, "/g", OPEN_ACL_UNSAFE).join("a", b"1");
    assert_eq!(next(&mut members).await, ["a=1"]);
    let second = Group::new(&two, "/g", OPEN_ACL_UNSAFE).join("b", b"2");
    assert_eq!(next(&mut members).await, ["a=1", "b=2"]);
    assert_eq!(server.children("/g").unwrap(), ["a", "b"]);

    let again = expire(&server, &one).await;
    within(server.wait_until(|model| model.get("/g/a").is_some_and(|(_, stat)| stat.ephemeral_owner == again))).await;
    expire(&server, &third).await;
    within(second.close()).await;
    until_members(&mut members, &["a=1"]).await;
    drop(first);
    until_members(&mut members, &[]).await;
}

/// What changed while the connection was lost is in the next list.
#[tokio::test(start_paused = true)]
async fn a_list_follows_a_lost_connection() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/g", b"").unwrap();
    let mut members = within(Group::new(&client, "/g", OPEN_ACL_UNSAFE).watch()).await.unwrap();
    assert_eq!(next(&mut members).await, [""; 0]);
    server.drop_connections();
    until_suspended(&client).await;
    server.create("/g/x", b"y").unwrap();
    until_connected(&client).await;
    assert_eq!(next(&mut members).await, ["x=y"]);
    within(client.close()).await;
    assert!(within(members.next()).await.is_err());
}
