//! Who we are to the server, on every connection.

use crate::stage::{Stage, create, settle, until, until_connected, until_suspended, within};
use zk_client::{
    CREATOR_ALL_ACL, ClientInfo, CreateMode, End, Error, ErrorCode, Interruption, OpCode, Outcome, SessionState,
};
use zk_testkit::server::Profile;

// goal: N13
#[tokio::test(start_paused = true)]
async fn an_identity_is_presented_on_every_connection_before_anything_else() {
    let server = Stage::start().await;
    let client = server.connect().await;
    within(client.add_auth("digest", b"ann:secret")).await.unwrap();
    within(client.create("/a", b"", CreateMode::Persistent, CREATOR_ALL_ACL)).await.unwrap();
    let stranger = server.connect().await;
    assert_eq!(within(stranger.get_data("/a")).await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));

    drop(server.take_requests());
    server.drop_connections();
    until_suspended(&client).await;
    within(client.get_data("/a")).await.unwrap();
    let session = client.session_id().unwrap();
    let ours: Vec<_> = server.requests().into_iter().filter(|r| r.session == session).map(|r| r.op).collect();
    assert_eq!(ours, [OpCode::AUTH, OpCode::GET_DATA]);

    server.expire_session(session);
    until(&client, move |state| matches!(state, SessionState::Connected { session: new, .. } if *new != session)).await;
    within(client.get_data("/a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_identity_of_the_connector_is_there_from_the_first_operation_on() {
    let server = Stage::start().await;
    let connector = server.connector().auth("digest", b"ann:secret");
    assert!(!format!("{connector:?}").contains("secret"));
    let client = within(connector.connect()).await.unwrap();
    let who = within(client.who_am_i()).await.unwrap();
    let ann = ClientInfo { scheme: "digest".into(), user: "ann".into() };
    assert!(who.contains(&ann) && who.iter().any(|info| info.scheme == "ip"), "{who:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_scheme_ends_the_session_for_good() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let refused = within(client.add_auth("moon", b"x")).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::AUTH_FAILED));
    let ended = SessionState::Ended(End::AuthFailed(ErrorCode::AUTH_FAILED));
    until(&client, move |state| *state == ended).await;
    assert!(matches!(within(client.get_data("/a")).await, Err(Error::Interrupted { .. })));
    let connections = server.take_requests().len();
    assert!(connections > 0);
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(server.take_requests(), [], "no storm of attempts");

    let at_start = within(server.connector().auth("moon", b"x").connect()).await;
    assert!(at_start.is_ok() || matches!(at_start, Err(Error::Interrupted { .. })), "{at_start:?}");
}

/// An identity waits for a connection as long as its session lives, and is in doubt only if it was sent on one.
#[tokio::test(start_paused = true)]
async fn an_identity_that_never_left_was_not_sent() {
    let server = Stage::start().await;
    let closed = |end: Result<(), Error>| match end {
        Err(Error::Interrupted { op: OpCode::AUTH, by: Interruption::Closed, outcome }) => outcome,
        other => panic!("{other:?}"),
    };
    server.black_hole(true);
    let never_connected = server.connector().connect_in_background();
    let waits = never_connected.add_auth("digest", b"ann:secret");
    settle().await;
    within(never_connected.close()).await;
    assert_eq!(closed(within(waits).await), Outcome::NotSent);
    server.black_hole(false);

    let client = server.connect().await;
    server.hold_replies(true);
    let sent = client.add_auth("digest", b"ann:secret");
    settle().await;
    server.black_hole(true);
    server.drop_connections();
    until_suspended(&client).await;
    let waits = client.add_auth("digest", b"bob:secret");
    settle().await;
    within(client.close()).await;
    assert_eq!(closed(within(sent).await), Outcome::Unknown, "the server has it");
    assert_eq!(closed(within(waits).await), Outcome::NotSent);
    assert_eq!(server.requests().iter().filter(|request| request.op == OpCode::AUTH).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn older_servers_do_not_say_who_we_are() {
    let server = Stage::like(Profile::V3_6).await;
    let client = server.connect().await;
    let error = within(client.who_am_i()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UNIMPLEMENTED));
    until_connected(&client).await;
    within(client.get_data("/")).await.unwrap();
}
