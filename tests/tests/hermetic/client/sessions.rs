//! What becomes of a session when connections break: loss, expiry, replacement, resumption.

use std::time::Duration;

use crate::stage::{SESSION, Stage, create, settle, until, until_connected, until_suspended, within};
use tokio::time::Instant;
use zk_client::{
    Client, CreateMode, End, Error, ErrorCode, Interruption, OPEN_ACL_UNSAFE, OpCode, Outcome, SessionEvent, SessionId,
    SessionState, Zxid,
};
use zk_proto::{jute::Encode as _, records::ReplyHeader};
use zk_testkit::server::ConnectAnswer;

/// The states of a client, in short, from now on; what comes and goes within one turn of the driver is not seen.
fn states(client: &Client) -> tokio::sync::mpsc::Receiver<String> {
    let mut state = client.state();
    state.mark_unchanged();
    let (told, states) = tokio::sync::mpsc::channel(100);
    tokio::spawn(async move {
        while state.changed().await.is_ok() {
            let text = match *state.borrow_and_update() {
                SessionState::Connecting { expired } => format!("connecting, expired {expired:?}"),
                SessionState::Connected { session, .. } => format!("connected {session}"),
                SessionState::Suspended { session, .. } => format!("suspended {session}"),
                SessionState::Ended(end) => format!("ended: {end}"),
                _ => "another state".to_owned(),
            };
            if told.send(text).await.is_err() {
                return;
            }
        }
    });
    states
}

fn session(client: &Client) -> SessionId {
    client.session_id().expect("a session")
}

fn interrupted<R: std::fmt::Debug>(result: Result<R, Error>) -> (Interruption, Outcome) {
    match result {
        Err(Error::Interrupted { by, outcome, .. }) => (by, outcome),
        other => panic!("{other:?}"),
    }
}

/// What was sent is unknown, and was in fact carried out once; what was called later goes out on the next connection.
#[tokio::test(start_paused = true)]
async fn calls_on_their_way_end_unknown_and_waiting_ones_go_out_later() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let before = session(&client);
    server.hold_replies(true);
    let sent = client.set_data("/a", b"1", None);
    within(server.wait_until(|model| model.get("/a").unwrap().1.version == 1)).await;
    server.drop_connections();
    until_suspended(&client).await;
    let waiting = client.set_data("/a", b"2", None);
    server.hold_replies(false);
    assert_eq!(interrupted(within(sent).await), (Interruption::ConnectionLost, Outcome::Unknown));
    assert_eq!(within(waiting).await.unwrap().version, 2, "the first was carried out, once");
    assert_eq!(session(&client), before);
}

/// A connection that is taken and spoilt in one breath: nothing that waited for it has left, so nothing is in doubt.
#[tokio::test(start_paused = true)]
async fn a_call_that_never_left_waits_for_a_connection_that_lasts() {
    let server = Stage::start().await;
    server.create("/a", b"").unwrap();
    let spoilt = || ConnectAnswer::Followed(bytes::Bytes::from_static(&[0xff; 4]));
    for _ in 0..3 {
        server.script_next_connect(spoilt());
    }
    let client = server.connector().connect_in_background();
    let early = client.set_data("/a", b"1", None);
    assert_eq!(within(early).await.unwrap().version, 1, "it was sent once");

    (0..1000).for_each(|_| server.script_next_connect(spoilt()));
    server.drop_connections();
    until_suspended(&client).await;
    let patience = Duration::from_millis(500);
    let late = client.with_timeout(patience).set_data("/a", b"2", None);
    let outcome = within(late).await;
    assert!(matches!(outcome, Err(Error::TimedOut { outcome: Outcome::NotSent, .. })), "{outcome:?}");
    let closed = client.set_data("/a", b"3", None);
    within(client.close()).await;
    assert_eq!(interrupted(within(closed).await), (Interruption::Closed, Outcome::NotSent));
    let writes = server.take_requests().into_iter().filter(|request| request.op == OpCode::SET_DATA);
    assert_eq!(writes.count(), 1, "what was not sent never was");
}

