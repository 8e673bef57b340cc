//! What the client thinks the server has, and what the server has: the same after every reconnect.

use std::collections::BTreeSet;

use super::{LINES, MODES};
use crate::stage::{Stage, pass, settle, until_connected, until_suspended, within};
use zk_client::{Client, WatchItem, WatchKind};
use zk_testkit::server::WatchedKind;

type Table = BTreeSet<(String, &'static str)>;

/// The client's side; watches of data and of existence are one table at the server.
async fn ours(client: &Client) -> Table {
    let mut table = Table::new();
    for info in within(client.watches()).await.unwrap() {
        assert!(info.is_set && info.listeners > 0, "{info:?}");
        table.extend(match info.kind {
            WatchKind::Data | WatchKind::Exist => Some((info.path, "data")),
            WatchKind::Child => Some((info.path, "child")),
            WatchKind::Persistent => Some((info.path, "persistent")),
            WatchKind::PersistentRecursive => Some((info.path, "recursive")),
        });
    }
    table
}

fn theirs(server: &Stage) -> Table {
    let mut table = Table::new();
    for info in server.watches().into_values().flatten() {
        let kind = match info.kind {
            WatchedKind::Data => "data",
            WatchedKind::Child => "child",
            WatchedKind::Persistent => "persistent",
            WatchedKind::Recursive => "recursive",
        };
        table.insert((info.path.to_string(), kind));
    }
    table
}

/// Invariant E5, for every way to lose a connection or a session.
// goal: N1 N2
#[tokio::test(start_paused = true)]
async fn both_tables_agree_after_every_reconnect() {
    for profile in &LINES[1..] {
        let server = Stage::like(profile.clone()).await;
        let client = server.connect().await;
        let (mut streams, mut oneshots) = (Vec::new(), Vec::new());
        for i in 0..30 {
            let path = format!("/{i}");
            if i % 2 == 0 {
                server.create(&path, b"").unwrap();
            }
            match i % 5 {
                kind @ (0 | 1) => streams.push(within(client.watch(&path, MODES[kind])).await.unwrap()),
                2 => oneshots.push(within(client.exists_and_watch(&path)).await.unwrap().1),
                _ if i % 2 == 0 => {
                    oneshots.push(within(client.get_data_and_watch(&path)).await.unwrap().1);
                    oneshots.push(within(client.get_children_and_watch(&path)).await.unwrap().1);
                }
                _ => {}
            }
        }
        assert!(ours(&client).await.len() >= 24);
        for round in 0..8 {
            let is_new = round % 4 > 1;
            match round % 4 {
                0 => server.drop_connections(),
                1 => server.stop().await,
                2 => assert!(server.expire_session(client.session_id().unwrap())),
                _ => {
                    server.answer_next_connect_with_another_id();
                    server.drop_connections();
                }
            }
            until_suspended(&client).await;
            if round % 4 == 1 {
                // Gone here while nobody is connected: not set again.
                drop((streams.pop(), oneshots.pop()));
                pass(std::time::Duration::from_millis(100)).await;
                server.start_again().await.unwrap();
            }
            until_connected(&client).await;
            within(client.sync("/")).await.unwrap();
            settle().await;
            assert_eq!(ours(&client).await, theirs(&server), "round {round}");
            for stream in &mut streams {
                assert!(matches!(within(stream.next()).await, Some(WatchItem::Gap(_))));
                let resumed = within(stream.next()).await;
                assert_eq!(resumed, Some(WatchItem::Resumed { new_session: is_new }), "round {round}");
            }
        }
    }
}
