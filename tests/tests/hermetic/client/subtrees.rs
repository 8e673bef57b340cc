//! Operations on paths and subtrees that take several requests: parents, walks, deletion.

use std::time::Duration;

use crate::stage::{Stage, create, pass, until_suspended, within};
use futures_util::future::join_all;
use zk_client::{
    Acl, AuthId, Client, CreateMode, Error, ErrorCode, Interruption, OPEN_ACL_UNSAFE, OpCode, Parents, Permissions,
    READ_ACL_UNSAFE, UsageError, Walked,
};
use zk_testkit::server::{Profile, TestServer};

const OPEN: Parents<'static> = Parents::Persistent(OPEN_ACL_UNSAFE);

fn acl(permissions: Permissions) -> [Acl; 1] {
    [Acl { permissions, id: AuthId { scheme: "world".into(), id: "anyone".into() } }]
}

/// The operations that were carried out since the last look, without pings.
fn ops(server: &Stage) -> Vec<OpCode> {
    server.take_requests().into_iter().map(|request| request.op).filter(|op| *op != OpCode::PING).collect()
}

#[tokio::test(start_paused = true)]
async fn missing_parents_are_created_with_the_mode_and_acl_that_was_said() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let all_but_admin = acl(Permissions(Permissions::ALL.0 & !Permissions::ADMIN.0));
    let made = client.create_all(
        "/a/b/c",
        b"data",
        CreateMode::Persistent,
        READ_ACL_UNSAFE,
        Parents::Persistent(&all_but_admin),
    );
    let (path, stat) = within(made).await.unwrap();
    assert_eq!((path.as_str(), stat.data_length), ("/a/b/c", 4));
    assert_eq!(within(client.get_acl("/a/b/c")).await.unwrap().0, READ_ACL_UNSAFE);
    for parent in ["/a", "/a/b"] {
        assert_eq!(within(client.get_acl(parent)).await.unwrap().0, all_but_admin, "{parent}");
        assert_eq!(server.get(parent).unwrap().0, b"".as_slice());
    }

    let containers = Parents::Containers(OPEN_ACL_UNSAFE);
    let mode = CreateMode::EphemeralSequential;
    let (path, _) = within(client.create_all("/q/r/", b"", mode, OPEN_ACL_UNSAFE, containers)).await.unwrap();
    assert_eq!(path, "/q/r/0000000000");
    within(client.delete(&path, None)).await.unwrap();
    server.sweep_containers();
    server.sweep_containers();
    assert_eq!(server.get("/q"), None, "containers go with their last child");

    let deep = "/d".repeat(100);
    within(client.ensure_path(&deep, OPEN)).await.unwrap();
    within(client.ensure_path(&deep, OPEN)).await.unwrap();
    assert_eq!(within(client.get_all_children_number("/d")).await.unwrap(), 99);
    within(client.ensure_path("/", OPEN)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_missing_nothing_else_is_asked() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/a", b"").unwrap();
    drop(ops(&server));
    within(client.create_all("/a/b", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE, OPEN)).await.unwrap();
    assert_eq!(ops(&server), [OpCode::CREATE2]);
    within(client.ensure_path("/a/b", OPEN)).await.unwrap();
    assert_eq!(ops(&server), [OpCode::EXISTS; 2], "nothing is written");
    let refused = within(client.create_all("/a/b", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE, OPEN)).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::NODE_EXISTS));

    server.create("/a/b/c", b"").unwrap();
    server.set_acl("/a", READ_ACL_UNSAFE).unwrap();
    within(client.create_all("/a/b/c/d/e", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE, OPEN))
        .await
        .expect("nobody need be allowed to create what exists");
    let refused = within(client.ensure_path("/a/x/y", OPEN)).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NO_AUTH));
    let empty = within(client.ensure_path("/b", Parents::Persistent(&[]))).await;
    assert_eq!(empty, Err(Error::Usage(UsageError::EmptyAcl)));
}

#[tokio::test(start_paused = true)]
async fn any_number_of_clients_create_the_same_parents_at_once() {
    let server = Stage::start().await;
    let clients: Vec<Client> = join_all((0..8).map(|_| server.connect())).await;
    let mode = CreateMode::PersistentSequential;
    let create = |client: &Client| {
        let client = client.clone();
        tokio::spawn(async move { client.create_all("/x/y/z/n-", b"", mode, OPEN_ACL_UNSAFE, OPEN).await })
    };
    let all = within(join_all(clients.iter().flat_map(|client| (0..8).map(move |_| create(client))))).await;
    assert!(all.iter().all(|made| matches!(made, Ok(Ok(_)))), "{all:?}");
    assert_eq!(server.children("/x/y/z").unwrap().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn parents_that_somebody_keeps_deleting_are_given_up() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/a", b"").unwrap();
    for _ in 0..100 {
        server.refuse_next(OpCode::CREATE2, ErrorCode::NO_NODE);
    }
    drop(ops(&server));
    let refused = within(client.create_all("/a/b", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE, OPEN)).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::NO_NODE));
    assert_eq!(ops(&server).iter().filter(|op| **op == OpCode::CREATE2).count(), 8);
    let refused = within(client.ensure_path("/b", OPEN)).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::NO_NODE));
}