/// A server that answers what it has not got: nobody is told what it says, and the call waits for another connection.
#[tokio::test(start_paused = true)]
async fn a_reply_to_a_call_that_never_left_is_not_its_answer() {
    let server = Stage::start().await;
    server.create("/a", b"").unwrap();
    let mut refusal = bytes::BytesMut::from(&[0, 0, 0, 16][..]);
    ReplyHeader { xid: 1, zxid: Zxid(9), err: ErrorCode::NO_NODE }.encode(&mut refusal);
    server.script_next_connect(ConnectAnswer::Followed(refusal.freeze()));
    let client = server.connector().connect_in_background();
    let mut events = client.session_events();
    assert_eq!(within(client.set_data("/a", b"1", None)).await.unwrap().version, 1);
    let mut suspended = 0;
    while let Some(SessionEvent::Changed(state)) = within(events.next()).await {
        suspended += usize::from(matches!(state, SessionState::Suspended { .. }));
        if state.is_connected() && suspended > 0 {
            break;
        }
    }
    assert_eq!(suspended, 1, "the connection was given up for it");
    let writes = server.take_requests().into_iter().filter(|request| request.op == OpCode::SET_DATA);
    assert_eq!(writes.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_keeps_the_session_and_its_ephemerals() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let before = session(&client);
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let mut states = states(&client);
    for _ in 0..3 {
        server.drop_connections();
        assert_eq!(within(states.recv()).await.unwrap(), format!("suspended {before}"));
        assert_eq!(within(states.recv()).await.unwrap(), format!("connected {before}"));
    }
    assert!(server.get("/e").is_some());
}

// goal: N15
#[tokio::test(start_paused = true)]
async fn an_expired_session_is_followed_by_a_new_one() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let before = session(&client);
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let mut states = states(&client);
    assert!(server.expire_session(before));
    assert!(server.get("/e").is_none(), "its ephemerals are gone");
    assert_eq!(within(states.recv()).await.unwrap(), format!("suspended {before}"));
    assert_eq!(within(states.recv()).await.unwrap(), format!("connecting, expired {:?}", Some(before)));
    let after = within(states.recv()).await.unwrap();
    assert_eq!(after, format!("connected {}", session(&client)));
    assert_ne!(session(&client), before);
    within(client.get_data("/")).await.unwrap();
}

/// Nobody answers for four thirds of the session timeout: the client knows by itself, and says when.
// goal: N15
#[tokio::test(start_paused = true)]
async fn silence_suspends_after_two_thirds_and_expires_after_four_thirds_of_the_timeout() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let before = session(&client);
    settle().await;
    let (start, tick) = (Instant::now(), Duration::from_millis(100));
    server.black_hole(true);
    let SessionState::Suspended { expires, .. } = until_suspended(&client).await else { panic!("not suspended") };
    let silent = start.elapsed();
    assert!(silent >= SESSION * 2 / 3 && silent <= SESSION * 2 / 3 + tick, "suspended after {silent:?}");
    let waiting = client.exists("/");
    let expired = |state: &SessionState| matches!(state, SessionState::Connecting { expired: Some(_) });
    assert_eq!(until(&client, expired).await, SessionState::Connecting { expired: Some(before) });
    let gone = start.elapsed();
    assert!(gone >= SESSION * 4 / 3 && gone <= SESSION * 4 / 3 + tick, "expired after {gone:?}");
    assert!(Instant::now() <= expires, "not later than was said");
    assert_eq!(interrupted(within(waiting).await), (Interruption::SessionExpired, Outcome::NotSent));
    server.black_hole(false);
    until_connected(&client).await;
    assert_ne!(session(&client), before);
}

