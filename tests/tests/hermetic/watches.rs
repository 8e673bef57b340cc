//! Watches as streams, against the in-process server.

#[path = "watches/bounded.rs"]
mod bounded;
#[path = "watches/by_hand.rs"]
mod by_hand;
#[path = "watches/emulated.rs"]
mod emulated;
#[path = "watches/gaps.rs"]
mod gaps;
#[path = "watches/given_up.rs"]
mod given_up;
#[path = "watches/oneshot.rs"]
mod oneshot;
#[path = "watches/races.rs"]
mod races;
#[path = "watches/registry.rs"]
mod registry;
#[path = "watches/sharing.rs"]
mod sharing;

use crate::stage::{BOTH, Stage, create, settle, within};
use zk_client::{EventType, WatchItem, WatchMode, WatchStream, Zxid};
use zk_testkit::server::{Edit, Profile};

/// The oldest version with removeWatches, and each that differs in watches.
const LINES: [Profile; 4] = [Profile::V3_5, Profile::V3_6, Profile::V3_8, Profile::V3_9];

const MODES: [WatchMode; 2] = [WatchMode::PERSISTENT, WatchMode::PERSISTENT_RECURSIVE];

/// The next item, which must be an event: its type and path.
async fn event(stream: &mut WatchStream) -> (EventType, String) {
    match within(stream.next()).await {
        Some(WatchItem::Event(event)) => (event.event_type, event.path.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Everything that is there without waiting.
async fn arrived(stream: &mut WatchStream) -> Vec<WatchItem> {
    settle().await;
    let mut items = Vec::new();
    while let Some(item) = crate::stage::poll_and_drop(stream.next(), 1).await {
        items.push(item.expect("the stream goes on"));
    }
    items
}

/// Type and path of those that are events.
fn events(items: &[WatchItem]) -> Vec<(EventType, &str)> {
    let mut events = Vec::new();
    for item in items {
        if let WatchItem::Event(event) = item {
            events.push((event.event_type, event.path.as_str()));
        }
    }
    events
}

#[tokio::test(start_paused = true)]
async fn a_persistent_watch_tells_of_the_znode_and_of_its_children_coming_and_going() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let mut stream = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
        change(&server);
        let expected = [
            (EventType::NODE_CREATED, "/a"),
            (EventType::NODE_CHILDREN_CHANGED, "/a"),
            (EventType::NODE_DATA_CHANGED, "/a"),
            (EventType::NODE_CHILDREN_CHANGED, "/a"),
            (EventType::NODE_DELETED, "/a"),
        ];
        assert_eq!(events(&arrived(&mut stream).await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recursive_watch_tells_of_everything_below_and_only_there() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let mut stream = within(client.watch("/a", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
        server.create("/ab", b"").unwrap();
        change(&server);
        let expected = [
            (EventType::NODE_CREATED, "/a"),
            (EventType::NODE_CREATED, "/a/b"),
            (EventType::NODE_DATA_CHANGED, "/a/b"),
            (EventType::NODE_DATA_CHANGED, "/a"),
            (EventType::NODE_DELETED, "/a/b"),
            (EventType::NODE_DELETED, "/a"),
        ];
        assert_eq!(events(&arrived(&mut stream).await), expected);
    }
}

/// Somebody else's changes.
fn change(server: &Stage) {
    server.create("/a", b"").unwrap();
    server.create("/a/b", b"").unwrap();
    server.set("/a/b", b"").unwrap();
    server.set("/a", b"").unwrap();
    server.delete("/a/b").unwrap();
    server.delete("/a").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_the_root_tells_of_everything() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let mut stream = within(client.watch("/", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
    server.create("/a", b"").unwrap();
    assert_eq!(event(&mut stream).await, (EventType::NODE_CREATED, "/a".into()));
}

// goal: W3
#[tokio::test(start_paused = true)]
async fn events_carry_their_zxid_where_the_server_sends_it() {
    for (profile, sends) in [(Profile::V3_8, false), (Profile::V3_9, true)] {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let mut stream = within(client.watch("/a", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
        let zxid = server.apply(&[Edit::Create("/a", b""), Edit::Create("/a/b", b"")]).unwrap();
        for item in arrived(&mut stream).await {
            let WatchItem::Event(event) = item else { panic!("{item:?}") };
            assert_eq!(event.zxid, if sends { zxid } else { Zxid::NONE });
        }
    }
}

/// Whoever sees an answer has the events of everything that it could show.
#[tokio::test(start_paused = true)]
async fn an_event_is_there_before_an_answer_that_shows_the_change() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let mut stream = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    for version in 1..=100 {
        server.set("/a", b"").unwrap();
        let (_, stat) = within(client.get_data("/a")).await.unwrap();
        assert_eq!(stat.version, version);
        let first = crate::stage::poll_and_drop(stream.next(), 1).await;
        assert!(matches!(first, Some(Some(WatchItem::Event(_)))), "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_transaction_fires_nothing() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let mut stream = within(client.watch("/", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
    server.apply(&[Edit::Create("/a", b""), Edit::Delete("/none")]).unwrap_err();
    assert_eq!(arrived(&mut stream).await, []);
}
