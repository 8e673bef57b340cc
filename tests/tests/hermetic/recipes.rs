//! The recipes against the in-process server: locks, elections, groups, ephemerals that come back.

#[path = "recipes/cuts.rs"]
mod cuts;
#[path = "recipes/exclusion.rs"]
mod exclusion;
#[path = "recipes/given_up.rs"]
mod given_up;
#[path = "recipes/group.rs"]
mod group;
#[path = "recipes/lagging.rs"]
mod lagging;
#[path = "recipes/latch.rs"]
mod latch;
#[path = "recipes/lock.rs"]
mod lock;
#[path = "recipes/persistent_node.rs"]
mod persistent_node;
#[path = "recipes/read_write.rs"]
mod read_write;

use crate::stage::{Stage, until, within};
use zk_client::{Client, SessionId, SessionState};

fn session(client: &Client) -> SessionId {
    client.session_id().expect("a session")
}

/// Ends a client's session at the server, and waits until it has another one.
async fn expire(server: &Stage, client: &Client) -> SessionId {
    let before = session(client);
    assert!(server.expire_session(before));
    let is_new = move |state: &SessionState| state.is_connected() && state.session() != Some(before);
    until(client, is_new).await.session().unwrap()
}

/// Children that were ever created below a path, plus those deleted: the server counts them.
fn child_changes(server: &Stage, path: &str) -> i32 {
    server.get(path).map_or(0, |(_, stat)| stat.cversion)
}

/// Waits until a znode has so many children.
#[track_caller]
fn children(server: &Stage, path: &str, number: usize) -> impl Future<Output = Vec<String>> {
    let (server, path) = (server.clone(), path.to_owned());
    within(async move {
        server.wait_until(|model| model.children(&path).unwrap_or_default().len() == number).await;
        server.children(&path).unwrap_or_default()
    })
}
