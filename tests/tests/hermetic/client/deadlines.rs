//! Operations that take too long: they end in time, say what may have become of them, and leave nothing behind.

use crate::stage::{Stage, create, pass, settle, until_connected, until_suspended, users, within};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::Instant;
use zk_client::{
    CreateMode, Error, EventType, OPEN_ACL_UNSAFE, OpCode, Outcome, WatchKind, WatchLost, WatchMode, WatcherType,
};

const SECOND: Duration = Duration::from_secs(1);

/// How late a call may end; the driver's tick, and then some.
const LATE: Duration = Duration::from_millis(10);

fn timed_out(op: OpCode, outcome: Outcome) -> Error {
    Error::TimedOut { op, after: SECOND, outcome }
}

// goal: N7
#[tokio::test(start_paused = true)]
async fn a_server_that_stops_answering_costs_a_call_its_time_and_not_more() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    server.hold_replies(true);
    let hasty = client.with_timeout(SECOND);
    let begun = Instant::now();
    let write = within(hasty.set_data("/a", b"1", None)).await;
    assert_eq!(write, Err(timed_out(OpCode::SET_DATA, Outcome::Unknown)));
    let took = begun.elapsed();
    assert!((SECOND..SECOND + LATE).contains(&took), "{took:?}");
    // It was carried out: the outcome was the truth. The answer that comes now is nobody's, and the next ones still fit.
    server.hold_replies(false);
    let (data, stat) = within(client.get_data("/a")).await.unwrap();
    assert_eq!((&data[..], stat.version), (b"1".as_slice(), 1));
}

