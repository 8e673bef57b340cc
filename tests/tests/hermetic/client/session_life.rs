//! A session's life as its user sees it: events that are not missed, the time left, handing over, fences, ensembles that
//! were built anew.

use std::{process::Stdio, time::Duration};

use crate::client::{inline::Asks, lagging::Three, shutdown::connectors};
use crate::stage::{SESSION, Stage, create, pass, settle, until, until_connected, until_suspended, within};
use tokio::{io::AsyncWriteExt, process::Command, time::Instant};
use zk_client::{
    Client, Connector, CreateMode, End, Error, ErrorCode, Interruption, OPEN_ACL_UNSAFE, OpCode, Outcome, SessionEvent,
    SessionEvents, SessionExport, SessionId, SessionState, WatchItem, WatchMode, Zxid,
};
use zk_testkit::server::{Fault, Lag, TestServer};

fn session(client: &Client) -> SessionId {
    client.session_id().expect("a session")
}

async fn renewed(client: &Client, before: SessionId) -> SessionId {
    let is_new = move |state: &SessionState| state.is_connected() && state.session() != Some(before);
    until(client, is_new).await.session().unwrap()
}

/// An item in short.
fn told(event: SessionEvent) -> String {
    match event {
        SessionEvent::Changed(SessionState::Connecting { expired }) => format!("connecting, expired {expired:?}"),
        SessionEvent::Changed(SessionState::Connected { session, replaced, .. }) => {
            format!("connected {session}, replaced {replaced:?}")
        }
        SessionEvent::Changed(SessionState::Suspended { session, .. }) => format!("suspended {session}"),
        SessionEvent::Changed(SessionState::Ended(end)) => format!("ended: {end}"),
        other => format!("{other:?}"),
    }
}

async fn next(events: &mut SessionEvents) -> String {
    told(within(events.next()).await.expect("an item"))
}

/// Nobody reads while all of it happens, and nothing is missed: loss, return, expiry, a new session, the end.
// goal: N15
#[tokio::test(start_paused = true)]
async fn a_reader_of_events_misses_nothing_however_late_it_reads() {
    let server = Stage::start().await;
    let client = within(server.connector().connect()).await.unwrap();
    let before = session(&client);
    let mut events = client.session_events();
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    server.expire_session(before);
    let after = renewed(&client, before).await;
    within(client.close()).await;

    let mut all = Vec::new();
    while let Some(event) = within(events.next()).await {
        all.push(told(event));
    }
    let expected = [
        format!("connected {before}, replaced None"),
        format!("suspended {before}"),
        format!("connected {before}, replaced None"),
        format!("suspended {before}"),
        format!("connecting, expired {:?}", Some(before)),
        format!("connected {after}, replaced {:?}", Some(before)),
        "ended: closed".to_owned(),
    ];
    assert_eq!(all, expected);
}

// goal: N15
#[tokio::test(start_paused = true)]
async fn the_sequence_of_states_from_the_first_attempt_on() {
    let server = Stage::start().await;
    let client = server.connector().connect_in_background();
    let mut events = client.session_events();
    assert_eq!(next(&mut events).await, "connecting, expired None");
    let connected = next(&mut events).await;
    assert_eq!(connected, format!("connected {}, replaced None", session(&client)));
    drop(client);
    assert_eq!(next(&mut events).await, "ended: closed");
    assert_eq!(within(events.next()).await, None);
    assert_eq!(within(events.next()).await, None, "and stays so");
}

/// The time left counts down, and the session is not said to be gone before or after it has run out.
// goal: N15
#[tokio::test(start_paused = true)]
async fn a_suspended_session_says_how_long_it_has() {
    let server = Stage::start().await;
    let client = server.connect().await;
    assert_eq!(client.state().borrow().time_left(), None, "nothing runs out while connected");
    settle().await;
    server.black_hole(true);
    let suspended = until_suspended(&client).await;
    let left = suspended.time_left().unwrap();
    assert!(left <= SESSION * 4 / 3 && left > Duration::ZERO, "{left:?}");
    pass(Duration::from_secs(1)).await;
    assert_eq!(suspended.time_left().unwrap(), left - Duration::from_secs(1));
    pass(left).await;
    assert_eq!(suspended.time_left(), Some(Duration::ZERO));
    let state = *client.state().borrow();
    assert!(matches!(state, SessionState::Connecting { expired: Some(_) }), "{state:?}");
}

