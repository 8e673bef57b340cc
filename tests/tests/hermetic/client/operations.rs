//! Every operation: what it answers, and every error that a user meets.

use std::time::Duration;

use crate::stage::{Stage, create, within};
use zk_client::{
    Acl, AuthId, Client, CreateMode, Error, ErrorCode, OPEN_ACL_UNSAFE, OpCode, Permissions, READ_ACL_UNSAFE, Read,
    ReadResult, Transaction, TransactionResult, Ttl, TtlOutOfRange, UsageError,
};
use zk_testkit::server::Profile;

/// The server's reason for refusing a call.
#[track_caller]
fn code<R: std::fmt::Debug>(result: Result<R, Error>) -> ErrorCode {
    match result {
        Err(Error::Refused { code, .. }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

async fn make(client: &Client, path: &str, mode: CreateMode) -> Result<String, Error> {
    within(client.create(path, b"data", mode, OPEN_ACL_UNSAFE)).await.map(|(path, _)| path)
}

#[tokio::test(start_paused = true)]
async fn znodes_are_created_in_every_mode() {
    let server = Stage::like(Profile::V3_9.with_ttl()).await;
    let client = server.connect().await;
    let session = client.session_id().unwrap();
    let ttl = Ttl::from_millis(60_000).unwrap();

    let (path, stat) = within(client.create("/p", b"data", CreateMode::Persistent, OPEN_ACL_UNSAFE)).await.unwrap();
    assert_eq!((path.as_str(), stat.version, stat.data_length, stat.ephemeral_owner.0), ("/p", 0, 4, 0));
    assert_eq!((stat.czxid, stat.mzxid), (server.zxid(), server.zxid()));

    let (_, stat) = within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    assert_eq!(stat.ephemeral_owner, session);
    assert_eq!(make(&client, "/p/s-", CreateMode::PersistentSequential).await.unwrap(), "/p/s-0000000000");
    assert_eq!(make(&client, "/p/s-", CreateMode::EphemeralSequential).await.unwrap(), "/p/s-0000000001");
    assert_eq!(make(&client, "/p/", CreateMode::PersistentSequential).await.unwrap(), "/p/0000000002");
    assert_eq!(make(&client, "/c", CreateMode::Container).await.unwrap(), "/c");
    assert_eq!(make(&client, "/t", CreateMode::PersistentWithTtl(ttl)).await.unwrap(), "/t");
    let numbered = CreateMode::PersistentSequentialWithTtl(ttl);
    assert_eq!(make(&client, "/p/t-", numbered).await.unwrap(), "/p/t-0000000003");

    assert_eq!(server.get("/p").unwrap().0, b"data".as_slice());
    assert_eq!(server.children("/").unwrap(), ["c", "e", "p", "t", "zookeeper"]);
}

/// As on servers before 3.5.
#[tokio::test(start_paused = true)]
async fn znodes_are_created_where_no_server_knows_stats() {
    let profile = Profile::V3_9.with_ttl().without(OpCode::CREATE2);
    let server = Stage::like(profile).await;
    let client = server.connect_below("/app").await;
    let make = |path: &'static str, mode| within(client.create_without_stat(path, b"data", mode, OPEN_ACL_UNSAFE));
    assert_eq!(make("/p", CreateMode::Persistent).await.unwrap(), "/p");
    assert_eq!(make("/p/s-", CreateMode::PersistentSequential).await.unwrap(), "/p/s-0000000000");
    assert_eq!(make("/p/", CreateMode::EphemeralSequential).await.unwrap(), "/p/0000000001");
    assert_eq!(make("/p/e", CreateMode::Ephemeral).await.unwrap(), "/p/e");
    assert_eq!(make("/p/c", CreateMode::Container).await.unwrap(), "/p/c");
    let ttl = CreateMode::PersistentSequentialWithTtl(Ttl::from_millis(1000).unwrap());
    assert_eq!(make("/p/t-", ttl).await.unwrap(), "/p/t-0000000004");
    assert_eq!(code(make("/p", CreateMode::Persistent).await), ErrorCode::NODE_EXISTS);
    assert_eq!(code(make("/no/p", CreateMode::Ephemeral).await), ErrorCode::NO_NODE);
    assert_eq!(server.get("/app/p/e").unwrap().0, b"data".as_slice());
    assert_eq!(server.get("/app/p/e").unwrap().1.ephemeral_owner, client.session_id().unwrap());
    assert_eq!(server.connections().len(), 1, "every request was known");
}

#[tokio::test(start_paused = true)]
async fn containers_and_outlived_znodes_are_swept() {
    let server = Stage::like(Profile::V3_9.with_ttl()).await;
    let client = server.connect().await;
    make(&client, "/c", CreateMode::Container).await.unwrap();
    create(&client, "/c/child", b"").await;
    make(&client, "/t", CreateMode::PersistentWithTtl(Ttl::from_millis(1000).unwrap())).await.unwrap();
    within(client.delete("/c/child", None)).await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    server.sweep_containers();
    assert_eq!(within(client.exists("/c")).await.unwrap(), None);
    assert_eq!(within(client.exists("/t")).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn create_is_refused_with_a_reason() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/p", b"").await;
    make(&client, "/e", CreateMode::Ephemeral).await.unwrap();
    server.set_acl("/p", READ_ACL_UNSAFE).unwrap();

    assert_eq!(code(make(&client, "/e", CreateMode::Persistent).await), ErrorCode::NODE_EXISTS);
    assert_eq!(code(make(&client, "/no/p", CreateMode::Persistent).await), ErrorCode::NO_NODE);
    assert_eq!(code(make(&client, "/e/p", CreateMode::Persistent).await), ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
    assert_eq!(code(make(&client, "/p/p", CreateMode::Persistent).await), ErrorCode::NO_AUTH);
    let stranger = [Acl { permissions: Permissions::ALL, id: AuthId { scheme: "moon".into(), id: "x".into() } }];
    let acl = within(client.create("/x", b"", CreateMode::Persistent, &stranger)).await;
    assert_eq!(code(acl), ErrorCode::INVALID_ACL);

    let empty = within(client.create("/x", b"", CreateMode::Persistent, &[])).await;
    assert_eq!(empty, Err(Error::Usage(UsageError::EmptyAcl)));
    for ttl in [0, 1 << 40] {
        let refused = make(&client, "/x", CreateMode::PersistentWithTtl(Ttl::raw(ttl))).await;
        assert_eq!(refused, Err(Error::Usage(UsageError::Ttl(TtlOutOfRange))));
    }
    // goal: N7
    assert_eq!(within(client.exists("/p")).await.unwrap().unwrap().num_children, 0, "the session goes on");
}

/// Servers without `extendedTypesEnabled` answer so and hang up; the client comes back.
#[tokio::test(start_paused = true)]
async fn a_ttl_that_the_server_does_not_know_is_refused_and_the_session_goes_on() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let session = client.session_id();
    let ttl = CreateMode::PersistentWithTtl(Ttl::from_millis(1000).unwrap());
    assert_eq!(code(make(&client, "/t", ttl).await), ErrorCode::UNIMPLEMENTED);
    assert_eq!(within(client.exists("/t")).await.unwrap(), None);
    assert_eq!(client.session_id(), session);
}

#[tokio::test(start_paused = true)]
async fn data_is_read_and_set_by_version() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"0").await;

    let (data, stat) = within(client.get_data("/a")).await.unwrap();
    assert_eq!((&data[..], stat.version), (b"0".as_slice(), 0));
    let stat = within(client.set_data("/a", b"1", Some(0))).await.unwrap();
    assert_eq!((stat.version, stat.mzxid), (1, server.zxid()));
    assert_eq!(code(within(client.set_data("/a", b"2", Some(0))).await), ErrorCode::BAD_VERSION);
    assert_eq!(within(client.set_data("/a", b"3", None)).await.unwrap().version, 2);
    assert_eq!(&within(client.get_data("/a")).await.unwrap().0[..], b"3");
    assert_eq!(within(client.exists("/a")).await.unwrap().unwrap().version, 2);

    assert_eq!(within(client.exists("/b")).await.unwrap(), None);
    assert_eq!(code(within(client.get_data("/b")).await), ErrorCode::NO_NODE);
    assert_eq!(code(within(client.set_data("/b", b"", None)).await), ErrorCode::NO_NODE);
    server.set_acl("/a", &no_reading()).unwrap();
    assert_eq!(code(within(client.get_data("/a")).await), ErrorCode::NO_AUTH);
    assert_eq!(code(within(client.exists("/a")).await), ErrorCode::NO_AUTH, "since 3.8.4 and 3.9.2");
    let error = within(client.get_data("/a")).await.unwrap_err();
    assert_eq!(error.to_string(), "getData: permission denied by the znode's ACL (-102)");
    server.set_acl("/a", READ_ACL_UNSAFE).unwrap();
    assert_eq!(code(within(client.set_data("/a", b"", None)).await), ErrorCode::NO_AUTH);
}

fn no_reading() -> [Acl; 1] {
    let all_but_read = Permissions(Permissions::ALL.0 & !Permissions::READ.0);
    [Acl { permissions: all_but_read, id: AuthId { scheme: "world".into(), id: "anyone".into() } }]
}

#[tokio::test(start_paused = true)]
async fn znodes_are_deleted_by_version() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    create(&client, "/a/b", b"").await;
    assert_eq!(code(within(client.delete("/a", None)).await), ErrorCode::NOT_EMPTY);
    assert_eq!(code(within(client.delete("/a/b", Some(7))).await), ErrorCode::BAD_VERSION);
    within(client.delete("/a/b", Some(0))).await.unwrap();
    assert_eq!(code(within(client.delete("/a/b", None)).await), ErrorCode::NO_NODE);
    within(client.delete("/a", None)).await.unwrap();
    assert_eq!(code(within(client.delete("/zookeeper", None)).await), ErrorCode::BAD_ARGUMENTS);
    create(&client, "/r", b"").await;
    create(&client, "/r/c", b"").await;
    server.set_acl("/r", READ_ACL_UNSAFE).unwrap();
    assert_eq!(code(within(client.delete("/r/c", None)).await), ErrorCode::NO_AUTH, "the parent's ACL decides");
}

#[tokio::test(start_paused = true)]
async fn children_are_listed_and_counted() {
    let server = Stage::start().await;
    let client = server.connect().await;
    for path in ["/a", "/a/x", "/a/y", "/a/y/z"] {
        create(&client, path, b"").await;
    }
    let (mut names, stat) = within(client.get_children("/a")).await.unwrap();
    names.sort();
    assert_eq!((names, stat.num_children), (vec!["x".to_owned(), "y".to_owned()], 2));
    assert_eq!(within(client.get_children("/a/x")).await.unwrap().0, Vec::<String>::new());
    assert_eq!(code(within(client.get_children("/b")).await), ErrorCode::NO_NODE);
    assert_eq!(within(client.get_all_children_number("/a")).await.unwrap(), 3);
    assert_eq!(code(within(client.get_all_children_number("/b")).await), ErrorCode::NO_NODE);
    server.set_acl("/a", &no_reading()).unwrap();
    assert_eq!(code(within(client.get_children("/a")).await), ErrorCode::NO_AUTH);
}

#[tokio::test(start_paused = true)]
async fn acls_are_read_and_set_by_version() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let (acl, stat) = within(client.get_acl("/a")).await.unwrap();
    assert_eq!((acl.as_slice(), stat.aversion), (OPEN_ACL_UNSAFE, 0));
    assert_eq!(within(client.set_acl("/a", OPEN_ACL_UNSAFE, Some(0))).await.unwrap().aversion, 1);
    assert_eq!(code(within(client.set_acl("/a", OPEN_ACL_UNSAFE, Some(0))).await), ErrorCode::BAD_VERSION);
    assert_eq!(within(client.set_acl("/a", READ_ACL_UNSAFE, None)).await.unwrap().aversion, 2);
    assert_eq!(within(client.get_acl("/a")).await.unwrap().0, READ_ACL_UNSAFE);
    assert_eq!(code(within(client.set_acl("/a", OPEN_ACL_UNSAFE, None)).await), ErrorCode::NO_AUTH);
    assert_eq!(code(within(client.get_acl("/b")).await), ErrorCode::NO_NODE);
    assert_eq!(code(within(client.set_acl("/b", OPEN_ACL_UNSAFE, None)).await), ErrorCode::NO_NODE);
    assert_eq!(within(client.set_acl("/b", &[], None)).await, Err(Error::Usage(UsageError::EmptyAcl)));
}

