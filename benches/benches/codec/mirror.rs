//! The whole way of an event in user space: bytes of the event in, the read that it causes out, its reply in, the new
//! snapshot published, a subscriber woken with the value. Client, driver and mirror are the real ones, on tokio's
//! current-thread runtime; the socket is a script in memory.
//!
//! The tree is loaded from the in-process server; then the script takes the wire over, so that no server is measured.

use super::{
    Outcome, Workload,
    records::{VALUE, framed, payload},
};
use bytes::{Bytes, BytesMut};
use std::{
    future::poll_fn,
    hint::black_box,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    runtime::{Builder, Runtime},
};
use zk_client::{Connector, Dial, Dialed, HostPort, Transport};
use zk_config::{Changes, Listening, Mirror, Update};
use zk_proto::{
    ErrorCode, EventType, OpCode, Stat, Zxid,
    multi::{MultiResponse, MultiResult},
    records::{Empty, GetDataResponse, ReplyHeader, WatcherEvent},
    session::xid::NOTIFICATION,
    watch::KeeperState,
};
use zk_testkit::server::{Edit, TestServer};

const KEYS: usize = 1000;
/// Mirrors of one thread, and the keys that each has.
const SESSIONS: usize = 100;
const KEYS_OF_MANY: usize = 10;
/// Events that come together.
const BURST: usize = 50;
/// No ping interferes: a third of it is longer than a run under valgrind.
const SESSION_TIMEOUT: Duration = Duration::from_secs(40);

/// The wire between the client and what plays the server.
#[derive(Clone)]
struct Wire(Arc<Mutex<Script>>);

struct Script {
    /// The in-process server, until the tree is loaded.
    server: Option<DuplexStream>,
    /// To the client.
    inbox: BytesMut,
    /// From the client, not yet whole frames.
    outbox: BytesMut,
    reader: Option<Waker>,
    /// The last transaction, and the stat of what it set.
    zxid: i64,
    stat: Stat,
}

impl Wire {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event on the wire for each path, each a transaction of its own.
    fn change(&self, events: &[Bytes]) {
        let mut script = self.script();
        for event in events {
            script.zxid += 1;
            let (at, zxid) = (script.inbox.len() + 8, script.zxid);
            script.inbox.extend_from_slice(event);
            patch(&mut script.inbox, at, zxid);
        }
        if let Some(reader) = script.reader.take() {
            reader.wake();
        }
    }
}

fn patch(bytes: &mut [u8], at: usize, zxid: i64) {
    if let Some(slot) = bytes.get_mut(at..at + 8) {
        slot.copy_from_slice(&zxid.to_be_bytes());
    }
}

impl Script {
    /// Answers every whole frame.
    fn answer(&mut self) -> io::Result<()> {
        while let Some(prefix) = self.outbox.first_chunk::<4>() {
            let end = 4 + u32::from_be_bytes(*prefix) as usize;
            let head = self.outbox.get(4..12).filter(|_| self.outbox.len() >= end);
            let Some((number, op)) = head.and_then(|head| Some((*head.first_chunk::<4>()?, *head.last_chunk::<4>()?)))
            else {
                break;
            };
            let (number, op) = (i32::from_be_bytes(number), OpCode(i32::from_be_bytes(op)));
            let request = self.outbox.split_to(end);
            let reply = self
                .reply(number, op, &request)
                .ok_or_else(|| io::Error::other(format!("the script has no answer to {op:?}")))?;
            self.inbox.extend_from_slice(&reply);
        }
        Ok(())
    }

    fn reply(&self, number: i32, op: OpCode, request: &[u8]) -> Option<Vec<u8>> {
        let header = ReplyHeader { xid: number, zxid: Zxid(self.zxid), err: ErrorCode::OK };
        let stat = Stat { mzxid: Zxid(self.zxid), ..self.stat };
        let value = || GetDataResponse { data: Some(Bytes::from_static(VALUE)), stat };
        match op {
            OpCode::PING => framed(&payload(&header, &Empty {})).ok(),
            OpCode::GET_DATA => framed(&payload(&header, &value())).ok(),
            OpCode::MULTI_READ => {
                let results = (0..reads(request)?).map(|_| MultiResult::GetData(value())).collect::<Vec<_>>();
                framed(&payload(&header, &MultiResponse { results: results.into() })).ok()
            }
            _ => None,
        }
    }
}