/// Ours: SessionTimeoutTest's rule that nothing expires that never was.
#[tokio::test(start_paused = true)]
async fn nothing_expires_before_there_was_a_session() {
    let server = Stage::start().await;
    server.stop().await;
    let client = server.connector().connect_in_background();
    let mut events = client.session_events();
    assert_eq!(next(&mut events).await, "connecting, expired None");
    pass(SESSION * 10).await;
    assert_eq!(*client.state().borrow(), SessionState::Connecting { expired: None });
    server.start_again().await.unwrap();
    let connected = next(&mut events).await;
    assert!(connected.ends_with("replaced None"), "{connected}");
}

/// SessionTest: one Disconnected for one loss, however many attempts follow; SessionTimeoutTest: expiry only once the
/// timeout is over, and not before a server that lives is back.
#[tokio::test(start_paused = true)]
async fn a_loss_is_told_once_and_a_restart_keeps_session_and_ephemerals() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let before = session(&client);
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let mut events = client.session_events();
    next(&mut events).await;
    server.stop().await;
    assert_eq!(next(&mut events).await, format!("suspended {before}"));
    pass(SESSION * 2 / 3).await;
    assert!(!client.unreachable().attempts.is_empty(), "attempts were made");
    server.start_again().await.unwrap();
    assert_eq!(next(&mut events).await, format!("connected {before}, replaced None"), "nothing in between");
    assert!(server.get("/e").is_some());
}

/// SessionTest: a second connection with the same session takes it over; the first comes back and takes it again.
#[tokio::test(start_paused = true)]
async fn a_second_connection_with_the_same_session_stomps_the_first() {
    let server = Stage::start().await;
    let first = server.connect().await;
    let before = session(&first);
    let second = within(server.connector().resume(first.credentials().unwrap()).connect()).await.unwrap();
    until_suspended(&first).await;
    assert_eq!(session(&second), before);
    drop(within(second.get_data("/")).await);
    until_connected(&first).await;
    assert_eq!(session(&first), before, "a connection was lost, not the session");
}

/// SessionInvalidationTest (ZOOKEEPER-1208): what is called behind a close does not happen.
#[tokio::test(start_paused = true)]
async fn a_create_behind_a_close_is_not_sent() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let (other, closing) = (client.clone(), client.close());
    let mut closing = Box::pin(closing);
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(closing.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
    let late = within(other.create("/late", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await;
    let by = Interruption::Closed;
    assert!(matches!(late, Err(Error::Interrupted { by: closed, outcome: Outcome::NotSent, .. }) if closed == by));
    within(closing).await;
    assert!(server.get("/late").is_none());
    let last = server.requests().last().unwrap().op;
    assert_eq!(last, OpCode::CLOSE_SESSION);
}

// goal: N16
#[tokio::test(start_paused = true)]
async fn a_write_prepared_in_one_session_is_refused_in_the_next() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let before = session(&client);
    let fenced = client.fenced(before);
    within(fenced.set_data("/a", b"1", None)).await.unwrap();
    server.expire_session(before);
    renewed(&client, before).await;
    drop(server.take_requests());
    for op in ["set", "create", "delete", "commit", "read"] {
        let error = match op {
            "set" => within(fenced.set_data("/a", b"2", None)).await.unwrap_err(),
            "create" => within(fenced.create("/b", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE)).await.unwrap_err(),
            "delete" => within(fenced.delete("/a", None)).await.unwrap_err(),
            "commit" => within(fenced.commit(&zk_client::Transaction::new().delete("/a", None))).await.unwrap_err(),
            _ => within(fenced.get_data("/a")).await.unwrap_err(),
        };
        assert!(matches!(error, Error::Fenced { session, .. } if session == before), "{op}: {error:?}");
        assert!(error.is_session_over() && !error.maybe_applied(), "{error}");
        assert!(error.to_string().contains(&before.to_string()), "{error}");
    }
    assert!(server.take_requests().is_empty(), "nothing was sent");
    within(client.set_data("/a", b"3", None)).await.unwrap();
    assert!(server.get("/a").unwrap().1.version == 2);
}

/// Wherever the request waits when the session goes, it does not slip into the next one: called while connected to a
/// server that is silent, while suspended, while the new session is being made.
// goal: N16
#[tokio::test(start_paused = true)]
async fn a_fenced_write_that_waits_does_not_slip_into_the_next_session() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let before = session(&client);
    let fenced = client.fenced(before);
    server.stop().await;
    until_suspended(&client).await;
    let waiting = fenced.set_data("/a", b"waited", None);
    until(&client, |state| matches!(state, SessionState::Connecting { expired: Some(_) })).await;
    let (late, plain) = (fenced.set_data("/a", b"late", None), client.set_data("/a", b"plain", None));
    server.expire_session(before);
    server.start_again().await.unwrap();
    let waiting = within(waiting).await.unwrap_err();
    assert!(waiting.is_session_over() && !waiting.maybe_applied(), "{waiting:?}");
    assert_eq!(within(late).await, Err(Error::Fenced { op: OpCode::SET_DATA, session: before }));
    assert_eq!(within(plain).await.unwrap().version, 1, "the only one that was written");
}

