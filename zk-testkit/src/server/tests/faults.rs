//! Each fault of the catalogue as a client sees it, over a real socket.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use zk_proto::{ErrorCode, OpCode, Zxid, records::Empty};

use super::{PATIENCE, Raw, create, exists, receive};
use crate::server::{ConnectAnswer, Edit, Fault, FaultPlan, ReplyFault, TestServer};

async fn pair() -> (TestServer, Raw) {
    let server = TestServer::start().await.unwrap();
    let client = Raw::connect(&server).await;
    (server, client)
}

/// What comes next: xid, zxid and error.
async fn next(client: &mut Raw) -> (i32, i64, i32) {
    let header = client.header().await.expect("a reply");
    (header.xid, header.zxid.0, header.err.0)
}

#[tokio::test]
async fn replies_go_wrong_as_scripted() {
    let (server, mut client) = pair().await;
    let zxid = server.zxid().0;
    for fault in [
        ReplyFault::Twice,
        ReplyFault::Late,
        ReplyFault::UnknownXid,
        ReplyFault::Zxid(Zxid(-1)),
        ReplyFault::Code(ErrorCode(-177)),
        ReplyFault::Never,
    ] {
        server.inject(Fault::Reply(fault)).await;
    }
    for xid in 1..=7 {
        client.send(xid, OpCode::EXISTS, &exists("/")).await;
        client.send(-2, OpCode::PING, &Empty {}).await;
    }
    let mut heard = Vec::new();
    loop {
        let reply = next(&mut client).await;
        if reply.0 != -2 {
            heard.push(reply);
        }
        if reply.0 == 7 {
            break;
        }
    }
    // the ping is the reply that the late one comes behind
    let unknown = heard[3].0;
    let expected =
        [(1, zxid, 0), (1, zxid, 0), (2, zxid, 0), (unknown, zxid, 0), (4, -1, 0), (5, zxid, -177), (7, zxid, 0)];
    assert_eq!(heard, expected);
    assert!(unknown > 1_000_000);
}

#[tokio::test]
async fn replies_have_impossible_lengths() {
    let (server, mut client) = pair().await;
    for len in [-1, i32::MIN, i32::MAX] {
        server.inject(Fault::Reply(ReplyFault::length(len))).await;
        client.send(1, OpCode::EXISTS, &exists("/")).await;
        assert_eq!(timeout(PATIENCE, client.stream.read_i32()).await.unwrap().unwrap(), len);
    }
}

