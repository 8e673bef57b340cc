//! Transactions and batched reads: how their operations see each other, and what is told of each.

use crate::stage::{Stage, create, within};
use futures_util::future::join_all;
use zk_client::{
    Acl, AuthId, Client, CreateMode, Error, ErrorCode, EventType, OPEN_ACL_UNSAFE, Permissions, Read, ReadResult,
    Transaction, TransactionResult, UsageError, WatchItem, WatchMode,
};

const OPEN: &[Acl] = OPEN_ACL_UNSAFE;
const STAYS: CreateMode = CreateMode::Persistent;

/// What an aborted transaction tells of each operation.
async fn codes(client: &Client, transaction: &Transaction<'_>) -> Vec<ErrorCode> {
    match within(client.commit(transaction)).await {
        Err(Error::Aborted { index, code, codes }) => {
            assert_eq!(codes[index], code);
            codes
        }
        other => panic!("not aborted: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn operations_see_what_those_before_them_did() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let nested = Transaction::new()
        .create("/multi", b"", STAYS, OPEN)
        .create("/multi/a", b"1", STAYS, OPEN)
        .create("/multi/a/b", b"", STAYS, OPEN)
        .set_data("/multi/a", b"2", Some(0))
        .check("/multi/a", Some(1))
        .delete("/multi/a/b", Some(0));
    let results = within(client.commit(&nested)).await.unwrap();
    let paths: Vec<_> = results.iter().filter_map(TransactionResult::path).collect();
    assert_eq!(paths, ["/multi", "/multi/a", "/multi/a/b"]);
    assert_eq!(results[3].stat().unwrap().version, 1);
    assert_eq!(server.children("/multi/a").unwrap(), Vec::<String>::new());

    let (done, behind) = (ErrorCode::OK, ErrorCode::RUNTIME_INCONSISTENCY);
    let update_conflict =
        Transaction::new().set_data("/multi", b"x", Some(0)).set_data("/multi", b"y", Some(0)).check("/multi", None);
    assert_eq!(codes(&client, &update_conflict).await, [done, ErrorCode::BAD_VERSION, behind]);
    let gone = Transaction::new().delete("/multi/a", None).set_data("/multi/a", b"x", None);
    assert_eq!(codes(&client, &gone).await, [done, ErrorCode::NO_NODE]);
    let wrong_version = Transaction::new().delete("/multi/a", Some(7)).delete("/multi/a", None);
    assert_eq!(codes(&client, &wrong_version).await, [ErrorCode::BAD_VERSION, behind]);
    let not_empty = Transaction::new().create("/new", b"", STAYS, OPEN).delete("/multi", None).delete("/new", None);
    assert_eq!(codes(&client, &not_empty).await, [done, ErrorCode::NOT_EMPTY, behind]);
    assert_eq!((server.get("/new"), &server.get("/multi/a").unwrap().0[..]), (None, &b"2"[..]), "rolled back");
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_none_keeps_the_whole_transaction_from_being_sent() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let bytes = server.bytes_in();
    for path in ["", "a", "/a/", "/a//b", "/a/../b"] {
        let begin = || Transaction::new().create("/fine", b"", STAYS, OPEN);
        for transaction in [
            begin().create(path, b"", STAYS, OPEN),
            begin().delete(path, None),
            begin().set_data(path, b"", None),
            begin().check(path, None),
        ] {
            let refused = within(client.commit(&transaction)).await;
            assert!(matches!(refused, Err(Error::Usage(UsageError::Path { .. }))), "{path:?}: {refused:?}");
        }
    }
    let empty = within(client.commit(&Transaction::new().create("/a", b"", STAYS, &[]))).await;
    assert_eq!(empty, Err(Error::Usage(UsageError::EmptyAcl)));
    assert_eq!(server.bytes_in(), bytes);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_fires_watches_in_its_order_and_a_failed_one_none() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let mut watch = within(client.watch("/", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
    let failing = Transaction::new().create("/no", b"", STAYS, OPEN).check("/none", None);
    assert_eq!(codes(&client, &failing).await, [ErrorCode::OK, ErrorCode::NO_NODE]);
    let all = Transaction::new()
        .create("/a", b"", STAYS, OPEN)
        .set_data("/a", b"1", None)
        .create("/a/b", b"", STAYS, OPEN)
        .delete("/a/b", None);
    within(client.commit(&all)).await.unwrap();
    let zxid = server.zxid();
    for expected in [
        (EventType::NODE_CREATED, "/a"),
        (EventType::NODE_DATA_CHANGED, "/a"),
        (EventType::NODE_CREATED, "/a/b"),
        (EventType::NODE_DELETED, "/a/b"),
    ] {
        let Some(WatchItem::Event(event)) = within(watch.next()).await else { panic!("no event") };
        assert_eq!(((event.event_type, &*event.path), event.zxid), (expected, zxid));
    }
}

/// The numbers that the server gives are in the order of the calls, whoever is awaited first.
#[tokio::test(start_paused = true)]
async fn transactions_are_carried_out_in_call_order() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let mode = CreateMode::PersistentSequential;
    let one = Transaction::new().create("/n-", b"", mode, OPEN).create("/n-", b"", mode, OPEN);
    let mut calls: Vec<_> = (0..50).map(|_| client.commit(&one)).collect();
    calls.reverse();
    let mut all = within(join_all(calls)).await;
    all.reverse();
    let paths: Vec<_> = all.iter().flat_map(|results| results.as_ref().unwrap()).map(|r| r.path().unwrap()).collect();
    let expected: Vec<_> = (0..100).map(|number| format!("/n-{number:010}")).collect();
    assert_eq!(paths, expected);
}

#[tokio::test(start_paused = true)]
async fn batched_reads_may_name_a_znode_twice_and_one_refusal_leaves_the_others() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    create(&client, "/a/b", b"").await;
    create(&client, "/secret", b"").await;
    let hidden = [Acl { permissions: Permissions::ADMIN, id: AuthId { scheme: "world".into(), id: "anyone".into() } }];
    server.set_acl("/secret", &hidden).unwrap();
    let names = ReadResult::Children(vec!["b".into()]);
    let refused = ReadResult::Refused(ErrorCode::NO_AUTH);
    let same = within(client.read_many([Read::Children("/a"), Read::Children("/a")])).await.unwrap();
    assert_eq!(same, [names.clone(), names.clone()]);
    let first = within(client.read_many([Read::Children("/secret"), Read::Children("/a")])).await.unwrap();
    assert_eq!(first, [refused.clone(), names.clone()]);
    let last = within(client.read_many([Read::Children("/a"), Read::Data("/secret")])).await.unwrap();
    assert_eq!(last, [names, refused]);
}