#[tokio::test(start_paused = true)]
async fn without_renewal_expiry_is_the_end() {
    let server = Stage::start().await;
    let client = within(server.connector().renew_session(false).connect()).await.unwrap();
    let before = session(&client);
    let mut watch = within(client.watch("/a", zk_client::WatchMode::PERSISTENT)).await.unwrap();
    server.expire_session(before);
    until(&client, |state| *state == SessionState::Ended(End::Expired)).await;
    let late = interrupted(within(client.get_data("/")).await);
    assert_eq!(late, (Interruption::SessionExpired, Outcome::NotSent));
    while within(watch.next()).await.is_some() {}
    assert_eq!(client.session_id(), None);
    settle().await;
    assert_eq!(server.connections(), []);
}

/// Some servers give a new session instead of saying that the old one is gone (ClickHouse#116690).
// goal: N4
// goal: N17
#[tokio::test(start_paused = true)]
async fn a_session_replaced_in_silence_counts_as_expired() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let mut watch = within(client.watch("/a", zk_client::WatchMode::PERSISTENT)).await.unwrap();
    let before = session(&client);
    server.answer_next_connect_with_another_id();
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    assert_ne!(session(&client), before);
    let gap = zk_client::WatchItem::Gap(zk_client::GapReason::ConnectionLost);
    assert_eq!(within(watch.next()).await, Some(gap));
    assert_eq!(within(watch.next()).await, Some(zk_client::WatchItem::Resumed { new_session: true }));

    within(client.close()).await;
    let last = within(server.connector().renew_session(false).connect()).await.unwrap();
    server.answer_next_connect_with_another_id();
    server.drop_connections();
    until(&last, |state| *state == SessionState::Ended(End::Expired)).await;
}

