//! The proxy between sockets, and between pipes while the clock is paused.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use zk_proto::OpCode;

use super::{create, greeting, request};
use crate::{
    proxy::{Connects, Deed, Dribble, End, Head, Pick, Proxy, Rule, Towards},
    server::TestServer,
};

/// Long enough for a loaded machine; nothing waits for it to pass unless something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is waited for, and must not come.
const A_MOMENT: Duration = Duration::from_millis(60);

async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it hangs")
}

async fn stage() -> (TestServer, Proxy) {
    let server = TestServer::start().await.unwrap();
    let proxy = Proxy::start(server.addr()).await.unwrap();
    (server, proxy)
}

async fn dial(proxy: &Proxy) -> TcpStream {
    within(TcpStream::connect(proxy.addr())).await.unwrap()
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let read = async {
        let len = stream.read_u32().await?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        stream.read_exact(&mut frame).await?;
        Ok(frame)
    };
    within(read).await
}

/// A client with a session.
async fn greeted<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> S {
    stream.write_all(&greeting()).await.unwrap();
    assert_eq!(receive(&mut stream).await.unwrap().len(), 37);
    stream
}

/// How a connection ends, and how many bytes come before.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> (usize, io::Result<usize>) {
    let mut bytes = Vec::new();
    let end = within(stream.read_to_end(&mut bytes)).await;
    (bytes.len(), end)
}

#[tokio::test]
async fn a_session_goes_through_and_is_seen() {
    let (server, proxy) = stage().await;
    let mut client = greeted(dial(&proxy).await).await;
    client.write_all(&create(1, "/a")).await.unwrap();
    receive(&mut client).await.unwrap();
    assert!(server.get("/a").is_some());
    let reply = within(proxy.wait_for(|frame| matches!(frame.head, Head::Reply { .. }))).await;
    assert_eq!((reply.head.op(), reply.link, reply.index), (Some(OpCode::CREATE), 0, 1));
    let traffic = proxy.traffic(Towards::Server);
    let sent = (greeting().len() + create(1, "/a").len()) as u64;
    assert_eq!((traffic.frames, traffic.bytes, traffic.passed), (2, sent, sent));
    assert_eq!((proxy.take_frames().len(), proxy.frames().len(), proxy.links()), (4, 0, 1));
    drop(client);
    within(proxy.drained()).await;
    within(server.wait_until(|model| model.connections().is_empty())).await;
}

#[tokio::test]
async fn ends_are_what_they_are_called() {
    for (how, is_reset) in [(End::Close, false), (End::HalfClose, false), (End::Reset, true)] {
        let (server, proxy) = stage().await;
        let mut client = greeted(dial(&proxy).await).await;
        let cut = Deed::Cut { after: 7, how };
        proxy.script(Towards::Client, Rule::frame(Pick::Op(OpCode::CREATE), cut));
        client.write_all(&create(1, "/a")).await.unwrap();
        let (came, end) = rest(&mut client).await;
        if is_reset {
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        } else {
            assert_eq!((came, end.unwrap()), (7, 7));
        }
        if how == End::HalfClose {
            client.write_all(&create(2, "/b")).await.unwrap();
            within(server.wait_until(|model| model.get("/b").is_some())).await;
            drop(client);
        }
        within(proxy.drained()).await;
        assert!(server.get("/a").is_some(), "the request had got through");
        greeted(dial(&proxy).await).await;
    }
}