/// Reads that travel together, and are sent again one by one, end with their session like all others.
// goal: N16
#[tokio::test(start_paused = true)]
async fn fenced_reads_that_travelled_together_do_not_slip_into_the_next_session() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let before = session(&client);
    let fenced = client.fenced(before);
    server.hold_replies(true);
    let reads: Vec<_> = (0..3).map(|_| fenced.get_data("/a")).collect();
    settle().await;
    server.drop_connections();
    server.expire_session(before);
    until_suspended(&client).await;
    server.hold_replies(false);
    for read in reads {
        let read = within(read).await;
        assert!(matches!(read, Err(Error::Interrupted { .. })), "{read:?}");
    }
    renewed(&client, before).await;
}

/// A server that gives another session in silence: the fence holds there too.
// goal: N16
#[tokio::test(start_paused = true)]
async fn a_fence_holds_against_a_session_that_was_replaced_in_silence() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let before = session(&client);
    server.answer_next_connect_with_another_id();
    server.drop_connections();
    until_suspended(&client).await;
    let waiting = client.fenced(before).set_data("/a", b"1", None);
    let error = within(waiting).await.unwrap_err();
    assert!(error.is_session_over() && !error.maybe_applied(), "{error:?}");
    until_connected(&client).await;
    assert_eq!(server.get("/a").unwrap().1.version, 0);
}

/// The ensemble lost its data: nobody takes us, until somebody who knows says so.
// goal: N5
#[tokio::test(start_paused = true)]
async fn a_rebuilt_ensemble_is_used_once_somebody_says_that_it_is_one() {
    let server = Stage::start().await;
    server.advance_zxid(Zxid(0x1000));
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let before = session(&client);
    let seen = client.last_zxid();
    assert!(seen > Zxid(0x1000));
    assert!(!within(client.accept_rebuilt_ensemble()).await.unwrap(), "this server has all that we have seen");
    let mut watch = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    let mut events = client.session_events();
    next(&mut events).await;
    server.inject(Fault::Rebuild).await;
    server.drop_connections();
    assert_eq!(next(&mut events).await, format!("suspended {before}"));
    assert_eq!(next(&mut events).await, format!("connecting, expired {:?}", Some(before)));
    pass(SESSION * 5).await;
    assert!(!client.state().borrow().is_connected(), "the zxid outlives the session");
    assert!(client.unreachable().to_string().contains("behind the zxid"), "{}", client.unreachable());

    assert!(within(client.accept_rebuilt_ensemble()).await.unwrap());
    until_connected(&client).await;
    assert!(client.last_zxid() < seen, "counted anew");
    create(&client, "/a", b"again").await;
    let mut items = Vec::new();
    while !matches!(items.last(), Some(WatchItem::Event(_))) {
        items.push(within(watch.next()).await.unwrap());
    }
    assert!(items.contains(&WatchItem::Resumed { new_session: true }), "{items:?}");
}

