//! Fuzzes a ZooKeeper server or proxy with requests made by zk-proto's `arbitrary` support. The guide is `fuzz/README.md`.
//!
//! ```sh
//! cargo run --release -p zk-testkit --example fuzz_a_server                                # the in-process test server
//! cargo run --release -p zk-testkit --example fuzz_a_server -- --connect 127.0.0.1:2181    # a server of YOURS
//! ```
//!
//! Generated requests create and delete anything anywhere, and old servers do not survive some of them: never send them
//! to a server that somebody else uses.

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use bytes::{BufMut as _, BytesMut};
use zk_proto::{
    ErrorCode, OpCode, Session, SessionConfig,
    frame::{Frame, REPLY_LEN_MAX, Splitter},
    jute::{Decode as _, Encode as _, Reader},
    ops::{ReplyBody, RequestBody},
    records::{ReplyHeader, WatcherEvent},
    session::xid,
};
use zk_testkit::server::TestServer;

/// A server that says nothing for so long has broken its promise.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that are written before their answers are read.
const PIPELINED: usize = 32;

struct Options {
    connect: Option<String>,
    requests: u64,
    seed: u64,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { connect: None, requests: 200_000, seed: fastrand::u64(..) };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--connect" => options.connect = Some(value),
            "--requests" => options.requests = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            _ => return Err(format!("no such option: {word}; there are --connect, --requests and --seed").into()),
        }
    }
    Ok(options)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    // Kept until the end: a test server is gone when it is dropped.
    let server = if options.connect.is_none() { Some(TestServer::start().await?) } else { None };
    let addr = options.connect.clone().or(server.as_ref().map(TestServer::connect_string)).unwrap_or_default();
    println!("seed {}: {} requests to {addr}", options.seed, options.requests);
    let run = tokio::task::spawn_blocking(move || fuzz(&addr, &options).map_err(|error| error.to_string()));
    run.await?.map_err(Into::into)
}

