//! A session with a thread of its own: everything is as it is without, on real sockets, and what arrives needs no runtime.
#![cfg(target_os = "linux")]

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::shutdown::{connectors, port, runtime, sockets};
use crate::{
    mirror::caught_up,
    stage::{AT_ONCE, within},
};
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use zk_client::{
    Client, Connector, CreateMode, Dial, Dialed, Error, HostPort, Inline, Input, Interruption, OPEN_ACL_UNSAFE,
    Requests, TcpDial, Transport, WatchItem, WatchMode, tls::Tls,
};
use zk_config::{Mirror, Update};
use zk_testkit::server::{Fault, ServerTls, TestServer};
use zk_tests::certificates::{Authority, Shown};

const PATIENCE: Duration = Duration::from_secs(60);

fn connector(servers: &str) -> Connector {
    Connector::new(servers).unwrap().session_timeout(Duration::from_secs(6)).reconnect_spread(AT_ONCE).own_thread()
}

/// A server, and the runtime that it needs.
fn server() -> (Runtime, TestServer) {
    let servers = runtime();
    let server = servers.block_on(TestServer::start()).unwrap();
    (servers, server)
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Waits for what no event tells of.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let give_up_at = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up_at, "{what}: not after {PATIENCE:?}");
        thread::yield_now();
    }
}

/// Nothing turns the client's runtime; a mirror's listener is called all the same, in the session's thread.
#[test]
fn a_listener_is_told_while_the_runtime_rests() {
    let (_servers, server) = server();
    server.create("/app", b"0").unwrap();
    let clients = current_thread();
    let (told, tells) = mpsc::channel();
    let (_client, mirror, _listening) = clients.block_on(async {
        let client = within(connector(&server.connect_string()).connect()).await.unwrap();
        let mirror = Mirror::start(&client, "/app").unwrap();
        within(mirror.ready()).await.unwrap();
        let (_, listening) = mirror.listen(move |snapshot, update| {
            let Update::Changes(_) = update else { return };
            let name = thread::current().name().map(str::to_owned);
            told.send((name, snapshot.get("/app").unwrap().data.clone())).unwrap();
        });
        (client, mirror, listening)
    });
    for value in ["1", "2", "3"] {
        server.set("/app", value.as_bytes()).unwrap();
        let (name, data) = tells.recv_timeout(PATIENCE).unwrap();
        assert_eq!(name.as_deref(), Some("zk-session"));
        assert_eq!(data, value);
        assert_eq!(mirror.snapshot().get("/app").unwrap().data, value);
    }
}

/// Faults of the wire, each at a socket's own time; the mirror is exact after them.
// goal: Q1
#[test]
fn a_mirror_is_exact_after_faults_of_the_wire() {
    let seeds: Vec<u64> = (0..6).map(|_| fastrand::u64(..)).collect();
    println!("seeds {seeds:?}");
    thread::scope(|threads| {
        for seed in seeds {
            threads.spawn(move || runtime().block_on(the_mirror_is_exact_after(seed)));
        }
    });
}

/// None of these ends a session for good.
fn draw(chance: &mut fastrand::Rng) -> Fault {
    match chance.u8(0..10) {
        0 => Fault::Stop,
        1 => Fault::Reset,
        2 => Fault::Close,
        3 => Fault::HalfClose,
        4 => Fault::BlackHole,
        5 => Fault::Trickle(chance.usize(1..64), Duration::from_millis(1)),
        6 => Fault::CutReplies(chance.usize(0..400)),
        7 => Fault::CutRequests(chance.usize(0..400)),
        8 => Fault::Deaf,
        _ => Fault::Expire,
    }
}

