//! The server over real sockets: raw frames, faults, stopping and starting.

mod faults;
#[cfg(feature = "tls")]
mod tls;

use std::{io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use zk_proto::{
    ErrorCode, OpCode, SessionId,
    create::CreateFlags,
    jute::{Decode, Encode, Reader, Tail, decode_from, encode_to_bytes},
    records::{
        ConnectRequest, ConnectResponse, CreateRequest, Empty, GetDataRequest, OPEN_ACL_UNSAFE, ReplyHeader,
        RequestHeader, Secret,
    },
};

use super::{Edit, TestEnsemble, TestServer};

/// Long enough for a loaded machine; nothing waits for it to pass unless something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client by hand.
struct Raw {
    stream: TcpStream,
    session: SessionId,
    password: Bytes,
}

impl Raw {
    async fn dial(server: &TestServer) -> io::Result<TcpStream> {
        TcpStream::connect(server.addr()).await
    }

    async fn connect(server: &TestServer) -> Self {
        Self::resume(server, SessionId::NONE, &[0; 16]).await.expect("a new session")
    }

    /// `None`: the session has expired.
    async fn resume(server: &TestServer, session_id: SessionId, password: &[u8]) -> Option<Self> {
        let mut stream = Self::dial(server).await.unwrap();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: zk_proto::Zxid(0),
            timeout_ms: 10_000,
            session_id,
            password: Some(Secret(password)),
            read_only: Tail(Some(false)),
        };
        send(&mut stream, &encode_to_bytes(&request)).await;
        let response: ConnectResponse = decode_from(&receive(&mut stream).await.expect("an answer")).unwrap();
        let granted = response.timeout_ms > 0;
        granted.then(|| Self { stream, session: response.session_id, password: response.password.unwrap().0 })
    }

    async fn send(&mut self, xid: i32, op: OpCode, body: &impl Encode) {
        let mut payload = encode_to_bytes(&RequestHeader { xid, op });
        body.encode(&mut payload);
        send(&mut self.stream, &payload).await;
    }

    async fn header(&mut self) -> Option<ReplyHeader> {
        let frame = receive(&mut self.stream).await?;
        Some(ReplyHeader::decode(&mut Reader::new(&frame)).unwrap())
    }

    /// Sends a request, gives its reply's xid and error.
    async fn call(&mut self, xid: i32, op: OpCode, body: &impl Encode) -> (i32, ErrorCode) {
        self.send(xid, op, body).await;
        self.header().await.map(|header| (header.xid, header.err)).expect("a reply")
    }

    /// Whether the server has ended the connection.
    async fn is_over(&mut self) -> bool {
        timeout(PATIENCE, receive(&mut self.stream)).await.unwrap().is_none()
    }
}

async fn send(stream: &mut TcpStream, payload: &[u8]) {
    let mut frame = BytesMut::from(&u32::try_from(payload.len()).unwrap().to_be_bytes()[..]);
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await.unwrap();
}

/// The next frame; `None` when the connection has ended.
async fn receive(stream: &mut TcpStream) -> Option<Bytes> {
    let read = async {
        let len = stream.read_u32().await.ok()?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        stream.read_exact(&mut frame).await.ok()?;
        Some(Bytes::from(frame))
    };
    timeout(PATIENCE, read).await.expect("the server is silent")
}

fn exists(path: &str) -> GetDataRequest<'_> {
    GetDataRequest { path: path.into(), watch: true }
}

fn create(path: &str) -> CreateRequest<'_> {
    CreateRequest { path: path.into(), data: None, acl: OPEN_ACL_UNSAFE.into(), flags: CreateFlags::PERSISTENT }
}

#[tokio::test]
async fn a_session_survives_a_restart_on_the_same_port() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    assert_eq!(client.call(1, OpCode::CREATE, &create("/a")).await, (1, ErrorCode::OK));
    let addr = server.addr();
    server.stop().await;
    assert!(client.is_over().await);
    assert_eq!(Raw::dial(&server).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert!(server.connections().is_empty());
    server.start_again().await.unwrap();
    assert_eq!(server.addr(), addr);
    let mut again = Raw::resume(&server, client.session, &client.password).await.expect("the session lives on");
    assert_eq!(again.call(2, OpCode::EXISTS, &exists("/a")).await, (2, ErrorCode::OK));
}

