//! A client below a chroot: no path of the server ever shows.

use crate::stage::{Stage, create, within};
use zk_client::{
    CreateMode, EventType, OPEN_ACL_UNSAFE, Read, ReadResult, Transaction, TransactionResult, WatchItem, WatchMode,
};

// goal: N8
#[tokio::test(start_paused = true)]
async fn every_operation_works_below_the_chroot() {
    let server = Stage::start().await;
    let client = server.connect_below("/app").await;
    assert_eq!(client.chroot(), "/app");
    let (path, _) = within(client.create("/a", b"1", CreateMode::Persistent, OPEN_ACL_UNSAFE)).await.unwrap();
    assert_eq!(path, "/a");
    let sequential = CreateMode::EphemeralSequential;
    let (path, _) = within(client.create("/a/s-", b"", sequential, OPEN_ACL_UNSAFE)).await.unwrap();
    assert_eq!(path, "/a/s-0000000000");
    assert_eq!(&server.get("/app/a").unwrap().0[..], b"1");
    assert_eq!(server.get("/a"), None);

    assert_eq!(&within(client.get_data("/a")).await.unwrap().0[..], b"1");
    within(client.set_data("/a", b"2", Some(0))).await.unwrap();
    assert_eq!(&server.get("/app/a").unwrap().0[..], b"2");
    assert_eq!(within(client.get_children("/")).await.unwrap().0, ["a"]);
    assert_eq!(within(client.exists("/a")).await.unwrap().unwrap().version, 1);
    assert_eq!(within(client.exists("/app")).await.unwrap(), None);
    assert_eq!(within(client.get_acl("/a")).await.unwrap().0, OPEN_ACL_UNSAFE);
    assert_eq!(within(client.set_acl("/a", OPEN_ACL_UNSAFE, None)).await.unwrap().aversion, 1);
    assert_eq!(within(client.get_all_children_number("/")).await.unwrap(), 2);
    assert_eq!(within(client.get_ephemerals("/a")).await.unwrap(), ["/a/s-0000000000"]);
    within(client.sync("/")).await.unwrap();

    let results = within(client.read_many([Read::Data("/a"), Read::Children("/")])).await.unwrap();
    assert_eq!(results[1], ReadResult::Children(vec!["a".into()]));
    let transaction = Transaction::new()
        .check("/a", Some(1))
        .create("/b", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE)
        .set_data("/a", b"3", None)
        .delete("/b", None);
    let results = within(client.commit(&transaction)).await.unwrap();
    assert!(matches!(&results[1], TransactionResult::Created { path, .. } if path == "/b"), "{results:?}");
    within(client.delete("/a/s-0000000000", None)).await.unwrap();
    assert_eq!(server.children("/app/a").unwrap(), Vec::<String>::new());
}

/// The server takes the prefix as text, so that it would name a neighbour's ephemerals.
#[tokio::test(start_paused = true)]
async fn ephemerals_of_a_neighbour_with_a_longer_name_are_not_listed() {
    let server = Stage::start().await;
    let client = server.connect_below("/app").await;
    let session = client.session_id().unwrap();
    server.create("/application", b"").unwrap();
    server.create_for(session, "/application/e", b"", 1).unwrap();
    server.create_for(session, "/app/e", b"", 1).unwrap();
    assert_eq!(within(client.get_ephemerals("/")).await.unwrap(), ["/e"]);
}

#[tokio::test(start_paused = true)]
async fn events_below_the_chroot_have_the_clients_paths() {
    let server = Stage::start().await;
    let client = server.connect_below("/app").await;
    let mut all = within(client.watch("/", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
    let mut one = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    create(&client, "/a", b"").await;
    server.create("/app2", b"").unwrap();
    server.set("/app", b"root").unwrap();
    let event = |item| match item {
        Some(WatchItem::Event(event)) => (event.event_type, event.path.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(event(within(all.next()).await), (EventType::NODE_CREATED, "/a".into()));
    assert_eq!(event(within(one.next()).await), (EventType::NODE_CREATED, "/a".into()));
    assert_eq!(event(within(all.next()).await), (EventType::NODE_DATA_CHANGED, "/".into()));
}