#[tokio::test]
async fn what_a_peer_does_reaches_the_other() {
    let (server, proxy) = stage().await;
    let mut client = greeted(dial(&proxy).await).await;
    server.drop_connections();
    assert_eq!(rest(&mut client).await.1.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let client = greeted(dial(&proxy).await).await;
    client.set_zero_linger().unwrap();
    drop(client);
    within(server.wait_until(|model| model.connections().is_empty())).await;
    server.stop().await;
    let mut client = dial(&proxy).await;
    assert_eq!(rest(&mut client).await.1.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "the target refuses");
    let other = TestServer::start().await.unwrap();
    proxy.set_target(other.addr());
    greeted(dial(&proxy).await).await;
}

#[tokio::test]
async fn who_connects_is_refused_held_or_ignored() {
    let (server, proxy) = stage().await;
    let mut standing = greeted(dial(&proxy).await).await;
    proxy.set_connects(Connects::Refuse).await.unwrap();
    let refused = within(TcpStream::connect(proxy.addr())).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    proxy.set_connects(Connects::Hold).await.unwrap();
    let mut held = dial(&proxy).await;
    held.write_all(&greeting()).await.unwrap();
    assert!(timeout(A_MOMENT, held.read_u8()).await.is_err());
    assert_eq!(proxy.links(), 1);
    if cfg!(target_os = "linux") {
        proxy.set_connects(Connects::Ignore).await.unwrap();
        assert!(timeout(A_MOMENT, TcpStream::connect(proxy.addr())).await.is_err());
    }
    standing.write_all(&create(1, "/a")).await.unwrap();
    receive(&mut standing).await.unwrap();
    proxy.set_connects(Connects::Accept).await.unwrap();
    greeted(dial(&proxy).await).await;
    assert!(rest(&mut held).await.1.is_err(), "the held one is reset");
    assert_eq!(server.sessions().len(), 2);
}

#[tokio::test]
async fn who_is_not_read_from_gets_stuck_and_loses_nothing() {
    let (server, proxy) = stage().await;
    let mut client = greeted(dial(&proxy).await).await;
    proxy.set_line(Towards::Server, |line| line.stop_reading = true);
    server.create("/a", b"").unwrap();
    let big = vec![7; 100_000];
    let set = zk_proto::records::SetDataRequest { path: "/a".into(), data: Some(&big), version: -1 };
    let requests: Vec<u8> = (1..=200).flat_map(|xid| request(xid, OpCode::SET_DATA, &set)).collect();
    let mut sent = 0;
    let stuck = async {
        while let Ok(len @ 1..) = client.write(&requests[sent..]).await {
            sent += len;
        }
    };
    assert!(timeout(A_MOMENT * 5, stuck).await.is_err(), "20 MB fit into a window of 0");
    assert_eq!(server.get("/a").unwrap().1.version, 0);
    proxy.heal();
    let (mut read, mut write) = client.split();
    let replies = async {
        for _ in 0..200 {
            receive(&mut read).await.unwrap();
        }
    };
    let (written, ()) = within(async { tokio::join!(write.write_all(&requests[sent..]), replies) }).await;
    written.unwrap();
    assert_eq!(server.get("/a").unwrap().1.version, 200);
}

#[tokio::test]
async fn everything_ends_at_once_even_behind_who_does_not_read() {
    let (server, proxy) = stage().await;
    server.create("/big", &vec![7; 1_000_000]).unwrap();
    let mut client = greeted(dial(&proxy).await).await;
    let get = zk_proto::records::GetDataRequest { path: "/big".into(), watch: false };
    for xid in 1..=30 {
        client.write_all(&request(xid, OpCode::GET_DATA, &get)).await.unwrap();
    }
    within(proxy.wait_for(|frame| frame.head.op() == Some(OpCode::GET_DATA) && frame.towards == Towards::Client)).await;
    proxy.end_all(End::Reset);
    within(proxy.drained()).await;
    assert!(rest(&mut client).await.1.is_err());
    let mut client = greeted(dial(&proxy).await).await;
    drop(proxy);
    assert!(rest(&mut client).await.1.is_err(), "a dropped proxy is gone");
}

#[tokio::test(start_paused = true)]
async fn lines_keep_their_times_on_a_paused_clock() {
    let (server, proxy) = stage().await;
    let mut client = greeted(proxy.pipe_to(&server)).await;
    let (start, delay) = (Instant::now(), Duration::from_secs(2));
    proxy.set_line(Towards::Server, |line| line.delay = delay);
    proxy.set_line(Towards::Client, |line| {
        line.delay = delay;
        line.dribble = Some(Dribble { bytes: 1, every: Duration::from_millis(100) });
    });
    client.write_all(&create(1, "/a")).await.unwrap();
    let mut reply = [0; 4 + 16 + 4 + 2];
    client.read_exact(&mut reply).await.unwrap();
    assert_eq!(start.elapsed(), delay * 2 + Duration::from_millis(100 * 25));
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_keeps_everything_from_both() {
    let (server, proxy) = stage().await;
    let mut client = greeted(proxy.pipe_to(&server)).await;
    proxy.set_line(Towards::Client, |line| line.black_hole = true);
    client.write_all(&create(1, "/a")).await.unwrap();
    server.wait_until(|model| model.get("/a").is_some()).await;
    assert!(timeout(Duration::from_secs(5), client.read_u8()).await.is_err());
    // another session's answer would be lost too
    let mut other = proxy.pipe_to(&server);
    other.write_all(&greeting()).await.unwrap();
    assert!(timeout(Duration::from_secs(5), other.read_u8()).await.is_err());
    proxy.set_line(Towards::Client, |line| line.black_hole = false);
    assert_eq!(receive(&mut client).await.unwrap().len(), 16 + 4 + 2);
    assert_eq!(receive(&mut other).await.unwrap().len(), 37);
}
