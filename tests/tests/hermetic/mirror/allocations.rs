//! What the heap has to do with an update: nothing on the way from an event to the read that it causes, and on the way of the
//! answer only what readers are given.

use super::fill;
use crate::stage::{BOTH, Stage};
use allocation_counter::AllocationInfo;
use futures_util::task::AtomicWaker;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::Notify,
    time::timeout,
};
use zk_client::{Client, Dial, Dialed, HostPort, Transport};
use zk_config::{Listening, Mirror};
use zk_testkit::server::{Profile, TestServer};

/// No ping comes between, however busy the machine is.
const QUIET: Duration = Duration::from_secs(40);

const KEYS: usize = 1_000;
/// A table of the tree has more neighbours than this.
const WARM_UP_EACH: usize = 4;
const UPDATES: usize = 200;

/// A way to a server on which nothing arrives between a request and the word to go on.
#[derive(Clone, Default)]
struct Gate(Arc<State>);

#[derive(Default)]
struct State {
    is_used: AtomicBool,
    is_closed: AtomicBool,
    asked: Notify,
    reader: AtomicWaker,
}

struct Gated(TcpStream, Gate);

impl Gate {
    fn open(&self) {
        self.0.is_closed.store(false, Ordering::Release);
        self.0.reader.wake();
    }
}

impl AsyncRead for Gated {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self(stream, Gate(state)) = self.get_mut();
        state.reader.register(cx.waker());
        if state.is_closed.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        Pin::new(stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gated {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self(stream, Gate(state)) = self.get_mut();
        let written = ready!(Pin::new(stream).poll_write(cx, bytes))?;
        if state.is_used.load(Ordering::Acquire) {
            state.is_closed.store(true, Ordering::Release);
            state.asked.notify_one();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

impl Dial for Gate {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        Box::pin(async move { Ok(vec![host.to_string().parse().unwrap()]) })
    }

    fn dial<'a>(&'a self, _: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        Box::pin(
            async move { Ok(Box::new(Gated(TcpStream::connect(addr).await?, self.clone())) as Box<dyn Transport>) },
        )
    }
}

fn path(key: usize) -> String {
    format!("/app/n{:05}", key % KEYS)
}

/// A mirror in this thread, and its server in another.
struct World {
    runtime: Runtime,
    _servers: Runtime,
    server: Stage,
    gate: Gate,
    told: Arc<Notify>,
    mirror: Mirror,
    _held: (Client, Listening),
}

impl World {
    fn start(profile: Profile) -> Self {
        let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = servers.block_on(Stage::with(TestServer::builder().profile(profile)));
        fill(&server, "/app", KEYS);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (gate, told) = (Gate::default(), Arc::<Notify>::default());
        let tell = told.clone();
        let (mirror, held) = runtime.block_on(async {
            let client = server.connector().session_timeout(QUIET).dial(gate.clone()).connect().await.unwrap();
            let mirror = Mirror::start(&client, "/app").unwrap();
            mirror.ready().await.unwrap();
            let (_, listening) = mirror.listen(move |_, _| tell.notify_one());
            (mirror, (client, listening))
        });
        gate.0.is_used.store(true, Ordering::Release);
        Self { runtime, _servers: servers, server, gate, told, mirror, _held: held }
    }

    fn allocated_until(&self, what: &Notify) -> AllocationInfo {
        allocation_counter::measure(|| {
            self.runtime.block_on(async { timeout(Duration::from_secs(10), what.notified()).await.unwrap() });
        })
    }

    /// A znode is set; what is allocated until it is read, and from then on until a listener has its value.
    fn update(&self, path: &str, data: &[u8]) -> [AllocationInfo; 2] {
        self.server.set(path, data).unwrap();
        let event = self.allocated_until(&self.gate.0.asked);
        self.gate.open();
        [event, self.allocated_until(&self.told)]
    }
}

/// Of an answer readers get the value, its znode, the change, the batch and the snapshot.
const GIVEN: u64 = 5;

/// And, when somebody has held the snapshot that was replaced, the path from the znode to the tree's root, of three tables.
const PATH: u64 = 3;

#[test]
fn an_event_of_a_known_path_allocates_nothing() {
    for profile in BOTH {
        let world = World::start(profile);
        // Queues and buffers are made once, and each table of the tree when it is first changed.
        for key in (0..KEYS).step_by(WARM_UP_EACH) {
            world.update(&path(key), b"warm-up");
        }
        let update = |number: usize, given: u64| {
            let [event, answer] = world.update(&path(number * 37), format!("new value {number}").as_bytes());
            assert_eq!(event.count_total, 0, "update {number}: {event:?}");
            assert_eq!(answer.count_total, given, "update {number}: {answer:?}");
        };
        for number in 0..UPDATES {
            update(number, GIVEN);
        }
        let held = world.mirror.snapshot();
        update(UPDATES, GIVEN);
        update(UPDATES + 1, GIVEN + PATH);
        drop(held);
        // The same path: its tables are nobody else's again.
        update(UPDATES + 1 + KEYS, GIVEN);
    }
}