/// A mirror follows into the rebuilt ensemble, where every zxid is lower than those it knows.
#[tokio::test(start_paused = true)]
async fn a_mirror_follows_into_a_rebuilt_ensemble() {
    let server = Stage::start().await;
    server.advance_zxid(Zxid(0x1000));
    server.create("/app", b"old").unwrap();
    server.create("/app/old", b"old").unwrap();
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    server.inject(Fault::Rebuild).await;
    server.create("/app", b"new").unwrap();
    server.create("/app/new", b"new").unwrap();
    server.drop_connections();
    until_suspended(&client).await;
    assert!(within(client.accept_rebuilt_ensemble()).await.unwrap());
    until_connected(&client).await;
    pass(SESSION).await;
    let snapshot = mirror.snapshot();
    let paths: Vec<_> = snapshot.iter().map(|(path, node)| format!("{path} {:?}", node.data)).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert!(paths.iter().all(|path| path.contains("new")), "{paths:?}");
}

/// The session goes with it at once: the new ensemble cannot know it.
#[tokio::test(start_paused = true)]
async fn accepting_a_rebuilt_ensemble_gives_the_session_up() {
    let server = Stage::start().await;
    let client = within(server.connector().renew_session(false).connect()).await.unwrap();
    server.stop().await;
    until_suspended(&client).await;
    assert!(within(client.accept_rebuilt_ensemble()).await.unwrap());
    until(&client, |state| *state == SessionState::Ended(zk_client::End::Expired)).await;
    assert!(within(client.accept_rebuilt_ensemble()).await.is_err());
}

/// SessionTest's testSessionTimeoutAccess and testMinMaxSessionTimeout.
#[tokio::test(start_paused = true)]
async fn the_negotiated_timeout_is_told_and_kept() {
    let seconds = Duration::from_secs;
    let server = Stage::with(TestServer::builder().timeout_bounds(seconds(4), seconds(20))).await;
    for (wanted, given) in [(12, 12), (1, 4), (60, 20)] {
        let client = within(server.connector().session_timeout(seconds(wanted)).connect()).await.unwrap();
        for _ in 0..2 {
            let SessionState::Connected { timeout, .. } = until_connected(&client).await else {
                panic!("not connected")
            };
            assert_eq!(timeout, seconds(given), "wanted {wanted}");
            server.drop_connections();
            until_suspended(&client).await;
        }
        within(client.close()).await;
    }
}

/// SessionTest's testMaximumCnxnPerIP.
#[tokio::test(start_paused = true)]
async fn a_client_over_the_servers_limit_gets_in_when_another_goes() {
    let server = Stage::start().await;
    server.inject(Fault::ConnectionLimit(3)).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect().await);
    }
    let over = server.connector().connect_in_background();
    pass(SESSION).await;
    assert_eq!(*over.state().borrow(), SessionState::Connecting { expired: None });
    assert!(clients.iter().all(|client| client.state().borrow().is_connected()), "the others are left alone");
    within(clients.pop().unwrap().close()).await;
    until_connected(&over).await;
}

/// EphemeralNodeDeletionTest, the client's side: what a closed session owned is gone wherever one looks.
#[tokio::test(start_paused = true)]
async fn ephemerals_of_a_closed_session_are_gone_on_every_member() {
    let three = Three::start().await;
    let client = three.connect(&[0]).await;
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    three.member(1).lag(Lag::Time(Duration::from_secs(1)));
    within(client.close()).await;
    for member in 0..3 {
        let reader = three.connect(&[member]).await;
        within(reader.sync("/e")).await.unwrap();
        assert_eq!(within(reader.exists("/e")).await.unwrap(), None, "member {member}");
    }
}

