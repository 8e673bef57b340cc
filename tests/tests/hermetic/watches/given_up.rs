//! Watches that are given up wherever they wait, and what is left when the driver is gone.

use super::{LINES, MODES, event};
use crate::stage::{Stage, create, give_up_twice, poll_and_drop, settle, until_connected, until_suspended, within};
use zk_client::{
    Client, End, EventType, OpCode, SessionEvent, SessionState, WatchItem, WatchLost, WatchMode, WatcherType,
};
use zk_testkit::server::TestServer;

/// Calls about watches.
const CALLS: [&str; 9] = [
    "Client::watch",
    "Client::watch recursive",
    "Client::get_data_and_watch",
    "Client::exists_and_watch",
    "Client::get_children_and_watch",
    "Client::get_config_and_watch",
    "Client::remove_watches",
    "Client::check_watches",
    "Client::watches",
];

/// Makes one of the calls and gives it up after so many polls; whether it was ready before. What it brought
/// is dropped, too.
async fn abandon(client: &Client, name: &str, polls: usize) -> bool {
    match name {
        "Client::watch" => poll_and_drop(client.watch("/a", MODES[0]), polls).await.is_some(),
        "Client::watch recursive" => poll_and_drop(client.watch("/a", MODES[1]), polls).await.is_some(),
        "Client::get_data_and_watch" => poll_and_drop(client.get_data_and_watch("/a"), polls).await.is_some(),
        "Client::exists_and_watch" => poll_and_drop(client.exists_and_watch("/none"), polls).await.is_some(),
        "Client::get_children_and_watch" => poll_and_drop(client.get_children_and_watch("/a"), polls).await.is_some(),
        "Client::get_config_and_watch" => poll_and_drop(client.get_config_and_watch(), polls).await.is_some(),
        "Client::remove_watches" => poll_and_drop(client.remove_watches("/b", WatcherType::ANY), polls).await.is_some(),
        "Client::check_watches" => poll_and_drop(client.check_watches("/b", WatcherType::DATA), polls).await.is_some(),
        "Client::watches" => poll_and_drop(client.watches(), polls).await.is_some(),
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
        for (name, is_cut) in CALLS.iter().flat_map(|name| [(*name, false), (*name, true)]) {
            let mut polls = 0;
            loop {
                let is_ready = abandon(&client, name, polls).await;
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
                assert_eq!(left, (0, vec![]), "{name} after {polls} polls");
                if is_ready {
                    break;
                }
                polls += 1;
                assert!(polls < 200, "{name} is never ready");
            }
        }
    }
}

/// Waits for what others do.
const WAITS: [&str; 3] = ["WatchStream::next", "OneshotWatch", "SessionEvents::next"];

/// Makes one of them, gives it up before and after it comes true, and asserts that it was told all the same, and once.
async fn wait(server: &TestServer, client: &Client, name: &str, polls: usize) {
    let set = || server.set("/a", b"").unwrap();
    match name {
        "WatchStream::next" => {
            let mut stream = within(client.watch("/a", MODES[0])).await.unwrap();
            let told = give_up_twice(async || stream.next().await, polls, set).await;
            assert!(matches!(told, Some(WatchItem::Event(_))), "{told:?}");
            assert_eq!(poll_and_drop(stream.next(), 50).await, None, "told once");
        }
        "OneshotWatch" => {
            let (_, mut watch) = within(client.get_data_and_watch("/a")).await.unwrap();
            let (_, other) = within(client.exists_and_watch("/a")).await.unwrap();
            assert_eq!(poll_and_drop(other, polls).await, None, "it leaves the first one alone");
            let told = give_up_twice(async || (&mut watch).await, polls, set).await;
            assert_eq!(told.unwrap().event_type, EventType::NODE_DATA_CHANGED);
        }
        "SessionEvents::next" => {
            let mut events = client.session_events();
            assert!(within(events.next()).await.is_some(), "how it stands");
            let told = give_up_twice(async || events.next().await, polls, || server.drop_connections()).await;
            assert!(matches!(told, Some(SessionEvent::Changed(SessionState::Suspended { .. }))), "{told:?}");
            let told = within(events.next()).await;
            assert!(matches!(told, Some(SessionEvent::Changed(SessionState::Connected { .. }))), "{told:?}");
        }
        _ => panic!("no such wait"),
    }
}

// goal: N7 W4
#[tokio::test(start_paused = true)]
async fn waits_that_are_given_up_miss_nothing() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/a", b"").unwrap();
    for (name, polls) in WAITS.iter().flat_map(|name| (0..20).map(move |polls| (name, polls))) {
        wait(&server, &client, name, polls).await;
        within(client.sync("/")).await.unwrap();
        settle().await;
        let left = (server.watch_count(), within(client.watches()).await.unwrap());
        assert_eq!(left, (0, vec![]), "{name} after {polls} polls");
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