#[tokio::test]
async fn events_reach_other_connections_before_replies_that_show_the_change() {
    let server = TestServer::start().await.unwrap();
    let mut watcher = Raw::connect(&server).await;
    assert_eq!(watcher.call(1, OpCode::EXISTS, &exists("/a")).await, (1, ErrorCode::NO_NODE));
    assert_eq!(server.watch_count(), 1);
    let zxid = server.apply(&[Edit::Create("/a", b"1"), Edit::Set("/a", b"2")]).unwrap();
    watcher.send(2, OpCode::EXISTS, &exists("/a")).await;
    let event = watcher.header().await.unwrap();
    assert_eq!((event.xid, event.zxid), (-1, zxid));
    assert_eq!(watcher.header().await.unwrap().xid, 2);
}

#[tokio::test]
async fn an_unknown_operation_is_the_end_of_the_connection() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    assert_eq!(client.call(1, OpCode(4711), &Empty {}).await, (1, ErrorCode::UNIMPLEMENTED));
    assert!(client.is_over().await);
    assert!(Raw::resume(&server, client.session, &client.password).await.is_some());
}

#[tokio::test]
async fn dropped_connections_are_reset_and_an_expired_session_is_told_so() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    server.drop_connections();
    let error = timeout(PATIENCE, client.stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let mut client = Raw::resume(&server, client.session, &client.password).await.unwrap();
    assert!(server.expire_session(client.session));
    assert!(client.is_over().await);
    assert!(Raw::resume(&server, client.session, &client.password).await.is_none());
    assert!(!server.expire_session(client.session));
}

#[tokio::test]
async fn a_silent_session_expires_on_the_real_clock() {
    let tick = Duration::from_millis(20);
    let server = TestServer::builder().tick(tick).timeout_bounds(tick, tick * 2).start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    let path = server.create_for(client.session, "/e", b"", 1).unwrap();
    timeout(PATIENCE, server.wait_until(|model| model.sessions().is_empty())).await.unwrap();
    assert!(server.get(&path).is_none());
    assert!(client.is_over().await);
}

#[tokio::test]
async fn a_black_hole_swallows_both_directions_and_gives_them_back() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    client.call(1, OpCode::EXISTS, &exists("/a")).await;
    server.black_hole(true);
    client.send(2, OpCode::CREATE, &create("/b")).await;
    server.create("/a", b"").unwrap();
    let silent = timeout(Duration::from_millis(50), client.stream.peek(&mut [0])).await;
    assert!(silent.is_err() && server.get("/b").is_none());
    server.black_hole(false);
    assert_eq!(client.header().await.unwrap().xid, -1);
    assert_eq!(client.header().await.unwrap().xid, 2);
}

#[tokio::test]
async fn held_replies_leave_the_outcome_unknown() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    server.hold_replies(true);
    client.send(1, OpCode::CREATE, &create("/a")).await;
    timeout(PATIENCE, server.wait_until(|model| model.get("/a").is_some())).await.unwrap();
    server.drop_connections();
    assert!(client.is_over().await);
}

#[tokio::test]
async fn replies_come_later_and_in_order() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    let delay = Duration::from_millis(30);
    server.delay_replies(delay);
    let start = std::time::Instant::now();
    client.send(1, OpCode::EXISTS, &exists("/a")).await;
    client.send(2, OpCode::PING, &Empty {}).await;
    assert_eq!(client.header().await.unwrap().xid, 1);
    assert!(start.elapsed() >= delay);
    assert_eq!(client.header().await.unwrap().xid, -2);
}

#[tokio::test]
async fn a_connection_is_cut_after_exactly_n_bytes() {
    for len in [0, 1, 40, 41, 50, 61] {
        let server = TestServer::start().await.unwrap();
        server.cut_after_bytes(len);
        let mut stream = Raw::dial(&server).await.unwrap();
        let request = [&45_u32.to_be_bytes()[..], &[0; 24], &16_u32.to_be_bytes(), &[0; 17]].concat();
        let ping = [0, 0, 0, 8, 255, 255, 255, 254, 0, 0, 0, 11];
        let _ = stream.write_all(&[&request[..], &ping, &ping].concat()).await;
        let mut got = Vec::new();
        let mut chunk = [0; 64];
        while let Ok(read @ 1..) = timeout(PATIENCE, stream.read(&mut chunk)).await.unwrap() {
            got.extend_from_slice(&chunk[..read]);
        }
        assert_eq!(got.len(), len);
    }
}