#[tokio::test(start_paused = true)]
async fn sync_answers_how_far_the_server_is() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let zxid = server.create("/a", b"").unwrap();
    assert_eq!(within(client.sync("/")).await.unwrap(), zxid);
    server.refuse_next(OpCode::SYNC, ErrorCode::NOT_READ_ONLY);
    assert_eq!(code(within(client.sync("/")).await), ErrorCode::NOT_READ_ONLY);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_does_everything_under_one_zxid() {
    let server = Stage::like(Profile::V3_9.with_ttl()).await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    create(&client, "/gone", b"").await;
    let ttl = CreateMode::PersistentWithTtl(Ttl::from_millis(1000).unwrap());
    let transaction = Transaction::new()
        .check("/a", Some(0))
        .create("/a/s-", b"1", CreateMode::PersistentSequential, OPEN_ACL_UNSAFE)
        .create("/c", b"2", CreateMode::Container, OPEN_ACL_UNSAFE)
        .create("/t", b"3", ttl, OPEN_ACL_UNSAFE)
        .set_data("/a", b"4", Some(0))
        .delete("/gone", None);
    let results = within(client.commit(&transaction)).await.unwrap();
    let zxid = server.zxid();
    let created = |result: &TransactionResult| match result {
        TransactionResult::Created { path, stat } => (path.clone(), stat.map(|stat| stat.czxid)),
        other => panic!("{other:?}"),
    };
    assert_eq!(results.len(), 6);
    assert_eq!(results[0], TransactionResult::Checked);
    assert_eq!(created(&results[1]), ("/a/s-0000000000".into(), Some(zxid)));
    assert_eq!(created(&results[2]), ("/c".into(), Some(zxid)));
    assert_eq!(created(&results[3]), ("/t".into(), Some(zxid)));
    let TransactionResult::Set(stat) = results[4] else { panic!("{:?}", results[4]) };
    assert_eq!((stat.version, stat.mzxid), (1, zxid));
    assert_eq!(results[5], TransactionResult::Deleted);
    assert_eq!(within(client.commit(&Transaction::new())).await.unwrap(), [], "nothing is done, too");
}