#[tokio::test(start_paused = true)]
async fn a_chroot_is_created_like_a_parent() {
    let server = Stage::start().await;
    let client = within(server.connector_below("/tenants/blue").connect()).await.unwrap();
    let refused = within(client.create("/a", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE)).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::NO_NODE));
    within(client.ensure_path("/", OPEN)).await.unwrap();
    assert_eq!(server.children("/tenants/blue").unwrap(), Vec::<String>::new());

    let client = within(server.connector_below("/tenants/red").connect()).await.unwrap();
    let (path, _) =
        within(client.create_all("/a/b", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE, OPEN)).await.unwrap();
    assert_eq!(path, "/a/b");
    assert!(server.get("/tenants/red/a/b").is_some());
}

/// A tree of `/a` with `wide` children, each with one child.
async fn tree(wide: usize) -> Stage {
    let znodes = (0..wide).map(|n| (format!("/a/n{n:04}/leaf"), n.to_string()));
    Stage::with(TestServer::builder().znodes(znodes)).await
}

#[tokio::test(start_paused = true)]
async fn a_subtree_is_deleted_in_bounded_transactions() {
    let server = tree(300).await;
    let client = server.connect().await;
    drop(ops(&server));
    let mut told = Vec::new();
    assert_eq!(within(client.delete_all_with("/a", |count| told.push(count))).await.unwrap(), 601);
    assert_eq!(server.get("/a"), None);
    assert_eq!(told, [128, 256, 384, 512, 601]);
    let seen = ops(&server);
    assert_eq!(seen.iter().filter(|op| **op == OpCode::MULTI).count(), 5);
    // The root's children, and those of the others, 64 lists together.
    assert_eq!(seen.iter().filter(|op| **op == OpCode::GET_CHILDREN).count(), 1);
    assert_eq!(seen.iter().filter(|op| **op == OpCode::MULTI_READ).count(), 10);
    assert_eq!(seen.len(), 16);
    assert_eq!(within(client.delete_all("/a")).await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
}

#[tokio::test(start_paused = true)]
async fn the_root_and_zookeepers_own_znodes_are_not_deleted() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let bytes = server.bytes_in();
    for path in ["/", "/zookeeper", "/zookeeper/quota"] {
        let refused = within(client.delete_all(path)).await;
        assert_eq!(refused, Err(Error::Usage(UsageError::Reserved { path: path.into() })));
    }
    assert_eq!(server.bytes_in(), bytes, "nothing is sent");
    let below = server.connect_below("/app").await;
    assert!(matches!(within(below.delete_all("/")).await, Err(Error::Usage(UsageError::Reserved { .. }))));
    create(&below, "/zookeeper", b"").await;
    assert_eq!(within(below.delete_all("/zookeeper")).await.unwrap(), 1, "of that name only");
}