fn fuzz(addr: &str, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(options.seed);
    let (mut done, mut connections, begun) = (0, 0_u64, Instant::now());
    let mut answers: BTreeMap<(OpCode, ErrorCode), u64> = BTreeMap::new();
    while done < options.requests {
        connections += 1;
        let mut connection = Connection::open(addr)?;
        while done < options.requests && !connection.is_over {
            let mut bytes = vec![0; 4096];
            random.fill(&mut bytes);
            done += connection.play(&bytes, &mut answers)?;
        }
    }
    for ((op, err), count) in &answers {
        println!("{count:>9}  {:<22} {err}", op.text().unwrap_or("?"));
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    println!("{done} requests on {connections} connections, {rate:.0}/s: every answer was one, and in its place");
    Ok(())
}

struct Connection {
    stream: TcpStream,
    splitter: Splitter,
    inbox: BytesMut,
    xid: i32,
    pending: VecDeque<(i32, OpCode)>,
    /// Something was sent or answered behind which servers hang up.
    may_hang_up: bool,
    is_over: bool,
}

impl Connection {
    /// A new session; the session machine does the greeting.
    fn open(addr: &str) -> Result<Self, Box<dyn Error>> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut session: Session<()> = Session::new(SessionConfig::default());
        session.handle_dialed(Duration::ZERO, PATIENCE);
        stream.write_all(&session.poll_transmit().ok_or("no greeting")?)?;
        let mut inbox = BytesMut::new();
        while session.state() == zk_proto::session::State::Greeting {
            if read(&mut stream, &mut inbox)? == 0 {
                return Err(
                    "the server hung up on a plain greeting: is it serving, or are there too many connections?".into(),
                );
            }
            session.handle_bytes(Duration::ZERO, &mut inbox);
        }
        let splitter = Splitter::new(REPLY_LEN_MAX);
        Ok(Self { stream, splitter, inbox, xid: 0, pending: VecDeque::new(), may_hang_up: false, is_over: false })
    }

    /// Sends what the bytes make, and reads every answer. Gives the number of requests.
    fn play(&mut self, bytes: &[u8], answers: &mut BTreeMap<(OpCode, ErrorCode), u64>) -> Result<u64, Box<dyn Error>> {
        let mut source = arbitrary::Unstructured::new(bytes);
        let mut outbox = BytesMut::new();
        while let (true, false, Ok(body)) = (self.pending.len() < PIPELINED, source.is_empty(), source.arbitrary()) {
            self.put(&body, &mut outbox);
        }
        let sent = self.pending.len() as u64;
        // A server that hangs up over an earlier request does not read the rest.
        let _ = self.stream.write_all(&outbox);
        while !self.pending.is_empty() {
            match read(&mut self.stream, &mut self.inbox) {
                Ok(0) => return self.hung_up().map(|()| sent),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return self.hung_up().map(|()| sent);
                }
                Err(error) => return Err(format!("no answer to {:?}: {error}", self.pending.front()).into()),
                Ok(_) => {}
            }
            while let Some(frame) = self.splitter.next_frame(&mut self.inbox)? {
                let Frame::Whole(frame) = frame else { return Err("an answer of more than 4 MiB".into()) };
                self.answer(&frame, answers)?;
            }
        }
        Ok(sent)
    }

    fn put(&mut self, body: &RequestBody<'_>, outbox: &mut BytesMut) {
        // A check outside a multi is not answered when it succeeds, by any server before 3.8.5 and 3.9.3.
        if body.op() == OpCode::CHECK {
            return;
        }
        self.xid = self.xid.checked_add(1).unwrap_or(1);
        self.may_hang_up |= matches!(body.op(), OpCode::AUTH | OpCode::SASL | OpCode::CLOSE_SESSION);
        let number = match body.op() {
            OpCode::AUTH => xid::AUTH,
            OpCode::PING => xid::PING,
            _ => self.xid,
        };
        outbox.put_u32(u32::try_from(8 + body.encoded_len()).unwrap_or(u32::MAX));
        outbox.put_i32(number);
        outbox.put_i32(body.op().0);
        body.encode(outbox);
        self.pending.push_back((number, body.op()));
    }

    /// One frame: an event, or the answer to the oldest request. Answers to auth and sasl may overtake.
    fn answer(
        &mut self,
        frame: &bytes::Bytes,
        answers: &mut BTreeMap<(OpCode, ErrorCode), u64>,
    ) -> Result<(), Box<dyn Error>> {
        let mut reader = Reader::new(frame);
        let header = ReplyHeader::decode(&mut reader)?;
        if header.xid == xid::NOTIFICATION {
            WatcherEvent::decode(&mut reader)?;
            return Ok(());
        }
        let overtakes = |op| matches!(op, OpCode::AUTH | OpCode::SASL);
        let place = self.pending.iter().position(|(xid, _)| *xid == header.xid);
        let place = place.ok_or_else(|| format!("an answer to no request: {header:?}"))?;
        let Some((_, op)) = self.pending.remove(place) else { return Ok(()) };
        if place > 0 && !overtakes(op) {
            return Err(format!("{op} was answered before {:?}", self.pending.front()).into());
        }
        *answers.entry((op, header.err)).or_default() += 1;
        self.may_hang_up |= matches!(header.err, ErrorCode::UNIMPLEMENTED | ErrorCode::SESSION_EXPIRED);
        if header.err == ErrorCode::OK {
            let body = frame.slice(frame.len() - reader.remaining()..);
            ReplyBody::decode(op, &body)
                .ok_or("not an operation")?
                .map_err(|error| format!("answer to {op}: {error}"))?;
        }
        Ok(())
    }

    /// Servers hang up when a session ends, when who somebody is cannot be proved, and over what they do not know.
    fn hung_up(&mut self) -> Result<(), Box<dyn Error>> {
        self.is_over = true;
        if self.may_hang_up {
            return Ok(());
        }
        Err(format!("the server hung up and left {:?} without an answer", self.pending).into())
    }
}

fn read(stream: &mut TcpStream, inbox: &mut BytesMut) -> std::io::Result<usize> {
    let mut chunk = [0; 64 * 1024];
    let len = stream.read(&mut chunk)?;
    inbox.extend_from_slice(chunk.get(..len).unwrap_or_default());
    Ok(len)
}
