//! The in-process ensemble is held against a real one: the same script by raw frames, the same answers.
//!
//! Must not know `zk-client`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use bytes::Bytes;
use zk_proto::{
    ErrorCode, OpCode, SessionId, Zxid,
    create::CreateFlags,
    jute::{Decode, Encode, Reader, Tail, decode_from, encode_to_bytes},
    records::{
        ConnectRequest, ConnectResponse, CreateRequest, GetDataRequest, GetDataResponse, OPEN_ACL_UNSAFE, ReplyHeader,
        RequestHeader, Secret,
    },
};
use zk_testkit::{
    launcher::Version,
    server::{Role, TestEnsemble, TestServer},
};
use zk_tests::real;

use crate::differential::wire::{Heard, Link};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long an ensemble may take to find out that it is none any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session that was granted.
#[derive(Clone, Debug)]
struct Ticket(SessionId, Bytes);

impl Ticket {
    fn none() -> Self {
        Self(SessionId::NONE, Bytes::from_static(&[0; 16]))
    }
}

/// What came of a ConnectRequest.
fn connect(addr: SocketAddr, seen: Zxid, ticket: &Ticket, read_only: bool) -> (Link, String, Option<Ticket>) {
    let mut link = Link::dial(addr);
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: seen,
        timeout_ms: 30_000,
        session_id: ticket.0,
        password: Some(Secret(&ticket.1)),
        read_only: Tail(Some(read_only)),
    };
    link.send(&encode_to_bytes(&request));
    let heard = link.next();
    let Heard::Frame(frame) = heard else { return (link, format!("{heard:?}"), None) };
    if frame.len() < 20 {
        let header = ReplyHeader::decode(&mut Reader::new(&frame)).unwrap();
        return (link, format!("refused {} {}", header.xid, header.err.0), None);
    }
    let response: ConnectResponse = decode_from(&frame).unwrap();
    if response.timeout_ms <= 0 {
        return (link, "expired".to_owned(), None);
    }
    let says = format!("granted, read-only {:?}", response.read_only.0);
    (link, says, Some(Ticket(response.session_id, response.password.unwrap().0)))
}

/// A new session that must be granted.
fn session(addr: SocketAddr) -> (Link, Ticket) {
    let (link, says, ticket) = connect(addr, Zxid(0), &Ticket::none(), false);
    (link, ticket.unwrap_or_else(|| panic!("{says}")))
}

fn ask(link: &mut Link, op: OpCode, body: &impl Encode) -> String {
    let mut payload = encode_to_bytes(&RequestHeader { xid: 7, op });
    body.encode(&mut payload);
    link.send(&payload);
    hear(link)
}

fn hear(link: &mut Link) -> String {
    match link.next() {
        Heard::Frame(frame) => {
            let header = ReplyHeader::decode(&mut Reader::new(&frame)).unwrap();
            format!("{} {}", header.xid, header.err.0)
        }
        other => format!("{other:?}"),
    }
}

fn create(link: &mut Link, path: &str, data: &[u8]) -> String {
    let flags = CreateFlags::PERSISTENT;
    let request = CreateRequest { path: path.into(), data: Some(data), acl: OPEN_ACL_UNSAFE.into(), flags };
    ask(link, OpCode::CREATE, &request)
}

fn data(link: &mut Link, path: &str) -> String {
    let mut payload = encode_to_bytes(&RequestHeader { xid: 1, op: OpCode::GET_DATA });
    GetDataRequest { path: path.into(), watch: false }.encode(&mut payload);
    link.send(&payload);
    let Heard::Frame(frame) = link.next() else { return "nothing".to_owned() };
    let mut reader = Reader::new(&frame);
    let header = ReplyHeader::decode(&mut reader).unwrap();
    if header.err != ErrorCode::OK {
        return format!("{}", header.err.0);
    }
    let reply = GetDataResponse::decode(&mut reader).unwrap();
    format!("{} v{}", String::from_utf8_lossy(&reply.data.unwrap_or_default()), reply.stat.version)
}

fn word(addr: SocketAddr, word: &str) -> String {
    let mut answer = String::new();
    let Ok(mut stream) = TcpStream::connect(addr) else { return "refused".to_owned() };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(word.as_bytes()).unwrap();
    let _ = stream.read_to_string(&mut answer);
    answer.lines().next().unwrap_or_default().to_owned()
}

/// What a whole ensemble says.
fn whole(addrs: &[SocketAddr]) -> Vec<String> {
    let mut says = Vec::new();
    let [a, b, ..] = addrs else { panic!("two servers") };
    let ahead = Zxid(0x7000_0000_0000_0000);
    says.push(format!("ahead: {}", connect(*a, ahead, &Ticket::none(), false).1));
    let (mut old, ticket) = session(*a);
    says.push(format!("ahead with a session: {}", connect(*b, ahead, &ticket, false).1));
    says.push(format!("the old connection: {}", ask(&mut old, OpCode::PING, &zk_proto::records::Empty {})));
    let wrong = Ticket(ticket.0, Bytes::from_static(&[7; 16]));
    says.push(format!("wrong password elsewhere: {}", connect(*b, Zxid(0), &wrong, false).1));
    says.push(format!("the old connection: {}", ask(&mut old, OpCode::PING, &zk_proto::records::Empty {})));
    let (mut new, granted, _) = connect(*b, Zxid(0), &ticket, false);
    says.push(format!("moved: {granted}, {}", create(&mut new, "/moved", b"")));
    // A real follower answers a request by the next commit of its session and xid. One that lags behind would take the commit of
    // this write for the answer to the write below.
    let (mut witness, _) = session(*a);
    until("the write arrives", || data(&mut witness, "/moved") != "-101");
    says.push(format!("a ping on the old connection: {}", ask(&mut old, OpCode::PING, &zk_proto::records::Empty {})));
    says.push(format!("a write on the old connection: {}", create(&mut old, "/old", b"")));
    says.push(format!("moved and alive: {}", data(&mut new, "/old")));
    quotas(&mut new, &mut says);
    says
}