/// How many reads a multiRead asks for.
fn reads(request: &[u8]) -> Option<usize> {
    let mut rest = request.get(12..)?;
    for count in 0.. {
        let (header, behind) = rest.split_first_chunk::<9>()?;
        if header.get(4) == Some(&1) {
            return Some(count);
        }
        let (len, path) = behind.split_first_chunk::<4>()?;
        rest = path.get(u32::from_be_bytes(*len) as usize + 1..)?;
    }
    None
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut script = self.script();
        if let Some(server) = &mut script.server {
            return Pin::new(server).poll_read(cx, buf);
        }
        if script.inbox.is_empty() {
            script.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = buf.remaining().min(script.inbox.len());
        buf.put_slice(&script.inbox.split_to(len));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut script = self.script();
        if let Some(server) = &mut script.server {
            return Pin::new(server).poll_write(cx, bytes);
        }
        script.outbox.extend_from_slice(bytes);
        script.answer()?;
        if let Some(reader) = script.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.script().server.as_mut().map_or(Poll::Ready(Ok(())), |server| Pin::new(server).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Dial for Wire {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        Box::pin(async { Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1))]) })
    }

    fn dial<'a>(&'a self, _: &'a HostPort, _: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        Box::pin(async { Ok(Box::new(self.clone()) as Box<dyn Transport>) })
    }
}

/// How the application is told.
#[derive(Clone, Copy)]
enum Told {
    Subscriber,
    Listener,
}

/// Changes that the listener was told of, and who waits for them.
type Heard = Arc<Mutex<(usize, Option<Waker>)>>;

/// The application.
enum Application {
    Subscriber(Changes),
    Listener(Heard, Listening),
}

/// A mirror that is loaded, the wire that it is on, and who is told.
struct Session {
    wire: Wire,
    application: Application,
    /// Held, so that it goes on.
    _mirror: Mirror,
}

/// All of them, in one thread.
struct Scene {
    runtime: Runtime,
    sessions: Vec<Session>,
}

fn path(index: usize) -> String {
    format!("/config/app/limits/k{index:04}")
}

async fn load(keys: usize) -> Outcome<(Wire, Mirror)> {
    let server = TestServer::builder().tick(SESSION_TIMEOUT / 10).start().await?;
    let folders = ["/config", "/config/app", "/config/app/limits"];
    let paths: Vec<String> = folders.iter().map(|path| (*path).to_owned()).chain((0..keys).map(path)).collect();
    let edits: Vec<Edit<'_>> = paths.iter().map(|path| Edit::Create(path, VALUE)).collect();
    server.apply(&edits).map_err(|error| format!("{error:?}"))?;
    let script = Script {
        server: Some(server.pipe()),
        inbox: BytesMut::with_capacity(64 * 1024),
        outbox: BytesMut::with_capacity(64 * 1024),
        reader: None,
        zxid: 0,
        stat: super::records::stat()?,
    };
    let wire = Wire(Arc::new(Mutex::new(script)));
    let connector = Connector::new("script")?.session_timeout(SESSION_TIMEOUT).dial(wire.clone());
    let client = connector.connect().await?;
    let mirror = Mirror::start(&client, "/config")?;
    let snapshot = mirror.ready().await?;
    let node = snapshot.get(&path(0)).ok_or("the tree is not loaded")?;
    let mut script = wire.script();
    (script.zxid, script.stat, script.server) = (snapshot.revision().0, node.stat, None);
    drop(script);
    Ok((wire, mirror))
}