#[tokio::test(start_paused = true)]
async fn what_others_create_and_delete_meanwhile_does_not_keep_a_subtree() {
    let server = tree(10).await;
    let client = server.connect().await;
    drop(ops(&server));
    let latency = Duration::from_millis(10);
    server.delay_replies(latency);
    let deletion = {
        let client = client.clone();
        tokio::spawn(async move { client.delete_all("/a").await })
    };
    // The three levels are listed; the last list is on its way.
    pass(latency * 5 / 2).await;
    server.create("/a/n0001/late", b"").unwrap();
    server.delete("/a/n0002/leaf").unwrap();
    assert_eq!(within(deletion).await.unwrap().unwrap(), 21);
    assert_eq!(server.get("/a"), None);
    assert!(ops(&server).contains(&OpCode::DELETE), "the transaction was refused");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_deleted_stays_and_is_the_error() {
    let server = tree(10).await;
    let client = server.connect().await;
    server.set_acl("/a/n0003", READ_ACL_UNSAFE).unwrap();
    drop(ops(&server));
    let mut deleted = 0;
    let refused = within(client.delete_all_with("/a", |count| deleted = count)).await.unwrap_err();
    assert_eq!(refused, Error::Refused { op: OpCode::DELETE, code: ErrorCode::NO_AUTH });
    assert_eq!(deleted, 18, "the rest is gone");
    assert_eq!(server.children("/a").unwrap(), ["n0003"]);
    assert_eq!(ops(&server).iter().filter(|op| **op == OpCode::MULTI).count(), 5, "five rounds");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_survives_a_lost_connection() {
    let server = tree(100).await;
    let client = server.connect().await;
    server.delay_replies(Duration::from_millis(10));
    let deletion = {
        let client = client.clone();
        tokio::spawn(async move { client.delete_all("/a").await })
    };
    pass(Duration::from_millis(15)).await;
    server.drop_connections();
    until_suspended(&client).await;
    within(deletion).await.unwrap().unwrap();
    assert_eq!(server.get("/a"), None);
}

/// Paths of a walk; those that are hidden in brackets.
async fn walked(client: &Client, root: &str) -> Vec<String> {
    let (mut walk, mut paths) = (client.walk(root).unwrap(), Vec::new());
    while let Some(walked) = within(walk.next()).await {
        paths.push(match walked.unwrap() {
            Walked::Node { path, .. } => path,
            Walked::Unread { path, error } => format!("({path}: {:?})", error.code().map(|code| code.0)),
            other => panic!("{other:?}"),
        });
    }
    paths
}

#[tokio::test(start_paused = true)]
async fn a_subtree_is_walked_level_by_level_in_bounded_batches() {
    let server = tree(200).await;
    let client = server.connect().await;
    drop(ops(&server));
    let paths = walked(&client, "/a").await;
    assert_eq!(paths.len(), 401);
    assert_eq!(paths[0], "/a");
    assert!(paths[1..201].iter().all(|path| !path.ends_with("leaf")), "parents first");
    assert!(paths[201..].iter().all(|path| path.ends_with("leaf")));
    // The root, and seven batches of at most 64.
    assert_eq!(ops(&server), [OpCode::MULTI_READ; 8]);

    let mut walk = client.walk("/a/n0007").unwrap();
    drop(within(walk.next()).await);
    let Some(Ok(Walked::Node { path, data, stat })) = within(walk.next()).await else { panic!() };
    assert_eq!((path.as_str(), &data[..], stat.data_length), ("/a/n0007/leaf", &b"7"[..], 1));
    assert!(within(walk.next()).await.is_none() && within(walk.next()).await.is_none());

    let below = within(server.connector_below("/a/n0007").connect()).await.unwrap();
    assert_eq!(walked(&below, "/").await, ["/", "/leaf"]);
}

#[tokio::test(start_paused = true)]
async fn a_walk_reads_one_by_one_where_the_server_knows_no_batches() {
    let znodes = ["/a/x/1", "/a/x/2", "/a/y"].map(|path| (path, ""));
    let old = Stage::with(TestServer::builder().profile(Profile::V3_5).znodes(znodes)).await;
    let new = Stage::with(TestServer::builder().znodes(znodes)).await;
    let (old, new) = (old.connect().await, new.connect().await);
    let expected = ["/a", "/a/x", "/a/y", "/a/x/1", "/a/x/2"];
    for client in [old, new] {
        let mut paths = walked(&client, "/a").await;
        paths.sort_by_key(|path| (path.matches('/').count(), path.clone()));
        assert_eq!(paths, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_walk_names_what_it_cannot_read() {
    let server = tree(3).await;
    let client = server.connect().await;
    server.set_acl("/a/n0001", &acl(Permissions::CREATE)).unwrap();
    let mut paths = walked(&client, "/a").await;
    paths.sort();
    assert_eq!(paths, ["(/a/n0001: Some(-102))", "/a", "/a/n0000", "/a/n0000/leaf", "/a/n0002", "/a/n0002/leaf"]);

    let mut nowhere = client.walk("/none").unwrap();
    assert_eq!(within(nowhere.next()).await.unwrap().unwrap_err().code(), Some(ErrorCode::NO_NODE));
    assert!(within(nowhere.next()).await.is_none());
    assert!(matches!(client.walk("a"), Err(Error::Usage(UsageError::Path { .. }))));
}

#[tokio::test(start_paused = true)]
async fn a_walk_shrinks_its_batches_to_the_limit_of_replies() {
    let value = "v".repeat(30_000);
    let znodes = (0..40).map(|n| (format!("/a/n{n:02}"), value.clone()));
    let too_large = [("/a/n07".to_owned(), "v".repeat(120_000)), ("/a/n07/below".to_owned(), String::new())];
    let server = Stage::with(TestServer::builder().znodes(znodes.chain(too_large))).await;
    let client = within(server.connector().reply_len_max(100_000).connect()).await.unwrap();
    let (mut walk, mut found, mut unread) = (client.walk("/a").unwrap(), 0, Vec::new());
    while let Some(walked) = within(walk.next()).await {
        match walked.unwrap() {
            Walked::Node { .. } => found += 1,
            Walked::Unread { path, error } => unread.push((path, matches!(error, Error::ReplyTooLarge { .. }))),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((found, unread), (41, vec![("/a/n07".to_owned(), true)]), "what is below it is found all the same");
}

#[tokio::test(start_paused = true)]
async fn a_walk_goes_on_behind_a_lost_connection_and_ends_with_the_session() {
    let server = tree(100).await;
    let client = server.connect().await;
    server.delay_replies(Duration::from_millis(10));
    let reading = {
        let client = client.clone();
        tokio::spawn(async move { walked(&client, "/a").await })
    };
    // The second batch is on its way.
    pass(Duration::from_millis(15)).await;
    server.drop_connections();
    assert_eq!(within(reading).await.unwrap().len(), 201);
    server.delay_replies(Duration::ZERO);

    let mut walk = client.walk("/a").unwrap();
    drop(within(walk.next()).await.unwrap().unwrap());
    within(client.close()).await;
    let error = within(walk.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Interrupted { by: Interruption::Closed, .. }), "{error:?}");
    assert!(within(walk.next()).await.is_none());
}
