//! Compare-and-set, create-or-set, and the ensemble's own configuration.

use crate::stage::{Stage, create, within};
use futures_util::future::join_all;
use zk_client::{
    Bytes, Client, Error, ErrorCode, OPEN_ACL_UNSAFE, OpCode, READ_ACL_UNSAFE, Reconfig, Stat, UsageError, Zxid,
};

fn one_more(data: &Bytes, _stat: &Stat) -> Option<String> {
    let count: u32 = std::str::from_utf8(data).ok()?.parse().ok()?;
    Some((count + 1).to_string())
}

#[tokio::test(start_paused = true)]
async fn no_update_is_lost_among_many() {
    let server = Stage::start().await;
    server.create("/count", b"0").unwrap();
    let clients: Vec<Client> = join_all((0..8).map(|_| server.connect())).await;
    let count = |client: &Client| {
        let client = client.clone();
        async move {
            for _ in 0..20 {
                client.update("/count", one_more).await.unwrap();
            }
        }
    };
    within(join_all(clients.iter().map(count))).await;
    let (data, stat) = server.get("/count").unwrap();
    assert_eq!((&data[..], stat.version), (&b"160"[..], 160));
}

#[tokio::test(start_paused = true)]
async fn an_update_may_leave_things_alone_and_gives_up_in_the_end() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/a", b"x").unwrap();
    assert_eq!(within(client.update("/a", one_more)).await, Ok(None), "not a number");
    assert_eq!(server.get("/a").unwrap().1.version, 0);
    assert_eq!(within(client.update("/none", one_more)).await.unwrap_err().code(), Some(ErrorCode::NO_NODE));

    let mut tries = 0;
    let outrun = within(client.update("/a", |_, _| {
        tries += 1;
        server.set("/a", b"faster").unwrap();
        Some("mine")
    }));
    let refused = outrun.await.unwrap_err();
    assert_eq!(refused, Error::Refused { op: OpCode::SET_DATA, code: ErrorCode::BAD_VERSION });
    assert_eq!((tries, &server.get("/a").unwrap().0[..]), (256, &b"faster"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_znode_is_set_or_created() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let set = |path: &'static str| client.create_or_set(path, b"data", OPEN_ACL_UNSAFE);
    assert_eq!(within(set("/a")).await.unwrap().version, 0);
    assert_eq!(within(set("/a")).await.unwrap().version, 1);
    assert_eq!(within(set("/none/a")).await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
    server.set_acl("/a", READ_ACL_UNSAFE).unwrap();
    assert_eq!(within(set("/a")).await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
    let empty = within(client.create_or_set("/a", b"", &[])).await;
    assert_eq!(empty, Err(Error::Usage(UsageError::EmptyAcl)));
    // Created between our two requests, deleted behind our back, and so on.
    server.create("/b", b"").unwrap();
    server.refuse_next(OpCode::SET_DATA, ErrorCode::NO_NODE);
    assert_eq!(within(set("/b")).await.unwrap().version, 1);
    for _ in 0..100 {
        server.refuse_next(OpCode::SET_DATA, ErrorCode::NO_NODE);
    }
    assert_eq!(within(set("/b")).await.unwrap_err().code(), Some(ErrorCode::NODE_EXISTS));
}

#[tokio::test(start_paused = true)]
async fn the_configuration_is_read_whatever_the_chroot() {
    let server = Stage::start().await;
    let client = server.connect_below("/app").await;
    let alone = within(client.get_config()).await.unwrap();
    assert_eq!((alone.members.len(), alone.version), (0, None), "a server that stands alone");
    let text =
        b"server.1=zk1:2888:3888:participant;0.0.0.0:2181\nserver.2=zk2:2888:3888:observer;2182\nversion=100000002";
    server.set("/zookeeper/config", text).unwrap();
    let config = within(client.get_config()).await.unwrap();
    assert_eq!(config.version, Some(Zxid(0x1_0000_0002)));
    assert_eq!(config.connect_string(), "zk1:2181,zk2:2182");
    assert_eq!((&config.text[..], config.stat.data_length), (&text[..], text.len() as i32));
    let seen: Vec<_> = config.members.iter().map(|member| (member.id, member.role.to_string())).collect();
    assert_eq!(seen, [(1, "participant".into()), (2, "observer".into())]);
    create(&client, "/zookeeper", b"").await;
    assert_eq!(within(client.get_config()).await.unwrap(), config);
}

/// Live tests show one that succeeds.
#[tokio::test(start_paused = true)]
async fn a_reconfig_is_refused_with_a_reason() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let change = Reconfig::new().join("server.4=zk4:2888:3888;2181").leave(1).replacing(Zxid(1));
    let refused = |code| Err(Error::Refused { op: OpCode::RECONFIG, code });
    assert_eq!(within(client.reconfig(&change)).await, refused(ErrorCode::RECONFIG_DISABLED));
    for code in [
        ErrorCode::UNIMPLEMENTED,
        ErrorCode::RECONFIG_IN_PROGRESS,
        ErrorCode::NEW_CONFIG_NO_QUORUM,
        ErrorCode::BAD_VERSION,
        ErrorCode::BAD_ARGUMENTS,
        ErrorCode::NO_AUTH,
    ] {
        server.refuse_next(OpCode::RECONFIG, code);
        assert_eq!(within(client.reconfig(&Reconfig::members(["server.1=a:1:2;3"]))).await, refused(code));
    }
    within(client.get_data("/")).await.unwrap();
}