#[tokio::test]
async fn the_next_connect_goes_wrong_by_script() {
    let server = TestServer::start().await.unwrap();
    let client = Raw::connect(&server).await;
    server.answer_next_connect_with_another_id();
    let other = Raw::resume(&server, client.session, &client.password).await.unwrap();
    assert_ne!(other.session, client.session);
    server.answer_next_connect(&b"\0\0\0\x02hi"[..]);
    let mut stream = Raw::dial(&server).await.unwrap();
    send(&mut stream, &[0; 44]).await;
    assert_eq!(receive(&mut stream).await.unwrap(), &b"hi"[..]);
    server.close_next_connect_without_answer();
    let mut stream = Raw::dial(&server).await.unwrap();
    send(&mut stream, &[0; 44]).await;
    assert!(receive(&mut stream).await.is_none());
    server.refuse_next(OpCode::SYNC, ErrorCode::THROTTLED_OP);
    let mut client = Raw::resume(&server, client.session, &client.password).await.unwrap();
    assert_eq!(client.call(1, OpCode::SYNC, &"/a".to_owned()).await, (1, ErrorCode::THROTTLED_OP));
    assert_eq!(client.call(2, OpCode::SYNC, &"/a".to_owned()).await, (2, ErrorCode::OK));
}

#[tokio::test]
async fn the_log_says_who_asked_what() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    client.call(7, OpCode::EXISTS, &exists("/a")).await;
    client.call(8, OpCode::PING, &Empty {}).await;
    let requests = server.take_requests();
    let short: Vec<_> = requests.iter().map(|r| (r.session, r.xid, r.op, r.path.as_deref())).collect();
    let session = client.session;
    assert_eq!(short, [(session, 7, OpCode::EXISTS, Some("/a")), (session, 8, OpCode::PING, None)]);
    assert!(server.requests().is_empty() && server.bytes_in() > 49 && server.bytes_out() > 41);
    assert_eq!(server.connection_of(session), server.connections().first().map(|conn| conn.id));
}

#[tokio::test]
async fn members_share_the_tree_and_the_sessions() {
    let ensemble = TestEnsemble::start(3).await.unwrap();
    let [one, two, three] = ensemble.members() else { panic!("three members") };
    let mut client = Raw::connect(one).await;
    let mut watcher = Raw::connect(two).await;
    watcher.call(1, OpCode::EXISTS, &exists("/a")).await;
    one.stop().await;
    assert!(client.is_over().await);
    let mut client = Raw::resume(three, client.session, &client.password).await.expect("moved");
    assert_eq!(client.call(1, OpCode::CREATE, &create("/a")).await, (1, ErrorCode::OK));
    assert_eq!(watcher.header().await.unwrap().xid, -1);
    assert!(one.get("/a").is_some(), "the tree is the ensemble's");
}

#[tokio::test]
async fn a_reader_that_does_not_read_does_not_stop_the_server_from_reading() {
    let server = TestServer::start().await.unwrap();
    server.create("/big", &vec![7; 900_000]).unwrap();
    let mut client = Raw::connect(&server).await;
    let get = GetDataRequest { path: "/big".into(), watch: false };
    for xid in 1..=30 {
        client.send(xid, OpCode::GET_DATA, &get).await;
    }
    timeout(PATIENCE, server.wait_until(|model| model.requests().len() == 30)).await.unwrap();
    for xid in 1..=30 {
        assert_eq!(client.header().await.unwrap().xid, xid);
    }
}

#[tokio::test]
async fn refusing_leaves_standing_connections_alone() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    server.refuse_connections(true).await.unwrap();
    assert_eq!(Raw::dial(&server).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(client.call(1, OpCode::PING, &Empty {}).await, (-2, ErrorCode::OK));
    server.refuse_connections(false).await.unwrap();
    Raw::connect(&server).await;
}

#[tokio::test]
async fn four_letter_words_work_on_the_port() {
    let server = TestServer::start().await.unwrap();
    let mut stream = Raw::dial(&server).await.unwrap();
    stream.write_all(b"ruok").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"imok");
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = TestServer::start().await.unwrap();
    let mut client = Raw::connect(&server).await;
    drop(server);
    assert!(client.is_over().await);
}

