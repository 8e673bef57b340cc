//! Real sockets and real runtimes: what is left when a client is closed, and when its runtime ends under it.

use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use zk_client::{Connector, Error, Interruption, WatchMode};
use zk_testkit::server::TestServer;

pub(super) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Sockets of this machine that have this port at one end and a file descriptor, listeners not counted.
pub(super) fn sockets(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (end, listening) = (format!(":{port:04X}"), "0A");
    let is_one = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_ours = fields[1].ends_with(&end) || fields[2].ends_with(&end);
        is_ours && fields[3] != listening && fields[9] != "0"
    };
    table.lines().skip(1).filter(is_one).count()
}

pub(super) fn port(server: &TestServer) -> u16 {
    server.connect_string().rsplit(':').next().unwrap().parse().unwrap()
}

/// With and without a thread of its own.
pub(super) fn connectors(server: &TestServer) -> [Connector; 2] {
    let connector = Connector::new(&server.connect_string()).unwrap();
    [connector.clone(), connector.own_thread()]
}

/// Work in flight when the runtime is shut down: it ends within a second, and every call ends with it.
// goal: N7
#[test]
fn a_runtime_with_work_in_flight_shuts_down_at_once() {
    let servers = runtime();
    let server = servers.block_on(TestServer::start()).unwrap();
    for connector in connectors(&server) {
        let clients = runtime();
        server.hold_replies(false);
        let (calls, client, stream) = clients.block_on(async {
            let client = connector.connect().await.unwrap();
            let stream = client.watch("/", WatchMode::PERSISTENT).await.unwrap();
            server.hold_replies(true);
            let calls: Vec<_> = (0..20_000).map(|_| client.get_data("/")).collect();
            tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>()).await.unwrap_err();
            (calls, client, stream)
        });
        let begun = Instant::now();
        clients.shutdown_timeout(Duration::from_secs(10));
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        servers.block_on(async {
            for call in calls {
                let end = call.await;
                assert!(matches!(end, Err(Error::Interrupted { by: Interruption::Closed, .. })), "{end:?}");
            }
            assert!(client.get_data("/").await.is_err(), "and later ones fail at once");
            drop(stream);
            client.close().await;
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        });
    }
}

/// 1,000 sessions come and go: no socket, no thread and no task of theirs is left.
#[test]
fn a_thousand_sessions_over_sockets_leave_none_open() {
    let servers = runtime();
    let server = servers.block_on(TestServer::start()).unwrap();
    let port = port(&server);
    for connector in connectors(&server) {
        let clients = runtime();
        clients.block_on(async {
            let one = connector.clone().connect().await.unwrap();
            assert_eq!(sockets(port), 2, "the count sees both ends");
            one.close().await;
            for _ in 0..1_000 {
                let client = connector.clone().connect().await.unwrap();
                client.exists("/").await.unwrap();
                client.close().await;
            }
        });
        let patience = Instant::now() + Duration::from_secs(10);
        // A thread that receives holds its socket.
        let left = || (sockets(port), clients.metrics().num_alive_tasks(), server.sessions().len());
        while left() != (0, 0, 0) && Instant::now() < patience {
            std::thread::yield_now();
        }
        assert_eq!(left(), (0, 0, 0));
    }
}
