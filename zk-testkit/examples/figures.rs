//! What a test server costs: start-up, servers at once, operations per second beside a bare TCP echo, memory.
//!
//! ```sh
//! cargo run --release -p zk-testkit --example figures
//! ```
//!
//! The client is raw bytes on a blocking socket, one request at a time, so that nothing but the server is measured.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use bytes::{BufMut as _, BytesMut};
use tokio::sync::oneshot;
use zk_proto::{
    OpCode, SessionId, Zxid,
    jute::{Encode, Tail},
    records::{ConnectRequest, GetDataRequest, RequestHeader, SetDataRequest},
};
use zk_testkit::server::TestServer;

/// Bytes of data of the znode.
const DATA: [u8; 100] = [7; 100];
/// Pairs of setData and getData in a round; rounds of our server and of the echo take turns.
const PAIRS: usize = 1000;
const ROUNDS: usize = 100;
/// Bytes of the two replies: prefix, header, and a stat, or the data and a stat.
const SET_REPLY_LEN: usize = 4 + 16 + 68;
const GET_REPLY_LEN: usize = 4 + 16 + 4 + DATA.len() + 68;

type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(start_up())?;
    runtime.block_on(memory())?;
    many_at_once(100)?;
    operations()
}

async fn start_up() -> Done<()> {
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        let server = TestServer::start().await?;
        times.push(begin.elapsed());
        drop(server);
    }
    println!("start-up: median of 100 {:?}", median(&mut times));
    Ok(())
}

async fn memory() -> Done<()> {
    const SERVERS: usize = 1000;
    let before = resident_bytes();
    let mut servers = Vec::with_capacity(SERVERS);
    for _ in 0..SERVERS {
        servers.push(TestServer::start().await?);
    }
    match (before, resident_bytes()) {
        (Some(before), Some(after)) => {
            let each = after.saturating_sub(before) / SERVERS;
            println!("memory: {} KiB per idle server ({SERVERS} of them)", each.div_ceil(1024));
        }
        _ => println!("memory: only told on Linux"),
    }
    Ok(())
}

/// What the kernel says that this process holds.
fn resident_bytes() -> Option<usize> {
    const PAGE_LEN: usize = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split_whitespace().nth(1)?.parse::<usize>().ok()? * PAGE_LEN)
}

fn many_at_once(count: usize) -> Done<()> {
    let begin = Instant::now();
    let hosts = Hosts::start(count)?;
    let mut clients = hosts.addrs.iter().map(|addr| Client::connect(*addr)).collect::<io::Result<Vec<_>>>()?;
    for client in &mut clients {
        client.pair()?;
    }
    println!("{count} servers at once, each serving a client: {:?} from the first to the last answer", begin.elapsed());
    drop(clients);
    hosts.stop();
    Ok(())
}

fn operations() -> Done<()> {
    let hosts = Hosts::start(1)?;
    let mut client = Client::connect(*hosts.addrs.first().ok_or("no server")?)?;
    let (mut ours, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(timed(|| client.pair())?);
        echoes.push(echo(&client)?);
    }
    drop(client);
    hosts.stop();
    let rate = |time: Duration| 2.0 * f64::from(u32::try_from(PAIRS).unwrap_or(u32::MAX)) / time.as_secs_f64();
    for (which, of) in [("median", median as fn(&mut [Duration]) -> Duration), ("best", best)] {
        let (ours, echo) = (rate(of(&mut ours)), rate(of(&mut echoes)));
        println!("setData and getData in turn on one connection, {which} round: {ours:.0}/s");
        println!("    the same bytes through a TCP echo: {echo:.0}/s; ratio {:.2}", ours / echo);
    }
    Ok(())
}

fn timed(mut pair: impl FnMut() -> io::Result<()>) -> io::Result<Duration> {
    let begin = Instant::now();
    for _ in 0..PAIRS {
        pair()?;
    }
    Ok(begin.elapsed())
}

/// The requests of a pair, each answered by a thread with as many bytes as a server answers.
fn echo(client: &Client) -> io::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let (set_len, get_len) = (client.set.len(), client.get.len());
    let server = thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut request = vec![0; set_len.max(get_len)];
        for _ in 0..PAIRS {
            for (len, reply_len) in [(set_len, SET_REPLY_LEN), (get_len, GET_REPLY_LEN)] {
                stream.read_exact(request.get_mut(..len).unwrap_or_default())?;
                stream.write_all([0; GET_REPLY_LEN].get(..reply_len).unwrap_or_default())?;
            }
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let time = timed(|| round_trips(&mut stream, &client.set, &client.get))?;
    server.join().map_err(|_| io::Error::other("the echo panicked"))??;
    Ok(time)
}

fn round_trips(stream: &mut TcpStream, set: &[u8], get: &[u8]) -> io::Result<()> {
    stream.write_all(set)?;
    stream.read_exact(&mut [0; SET_REPLY_LEN])?;
    stream.write_all(get)?;
    stream.read_exact(&mut [0; GET_REPLY_LEN])
}

/// Servers on a thread of their own.
struct Hosts {
    addrs: Vec<SocketAddr>,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Hosts {
    fn start(count: usize) -> Done<Self> {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let mut servers = Vec::new();
            for _ in 0..count {
                let server = TestServer::builder().znodes([("/a", &DATA[..])]).start().await;
                // who waits for the address sees the error
                if tell.send(server.as_ref().map(TestServer::addr).map_err(ToString::to_string)).is_err() {
                    return;
                }
                servers.push(server);
            }
            // Ok or not: it is over
            let _ = stopped.await;
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || runtime.block_on(serve));
        let addrs = (0..count).map(|_| told.recv()?.map_err(Box::from)).collect::<Done<_>>()?;
        Ok(Self { addrs, stop, thread })
    }

    fn stop(self) {
        // if it is gone already, that is as good
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// A session, and the two requests.
struct Client {
    stream: TcpStream,
    set: Vec<u8>,
    get: Vec<u8>,
}

impl Client {
    fn connect(addr: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let greeting = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: 30_000,
            session_id: SessionId::NONE,
            password: None,
            read_only: Tail(Some(false)),
        };
        stream.write_all(&framed(&[&greeting]))?;
        stream.read_exact(&mut [0; 41])?;
        let header = |op| RequestHeader { xid: 1, op };
        let set = SetDataRequest { path: "/a".into(), data: Some(&DATA), version: -1 };
        let get = GetDataRequest { path: "/a".into(), watch: false };
        let (set, get) = (framed(&[&header(OpCode::SET_DATA), &set]), framed(&[&header(OpCode::GET_DATA), &get]));
        Ok(Self { stream, set, get })
    }

    fn pair(&mut self) -> io::Result<()> {
        round_trips(&mut self.stream, &self.set, &self.get)
    }
}

fn framed(parts: &[&dyn Part]) -> Vec<u8> {
    let mut body = BytesMut::new();
    parts.iter().for_each(|part| part.put(&mut body));
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(&body);
    frame.to_vec()
}

/// Something encoded, whatever it is.
trait Part {
    fn put(&self, out: &mut BytesMut);
}

impl<T: Encode> Part for T {
    fn put(&self, out: &mut BytesMut) {
        self.encode(out);
    }
}

/// The round that other programs disturbed least.
fn best(times: &mut [Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
