//! Operations are ordered when they are called, whatever becomes of their futures.

use crate::stage::{Stage, create, poll_and_drop, settle, until_suspended, within};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::Instant;
use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE, OpCode, Read, Transaction, WatchMode};

// goal: N6
#[tokio::test(start_paused = true)]
async fn ten_thousand_pipelined_operations_answer_in_call_order() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let calls: Vec<_> = (0..10_000).map(|i: i32| client.set_data("/a", &i.to_be_bytes(), Some(i))).collect();
    for (i, call) in (0..).zip(calls) {
        assert_eq!(within(call).await.unwrap().version, i + 1);
    }
    let requests = server.requests();
    let xids: Vec<i32> = requests.iter().filter(|r| r.op == OpCode::SET_DATA).map(|r| r.xid).collect();
    assert!(xids.is_sorted() && xids[0] > 0 && xids.len() == 10_000);
}

/// More calls than are ever on their way, and then more than the driver takes over, too: each goes as soon as there is room for it,
/// and none of them when a timer happens to wake the driver.
// goal: N6
#[tokio::test(start_paused = true)]
async fn twenty_and_forty_thousand_calls_wait_for_each_other_and_for_nothing_else() {
    for count in [20_000, 40_000] {
        let server = Stage::start().await;
        let client = server.connect().await;
        create(&client, "/a", b"").await;
        server.black_hole(true);
        let called_at = Instant::now();
        let calls: Vec<_> = (0..count).map(|i: i32| client.set_data("/a", b"", Some(i))).collect();
        settle().await;
        server.black_hole(false);
        for (i, call) in (1..).zip(calls) {
            assert_eq!(within(call).await.unwrap().version, i);
        }
        assert!(called_at.elapsed() < Duration::from_secs(1), "{count}: {:?}", called_at.elapsed());
    }
}

/// The versions only fit in the order of the calls.
#[tokio::test(start_paused = true)]
async fn the_order_is_that_of_the_calls_and_not_that_of_the_polls() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let first = client.set_data("/a", b"1", Some(0));
    let second = client.set_data("/a", b"2", Some(1));
    let third = client.get_data("/a");
    assert_eq!(&within(third).await.unwrap().0[..], b"2");
    assert_eq!(within(second).await.unwrap().version, 2);
    assert_eq!(within(first).await.unwrap().version, 1);
}

#[tokio::test(start_paused = true)]
async fn handles_share_one_order() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let handles = [client.clone(), client.clone(), client];
    let calls = (0..99_i32).map(|i| handles[i as usize % 3].set_data("/a", b"", Some(i)));
    let versions: Vec<i32> = within(join_all(calls)).await.into_iter().map(|stat| stat.unwrap().version).collect();
    assert_eq!(versions, (1..=99).collect::<Vec<_>>());
}

/// Operations of one request.
const OPERATIONS: [&str; 18] = [
    "Client::get_data",
    "Client::exists",
    "Client::get_children",
    "Client::get_acl",
    "Client::sync",
    "Client::read_many",
    "Client::set_data",
    "Client::create",
    "Client::create_without_stat",
    "Client::delete",
    "Client::commit",
    "Client::watch",
    "Client::watch recursive",
    "Client::add_auth",
    "Client::who_am_i",
    "Client::get_ephemerals",
    "Client::get_all_children_number",
    "Client::set_acl",
];

/// Calls one of the operations, and gives its future up after so many polls; whether it was ready before.
async fn abandon(client: &Client, name: &str, polls: usize) -> bool {
    let change = Transaction::new().set_data("/a", b"t", None);
    let open = OPEN_ACL_UNSAFE;
    match name {
        "Client::get_data" => poll_and_drop(client.get_data("/a"), polls).await.is_some(),
        "Client::exists" => poll_and_drop(client.exists("/a"), polls).await.is_some(),
        "Client::get_children" => poll_and_drop(client.get_children("/a"), polls).await.is_some(),
        "Client::get_acl" => poll_and_drop(client.get_acl("/a"), polls).await.is_some(),
        "Client::sync" => poll_and_drop(client.sync("/a"), polls).await.is_some(),
        "Client::read_many" => poll_and_drop(client.read_many([Read::Data("/a")]), polls).await.is_some(),
        "Client::set_data" => poll_and_drop(client.set_data("/a", b"", None), polls).await.is_some(),
        "Client::create" => {
            poll_and_drop(client.create("/a/s-", b"", CreateMode::EphemeralSequential, open), polls).await.is_some()
        }
        "Client::create_without_stat" => {
            let mode = CreateMode::EphemeralSequential;
            poll_and_drop(client.create_without_stat("/a/s-", b"", mode, open), polls).await.is_some()
        }
        "Client::delete" => poll_and_drop(client.delete("/a/none", None), polls).await.is_some(),
        "Client::commit" => poll_and_drop(client.commit(&change), polls).await.is_some(),
        "Client::watch" => poll_and_drop(client.watch("/a", WatchMode::PERSISTENT), polls).await.is_some(),
        "Client::watch recursive" => {
            poll_and_drop(client.watch("/a", WatchMode::PERSISTENT_RECURSIVE), polls).await.is_some()
        }
        "Client::add_auth" => poll_and_drop(client.add_auth("digest", b"u:p"), polls).await.is_some(),
        "Client::who_am_i" => poll_and_drop(client.who_am_i(), polls).await.is_some(),
        "Client::get_ephemerals" => poll_and_drop(client.get_ephemerals("/a"), polls).await.is_some(),
        "Client::get_all_children_number" => poll_and_drop(client.get_all_children_number("/a"), polls).await.is_some(),
        "Client::set_acl" => poll_and_drop(client.set_acl("/a", open, None), polls).await.is_some(),
        _ => panic!("no such operation"),
    }
}

// goal: N7
#[tokio::test(start_paused = true)]
async fn futures_dropped_after_any_number_of_polls_leave_nothing_behind() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    for name in OPERATIONS {
        let mut ready = false;
        let mut polls = 0;
        while !ready {
            ready = abandon(&client, name, polls).await;
            polls += 1;
            assert!(polls < 100, "{name} is never ready");
            assert_eq!(within(client.exists("/none")).await.unwrap(), None, "the answers still fit");
        }
        assert!(polls > 1, "{name} needs at least one wait");
    }
    settle().await;
    assert_eq!(server.watch_count(), 0, "{:?}", server.watches());
    // Nothing that was dropped is repeated, not even over a new connection.
    drop(server.take_requests());
    server.drop_connections();
    until_suspended(&client).await;
    within(client.exists("/a")).await.unwrap();
    let again: Vec<_> = server.take_requests().into_iter().map(|request| request.op).collect();
    let identities = again.iter().filter(|op| **op == OpCode::AUTH).count();
    assert!(identities > 0 && again.len() == identities + 1, "{again:?}");
}

/// The request of a dropped future is carried out all the same.
#[tokio::test(start_paused = true)]
async fn a_dropped_future_drops_its_answer_only() {
    let server = Stage::start().await;
    let client = server.connect().await;
    for _ in 0..3 {
        drop(client.create("/s-", b"", CreateMode::PersistentSequential, OPEN_ACL_UNSAFE));
    }
    let (path, _) = within(client.create("/s-", b"", CreateMode::PersistentSequential, OPEN_ACL_UNSAFE)).await.unwrap();
    assert_eq!(path, "/s-0000000003");
}