impl Application {
    fn of(mirror: &Mirror, told: Told) -> Self {
        match told {
            Told::Subscriber => Self::Subscriber(mirror.subscribe().1),
            Told::Listener => {
                let heard = Heard::default();
                let hears = heard.clone();
                let (_, listening) = mirror.listen(move |_, update| {
                    let Update::Changes(batch) = update else { return };
                    let (count, waiting) = &mut *hears.lock().unwrap_or_else(PoisonError::into_inner);
                    *count += black_box(&batch.changes).len();
                    if let Some(waiting) = waiting.take() {
                        waiting.wake();
                    }
                });
                Self::Listener(heard, listening)
            }
        }
    }

    /// Waits until it was told of so many changes; of how many.
    async fn told_of(&mut self, wanted: usize) -> usize {
        match self {
            Self::Subscriber(changes) => {
                let mut told = 0;
                while told < wanted {
                    match changes.next().await {
                        Some(Update::Changes(batch)) => told += black_box(&batch.changes).len(),
                        Some(Update::Gap(_)) | None => break,
                        Some(_) => {}
                    }
                }
                told
            }
            Self::Listener(heard, _listening) => {
                poll_fn(|cx| {
                    let (count, waiting) = &mut *heard.lock().unwrap_or_else(PoisonError::into_inner);
                    if *count >= wanted {
                        return Poll::Ready(std::mem::take(count));
                    }
                    *waiting = Some(cx.waker().clone());
                    Poll::Pending
                })
                .await
            }
        }
    }
}

impl Scene {
    fn set(told: Told, sessions: usize, keys: usize) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let open = |_| {
            let (wire, mirror) = runtime.block_on(load(keys))?;
            Ok(Session { wire, application: Application::of(&mirror, told), _mirror: mirror })
        };
        let sessions = (0..sessions).map(open).collect::<Outcome<_>>()?;
        Ok(Self { runtime, sessions })
    }

    /// Changes znodes in each session, and waits until the applications were told of all; of how many.
    fn play(&mut self, events: &[Bytes]) -> usize {
        for session in &self.sessions {
            session.wire.change(events);
        }
        self.runtime.block_on(async {
            let mut told = 0;
            for session in &mut self.sessions {
                told += session.application.told_of(events.len()).await;
            }
            told
        })
    }
}

fn workload(name: &str, told: Told, sessions: usize, keys: usize, burst: usize) -> Outcome<Workload> {
    let header = ReplyHeader { xid: NOTIFICATION, zxid: Zxid(0), err: ErrorCode::OK };
    let (event_type, state) = (EventType::NODE_DATA_CHANGED, KeeperState::SYNC_CONNECTED);
    let event = |index| framed(&payload(&header, &WatcherEvent { event_type, state, path: path(index).into() }));
    let events: Vec<Bytes> = (0..keys).map(|index| event(index).map(Bytes::from)).collect::<Outcome<_>>()?;
    let (bytes, changes) = (events.first().map_or(0, Bytes::len) * burst * sessions, burst * sessions);
    let (mut scene, mut next) = (None, 0);
    // Set when it is first run: who measures something else need not wait for it.
    let mut run = move || -> Outcome<()> {
        let scene = match &mut scene {
            Some(scene) => scene,
            none => none.insert(Scene::set(told, sessions, keys)?),
        };
        let begin = next;
        next = (next + burst) % keys;
        let told = events.get(begin..begin + burst).map_or(0, |events| scene.play(events));
        if told == changes { Ok(()) } else { Err(format!("{told} of {changes} changes were told").into()) }
    };
    let workload = Workload::new("mirror", name, bytes, move || {
        if let Err(error) = run() {
            eprintln!("{error}");
            std::process::exit(1);
        }
    });
    Ok(Workload { elements: changes as u64, ..workload })
}

pub(super) fn mirror() -> Outcome<Vec<Workload>> {
    let one = |name, told, burst| workload(name, told, 1, KEYS, burst);
    Ok(vec![
        one("event in, read out, reply in, published, subscriber woken", Told::Subscriber, 1)?,
        one("the same, 50 events that come together", Told::Subscriber, BURST)?,
        one("event in, read out, reply in, published, listener called", Told::Listener, 1)?,
        workload("the same, 100 sessions in a thread", Told::Listener, SESSIONS, KEYS_OF_MANY, 1)?,
    ])
}