/// Polling it a thousand times for nothing makes it neither early nor late.
#[tokio::test(start_paused = true)]
async fn spurious_wake_ups_change_nothing() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.hold_replies(true);
    let begun = Instant::now();
    let mut call = client.with_timeout(SECOND).exists("/a");
    let end = loop {
        tokio::select! {
            biased;
            end = &mut call => break end,
            () = pass(Duration::from_millis(1)) => {}
        }
    };
    assert_eq!(end, Err(timed_out(OpCode::EXISTS, Outcome::Unknown)));
    assert!((SECOND..SECOND + LATE).contains(&begun.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_connection_when_its_time_is_over_is_never_sent() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    server.refuse_connections(true).await.unwrap();
    server.black_hole(true);
    server.drop_connections();
    until_suspended(&client).await;
    let begun = Instant::now();
    let hasty = client.with_timeout(SECOND);
    let waits = client.set_data("/a", b"patient", None);
    let ends = within(join_all((0..3).map(|_| hasty.set_data("/a", b"hasty", None)))).await;
    assert_eq!(ends, vec![Err(timed_out(OpCode::SET_DATA, Outcome::NotSent)); 3]);
    assert!((SECOND..SECOND + LATE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    server.black_hole(false);
    server.refuse_connections(false).await.unwrap();
    until_connected(&client).await;
    assert_eq!(within(waits).await.unwrap().version, 1, "only the patient one was carried out");
    let writes = server.requests().iter().filter(|request| request.op == OpCode::SET_DATA).count();
    assert_eq!(writes, 1);
}

/// A read that would have left a watch: it is not sent either, and its watch is not set. Who has a watch of the same path keeps
/// it, whether set before or asked for meanwhile.
#[tokio::test(start_paused = true)]
async fn a_read_with_a_watch_whose_time_was_over_before_it_left_leaves_none() {
    let server = Stage::start().await;
    let client = server.connect().await;
    for path in ["/a", "/b", "/c"] {
        create(&client, path, b"").await;
    }
    let (_, kept) = within(client.get_data_and_watch("/a")).await.unwrap();
    let (_, dropped) = within(client.get_data_and_watch("/c")).await.unwrap();
    server.black_hole(true);
    server.drop_connections();
    until_suspended(&client).await;
    drop(server.take_requests());
    let hasty = client.with_timeout(SECOND);
    let patient = client.get_children_and_watch("/a");
    let reads = ["/a", "/b", "/c"].map(|path| hasty.get_data_and_watch(path));
    let (exists, names) = (hasty.exists_and_watch("/b"), hasty.get_children_and_watch("/b"));
    settle().await;
    // The server's watch is kept for the read on the same path, as long as that may be sent.
    drop(dropped);
    let ends = within(async { tokio::join!(join_all(reads), exists, names) }).await;
    for read in ends.0 {
        assert_eq!(read.map(drop), Err(timed_out(OpCode::GET_DATA, Outcome::NotSent)));
    }
    assert_eq!(ends.1.map(drop), Err(timed_out(OpCode::EXISTS, Outcome::NotSent)));
    assert_eq!(ends.2.map(drop), Err(timed_out(OpCode::GET_CHILDREN2, Outcome::NotSent)));
    let mut known: Vec<_> = within(client.watches()).await.unwrap().into_iter().map(|it| (it.path, it.kind)).collect();
    known.sort_by_key(|(_, kind)| *kind == WatchKind::Child);
    assert_eq!(known, [("/a".to_owned(), WatchKind::Data), ("/a".to_owned(), WatchKind::Child)]);
    // Nothing is in the way of another kind of watch.
    let stream = client.watch("/b", WatchMode::PERSISTENT);
    server.black_hole(false);
    let (_, names) = within(patient).await.unwrap();
    let _stream = within(stream).await.unwrap();
    within(client.sync("/")).await.unwrap();
    let reads = [OpCode::GET_DATA, OpCode::EXISTS, OpCode::GET_CHILDREN2];
    let sent: Vec<_> = server.requests().into_iter().map(|it| it.op).filter(|op| reads.contains(op)).collect();
    assert_eq!(sent, [OpCode::GET_CHILDREN2], "only the patient one was sent");
    let watched: Vec<_> = server.watches().into_values().flatten().map(|it| it.path).collect();
    assert_eq!(watched, ["/a", "/a", "/b"]);
    server.set("/a", b"1").unwrap();
    assert_eq!(within(kept).await.unwrap().event_type, EventType::NODE_DATA_CHANGED);
    server.create("/a/x", b"").unwrap();
    assert_eq!(within(names).await.unwrap().event_type, EventType::NODE_CHILDREN_CHANGED);
}

/// More calls than may be on their way at a time, and more than the driver keeps: each ends in time.
#[tokio::test(start_paused = true)]
async fn a_long_queue_makes_no_call_late() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.hold_replies(true);
    let hasty = client.with_timeout(SECOND);
    let begun = Instant::now();
    let calls: Vec<_> = (0..25_000).map(|_| hasty.exists("/a")).collect();
    let (mut unknown, mut not_sent) = (0, 0);
    for end in within(join_all(calls)).await {
        match end {
            Err(Error::TimedOut { outcome: Outcome::Unknown, .. }) => unknown += 1,
            Err(Error::TimedOut { outcome: Outcome::NotSent, .. }) => not_sent += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!((SECOND..SECOND + LATE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(server.requests().iter().filter(|request| request.op == OpCode::EXISTS).count(), unknown);
    assert!(not_sent > 5_000, "{not_sent} were never sent");
    server.hold_replies(false);
    assert_eq!(within(client.exists("/a")).await.unwrap(), None, "and the client goes on");
}

#[tokio::test(start_paused = true)]
async fn a_default_is_for_every_call_and_a_handle_may_have_its_own() {
    let server = Stage::start().await;
    let client = within(server.connector().call_timeout(SECOND).connect()).await.unwrap();
    create(&client, "/a", b"1").await;
    let below = client.chrooted("/a").unwrap();
    let patient = client.with_timeout(None);
    server.hold_replies(true);
    let waits = patient.get_data("/a");
    let ends = within(async { tokio::join!(client.get_data("/a"), below.get_children("/"), client.sync("/")) }).await;
    assert_eq!(ends.0, Err(timed_out(OpCode::GET_DATA, Outcome::Unknown)));
    assert_eq!(ends.1, Err(timed_out(OpCode::GET_CHILDREN2, Outcome::Unknown)));
    assert_eq!(ends.2, Err(timed_out(OpCode::SYNC, Outcome::Unknown)));
    server.hold_replies(false);
    assert_eq!(within(waits).await.unwrap().0, "1");
}

/// Reads that travel together, of which some have less time.
#[tokio::test(start_paused = true)]
async fn each_read_of_a_batch_has_its_own_time() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    let hasty = client.with_timeout(SECOND);
    server.hold_replies(true);
    let (soon, later) = (hasty.get_data("/a"), client.get_data("/a"));
    assert_eq!(within(soon).await, Err(timed_out(OpCode::GET_DATA, Outcome::Unknown)));
    server.hold_replies(false);
    assert_eq!(within(later).await.unwrap().0, "1");
    let requests = server.requests();
    assert_eq!(requests.last().map(|request| request.op), Some(OpCode::MULTI_READ));
}

/// It is no failure: the watch went with its connection, and is not set again. Nor does it say that nothing is sent, because what
/// sets the watch may wait, too.
#[tokio::test(start_paused = true)]
async fn a_removal_whose_time_is_over_without_a_connection_has_removed_the_watch() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let (_, oneshot) = within(client.get_data_and_watch("/a")).await.unwrap();
    server.black_hole(true);
    server.drop_connections();
    until_suspended(&client).await;
    let stream = client.watch("/b", WatchMode::PERSISTENT);
    settle().await;
    let (begun, hasty) = (Instant::now(), client.with_timeout(SECOND));
    let removals = ["/a", "/b"].map(|path| hasty.remove_watches(path, WatcherType::ANY));
    assert_eq!(within(join_all(removals)).await, [Ok(()), Ok(())]);
    assert!((SECOND..SECOND + LATE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(within(oneshot).await, Err(WatchLost::Removed));
    assert!(within(stream).await.is_err());
    server.black_hole(false);
    until_connected(&client).await;
    within(client.sync("/")).await.unwrap();
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
}

/// A batch that is lost before any was answered is sent again read by read: one whose time is over by then is not, and does not
/// say that it never was.
#[tokio::test(start_paused = true)]
async fn reads_that_wait_to_be_sent_again_are_not_when_their_time_is_over() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    drop(server.take_requests());
    let hasty = client.with_timeout(SECOND);
    server.hold_replies(true);
    let reads: Vec<_> = [&hasty, &hasty, &client].map(|client| client.get_data("/a")).into();
    settle().await;
    server.black_hole(true);
    server.drop_connections();
    until_suspended(&client).await;
    let mut ends = reads.into_iter();
    for read in ends.by_ref().take(2) {
        assert_eq!(within(read).await, Err(timed_out(OpCode::GET_DATA, Outcome::Unknown)));
    }
    server.hold_replies(false);
    server.black_hole(false);
    assert_eq!(within(ends.next().unwrap()).await.unwrap().0, "1");
    within(client.sync("/")).await.unwrap();
    let reads = [OpCode::MULTI_READ, OpCode::GET_DATA];
    let sent: Vec<_> = server.requests().into_iter().map(|it| it.op).filter(|op| reads.contains(op)).collect();
    assert_eq!(sent, reads, "together, and once again the one that somebody waits for");
}

/// The same after the second loss, of the read that was sent again: it has left twice.
#[tokio::test(start_paused = true)]
async fn a_read_that_was_lost_twice_does_not_say_that_it_never_left() {
    let server = Stage::start().await;
    let client = within(server.connector().reconnect_spread(Duration::ZERO).connect()).await.unwrap();
    create(&client, "/a", b"1").await;
    let patience = SECOND * 2;
    let (begun, hasty) = (Instant::now(), client.with_timeout(patience));
    server.delay_replies(SECOND / 2);
    let reads: Vec<_> = [&hasty, &client].map(|client| client.get_data("/a")).into();
    settle().await;
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    settle().await;
    server.black_hole(true);
    server.drop_connections();
    until_suspended(&client).await;
    let mut ends = reads.into_iter();
    let end = within(ends.next().unwrap()).await;
    assert!(matches!(end, Err(Error::TimedOut { outcome: Outcome::Unknown, .. })), "{end:?}");
    assert!((patience..patience + LATE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    server.delay_replies(Duration::ZERO);
    server.black_hole(false);
    assert_eq!(within(ends.next().unwrap()).await.unwrap().0, "1", "the other follows once more");
}

/// Not sent is not sent later, either.
#[tokio::test(start_paused = true)]
async fn an_identity_whose_time_is_over_before_it_left_is_forgotten() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.black_hole(true);
    server.drop_connections();
    until_suspended(&client).await;
    drop(server.take_requests());
    let (begun, hasty) = (Instant::now(), client.with_timeout(SECOND));
    let (ann, bob) = (hasty.add_auth("digest", b"ann:secret"), client.add_auth("digest", b"bob:secret"));
    assert_eq!(within(ann).await, Err(timed_out(OpCode::AUTH, Outcome::NotSent)));
    assert!((SECOND..SECOND + LATE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    server.black_hole(false);
    within(bob).await.unwrap();
    assert_eq!(users(&client).await, ["bob"]);
    let sent: Vec<_> = server.requests().into_iter().map(|it| it.op).collect();
    assert_eq!(sent, [OpCode::AUTH, OpCode::WHO_AM_I], "only the patient one was presented");
}

/// It may be known to the server, so it is as good as any: later connections have it, too, and nobody is told another's answer.
#[tokio::test(start_paused = true)]
async fn an_identity_whose_time_is_over_on_its_way_stays() {
    let server = Stage::start().await;
    let client = server.connect().await;
    drop(server.take_requests());
    server.hold_replies(true);
    let (begun, hasty) = (Instant::now(), client.with_timeout(SECOND));
    let (ann, bob) = (hasty.add_auth("digest", b"ann:secret"), client.add_auth("digest", b"bob:secret"));
    assert_eq!(within(ann).await, Err(timed_out(OpCode::AUTH, Outcome::Unknown)));
    assert!((SECOND..SECOND + LATE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    server.black_hole(true);
    server.drop_connections();
    until_suspended(&client).await;
    // What comes and goes in between changes nothing for those on both sides.
    let (eve, dan) = (hasty.add_auth("digest", b"eve:secret"), client.add_auth("digest", b"dan:secret"));
    assert_eq!(within(eve).await, Err(timed_out(OpCode::AUTH, Outcome::NotSent)));
    server.hold_replies(false);
    server.black_hole(false);
    assert_eq!(within(join_all([bob, dan])).await, [Ok(()), Ok(())]);
    assert_eq!(users(&client).await, ["ann", "bob", "dan"]);
    let auths = server.requests().iter().filter(|request| request.op == OpCode::AUTH).count();
    assert_eq!(auths, 2 + 3);
}

/// Watches that are set by a read, removed, and identities have a time, too.
#[tokio::test(start_paused = true)]
async fn operations_on_watches_and_identities_time_out_too() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    server.hold_replies(true);
    let hasty = client.with_timeout(SECOND);
    let (read, remove) = (hasty.get_data_and_watch("/a"), hasty.check_watches("/a", WatcherType::ANY));
    let identity = hasty.add_auth("digest", b"ann:secret");
    let ends = within(async { tokio::join!(read, remove, identity) }).await;
    assert!(matches!(ends.0, Err(Error::TimedOut { op: OpCode::GET_DATA, .. })), "{:?}", ends.0);
    assert!(matches!(ends.1, Err(Error::TimedOut { op: OpCode::CHECK_WATCHES, .. })), "{:?}", ends.1);
    assert_eq!(ends.2, Err(timed_out(OpCode::AUTH, Outcome::Unknown)));
    server.hold_replies(false);
    settle().await;
    // The watch that nobody holds is not kept.
    within(client.sync("/")).await.unwrap();
    settle().await;
    assert_eq!(server.watch_count(), 0, "{:?}", server.watches());
}

/// A create whose time is over while it is on its way may be there later; the error says so.
#[tokio::test(start_paused = true)]
async fn a_time_of_nothing_sends_nothing() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let never = client.with_timeout(Duration::ZERO);
    let end = within(never.create("/a", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE)).await;
    assert_eq!(end, Err(Error::TimedOut { op: OpCode::CREATE2, after: Duration::ZERO, outcome: Outcome::NotSent }));
    assert_eq!(within(client.exists("/a")).await.unwrap(), None);
    // And a time that no clock shows is as long as the session lives.
    assert_eq!(within(client.with_timeout(Duration::MAX).exists("/a")).await.unwrap(), None);
}