/// Whatever a server answers to the greeting, the next attempt takes the session up again.
#[tokio::test(start_paused = true)]
async fn odd_answers_to_the_greeting_cost_an_attempt_and_not_the_session() {
    let server = Stage::start().await;
    let patient = server.connector().session_timeout(Duration::from_secs(40));
    let client = within(patient.connect()).await.unwrap();
    let before = session(&client);
    let answers = [
        ConnectAnswer::Close,
        ConnectAnswer::ReadOnlyRefusal,
        ConnectAnswer::Bytes(bytes::Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        ConnectAnswer::Bytes(bytes::Bytes::from_static(&[0xff; 41])),
    ];
    let number = answers.len();
    for answer in answers {
        server.script_next_connect(answer);
    }
    server.drop_connections();
    until_suspended(&client).await;
    within(client.get_data("/")).await.unwrap();
    assert_eq!(session(&client), before);
    assert_eq!(client.unreachable().attempts, [], "forgotten once connected; there were {number}");
}

/// Servers before 3.4 answer 36 bytes, without the byte that says read-only.
#[tokio::test(start_paused = true)]
async fn an_answer_without_the_read_only_byte_is_taken() {
    let server = Stage::start().await;
    let mut answer = vec![0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0x17, 0x70];
    answer.extend(77_i64.to_be_bytes());
    answer.extend([0, 0, 0, 16]);
    answer.extend([9; 16]);
    server.answer_next_connect(answer);
    let client = server.connect().await;
    assert_eq!(session(&client), SessionId(77));
    let SessionState::Connected { timeout, read_only, .. } = *client.state().borrow() else { panic!("not connected") };
    assert_eq!((timeout, read_only), (Duration::from_secs(6), false));
}

#[tokio::test(start_paused = true)]
async fn a_read_only_server_serves_reads_to_those_who_want_it() {
    let server = Stage::start().await;
    server.create("/a", b"1").unwrap();
    server.read_only(true);
    let client = within(server.connector().read_only(true).connect()).await.unwrap();
    assert!(matches!(*client.state().borrow(), SessionState::Connected { read_only: true, .. }));
    assert_eq!(&within(client.get_data("/a")).await.unwrap().0[..], b"1");
    let write = within(client.set_data("/a", b"2", None)).await.unwrap_err();
    assert_eq!(write.code(), Some(ErrorCode::NOT_READ_ONLY));
    let strict = within(server.connector().connect_timeout(Duration::from_millis(1)).connect()).await;
    assert!(matches!(strict, Err(Error::Unreachable(_))), "{strict:?}");
    server.read_only(false);
    until(&client, |state| matches!(state, SessionState::Connected { read_only: false, .. })).await;
    within(client.set_data("/a", b"2", None)).await.unwrap();
}

// goal: N14
#[tokio::test(start_paused = true)]
async fn a_second_client_goes_on_with_an_exported_session() {
    let server = Stage::start().await;
    let first = within(server.connector().renew_session(false).connect()).await.unwrap();
    let before = session(&first);
    within(first.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let credentials = first.credentials().unwrap();
    let secret = format!("{:?}", credentials.password);
    for text in [format!("{credentials:?}"), format!("{first:?}"), format!("{:?}", server.connector())] {
        assert!(!text.contains(&secret), "the password shows: {text}");
    }
    server.stop().await;
    server.start_again().await.unwrap();
    let second = within(server.connector().resume(credentials.clone()).connect()).await.unwrap();
    assert_eq!(session(&second), before);
    assert_eq!(within(second.exists("/e")).await.unwrap().unwrap().ephemeral_owner, before);
    assert_eq!(within(second.get_ephemerals("/")).await.unwrap(), ["/e"]);

    let mut wrong = credentials;
    wrong.password = bytes::Bytes::from_static(&[1; 16]);
    let refused = within(server.connector().resume(wrong).renew_session(false).connect()).await;
    assert_eq!(interrupted(refused), (Interruption::SessionExpired, Outcome::NotSent));
}

/// A server that is behind what we have seen would show the past.
// goal: N5
#[tokio::test(start_paused = true)]
async fn servers_behind_the_last_zxid_seen_are_not_used_and_the_reason_is_told() {
    let server = Stage::start().await;
    let ahead = zk_client::Zxid(0x100);
    let connector = server.connector().last_zxid(ahead).connect_timeout(Duration::from_secs(1));
    let Err(Error::Unreachable(unreachable)) = within(connector.connect()).await else { panic!("connected") };
    assert_eq!(unreachable.attempts.len(), 1);
    assert!(unreachable.attempts[0].why.contains("behind the zxid 0x100"), "{unreachable}");
    server.advance_zxid(ahead);
    within(server.connector().last_zxid(ahead).connect()).await.unwrap();
}

/// The connection is cut after every number of bytes that a reply may have been read to.
#[tokio::test(start_paused = true)]
async fn a_connection_cut_at_any_byte_never_gives_a_wrong_answer() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"data").await;
    let (greeting, reply) = (41, 4 + 16 + 4 + 4 + 68);
    for len in 1..=greeting + reply {
        server.cut_after_bytes(len);
        server.drop_connections();
        until_suspended(&client).await;
        let read = client.get_data("/a");
        match within(read).await {
            Ok((data, _)) => assert_eq!(&data[..], b"data"),
            Err(error) => {
                assert!(error.maybe_applied() && len >= greeting, "{len}: {error:?}");
                until_suspended(&client).await;
            }
        }
        until_connected(&client).await;
    }
}

/// Nothing is sent twice behind the user's back, not even reads.
#[tokio::test(start_paused = true)]
async fn no_request_is_sent_twice() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    drop(server.take_requests());
    for _ in 0..20 {
        let calls: Vec<_> = (0..10).map(|_| client.set_data("/a", b"", None)).collect();
        tokio::task::yield_now().await;
        server.drop_connections();
        for call in calls {
            drop(within(call).await);
        }
    }
    let sent = server.take_requests().iter().filter(|request| request.op == OpCode::SET_DATA).count();
    let done = server.get("/a").unwrap().1.version;
    assert!(sent <= 200 && done as usize == sent, "{sent} requests received, {done} carried out");
}