/// What names the session for another process, and what must not show it.
// goal: N14
#[tokio::test(start_paused = true)]
async fn an_export_takes_the_zxid_along() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let export = client.export_session().unwrap();
    let secret = export.to_secret();
    let secret = std::str::from_utf8(secret.expose()).unwrap();
    let password = secret.rsplit(':').next().unwrap();
    assert_eq!(password.len(), 32);
    assert!(!format!("{export:?} {client:?}").contains(password));
    assert_eq!(export.last_zxid(), server.zxid());
    server.inject(Fault::Rebuild).await;
    let export: SessionExport = secret.parse().unwrap();
    let connector = server.connector().resume_export(&export).connect_timeout(Duration::from_secs(1));
    let behind = within(connector.connect()).await.unwrap_err();
    assert!(matches!(behind, Error::Unreachable(_)), "it would show the past: {behind:?}");
}

/// Goes on with a session, and says what it owns.
async fn gone_on(server: &Stage, export: &SessionExport) -> (Client, Vec<String>) {
    let next = within(server.connector().resume_export(export).connect()).await.unwrap();
    assert_eq!(session(&next), export.credentials().id);
    let ephemerals = within(next.get_ephemerals("/")).await.unwrap();
    (next, ephemerals)
}

/// The next client has everything that the first one had, and the first one is over in everything but the session.
// goal: N14
#[tokio::test(start_paused = true)]
async fn a_session_that_is_left_lives_on_for_the_next_client() {
    let server = Stage::start().await;
    server.create("/app", b"").unwrap();
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let mut watch = within(client.watch("/app", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
    let mut events = client.session_events();
    let (other, before) = (client.clone(), client.export_session().unwrap());
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let export = within(client.leave()).await.unwrap();
    assert_eq!(export.credentials(), before.credentials());
    assert_eq!(export.last_zxid(), server.zxid());
    assert!(export.last_zxid() > before.last_zxid());

    let by = Interruption::Closed;
    for handle in [&client, &other] {
        let late = within(handle.get_data("/")).await.unwrap_err();
        assert!(
            matches!(late, Error::Interrupted { by: left, outcome: Outcome::NotSent, .. } if left == by),
            "{late:?}"
        );
        assert_eq!(*handle.state().borrow(), SessionState::Ended(End::Closed));
    }
    assert_eq!(within(watch.next()).await, None, "not even a gap");
    assert!(!mirror.is_live());
    assert_eq!(next(&mut events).await, format!("connected {}, replaced None", export.credentials().id));
    assert_eq!(next(&mut events).await, "ended: closed", "nothing was lost");
    assert_eq!(within(events.next()).await, None);
    drop((client, other));
    settle().await;
    assert_eq!(server.connections(), []);
    assert!(server.requests().iter().all(|request| request.op != OpCode::CLOSE_SESSION));

    let (next, ephemerals) = gone_on(&server, &export).await;
    assert_eq!(ephemerals, ["/e"]);
    pass(SESSION * 2).await;
    assert!(server.get("/e").is_some(), "nobody takes it away");
    within(next.close()).await;
    assert_eq!(server.sessions(), []);
}

/// Also what nobody waits for any more, and more than may be on its way at once.
// goal: N14
#[tokio::test(start_paused = true)]
async fn what_was_called_before_a_leave_is_answered() {
    let server = Stage::with(TestServer::builder().latency(Duration::from_millis(10))).await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let writes: Vec<_> = (0..20_000).map(|_| client.set_data("/a", b"x", None)).collect();
    let reads: Vec<_> = (0..3).map(|_| client.get_data("/a")).collect();
    let watch = client.watch("/a", WatchMode::PERSISTENT_RECURSIVE);
    let oneshot = client.get_data_and_watch("/");
    let auth = client.add_auth("digest", "ann:secret");
    drop(client.create("/dropped", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE));
    let start = Instant::now();
    let leave = client.leave();
    let late = client.create("/late", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
    let export = within(leave).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}: it waits for answers, not for time", start.elapsed());
    for (version, write) in (1..).zip(writes) {
        assert_eq!(within(write).await.unwrap().version, version);
    }
    for read in reads {
        assert_eq!(within(read).await.unwrap().1.version, 20_000);
    }
    assert_eq!(within(within(watch).await.unwrap().next()).await, None);
    drop(within(oneshot).await.unwrap());
    within(auth).await.unwrap();
    assert!(!within(late).await.unwrap_err().maybe_applied());
    assert!(server.get("/late").is_none());
    assert_eq!(export.last_zxid(), server.zxid());
    assert_eq!(gone_on(&server, &export).await.1, ["/dropped"]);
}

/// A consumer in the driver's task may have something on its way at any time: nobody waits for that.
// goal: N14
#[tokio::test(start_paused = true)]
async fn a_leave_does_not_wait_for_consumers() {
    let server = Stage::start().await;
    server.create("/a", b"").unwrap();
    let client = server.connect().await;
    server.hold_replies(true);
    let asks = Asks::of("/a");
    client.attach(asks.clone()).unwrap();
    settle().await;
    let start = Instant::now();
    assert!(within(client.leave()).await.is_some());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(asks.is_ended(), "it is told all the same");
}

/// The first of them counts, whoever calls it, and however often.
// goal: N14
#[tokio::test(start_paused = true)]
async fn of_leave_and_close_the_first_one_counts() {
    let server = Stage::start().await;
    let left = server.connect().await;
    let first = left.leave();
    let (second, close) = (left.leave(), left.clone().close());
    let export = within(first).await.unwrap();
    assert_eq!(within(second).await, Some(export.clone()));
    within(close).await;
    assert_eq!(within(left.leave()).await, Some(export.clone()));
    drop(left);
    settle().await;
    assert_eq!(server.sessions().len(), 1);
    within(gone_on(&server, &export).await.0.close()).await;

    let closed = server.connect().await;
    let (close, leave) = (closed.clone().close(), closed.leave());
    within(close).await;
    assert_eq!(within(leave).await, None);
    assert_eq!(within(closed.leave()).await, None);
    assert_eq!(server.sessions(), []);

    let dropped = server.connect().await;
    let id = session(&dropped);
    drop(dropped.leave());
    drop(dropped);
    within(server.wait_until(|model| model.connections().is_empty())).await;
    assert_eq!(server.sessions().iter().map(|session| session.id).collect::<Vec<_>>(), [id]);
}

// goal: N14
#[tokio::test(start_paused = true)]
async fn a_leave_while_no_server_is_there_ends_at_once() {
    let server = Stage::start().await;
    let client = server.connect().await;
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    server.stop().await;
    until_suspended(&client).await;
    let (waiting, start) = (client.get_data("/"), Instant::now());
    let export = within(client.leave()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let waiting = within(waiting).await.unwrap_err();
    let by = Interruption::Closed;
    assert!(
        matches!(waiting, Error::Interrupted { by: left, outcome: Outcome::NotSent, .. } if left == by),
        "{waiting:?}"
    );

    // Who has it has nothing to do with servers yet, and may pass it on.
    let never = server.connector().resume_export(&export).connect_in_background();
    assert_eq!(within(never.leave()).await, Some(export.clone()));
    let nothing = server.connector().connect_in_background();
    assert_eq!(within(nothing.leave()).await, None);

    server.start_again().await.unwrap();
    assert_eq!(gone_on(&server, &export).await.1, ["/e"]);
}

/// There is nothing to go on with.
// goal: N14
#[tokio::test(start_paused = true)]
async fn an_expired_session_is_not_left() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.stop().await;
    until(&client, |state| matches!(state, SessionState::Connecting { expired: Some(_) })).await;
    assert_eq!(within(client.leave()).await, None);

    server.start_again().await.unwrap();
    let ends = within(server.connector().renew_session(false).connect()).await.unwrap();
    server.expire_session(session(&ends));
    until(&ends, |state| matches!(state, SessionState::Ended(_))).await;
    assert_eq!(within(ends.leave()).await, None);

    let refused = server.connect().await;
    let (auth, leave) = (refused.add_auth("moon", "light"), refused.leave());
    assert_eq!(within(auth).await.unwrap_err().code(), Some(ErrorCode::AUTH_FAILED));
    assert_eq!(within(leave).await, None, "it is over before it can be left");
}

/// A server that says nothing, and one that hangs up: what was called says that it may have been carried out.
// goal: N14
#[tokio::test(start_paused = true)]
async fn a_leave_is_bounded_when_the_answers_do_not_come() {
    let server = Stage::start().await;
    for hangs_up in [false, true] {
        let client = server.connect().await;
        let mut events = client.session_events();
        server.hold_replies(true);
        let pending = client.get_data("/");
        let (leave, start) = (client.leave(), Instant::now());
        settle().await;
        if hangs_up {
            server.drop_connections();
        }
        let export = within(leave).await.unwrap();
        let (waited, most) = (start.elapsed(), Duration::from_secs(2));
        assert!(if hangs_up { waited == Duration::ZERO } else { waited == most }, "{waited:?}");
        let pending = within(pending).await.unwrap_err();
        assert!(matches!(pending, Error::Interrupted { outcome: Outcome::Unknown, .. }), "{pending:?}");
        next(&mut events).await;
        assert_eq!(next(&mut events).await, "ended: closed");
        settle().await;
        assert_eq!(server.connections(), [], "it does not come back");
        server.hold_replies(false);
        within(gone_on(&server, &export).await.0.close()).await;
    }
}

/// A move that waits for the same answers is not waited for.
// goal: N14
#[tokio::test(start_paused = true)]
async fn a_leave_in_the_midst_of_a_move_is_a_leave() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.hold_replies(true);
    let pending = client.get_data("/");
    client.update_servers("127.0.0.1:1").unwrap();
    pass(Duration::from_secs(1)).await;
    let start = Instant::now();
    assert!(within(client.leave()).await.is_some());
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert!(within(pending).await.unwrap_err().maybe_applied());
    settle().await;
    assert_eq!(server.connections(), [], "it does not go there");
}

/// On sockets, with and without a thread of its own.
// goal: N14
#[tokio::test]
async fn a_session_on_sockets_is_left() {
    let server = TestServer::start().await.unwrap();
    for connector in connectors(&server) {
        let client = within(connector.clone().connect()).await.unwrap();
        let created = client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE);
        let export = within(client.leave()).await.unwrap();
        drop(client);
        within(created).await.unwrap();
        within(server.wait_until(|model| model.connections().is_empty())).await;
        let next = within(connector.resume_export(&export).connect()).await.unwrap();
        assert_eq!(within(next.get_ephemerals("/")).await.unwrap(), ["/e"]);
        within(next.close()).await;
        assert!(server.get("/e").is_none());
    }
}