#[tokio::test(start_paused = true)]
async fn a_failed_transaction_names_its_operation_and_changes_nothing() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let aborted = |index, code, behind| {
        let mut codes = vec![ErrorCode::OK; index];
        codes.push(code);
        codes.resize(index + 1 + behind, ErrorCode::RUNTIME_INCONSISTENCY);
        Err(Error::Aborted { index, code, codes })
    };
    let failing = |step: Transaction<'static>| client.commit(&step);
    let begin = || Transaction::new().create("/new", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);

    let refused = within(failing(begin().set_data("/a", b"x", Some(7)))).await;
    assert_eq!(refused, aborted(1, ErrorCode::BAD_VERSION, 0));
    assert_eq!(within(failing(begin().check("/no", None))).await, aborted(1, ErrorCode::NO_NODE, 0));
    let twice = begin().create("/new", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
    assert_eq!(within(failing(twice)).await, aborted(1, ErrorCode::NODE_EXISTS, 0));
    let first_of_two = within(failing(begin().delete("/no", None).delete("/a", None))).await;
    assert_eq!(first_of_two, aborted(1, ErrorCode::NO_NODE, 1));
    assert_eq!(within(client.exists("/new")).await.unwrap(), None);
    assert_eq!(&within(client.get_data("/a")).await.unwrap().0[..], b"");

    let bytes_in = server.bytes_in();
    let relative = within(failing(begin().delete("a", None))).await;
    assert!(matches!(relative, Err(Error::Usage(UsageError::Path { .. }))), "{relative:?}");
    assert_eq!(server.bytes_in(), bytes_in, "nothing is sent");
}