#[tokio::test]
async fn one_direction_ends_and_the_other_goes_on() {
    let (server, mut client) = pair().await;
    server.inject(Fault::HalfClose).await;
    assert!(client.is_over().await);
    client.send(1, OpCode::CREATE, &create("/a")).await;
    timeout(PATIENCE, server.wait_until(|model| model.get("/a").is_some())).await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_read_leaves_the_writer_waiting() {
    let (server, mut client) = pair().await;
    server.inject(Fault::Deaf).await;
    let big = vec![0; 1 << 20];
    let flood = async {
        loop {
            client.stream.write_all(&big).await.unwrap();
        }
    };
    let blocked: Result<(), _> = timeout(Duration::from_millis(100), flood).await;
    assert!(blocked.is_err());
    assert!(server.connections().len() == 1 && server.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn bytes_trickle_and_directions_are_late_on_a_paused_clock() {
    let server = TestServer::start().await.unwrap();
    let mut pipe = server.pipe();
    let timeout_ms = 30_000_u32.to_be_bytes();
    let greeting =
        [&45_u32.to_be_bytes()[..], &[0; 12], &timeout_ms, &[0; 8], &16_u32.to_be_bytes(), &[0; 17]].concat();
    server.inject(Fault::Trickle(1, Duration::from_millis(10))).await;
    let start = tokio::time::Instant::now();
    pipe.write_all(&greeting).await.unwrap();
    pipe.read_exact(&mut [0; 41]).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(400), "40 pauses between 41 bytes");
    server.heal().await.unwrap();

    let ping = [0, 0, 0, 8, 255, 255, 255, 254, 0, 0, 0, 11];
    server.inject(Fault::DelayRequests(Duration::from_secs(2))).await;
    server.inject(Fault::DelayReplies(Duration::from_secs(3))).await;
    // the link looks at its faults when it is woken, which it is before time passes
    tokio::time::sleep(Duration::from_millis(1)).await;
    let start = tokio::time::Instant::now();
    pipe.write_all(&ping).await.unwrap();
    pipe.read_exact(&mut [0; 20]).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
}

/// The request is carried out if all of it is before the cut.
#[tokio::test]
async fn a_connection_is_cut_after_exactly_n_bytes_from_the_client() {
    // the handshake, then a create of "/a": prefix 4, header 8, path 6, data 4, ACL 4 + 4 + 9 + 10, flags 4
    let whole = 49 + 53;
    for (len, happens) in [(whole - 1, false), (whole, true)] {
        let server = TestServer::start().await.unwrap();
        server.inject(Fault::CutRequests(len)).await;
        let mut client = Raw::connect(&server).await;
        client.send(1, OpCode::CREATE, &create("/a")).await;
        let replied = client.header().await.is_some();
        assert_eq!((replied, server.get("/a").is_some()), (happens, happens), "{len}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_at_once() {
    let (server, mut client) = pair().await;
    server.inject(Fault::ConnectionLimit(1)).await;
    let mut stream = Raw::dial(&server).await.unwrap();
    assert!(receive(&mut stream).await.is_none());
    assert_eq!(client.call(1, OpCode::PING, &Empty {}).await, (-2, ErrorCode::OK));
    server.heal().await.unwrap();
    Raw::connect(&server).await;
}

#[tokio::test]
async fn sessions_are_kicked_expired_and_refused() {
    let (server, mut client) = pair().await;
    server.inject(Fault::Kick).await;
    assert!(client.is_over().await);
    let mut client = Raw::resume(&server, client.session, &client.password).await.expect("the session lives on");
    server.inject(Fault::Refuse(OpCode::AUTH, ErrorCode::AUTH_FAILED)).await;
    let packet = zk_proto::records::AuthPacket { auth_type: 0, scheme: "digest".into(), auth: None };
    assert_eq!(client.call(-4, OpCode::AUTH, &packet).await, (-4, ErrorCode::AUTH_FAILED));
    assert!(client.is_over().await);
    server.inject(Fault::Expire).await;
    assert!(Raw::resume(&server, client.session, &client.password).await.is_none());
    server.inject(Fault::Connect(ConnectAnswer::Bytes(Bytes::from_static(b"HTTP")))).await;
    server.heal().await.unwrap();
    Raw::connect(&server).await;
}

#[tokio::test]
async fn an_ensemble_built_anew_starts_from_nothing() {
    let (server, mut client) = pair().await;
    for path in ["/a", "/b"] {
        server.apply(&[Edit::Create(path, b"")]).unwrap();
    }
    let before = server.zxid();
    server.inject(Fault::Rebuild).await;
    assert!(client.is_over().await && server.get("/a").is_none() && server.zxid() < before);
    assert!(Raw::resume(&server, client.session, &client.password).await.is_none());
}

#[tokio::test]
async fn the_wall_clock_goes_back() {
    let server = TestServer::start().await.unwrap();
    server.create("/a", b"").unwrap();
    server.inject(Fault::WallClock(-3_600_000)).await;
    server.create("/b", b"").unwrap();
    let ctime = |path| server.get(path).unwrap().1.ctime;
    assert!(ctime("/a") - ctime("/b") > 3_500_000);
}

#[tokio::test]
async fn a_stopped_server_is_healed() -> io::Result<()> {
    let (server, mut client) = pair().await;
    server.inject(Fault::Stop).await;
    assert!(client.is_over().await && Raw::dial(&server).await.is_err());
    server.heal().await?;
    assert!(Raw::resume(&server, client.session, &client.password).await.is_some());
    Ok(())
}

#[tokio::test]
async fn bytes_are_counted_by_connection_and_direction() {
    let (server, mut client) = pair().await;
    client.call(1, OpCode::PING, &Empty {}).await;
    let conn = server.connection_of(client.session).unwrap();
    timeout(PATIENCE, server.wait_until(|_| true)).await.unwrap();
    assert_eq!(server.bytes_of(conn).map(|(bytes_in, _)| bytes_in), Some(49 + 12));
    client.call(2, OpCode::PING, &Empty {}).await;
    let (_, bytes_out) = server.bytes_of(conn).unwrap();
    assert!(bytes_out >= 41 + 20, "the second reply may not be counted yet");
}

/// Every kind is drawn, by some seed, and a plan can be carried out on a paused clock.
#[tokio::test(start_paused = true)]
async fn plans_repeat_cover_everything_and_end_healed() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let plan = FaultPlan::seeded(seed, 10);
        assert_eq!(plan.to_string(), FaultPlan::seeded(seed, 10).to_string());
        let name = |planned: &crate::server::Planned| {
            planned.fault.to_string().split(['(', ' ']).next().unwrap_or_default().to_owned()
        };
        kinds.extend(plan.faults().iter().map(name));
    }
    assert_eq!(kinds.len(), 20, "{kinds:?}");
    for seed in 0..5 {
        let server = TestServer::start().await.unwrap();
        FaultPlan::seeded(seed, 20).run(&server).await.unwrap();
        let mut pipe = server.pipe();
        let greeting = [&45_u32.to_be_bytes()[..], &[0; 24], &16_u32.to_be_bytes(), &[0; 17]].concat();
        pipe.write_all(&greeting).await.unwrap();
        pipe.read_exact(&mut [0; 41]).await.unwrap();
    }
}
