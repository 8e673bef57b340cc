//! What a server may do with a client that comes: another timeout, no room, hanging up, a restart.

use std::time::Duration;

use crate::stage::{SESSION, Stage, create, pass, until_connected, until_suspended, within};
use zk_client::{CreateMode, OPEN_ACL_UNSAFE, SessionState};
use zk_testkit::server::{Fault, TestServer};

#[tokio::test(start_paused = true)]
async fn the_server_has_the_last_word_on_the_session_timeout() {
    let second = Duration::from_secs(1);
    let server = Stage::with(TestServer::builder().timeout_bounds(second * 2, second * 8)).await;
    for (wanted, expected) in [(second / 10, second * 2), (second * 5, second * 5), (second * 60, second * 8)] {
        let client = within(server.connector().session_timeout(wanted).connect()).await.unwrap();
        let SessionState::Connected { timeout, .. } = *client.state().borrow() else { panic!("not connected") };
        assert_eq!(timeout, expected);
        pass(expected * 3).await;
        assert!(client.state().borrow().is_connected(), "its pings are in time");
    }
}

/// ZooKeeper closes connections over its limit at once and without a word.
#[tokio::test(start_paused = true)]
async fn who_finds_no_room_comes_back_until_there_is_some() {
    let server = Stage::start().await;
    let first = server.connect().await;
    server.inject(Fault::ConnectionLimit(1)).await;
    let second = server.connector().connect_in_background();
    let waiting = second.get_data("/");
    pass(SESSION * 3).await;
    assert!(!second.unreachable().attempts.is_empty());
    assert_eq!(*second.state().borrow(), SessionState::Connecting { expired: None }, "nothing expired: there was none");
    within(first.get_data("/")).await.unwrap();
    within(first.close()).await;
    within(waiting).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn attempts_that_fail_leave_no_connection_behind() {
    let server = Stage::start().await;
    for _ in 0..20 {
        server.close_next_connect_without_answer();
    }
    let patient = server.connector().connect_timeout(SESSION * 10);
    let client = within(patient.connect()).await.unwrap();
    assert_eq!(server.connections().len(), 1);
    within(client.get_data("/")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_and_its_ephemerals_survive_the_restart_of_the_server() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let session = client.session_id();
    create(&client, "/a", b"").await;
    within(client.create("/a/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    server.stop().await;
    until_suspended(&client).await;
    pass(SESSION / 2).await;
    server.start_again().await.unwrap();
    until_connected(&client).await;
    pass(SESSION * 2).await;
    assert_eq!(client.session_id(), session);
    assert_eq!(within(client.list_children("/a")).await.unwrap(), ["e"]);
}