#[tokio::test]
async fn a_server_starts_in_no_time() {
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = std::time::Instant::now();
        let server = TestServer::start().await.unwrap();
        times.push(begin.elapsed());
        drop(server);
    }
    times.sort();
    assert!(times[50] < Duration::from_millis(5), "median {:?}", times[50]);
}

#[tokio::test]
async fn a_hundred_servers_serve_at_once() {
    let mut pairs = Vec::new();
    for number in 0..100 {
        let server = TestServer::start().await.unwrap();
        server.create(&format!("/{number}"), b"").unwrap();
        let client = Raw::connect(&server).await;
        pairs.push((server, client));
    }
    for (number, (_server, client)) in pairs.iter_mut().enumerate() {
        assert_eq!(client.call(1, OpCode::EXISTS, &exists(&format!("/{number}"))).await, (1, ErrorCode::OK));
    }
}

#[tokio::test]
async fn a_server_listens_where_it_is_told_and_begins_with_a_tree() {
    let first = TestServer::start().await.unwrap();
    let addr = first.addr();
    let taken = TestServer::builder().listen(addr).start().await.unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    drop(first);
    let builder = TestServer::builder().znodes([("/a/b", "2"), ("/", "root"), ("/a", "1")]);
    let server = builder.clone().listen(([127, 0, 0, 1], 0).into()).start().await.unwrap();
    let data = |path| server.get(path).map(|(data, _)| data);
    assert_eq!([data("/"), data("/a"), data("/a/b")], [b"root", &b"1"[..], b"2"].map(|data| Some(data.into())));
    let wrong = builder.znodes([("/a/", "")]).start().await.unwrap_err();
    assert_eq!(wrong.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn latency_is_there_from_the_greeting_on() {
    let latency = Duration::from_millis(30);
    let server = TestServer::builder().latency(latency).start().await.unwrap();
    let begin = std::time::Instant::now();
    Raw::connect(&server).await;
    assert!(begin.elapsed() >= latency);
}

/// Not a check but a measurement: `cargo test --release -p zk-testkit -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    use std::io::{Read, Write};
    let (tell, told) = std::sync::mpsc::channel();
    let (done, mut ending) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let start = std::time::Instant::now();
            for _ in 0..99 {
                TestServer::start().await.unwrap();
            }
            let server = TestServer::start().await.unwrap();
            println!("start: {:?} each", start.elapsed() / 100);
            server.create("/a", &[7; 100]).unwrap();
            tell.send(server.addr()).unwrap();
            let _ = (&mut ending).await;
        });
    });
    let mut stream = std::net::TcpStream::connect(told.recv().unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    let timeout_ms = 30_000_u32.to_be_bytes();
    let greeting =
        [&45_u32.to_be_bytes()[..], &[0; 12], &timeout_ms, &[0; 8], &16_u32.to_be_bytes(), &[0; 17]].concat();
    stream.write_all(&greeting).unwrap();
    stream.read_exact(&mut [0; 41]).unwrap();
    let get = GetDataRequest { path: "/a".into(), watch: false };
    let set = zk_proto::records::SetDataRequest { path: "/a".into(), data: Some(&[7; 100]), version: -1 };
    let frame = |op, body: &dyn Fn(&mut BytesMut)| {
        let mut frame = BytesMut::zeroed(4);
        RequestHeader { xid: 1, op }.encode(&mut frame);
        body(&mut frame);
        let len = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&len.to_be_bytes());
        frame
    };
    let requests = [
        ("getData", frame(OpCode::GET_DATA, &|out| get.encode(out)), 4 + 16 + 4 + 100 + 68),
        ("setData", frame(OpCode::SET_DATA, &|out| set.encode(out)), 4 + 16 + 68),
    ];
    for (name, request, reply_len) in requests {
        for (batch, rounds) in [(1, 100_000), (100, 10_000)] {
            let sent = request.repeat(batch);
            let mut reply = vec![0; reply_len * batch];
            let start = std::time::Instant::now();
            for _ in 0..rounds {
                stream.write_all(&sent).unwrap();
                stream.read_exact(&mut reply).unwrap();
            }
            assert_eq!(reply.as_slice().get_u32(), u32::try_from(reply_len - 4).unwrap());
            let rate = f64::from(u32::try_from(batch * rounds).unwrap()) / start.elapsed().as_secs_f64();
            println!("{name}, {batch} at a time: {rate:.0}/s");
        }
    }
    done.send(()).unwrap();
    thread.join().unwrap();
}
