//! Requests over the limit: whatever they are, they are refused before a byte of them is sent, and the session lives.

use crate::stage::{Stage, create, pass, settle, within};
use futures_util::future::join_all;
use std::time::Duration;
use zk_client::{
    CreateMode, Error, OPEN_ACL_UNSAFE as OPEN, OpCode, Parents, Read, Transaction, UsageError, WatchMode, WatcherType,
};

const LIMIT: usize = 1_000;

fn is_refused<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Usage(UsageError::RequestTooLarge(size))) if size.limit == LIMIT && size.len > LIMIT)
}

// goal: P3
#[tokio::test(start_paused = true)]
async fn every_operation_that_can_be_too_large_is_refused_before_a_byte_is_sent() {
    let server = Stage::start().await;
    let client = within(server.connector().request_len_max(LIMIT).connect()).await.unwrap();
    create(&client, "/a", b"").await;
    settle().await;
    let bytes_in = server.bytes_in();
    let data = vec![b'.'; LIMIT];
    let path = format!("/{}", "p".repeat(LIMIT));
    let acl: Vec<_> = OPEN.iter().cloned().cycle().take(100).collect();
    let (mode, checks) = (CreateMode::Persistent, (0..100).fold(Transaction::new(), |all, _| all.check("/a", None)));
    assert!(is_refused(within(client.create("/b", &data, mode, OPEN)).await));
    assert!(is_refused(within(client.create("/b", b"", mode, &acl)).await));
    assert!(is_refused(within(client.create(&path, b"", mode, OPEN)).await));
    assert!(is_refused(within(client.create_all("/b", &data, mode, OPEN, Parents::Persistent(OPEN))).await));
    assert!(is_refused(within(client.create_or_set("/b", &data, OPEN)).await));
    assert!(is_refused(within(client.set_data("/a", &data, None)).await));
    assert!(is_refused(within(client.set_acl("/a", &acl, None)).await));
    assert!(is_refused(within(client.commit(&checks)).await));
    assert!(is_refused(within(client.read_many([Read::Data("/a"); 100])).await));
    assert!(is_refused(within(client.delete(&path, None)).await));
    assert!(is_refused(within(client.get_data(&path)).await));
    assert!(is_refused(within(client.exists(&path)).await));
    assert!(is_refused(within(client.get_children(&path)).await));
    assert!(is_refused(within(client.list_children(&path)).await));
    assert!(is_refused(within(client.get_acl(&path)).await));
    assert!(is_refused(within(client.sync(&path)).await));
    assert!(is_refused(within(client.get_ephemerals(&path)).await));
    assert!(is_refused(within(client.get_all_children_number(&path)).await));
    assert!(is_refused(within(client.watch(&path, WatchMode::PERSISTENT)).await));
    assert!(is_refused(within(client.get_data_and_watch(&path)).await));
    assert!(is_refused(within(client.exists_and_watch(&path)).await));
    assert!(is_refused(within(client.get_children_and_watch(&path)).await));
    assert!(is_refused(within(client.check_watches(&path, WatcherType::ANY)).await));
    assert!(is_refused(within(client.remove_watches(&path, WatcherType::ANY)).await));
    assert!(is_refused(within(client.add_auth("digest", data.as_slice())).await));
    assert_eq!(server.bytes_in(), bytes_in);
    within(client.exists("/a")).await.unwrap();
    assert_eq!(server.connections().len(), 1);
    let connector = server.connector().request_len_max(LIMIT).auth("digest", data.as_slice());
    assert!(is_refused(within(connector.connect()).await));
}

/// The longest path whose watch may be set can be set again, and the next longer one is refused.
#[tokio::test(start_paused = true)]
async fn what_sets_a_watch_again_is_not_too_large_either() {
    let server = Stage::start().await;
    let client = within(server.connector().request_len_max(LIMIT).connect()).await.unwrap();
    let path = |len: usize| format!("/{}", "p".repeat(len - 1));
    assert!(is_refused(within(client.watch(&path(LIMIT - 39), WatchMode::PERSISTENT)).await));
    let _stream = within(client.watch(&path(LIMIT - 40), WatchMode::PERSISTENT)).await.unwrap();
    server.drop_connections();
    pass(Duration::from_secs(5)).await;
    within(client.exists("/")).await.unwrap();
    let again = server.take_requests();
    assert!(again.iter().any(|request| request.op == OpCode::SET_WATCHES2), "{again:?}");
}

/// Reads that travel together are not together longer than one of them may be.
#[tokio::test(start_paused = true)]
async fn a_batch_of_reads_keeps_to_the_limit_too() {
    let server = Stage::start().await;
    let client = within(server.connector().request_len_max(LIMIT).connect()).await.unwrap();
    let path = format!("/{}", "p".repeat(300));
    create(&client, &path, b"1").await;
    drop(server.take_requests());
    let before = server.bytes_in();
    assert!(within(join_all((0..10).map(|_| client.get_data(&path)))).await.iter().all(Result::is_ok));
    let batches = server.take_requests().len();
    // Three at a time: 318 bytes each in a batch.
    assert_eq!(batches, 4);
    assert!(server.bytes_in() - before < 4 * LIMIT as u64);
}
