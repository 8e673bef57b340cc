//! Every operation on real servers of every release line: one script, and what each version answers differently.

use std::time::Duration;
use zk_client::{
    Acl, AuthId, CREATOR_ALL_ACL, Client, Connector, CreateMode, Error, ErrorCode, OPEN_ACL_UNSAFE, OpCode, Parents,
    Permissions, Read, ReadResult, Reconfig, Stat, Transaction, TransactionResult, Ttl, UsageError, Walked,
};
use zk_testkit::launcher::{Ensemble, Version};
use zk_tests::real;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Failure>;

const PATIENCE: Duration = Duration::from_secs(30);
const OPEN: &[Acl] = OPEN_ACL_UNSAFE;

/// A server, a client of it, and what the server can do.
struct Scene {
    ensemble: Ensemble,
    client: Client,
    version: Version,
}

impl Scene {
    async fn start(version: Version) -> Result<Self, Failure> {
        let launcher = real(version).system_property("zookeeper.extendedTypesEnabled", "true");
        let ensemble = launcher.start().await?;
        let version = ensemble.server(0).ok_or("no server")?.version().clone();
        let client = connect(&ensemble, "").await?;
        Ok(Self { ensemble, client, version })
    }

    /// The answer of a server since this release line; of one before it, the refusal, and the client is back.
    async fn since<R: std::fmt::Debug>(&self, minor: u32, answer: Result<R, Error>) -> Result<Option<R>, Failure> {
        if self.version.at_least(3, minor) {
            return Ok(Some(answer?));
        }
        let error = answer.expect_err("this server is too old for it");
        assert_eq!(error.code(), Some(ErrorCode::UNIMPLEMENTED), "{error}");
        // It hangs up behind that answer; what is sent before we hear of it is lost.
        while let Err(error) = self.client.exists("/").await {
            assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        }
        Ok(None)
    }
}

async fn connect(ensemble: &Ensemble, chroot: &str) -> Result<Client, Failure> {
    let servers = format!("{}{chroot}", ensemble.connect_string());
    Ok(Connector::new(&servers)?.connect_timeout(PATIENCE).connect().await?)
}

#[track_caller]
fn refused<R: std::fmt::Debug>(answer: Result<R, Error>, expected: ErrorCode) {
    match answer {
        Err(Error::Refused { code, .. }) => assert_eq!(code, expected),
        other => panic!("not refused with {expected}: {other:?}"),
    }
}

async fn everything(version: Version) -> Done {
    let scene = Scene::start(version).await?;
    creations(&scene).await?;
    data(&scene.client).await?;
    acls(&scene).await?;
    transactions(&scene).await?;
    counts_and_batches(&scene).await?;
    subtrees(&scene).await?;
    below_a_chroot(&scene).await?;
    who_and_where(&scene).await?;
    scene.client.close().await;
    Ok(())
}

