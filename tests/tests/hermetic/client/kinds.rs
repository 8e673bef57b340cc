//! What a znode is: its metadata, null data, containers, times to live.

use std::time::Duration;

use crate::stage::{Stage, create, within};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE, OpCode, SessionId, Stat, Transaction, Ttl, Zxid};
use zk_proto::{
    create::CreateFlags,
    jute::{Encode as _, Tail, encode_to_bytes},
    records::{ConnectRequest, CreateRequest, RequestHeader, Secret},
};
use zk_testkit::server::Profile;

async fn stat(client: &Client, path: &str) -> Stat {
    within(client.exists(path)).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stat_counts_what_happens_to_a_znode_and_to_its_children() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"1234").await;
    let new = stat(&client, "/a").await;
    assert_eq!((new.czxid, new.mzxid, new.pzxid), (server.zxid(), server.zxid(), server.zxid()));
    assert_eq!((new.ctime, new.version, new.cversion, new.aversion), (new.mtime, 0, 0, 0));
    assert_eq!((new.data_length, new.num_children, new.ephemeral_owner), (4, 0, SessionId::NONE));

    for child in 1..=10 {
        create(&client, &format!("/a/{child}"), b"").await;
        let now = stat(&client, "/a").await;
        assert_eq!((now.cversion, now.num_children, now.pzxid), (child, child, server.zxid()));
        assert_eq!((now.czxid, now.mzxid, now.version), (new.czxid, new.mzxid, 0), "the znode itself is the same");
    }
    within(client.delete("/a/10", None)).await.unwrap();
    assert_eq!(stat(&client, "/a").await.num_children, 9);
    let (names, with_names) = within(client.get_children("/a")).await.unwrap();
    assert_eq!((names.len(), with_names), (9, stat(&client, "/a").await));

    let set = within(client.set_data("/a", b"12345678", None)).await.unwrap();
    assert_eq!((set.data_length, set.version, set.mzxid, set.czxid), (8, 1, server.zxid(), new.czxid));
    assert_eq!(within(client.get_data("/a")).await.unwrap().1, set);
}

/// Other clients can write null data, ours writes and reads empty data.
#[tokio::test(start_paused = true)]
async fn null_data_reads_as_empty_and_can_be_set() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let connect = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 6000,
        session_id: SessionId::NONE,
        password: Some(Secret(&[0; 16])),
        read_only: Tail(Some(false)),
    };
    let mut null = encode_to_bytes(&RequestHeader { xid: 1, op: OpCode::CREATE });
    let flags = CreateFlags::PERSISTENT;
    CreateRequest { path: "/null".into(), data: None, acl: OPEN_ACL_UNSAFE.into(), flags }.encode(&mut null);
    let mut other = server.pipe();
    for frame in [encode_to_bytes(&connect), null] {
        let mut framed = BytesMut::from(&u32::try_from(frame.len()).unwrap().to_be_bytes()[..]);
        framed.extend_from_slice(&frame);
        other.write_all(&framed).await.unwrap();
        within(other.read(&mut [0; 100])).await.unwrap();
    }
    let (data, stat) = within(client.get_data("/null")).await.unwrap();
    assert_eq!((data.len(), stat.data_length), (0, 0));
    within(client.set_data("/null", b"no more", Some(0))).await.unwrap();
    assert_eq!(&within(client.get_data("/null")).await.unwrap().0[..], b"no more");
}

#[tokio::test(start_paused = true)]
async fn sequential_znodes_have_data_of_their_own() {
    let server = Stage::start().await;
    let client = server.connect().await;
    for data in [b"first", b"other"] {
        let mode = CreateMode::PersistentSequential;
        let (path, _) = within(client.create("/s-", data, mode, OPEN_ACL_UNSAFE)).await.unwrap();
        assert_eq!(&within(client.get_data(&path)).await.unwrap().0[..], data);
    }
}

#[tokio::test(start_paused = true)]
async fn containers_go_one_after_the_other_and_unused_ones_stay() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let container = |path: &'static str| client.create(path, b"", CreateMode::Container, OPEN_ACL_UNSAFE);
    for path in ["/a", "/a/b", "/a/b/c", "/unused"] {
        within(container(path)).await.unwrap();
    }
    let both = Transaction::new().create("/both", b"", CreateMode::Container, OPEN_ACL_UNSAFE).create(
        "/both/child",
        b"",
        CreateMode::Persistent,
        OPEN_ACL_UNSAFE,
    );
    within(client.commit(&both)).await.unwrap();
    within(client.delete("/both/child", None)).await.unwrap();
    server.sweep_containers();
    assert_eq!(within(client.exists("/both")).await.unwrap(), None, "made in a transaction");
    assert!(server.get("/a/b/c").is_some(), "never had a child");
    create(&client, "/a/b/c/d", b"").await;
    within(client.delete("/a/b/c/d", None)).await.unwrap();
    for _ in 0..3 {
        server.sweep_containers();
    }
    assert_eq!(server.children("/").unwrap(), ["unused", "zookeeper"]);
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_counts_from_the_last_change_and_waits_for_children() {
    let server = Stage::like(Profile::V3_9.with_ttl()).await;
    let client = server.connect().await;
    let second = Duration::from_secs(1);
    let ttl = Ttl::try_from(second * 2).unwrap();
    let all = Transaction::new()
        .create("/a", b"", CreateMode::PersistentWithTtl(ttl), OPEN_ACL_UNSAFE)
        .create("/p", b"", CreateMode::PersistentWithTtl(ttl), OPEN_ACL_UNSAFE)
        .create("/p/c", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
    within(client.commit(&all)).await.unwrap();
    let there = |path: &'static str| server.get(path).is_some();
    for _ in 0..3 {
        tokio::time::advance(second).await;
        within(client.set_data("/a", b"again", None)).await.unwrap();
        server.sweep_containers();
        assert!(there("/a") && there("/p"), "renewed; has a child");
    }
    tokio::time::advance(second * 3).await;
    server.sweep_containers();
    assert!(!there("/a") && there("/p"));
    within(client.delete("/p/c", None)).await.unwrap();
    server.sweep_containers();
    assert!(!there("/p"));

    let longest = CreateMode::PersistentWithTtl(Ttl::from_millis(Ttl::MAX_MS).unwrap());
    within(client.create("/long", b"", longest, OPEN_ACL_UNSAFE)).await.unwrap();
    tokio::time::advance(second * 100_000).await;
    server.sweep_containers();
    assert!(there("/long"));
}
