//! The end of a session that we want.

use std::time::Duration;

use crate::stage::{Stage, create, settle, until, until_suspended, within};
use tokio::time::Instant;
use zk_client::{CreateMode, End, Error, Interruption, OPEN_ACL_UNSAFE, Outcome, SessionState, WatchMode};

#[tokio::test(start_paused = true)]
async fn close_stands_behind_pending_operations_and_takes_ephemerals_along() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let pending: Vec<_> = (0..1_000).map(|_| client.set_data("/a", b"x", None)).collect();
    let start = Instant::now();
    within(client.close()).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    for (version, call) in (1..).zip(pending) {
        assert_eq!(within(call).await.unwrap().version, version);
    }
    assert!(server.get("/e").is_none());
    assert_eq!(server.sessions(), []);
    settle().await;
    assert_eq!(server.connections(), []);
}

#[tokio::test(start_paused = true)]
async fn close_is_bounded_when_the_server_is_a_black_hole() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.black_hole(true);
    let pending = client.get_data("/");
    let start = Instant::now();
    within(client.close()).await;
    assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
    let error = within(pending).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { outcome: Outcome::Unknown, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn close_without_a_connection_ends_at_once() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.stop().await;
    until_suspended(&client).await;
    let waiting = client.get_data("/");
    let start = Instant::now();
    within(client.close()).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    let error = within(waiting).await.unwrap_err();
    assert!(
        matches!(error, Error::Interrupted { by: Interruption::Closed, outcome: Outcome::NotSent, .. }),
        "{error:?}"
    );

    let never = server.connector().connect_in_background();
    within(never.close()).await;
}

#[tokio::test(start_paused = true)]
async fn other_handles_learn_of_the_close_and_may_close_again() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let mut watch = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    let (second, third) = (client.clone(), client.clone());
    within(client.close()).await;
    let late = within(second.get_data("/")).await.unwrap_err();
    assert!(matches!(late, Error::Interrupted { by: Interruption::Closed, outcome: Outcome::NotSent, .. }), "{late:?}");
    assert!(within(second.watch("/a", WatchMode::PERSISTENT)).await.is_err());
    assert!(zk_config::Mirror::start(&second, "/a").is_err());
    assert_eq!(within(watch.next()).await, None);
    within(second.close()).await;
    assert_eq!(*third.state().borrow(), SessionState::Ended(End::Closed));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_the_session() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let other = client.clone();
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let state = client.state();
    drop(client);
    settle().await;
    assert!(server.get("/e").is_some(), "a handle is left");
    let pending = other.create("/last", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
    drop(other);
    within(server.wait_until(|model| model.sessions().is_empty())).await;
    within(pending).await.unwrap();
    assert!(server.get("/e").is_none() && server.get("/last").is_some());
    settle().await;
    assert_eq!(*state.borrow(), SessionState::Ended(End::Closed));
}

/// A close that is not awaited, or given up, closes all the same.
// goal: N7
#[tokio::test(start_paused = true)]
async fn a_dropped_close_closes() {
    let server = Stage::start().await;
    for polls in 0..3 {
        let client = server.connect().await;
        let other = client.clone();
        crate::stage::poll_and_drop(client.close(), polls).await;
        if polls > 0 {
            until(&other, |state| *state == SessionState::Ended(End::Closed)).await;
        }
        drop(other);
        within(server.wait_until(|model| model.sessions().is_empty())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn opening_and_closing_a_thousand_sessions_leaves_nothing_behind() {
    let server = Stage::start().await;
    for _ in 0..1_000 {
        let client = server.connect().await;
        within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
        within(client.close()).await;
    }
    settle().await;
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!((server.sessions().len(), server.connections().len(), server.watch_count()), (0, 0, 0));
    assert!(tasks < 5, "{tasks} tasks are left");
}