fn quotas(link: &mut Link, says: &mut Vec<String>) {
    let limits = b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3";
    create(link, "/q", b"12");
    create(link, "/zookeeper/quota/q", b"");
    let quota = "/zookeeper/quota/q/zookeeper_";
    says.push(format!("limits: {}", create(link, &format!("{quota}limits"), limits)));
    says.push(format!("stats: {}", create(link, &format!("{quota}stats"), b"count=0,bytes=0")));
    let stats = format!("{quota}stats");
    for (path, data) in [("/q/a", "1234"), ("/q/big", "123456"), ("/q/b", ""), ("/q/c", ""), ("/q/a/d", "")] {
        let made = create(link, path, data.as_bytes());
        says.push(format!("{path}: {made}, {}", self::data(link, &stats)));
    }
    let set = |link: &mut Link, path: &str, data: &[u8], version| {
        let request = zk_proto::records::SetDataRequest { path: path.into(), data: Some(data), version };
        ask(link, OpCode::SET_DATA, &request)
    };
    for (data, version) in [("1234567890", 9), ("12345678", -1), ("", -1)] {
        let done = set(link, "/q/a", data.as_bytes(), version);
        says.push(format!("set {data}: {done}, {}", self::data(link, &stats)));
    }
    let gone = zk_proto::records::PathVersionRequest { path: "/q/b".into(), version: -1 };
    says.push(format!("delete: {}", ask(link, OpCode::DELETE, &gone)));
    says.push(self::data(link, &stats));
    let limits = zk_proto::records::PathVersionRequest { path: format!("{quota}limits").into(), version: -1 };
    says.push(format!("no more limits: {}", ask(link, OpCode::DELETE, &limits)));
    says.push(format!("{}, {}", create(link, "/q/free", b"1234567890123"), self::data(link, &stats)));
}

/// What the last one of three says when the others are gone and it serves readers.
fn read_only(addr: SocketAddr, ticket: &Ticket) -> Vec<String> {
    vec![
        format!("isro: {}", word(addr, "isro")),
        format!("new: {}", connect(addr, Zxid(0), &Ticket::none(), true).1),
        format!("new, not for readers: {}", connect(addr, Zxid(0), &Ticket::none(), false).1),
        format!("renewal: {}", connect(addr, Zxid(0), ticket, true).1),
        format!("unknown: {}", connect(addr, Zxid(0), &Ticket(SessionId(0x77), ticket.1.clone()), true).1),
    ]
}

/// What the last one of three says when the others are gone and it does not serve.
fn not_serving(addr: SocketAddr) -> Vec<String> {
    vec![
        format!("isro: {}", word(addr, "isro")),
        format!("srvr: {}", word(addr, "srvr")),
        format!("ruok: {}", word(addr, "ruok")),
        format!("new: {}", connect(addr, Zxid(0), &Ticket::none(), true).1),
    ]
}

fn addrs(ensemble: &TestEnsemble) -> Vec<SocketAddr> {
    ensemble.members().iter().map(TestServer::addr).collect()
}

/// A real server takes a while to notice.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

async fn compare(read_only_mode: bool) -> Result<(), Failure> {
    let mode = read_only_mode.to_string();
    let launcher = real(Version::V3_9).servers(3).property("4lw.commands.whitelist", "*");
    let launcher =
        launcher.system_property("readonlymode.enabled", mode).system_property("zookeeper.enforceQuota", "true");
    let mut theirs = launcher.start().await?;
    let builder = TestServer::builder().enforce_quota();
    let builder = if read_only_mode { builder.read_only_mode() } else { builder };
    let ours = TestEnsemble::start_with(builder, 3).await?;

    let real_addrs: Vec<_> = theirs.servers().iter().map(|server| server.addr()).collect();
    let (our_says, their_says) = (whole(&addrs(&ours)), whole(&real_addrs));
    println!("{our_says:#?}");
    assert_eq!(our_says, their_says, "left: in-process, right: real");
    let (_link, our_ticket) = session(addrs(&ours)[0]);
    let (mut link, their_ticket) = session(real_addrs[0]);
    for member in [1, 2] {
        theirs.server_mut(member).expect("three servers").kill_9().await?;
        ours.members()[member].stop().await;
    }
    assert_eq!(hear(&mut link), "Closed", "it hangs up on its clients");
    let expected = if read_only_mode { "ro" } else { "null" };
    until("the real server notices", || word(real_addrs[0], "isro") == expected);
    let (our_says, their_says) = if read_only_mode {
        assert_eq!(ours.members()[0].role(), Role::ReadOnly);
        (read_only(addrs(&ours)[0], &our_ticket), read_only(real_addrs[0], &their_ticket))
    } else {
        (not_serving(addrs(&ours)[0]), not_serving(real_addrs[0]))
    };
    assert_eq!(our_says, their_says, "left: in-process, right: real");
    println!("{our_says:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_move_quotas_are_enforced_and_the_last_server_stops_serving_as_in_a_real_ensemble()
-> Result<(), Failure> {
    compare(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_server_serves_readers_as_in_a_real_ensemble() -> Result<(), Failure> {
    compare(true).await
}