async fn creations(Scene { client, version, .. }: &Scene) -> Done {
    let (path, stat) = client.create("/m", b"data", CreateMode::Persistent, OPEN).await?;
    assert_eq!((path.as_str(), stat.version, stat.data_length, stat.ephemeral_owner.0), ("/m", 0, 4, 0));
    let ttl = Ttl::from_millis(600_000)?;
    let modes = [
        (CreateMode::PersistentSequential, "/m/s-0000000000", false),
        (CreateMode::EphemeralSequential, "/m/s-0000000001", true),
        (CreateMode::PersistentSequentialWithTtl(ttl), "/m/s-0000000002", false),
    ];
    for (mode, expected, owned) in modes {
        let (path, stat) = client.create("/m/s-", b"", mode, OPEN).await?;
        assert_eq!((path.as_str(), stat.ephemeral_owner.0 != 0), (expected, owned), "{mode:?} of {version}");
    }
    let (_, stat) = client.create("/m/e", b"", CreateMode::Ephemeral, OPEN).await?;
    assert_eq!(Some(stat.ephemeral_owner), client.session_id());
    assert_eq!(client.create_without_stat("/m/c", b"", CreateMode::Container, OPEN).await?, "/m/c");
    assert_eq!(client.create_without_stat("/plain", b"", CreateMode::Persistent, OPEN).await?, "/plain");
    client.create("/m/t", b"", CreateMode::PersistentWithTtl(ttl), OPEN).await?;
    assert_eq!(client.get_data("/m/t").await?.1.ephemeral_owner.0, 0, "a client cannot tell them apart");

    refused(client.create("/m", b"", CreateMode::Persistent, OPEN).await, ErrorCode::NODE_EXISTS);
    refused(client.create("/no/m", b"", CreateMode::Persistent, OPEN).await, ErrorCode::NO_NODE);
    refused(client.create("/m/e/x", b"", CreateMode::Persistent, OPEN).await, ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
    let stranger = [Acl { permissions: Permissions::ALL, id: AuthId { scheme: "moon".into(), id: "x".into() } }];
    refused(client.create("/m/x", b"", CreateMode::Persistent, &stranger).await, ErrorCode::INVALID_ACL);
    refused(client.create("/m/x", b"", CreateMode::Persistent, CREATOR_ALL_ACL).await, ErrorCode::INVALID_ACL);
    Ok(())
}

async fn data(client: &Client) -> Done {
    let stat = client.set_data("/m", b"two", Some(0)).await?;
    let (data, now) = client.get_data("/m").await?;
    assert_eq!((&data[..], now), (&b"two"[..], stat));
    assert_eq!(client.exists("/m").await?, Some(stat));
    assert_eq!(client.exists("/none").await?, None);
    refused(client.set_data("/m", b"", Some(0)).await, ErrorCode::BAD_VERSION);
    refused(client.get_data("/none").await, ErrorCode::NO_NODE);
    let (mut names, _) = client.get_children("/m").await?;
    let mut without_stat = client.list_children("/m").await?;
    names.sort();
    without_stat.sort();
    assert_eq!((names.len(), &names), (6, &without_stat));
    refused(client.list_children("/none").await, ErrorCode::NO_NODE);
    refused(client.delete("/m", None).await, ErrorCode::NOT_EMPTY);
    refused(client.delete("/m/t", Some(7)).await, ErrorCode::BAD_VERSION);
    client.delete("/m/t", Some(0)).await?;
    refused(client.delete("/m/t", None).await, ErrorCode::NO_NODE);
    refused(client.delete("/zookeeper", None).await, ErrorCode::BAD_ARGUMENTS);
    assert!(client.sync("/m").await? >= stat.mzxid);

    client.create("/count", b"0", CreateMode::Persistent, OPEN).await?;
    let more = |data: &zk_client::Bytes, _: &Stat| {
        Some((std::str::from_utf8(data).ok()?.parse::<u32>().ok()? + 1).to_string())
    };
    let (one, two) = tokio::join!(client.update("/count", more), client.update("/count", more));
    assert_eq!((one?.is_some(), two?.is_some()), (true, true));
    assert_eq!(&client.get_data("/count").await?.0[..], b"2");
    assert_eq!(client.create_or_set("/count", b"0", OPEN).await?.version, 3);
    assert_eq!(client.create_or_set("/fresh", b"0", OPEN).await?.version, 0);
    Ok(())
}

async fn acls(Scene { client, ensemble, version }: &Scene) -> Done {
    let (acl, stat) = client.get_acl("/m").await?;
    assert_eq!((acl.as_slice(), stat.aversion), (OPEN, 0));
    assert_eq!(client.set_acl("/m", OPEN, Some(0)).await?.aversion, 1);
    refused(client.set_acl("/m", OPEN, Some(0)).await, ErrorCode::BAD_VERSION);
    refused(client.set_acl("/none", OPEN, None).await, ErrorCode::NO_NODE);
    assert_eq!(client.set_acl("/m", &[], None).await, Err(Error::Usage(UsageError::EmptyAcl)));

    let ann = connect(ensemble, "").await?;
    ann.add_auth("digest", b"ann:secret").await?;
    ann.create("/hers", b"", CreateMode::Persistent, CREATOR_ALL_ACL).await?;
    assert!(ann.get_acl("/hers").await?.0.iter().all(|acl| &*acl.id.scheme == "digest"));
    refused(client.get_data("/hers").await, ErrorCode::NO_AUTH);
    refused(client.set_data("/hers", b"", None).await, ErrorCode::NO_AUTH);
    refused(client.get_children("/hers").await, ErrorCode::NO_AUTH);
    refused(client.create("/hers/x", b"", CreateMode::Persistent, OPEN).await, ErrorCode::NO_AUTH);
    match client.exists("/hers").await {
        Ok(Some(_)) => assert!(!version.at_least(3, 8), "{version}"),
        answer => refused(answer, ErrorCode::NO_AUTH),
    }
    ann.close().await;
    Ok(())
}

async fn transactions(Scene { client, version, .. }: &Scene) -> Done {
    let all = Transaction::new()
        .check("/m", Some(1))
        .create("/tx", b"1", CreateMode::Persistent, OPEN)
        .create("/tx/s-", b"", CreateMode::PersistentSequential, OPEN)
        .create("/tx/c", b"", CreateMode::Container, OPEN)
        .set_data("/tx", b"2", Some(0))
        .delete("/tx/c", None);
    let results = client.commit(&all).await?;
    let paths: Vec<_> = results.iter().map(TransactionResult::path).collect();
    assert_eq!(paths, [None, Some("/tx"), Some("/tx/s-0000000000"), Some("/tx/c"), None, None]);
    let zxid = results[4].stat().ok_or("setData has a stat")?.mzxid;
    let with_stat = results[1].stat().map(|stat| stat.czxid);
    assert_eq!(with_stat, version.at_least(3, 7).then_some(zxid), "ZOOKEEPER-4026");
    assert_eq!((&results[0], &results[5]), (&TransactionResult::Checked, &TransactionResult::Deleted));
    assert_eq!(client.commit(&Transaction::new()).await?, []);

    let failing = Transaction::new()
        .create("/tx/new", b"", CreateMode::Persistent, OPEN)
        .set_data("/tx", b"3", Some(0))
        .delete("/tx", None);
    let codes = vec![ErrorCode::OK, ErrorCode::BAD_VERSION, ErrorCode::RUNTIME_INCONSISTENCY];
    let aborted = Error::Aborted { index: 1, code: ErrorCode::BAD_VERSION, codes };
    assert_eq!(client.commit(&failing).await, Err(aborted));
    assert_eq!(client.exists("/tx/new").await?, None, "nothing was done");
    Ok(())
}

async fn counts_and_batches(scene: &Scene) -> Done {
    let client = &scene.client;
    if let Some(mut paths) = scene.since(6, client.get_ephemerals("/m").await).await? {
        paths.sort();
        assert_eq!(paths, ["/m/e", "/m/s-0000000001"]);
        assert_eq!(client.get_ephemerals("/none").await?, Vec::<String>::new());
    }
    // Five are left of what the script made below /m.
    if let Some(count) = scene.since(6, client.get_all_children_number("/m").await).await? {
        assert_eq!(count, 5);
        refused(client.get_all_children_number("/none").await, ErrorCode::NO_NODE);
    }
    let reads = [Read::Data("/m"), Read::Children("/tx"), Read::Data("/none"), Read::Data("/hers")];
    if let Some(results) = scene.since(6, client.read_many(reads).await).await? {
        assert!(matches!(&results[0], ReadResult::Data(data, stat) if &data[..] == b"two" && stat.version == 1));
        assert_eq!(results[1], ReadResult::Children(vec!["s-0000000000".into()]));
        assert_eq!(results[2], ReadResult::Refused(ErrorCode::NO_NODE));
        assert_eq!(results[3], ReadResult::Refused(ErrorCode::NO_AUTH));
    }
    if let Some(identities) = scene.since(7, client.who_am_i().await).await? {
        assert!(identities.iter().any(|info| info.scheme == "ip" && info.user == "127.0.0.1"), "{identities:?}");
    }
    Ok(())
}

async fn subtrees(Scene { client, .. }: &Scene) -> Done {
    let parents = Parents::Containers(OPEN);
    let (path, _) = client.create_all("/deep/er/x-", b"", CreateMode::EphemeralSequential, OPEN, parents).await?;
    assert_eq!(path, "/deep/er/x-0000000000");
    client.ensure_path("/deep/est/of/all", Parents::Persistent(OPEN)).await?;
    let paths: Vec<_> = (0..300).map(|n| format!("/deep/n{n:03}")).collect();
    let calls: Vec<_> =
        paths.iter().map(|path| client.create(path, path.as_bytes(), CreateMode::Persistent, OPEN)).collect();
    for call in calls {
        call.await?;
    }
    let (mut walk, mut found) = (client.walk("/deep")?, Vec::new());
    while let Some(walked) = walk.next().await {
        match walked? {
            Walked::Node { path, data, .. } => {
                assert!(data.is_empty() || data == path.as_bytes(), "{path}");
                found.push(path);
            }
            other => panic!("{other:?}"),
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 306);
    assert_eq!(client.delete_all("/deep").await?, 306);
    assert_eq!(client.exists("/deep").await?, None);
    refused(client.delete_all("/deep").await, ErrorCode::NO_NODE);
    assert!(client.delete_all("/hers").await.is_ok(), "the parent's ACL decides, and it has no children to list");
    Ok(())
}

async fn below_a_chroot(scene: &Scene) -> Done {
    let below = connect(&scene.ensemble, "/tenants/blue").await?;
    below.ensure_path("/", Parents::Persistent(OPEN)).await?;
    assert_eq!(below.create("/a", b"1", CreateMode::Persistent, OPEN).await?.0, "/a");
    assert_eq!(below.list_children("/").await?, ["a"]);
    let all = Transaction::new().set_data("/a", b"2", None).create("/a/b", b"", CreateMode::Persistent, OPEN);
    assert_eq!(below.commit(&all).await?[1].path(), Some("/a/b"));
    assert_eq!(&scene.client.get_data("/tenants/blue/a").await?.0[..], b"2");
    below.get_config().await?;
    assert_eq!(below.delete_all("/a").await?, 2);
    below.close().await;
    Ok(())
}

/// A server that stands alone has no configuration, and takes none.
async fn who_and_where(Scene { client, .. }: &Scene) -> Done {
    let config = client.get_config().await?;
    assert_eq!((config.members.len(), config.version, config.text.len()), (0, None, 0));
    let refused = client.reconfig(&Reconfig::new().leave(1)).await;
    assert_eq!(refused, Err(Error::Refused { op: OpCode::RECONFIG, code: ErrorCode::RECONFIG_DISABLED }));
    Ok(())
}

on_versions! {
    everything:
    every_operation_on_3_5 V3_5;
    every_operation_on_3_6 V3_6;
    every_operation_on_3_7 V3_7;
    every_operation_on_3_8 V3_8;
    every_operation_on_3_9 V3_9;
}