/// ZOOKEEPER-4026: those servers leave the stat out.
#[tokio::test(start_paused = true)]
async fn a_transaction_on_3_8_0_creates_without_a_stat() {
    let server = Stage::like(Profile::V3_8_0).await;
    let client = server.connect().await;
    let transaction = Transaction::new().create("/a", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
    let results = within(client.commit(&transaction)).await.unwrap();
    assert_eq!(results, [TransactionResult::Created { path: "/a".into(), stat: None }]);
}

#[tokio::test(start_paused = true)]
async fn many_reads_succeed_or_fail_one_by_one() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"data").await;
    create(&client, "/a/b", b"").await;
    create(&client, "/secret", b"").await;
    server.set_acl("/secret", &no_reading()).unwrap();
    let reads =
        [Read::Data("/a"), Read::Children("/a"), Read::Data("/no"), Read::Data("/secret"), Read::Children("/no")];
    let results = within(client.read_many(reads)).await.unwrap();
    let ReadResult::Data(data, stat) = &results[0] else { panic!("{:?}", results[0]) };
    assert_eq!((&data[..], stat.num_children), (b"data".as_slice(), 1));
    assert_eq!(results[1], ReadResult::Children(vec!["b".into()]));
    assert_eq!(results[2], ReadResult::Refused(ErrorCode::NO_NODE));
    assert_eq!(results[3], ReadResult::Refused(ErrorCode::NO_AUTH));
    assert_eq!(results[4], ReadResult::Refused(ErrorCode::NO_NODE));
    assert_eq!(within(client.read_many([])).await.unwrap(), []);

    let old = Stage::like(Profile::V3_5).await;
    let client = old.connect().await;
    assert_eq!(code(within(client.read_many([Read::Data("/")])).await), ErrorCode::UNIMPLEMENTED);
    within(client.get_data("/")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ephemerals_of_this_session_are_listed_by_prefix() {
    let server = Stage::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    create(&client, "/a", b"").await;
    make(&client, "/a/one", CreateMode::Ephemeral).await.unwrap();
    make(&client, "/two", CreateMode::Ephemeral).await.unwrap();
    make(&other, "/a/theirs", CreateMode::Ephemeral).await.unwrap();
    let mut all = within(client.get_ephemerals("/")).await.unwrap();
    all.sort();
    assert_eq!(all, ["/a/one", "/two"]);
    assert_eq!(within(client.get_ephemerals("/a/o")).await.unwrap(), ["/a/one"]);
    assert_eq!(within(client.get_ephemerals("/none")).await.unwrap(), Vec::<String>::new());
}
