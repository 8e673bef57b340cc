//! A client below a chroot: no path of the server ever shows.

use crate::stage::{Stage, create, settle, until_connected, until_suspended, within};
use zk_client::{
    CreateMode, Error, EventType, OPEN_ACL_UNSAFE, OpCode, PathError, Read, ReadResult, Transaction, TransactionResult,
    UsageError, WatchItem, WatchMode, WatchStream,
};
use zk_config::Mirror;

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
    assert_eq!(event(&mut all).await, (EventType::NODE_CREATED, "/a".into()));
    assert_eq!(event(&mut one).await, (EventType::NODE_CREATED, "/a".into()));
    assert_eq!(event(&mut all).await, (EventType::NODE_DATA_CHANGED, "/".into()));
}

async fn event(stream: &mut WatchStream) -> (EventType, String) {
    match within(stream.next()).await {
        Some(WatchItem::Event(event)) => (event.event_type, event.path.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Handles of one session with roots of their own.
#[tokio::test(start_paused = true)]
async fn handles_of_one_session_have_roots_of_their_own() {
    let server = Stage::start().await;
    let app = server.connect_below("/app").await;
    create(&app, "/team", b"").await;
    let (team, same) = (app.chrooted("/team").unwrap(), app.chrooted("/").unwrap());
    create(&team, "/deep", b"1").await;
    let deep = team.chrooted("/deep").unwrap();
    let roots = [&app, &same, &team, &deep].map(zk_client::Client::chroot);
    assert_eq!(roots, ["/app", "/app", "/app/team", "/app/team/deep"]);
    assert_eq!(server.sessions().len(), 1);
    assert_eq!(deep.session_id(), app.session_id());

    assert_eq!(&within(deep.get_data("/")).await.unwrap().0[..], b"1");
    assert_eq!(within(team.get_children("/")).await.unwrap().0, ["deep"]);
    let ephemeral = within(deep.create("/e-", b"", CreateMode::EphemeralSequential, OPEN_ACL_UNSAFE));
    assert_eq!(ephemeral.await.unwrap().0, "/e-0000000000");
    assert_eq!(within(team.get_ephemerals("/")).await.unwrap(), ["/deep/e-0000000000"]);
    let both = Transaction::new().create("/x", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).delete("/x", None);
    let results = within(deep.commit(&both)).await.unwrap();
    assert!(matches!(&results[0], TransactionResult::Created { path, .. } if path == "/x"), "{results:?}");

    let error = PathError::NotAbsolute;
    let bad = Error::Usage(UsageError::Path { path: "team".into(), error });
    assert_eq!(app.chrooted("team").err(), Some(bad));
    // The session lives until the last handle of any root is gone.
    drop((app, same, team));
    within(deep.sync("/")).await.unwrap();
    drop(deep);
    within(server.wait_until(|model| model.sessions().is_empty())).await;
}

/// One watch at the server, each stream with its own paths, before and after a reconnect.
// goal: W2
#[tokio::test(start_paused = true)]
async fn streams_of_different_roots_share_one_watch_and_have_their_own_paths() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/app", b"").await;
    let app = client.chrooted("/app").unwrap();
    let recursive = WatchMode::PERSISTENT_RECURSIVE;
    let mut above = within(client.watch("/app", recursive)).await.unwrap();
    let mut below = within(app.watch("/", recursive)).await.unwrap();
    assert_eq!(server.requests().iter().filter(|request| request.op == OpCode::ADD_WATCH).count(), 1);
    create(&app, "/a", b"").await;
    assert_eq!(event(&mut above).await, (EventType::NODE_CREATED, "/app/a".into()));
    assert_eq!(event(&mut below).await, (EventType::NODE_CREATED, "/a".into()));
    let refused = within(app.watch("/", WatchMode::PERSISTENT)).await;
    assert_eq!(refused.err(), Some(Error::Usage(UsageError::WatchConflict { path: "/".into() })));

    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    server.set("/app/a", b"").unwrap();
    for (stream, path) in [(&mut above, "/app/a"), (&mut below, "/a")] {
        let marks = [within(stream.next()).await, within(stream.next()).await];
        assert!(matches!(marks, [Some(WatchItem::Gap(_)), Some(WatchItem::Resumed { .. })]), "{marks:?}");
        assert_eq!(event(stream).await, (EventType::NODE_DATA_CHANGED, path.into()));
    }
    drop(above);
    settle().await;
    assert_eq!(server.watches().len(), 1);
    drop(below);
    settle().await;
    assert_eq!(server.watch_count(), 0);
}

/// Consumers in the driver have the root of the handle that attached them.
#[tokio::test(start_paused = true)]
async fn mirrors_of_different_roots_share_a_session() {
    let server = Stage::start().await;
    server.create("/one", b"").unwrap();
    server.create("/two", b"").unwrap();
    let client = server.connect().await;
    let (one, two) = (client.chrooted("/one").unwrap(), client.chrooted("/two").unwrap());
    let (one, two) = (Mirror::start(&one, "/").unwrap(), Mirror::start(&two, "/").unwrap());
    for mirror in [&one, &two] {
        within(mirror.ready()).await.unwrap();
    }
    server.create("/one/a", b"1").unwrap();
    server.create("/two/a", b"2").unwrap();
    for (mirror, data) in [(&one, b"1"), (&two, b"2")] {
        let mut status = mirror.status_channel();
        within(status.wait_for(|_| mirror.snapshot().get("/a").is_some())).await.unwrap();
        assert_eq!(mirror.snapshot().get("/a").unwrap().data[..], data[..]);
    }
    assert_eq!(server.sessions().len(), 1);
}