const CHILD: &str = "ZK_TESTS_SESSION_CHILD";

/// What the other process does: goes on with the session that it reads from its input, and ends it.
// goal: N14
#[tokio::test]
async fn another_process_goes_on_with_the_session() {
    if let Ok(servers) = std::env::var(CHILD) {
        return in_the_child(&servers).await;
    }
    let server = TestServer::start().await.unwrap();
    let client = Client::connect(&server.connect_string()).await.unwrap();
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let export = within(client.leave()).await.unwrap();
    let name = "client::session_life::another_process_goes_on_with_the_session";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, server.connect_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(export.to_secret().expose()).await.unwrap();
    assert!(within(child.wait()).await.unwrap().success());
    assert_eq!(server.get("/e").unwrap().0, "from the child");
    assert_eq!(server.get("/e").unwrap().1.ephemeral_owner, export.credentials().id);
}

async fn in_the_child(servers: &str) {
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    let export: SessionExport = text.parse().unwrap();
    let client = Connector::new(servers).unwrap().resume_export(&export).connect().await.unwrap();
    assert_eq!(client.session_id(), Some(export.credentials().id));
    assert_eq!(client.get_ephemerals("/").await.unwrap(), ["/e"]);
    client.set_data("/e", b"from the child", None).await.unwrap();
    // It ends without a close: the session is to live on.
    std::process::exit(0);
}