async fn the_mirror_is_exact_after(seed: u64) {
    let server = TestServer::start().await.unwrap();
    server.create("/app", b"").unwrap();
    let client = within(connector(&server.connect_string()).connect()).await.unwrap();
    let mirror = Mirror::start(&client, "/app").unwrap();
    within(mirror.ready()).await.unwrap();
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..10 {
        let fault = draw(&mut chance);
        server.inject(fault.clone()).await;
        for _ in 0..chance.usize(0..2_000) {
            let path = format!("/app/{}", chance.u8(0..20));
            let data = vec![chance.u8(..); chance.usize(0..2_000)];
            // Any of these may be refused.
            match chance.u8(0..4) {
                0 => drop(server.delete(&path)),
                1 => drop(server.create(&path, &data)),
                _ => drop(server.set(&path, &data)),
            }
            tokio::task::yield_now().await;
        }
        server.heal().await.unwrap();
    }
    // One that leaves on a connection that is about to end ends with it.
    within(async {
        while mirror.barrier().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    caught_up(&server, &mirror).await;
    within(client.close()).await;
}

/// More than sockets hold, in both directions at once, while the server reads nothing for a time.
#[tokio::test]
async fn a_full_socket_holds_nothing_up_for_good() {
    let server = TestServer::start().await.unwrap();
    let client = within(connector(&server.connect_string()).batch_reads(false).connect()).await.unwrap();
    let long = vec![7; 900_000];
    for round in ["a", "b"] {
        server.inject(Fault::Deaf).await;
        let paths: Vec<String> = (0..24).map(|i| format!("/{round}{i}")).collect();
        let writes: Vec<_> =
            paths.iter().map(|path| client.create(path, &long, CreateMode::Persistent, OPEN_ACL_UNSAFE)).collect();
        let reads: Vec<_> = paths.iter().map(|path| client.get_data(path)).collect();
        let is_full = || threads("zk-session-full") > 0;
        within(async {
            while !is_full() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        server.heal().await.unwrap();
        for write in within(join_all(writes)).await {
            write.unwrap();
        }
        for read in within(join_all(reads)).await {
            assert_eq!(read.unwrap().0, long);
        }
    }
    within(client.close()).await;
}

/// How many threads of this process have a name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    // One that has ended meanwhile has no name.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|found| found.trim_end() == name).count()
}

/// A socket that stays full ends with its session, and so do its threads.
#[test]
fn a_full_socket_does_not_outlive_its_runtime() {
    let (_servers, server) = server();
    let clients = runtime();
    let writes: Vec<_> = clients.block_on(async {
        let client = within(connector(&server.connect_string()).connect()).await.unwrap();
        server.inject(Fault::Deaf).await;
        let long = vec![7; 900_000];
        (0..24).map(|i| client.create(&format!("/{i}"), &long, CreateMode::Persistent, OPEN_ACL_UNSAFE)).collect()
    });
    until("a full socket", || threads("zk-session-full") > 0);
    clients.shutdown_timeout(PATIENCE);
    for write in writes {
        let end = current_thread().block_on(write);
        assert!(matches!(end, Err(Error::Interrupted { by: Interruption::Closed, .. })), "{end:?}");
    }
    let port = port(&server);
    drop(server);
    until("no socket", || sockets(port) == 0);
}

/// The runtime ends, and nobody has closed anything: the thread, which waits in the system, ends all the same.
#[test]
fn the_thread_ends_with_the_runtime() {
    let (_servers, server) = server();
    let clients = current_thread();
    let connector = connector(&server.connect_string()).session_timeout(Duration::from_secs(40));
    let client = clients.block_on(async { within(connector.connect()).await.unwrap() });
    assert_eq!(sockets(port(&server)), 2, "the count sees both ends");
    drop(clients);
    until("no socket", || sockets(port(&server)) == 0);
    assert_eq!(server.sessions().len(), 1, "it was not the server that has ended it");
    let end = current_thread().block_on(client.exists("/"));
    assert!(matches!(end, Err(Error::Interrupted { by: Interruption::Closed, .. })), "{end:?}");
}

/// It panics at its first event.
struct Panics;

impl Inline for Panics {
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>) {
        match input {
            Input::State(_) => requests.get_data(1, "/"),
            other => panic!("told of {other:?}, as it was to be"),
        }
    }

    fn flush(&mut self, _requests: &mut Requests<'_>) {}

    fn poll_timeout(&self) -> Option<tokio::time::Instant> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// Who panics in the driver ends the session's task, and that does not go unnoticed; nor is a socket or thread left.
#[test]
fn a_panic_ends_the_session_as_it_does_without() {
    let (_servers, server) = server();
    for connector in connectors(&server) {
        let clients = runtime();
        clients.block_on(async {
            let client = within(connector.connect()).await.unwrap();
            client.attach(Panics).unwrap();
            within(client.state().wait_for(|_| false)).await.unwrap_err();
            let end = within(client.exists("/")).await;
            assert!(matches!(end, Err(Error::Interrupted { .. })), "{end:?}");
        });
        until("no task", || clients.metrics().num_alive_tasks() == 0);
        until("no socket", || sockets(port(&server)) == 0);
    }
}

/// A listener that ends the very runtime of its session: nobody waits for anybody.
#[test]
fn a_listener_may_end_the_runtime() {
    let (_servers, server) = server();
    server.create("/app", b"0").unwrap();
    let clients = current_thread();
    let (client, mirror) = clients.block_on(async {
        let client = within(connector(&server.connect_string()).connect()).await.unwrap();
        let mirror = Mirror::start(&client, "/app").unwrap();
        within(mirror.ready()).await.unwrap();
        (client, mirror)
    });
    let clients = Mutex::new(Some(clients));
    let (_, _listening) = mirror.listen(move |_, _| drop(clients.lock().unwrap().take()));
    server.set("/app", b"1").unwrap();
    until("no socket", || sockets(port(&server)) == 0);
    let end = current_thread().block_on(client.exists("/"));
    assert!(matches!(end, Err(Error::Interrupted { by: Interruption::Closed, .. })), "{end:?}");
}

/// A dial of somebody's own, around ours.
struct Counts(&'static AtomicUsize);

impl Dial for Counts {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        TcpDial.resolve(host)
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        TcpDial.dial(host, addr)
    }
}

/// TLS, and a dial of one's own: bytes go through them as ever.
#[test]
fn it_is_beneath_tls_and_beneath_a_dial_of_ones_own() {
    static DIALED: AtomicUsize = AtomicUsize::new(0);
    const HOST: &str = "localhost";
    let servers = runtime();
    let root = Authority::root("root");
    let Shown { chain, key, .. } = root.server(&[HOST], |_| ());
    let tls = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let server = servers.block_on(TestServer::builder().tls(tls).start()).unwrap();
    server.create("/app", b"0").unwrap();
    let addr = format!("{HOST}:{}", server.secure_addr().unwrap().port());
    let clients = current_thread();
    let (told, tells) = mpsc::channel();
    let (client, _mirror, _listening) = clients.block_on(async {
        let tls = Tls::builder().roots(root.der()).build().unwrap();
        let client = within(connector(&addr).dial(Counts(&DIALED)).tls(tls).connect()).await.unwrap();
        let long = vec![7; 500_000];
        let paths: Vec<String> = (0..8).map(|i| format!("/{i}")).collect();
        let writes = paths.iter().map(|path| client.create(path, &long, CreateMode::Persistent, OPEN_ACL_UNSAFE));
        within(join_all(writes)).await.into_iter().for_each(|write| drop(write.unwrap()));
        for read in within(join_all(paths.iter().map(|path| client.get_data(path)))).await {
            assert_eq!(read.unwrap().0, long);
        }
        let mirror = Mirror::start(&client, "/app").unwrap();
        within(mirror.ready()).await.unwrap();
        let (_, listening) = mirror.listen(move |snapshot, _| {
            told.send(snapshot.get("/app").unwrap().data.clone()).unwrap();
        });
        (client, mirror, listening)
    });
    assert!(DIALED.load(Ordering::Relaxed) > 0);
    // Nobody turns the runtime.
    server.set("/app", b"1").unwrap();
    assert_eq!(tells.recv_timeout(PATIENCE).unwrap(), "1");
    clients.block_on(within(client.close()));
    until("no session", || server.sessions().is_empty());
}

/// Streams, calls and watches of tasks on both runtimes, over connections that are cut.
#[test]
fn tasks_are_woken_across_threads() {
    let (_servers, server) = server();
    for clients in [current_thread(), runtime()] {
        clients.block_on(async {
            let client: Client = within(connector(&server.connect_string()).connect()).await.unwrap();
            let mut events = within(client.watch("/", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
            for round in 0..20 {
                let path = format!("/{round}");
                within(client.create(&path, b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
                let event = within(events.next()).await;
                assert!(matches!(&event, Some(WatchItem::Event(told)) if *told.event.path == path), "{event:?}");
                within(client.exists("/")).await.unwrap().unwrap();
                server.drop_connections();
                assert!(matches!(within(events.next()).await, Some(WatchItem::Gap(_))));
                assert!(matches!(within(events.next()).await, Some(WatchItem::Resumed { .. })));
            }
            within(client.close()).await;
        });
    }
}
