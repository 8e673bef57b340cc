//! Watches that are given up wherever they wait, and what is left when the driver is gone.

use super::{LINES, MODES, event};
use crate::stage::{Stage, create, poll_and_drop, settle, until_connected, until_suspended, within};
use zk_client::{Client, End, EventType, OpCode, WatchLost, WatchMode, WatcherType};
use zk_testkit::server::TestServer;

/// How many calls about watches there are.
const CALLS: usize = 9;

/// Makes one of the calls, by its number, and gives it up after so many polls; whether it was ready before. What it brought
/// is dropped, too.
async fn abandon(client: &Client, number: usize, polls: usize) -> bool {
    match number {
        0 => poll_and_drop(client.watch("/a", MODES[0]), polls).await.is_some(),
        1 => poll_and_drop(client.watch("/a", MODES[1]), polls).await.is_some(),
        2 => poll_and_drop(client.get_data_and_watch("/a"), polls).await.is_some(),
        3 => poll_and_drop(client.exists_and_watch("/none"), polls).await.is_some(),
        4 => poll_and_drop(client.get_children_and_watch("/a"), polls).await.is_some(),
        5 => poll_and_drop(client.get_config_and_watch(), polls).await.is_some(),
        6 => poll_and_drop(client.remove_watches("/b", WatcherType::ANY), polls).await.is_some(),
        7 => poll_and_drop(client.check_watches("/b", WatcherType::DATA), polls).await.is_some(),
        8 => poll_and_drop(client.watches(), polls).await.is_some(),
        _ => panic!("no such call"),
    }
}

/// At every point where a call waits, and with the connection lost behind it, too.
// goal: N7 W4
#[tokio::test(start_paused = true)]
async fn calls_that_are_given_up_leave_no_watch() {
    for profile in LINES {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        server.create("/a", b"").unwrap();
        server.create("/a/b", b"").unwrap();
        for (number, is_cut) in (0..CALLS).flat_map(|number| [(number, false), (number, true)]) {
            let mut polls = 0;
            loop {
                let is_ready = abandon(&client, number, polls).await;
                if is_cut {
                    server.drop_connections();
                    until_suspended(&client).await;
                }
                until_connected(&client).await;
                for _ in 0..2 {
                    settle().await;
                    within(client.sync("/")).await.unwrap();
                }
                let left = (server.watch_count(), within(client.watches()).await.unwrap());
                assert_eq!(left, (0, vec![]), "call {number} after {polls} polls");
                if is_ready {
                    break;
                }
                polls += 1;
                assert!(polls < 200, "call {number} is never ready");
            }
        }
    }
}

/// The place in the order is that of the call, not of the first poll.
// goal: N6
#[tokio::test(start_paused = true)]
async fn a_watch_is_set_before_what_is_called_after_it() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let watching = client.watch("/a", WatchMode::PERSISTENT);
    let reading = client.exists_and_watch("/a");
    assert!(within(reading).await.is_err(), "the stream came first");
    create(&client, "/a", b"").await;
    let mut stream = within(watching).await.unwrap();
    assert_eq!(event(&mut stream).await, (EventType::NODE_CREATED, "/a".into()));
    drop(stream);
    let reading = client.get_data_and_watch("/a");
    within(client.set_data("/a", b"", None)).await.unwrap();
    let ((_, stat), watch) = within(reading).await.unwrap();
    assert_eq!(stat.version, 0);
    assert_eq!(within(watch).await.unwrap().event_type, EventType::NODE_DATA_CHANGED);
    assert!(server.requests().iter().any(|request| request.op == OpCode::ADD_WATCH));
}

/// A runtime that is shut down takes the driver with it: nobody waits for ever.
#[test]
fn the_end_of_the_runtime_ends_streams_and_watches() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (servers, clients) = (runtime(), runtime());
    let server = servers.block_on(TestServer::start()).unwrap();
    let (client, mut stream, watch) = clients.block_on(async {
        let client = Client::connect(&server.connect_string()).await.unwrap();
        let stream = client.watch("/a", WatchMode::PERSISTENT).await.unwrap();
        let (_, watch) = client.exists_and_watch("/b").await.unwrap();
        (client, stream, watch)
    });
    clients.shutdown_background();
    servers.block_on(async {
        assert_eq!(within(stream.next()).await, None);
        assert_eq!(within(watch).await, Err(WatchLost::Ended(End::Closed)));
        assert!(within(client.watches()).await.is_err());
    });
}
