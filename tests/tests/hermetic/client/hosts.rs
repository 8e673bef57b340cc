//! Which servers are tried, in what order of addresses, and how long one that hangs holds others up.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::stage::{AT_ONCE, Stage, ready, refused, until_connected, until_suspended, within};
use tokio::time::Instant;
use zk_client::{Connector, Dial, Dialed, Error, HostPort, Transport};
use zk_testkit::server::TestEnsemble;

/// Names and addresses as a test says; one address leads to the server, all others refuse.
#[derive(Clone)]
struct Net(Arc<Mutex<State>>);

struct State {
    server: Stage,
    /// The address at which the server is.
    at: SocketAddr,
    names: BTreeMap<&'static str, Vec<SocketAddr>>,
    /// Addresses to which packets vanish.
    hanging: BTreeSet<SocketAddr>,
    resolved: Vec<String>,
    dialed: Vec<SocketAddr>,
}

fn addr(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 2181))
}

impl Net {
    async fn new(at: u8, names: &[(&'static str, &[u8])]) -> Self {
        let names = names.iter().map(|(name, numbers)| (*name, numbers.iter().map(|n| addr(*n)).collect())).collect();
        let (hanging, resolved, dialed) = (BTreeSet::new(), Vec::new(), Vec::new());
        let server = Stage::start().await;
        Self(Arc::new(Mutex::new(State { server, at: addr(at), names, hanging, resolved, dialed })))
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().unwrap())
    }

    fn connector(&self, servers: &str) -> Connector {
        Connector::new(servers).unwrap().dial(self.clone())
    }
}

impl Dial for Net {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        let found = self.with(|state| {
            state.resolved.push(host.host.clone());
            state.names.get(host.host.as_str()).cloned()
        });
        ready(found.ok_or_else(|| std::io::Error::other("no such name")))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let is_hanging = self.with(|state| state.hanging.contains(&addr));
        if is_hanging {
            self.with(|state| state.dialed.push(addr));
            return Box::pin(std::future::pending());
        }
        ready(self.with(|state| {
            state.dialed.push(addr);
            let pipe = || Box::new(state.server.pipe()) as Box<dyn Transport>;
            if addr == state.at { Ok(pipe()) } else { Err(refused()) }
        }))
    }
}

// goal: N8
#[tokio::test(start_paused = true)]
async fn names_are_resolved_at_each_attempt() {
    let net = Net::new(1, &[("zk", &[1, 3])]).await;
    let client = within(net.connector("zk").connect()).await.unwrap();
    let session = client.session_id();
    // The server moves to another address, as in Kubernetes.
    net.with(|state| {
        state.at = addr(2);
        state.server.drop_connections();
    });
    until_suspended(&client).await;
    net.with(|state| state.names.insert("zk", vec![addr(2)]));
    until_connected(&client).await;
    assert_eq!(client.session_id(), session);
    net.with(|state| assert_eq!(state.dialed, [addr(1), addr(2)], "what was resolved before is forgotten"));
}

// goal: N8
#[tokio::test(start_paused = true)]
async fn every_address_of_a_name_is_tried() {
    let net = Net::new(3, &[("zk", &[1, 2, 3])]).await;
    within(net.connector("zk").connect()).await.unwrap();
    net.with(|state| {
        assert_eq!(state.dialed, [addr(1), addr(2), addr(3)]);
        assert_eq!(state.resolved, ["zk"], "asked once for a round of addresses");
    });
}

/// Packets to some addresses vanish: each costs a quarter of a second and not the patience of an attempt.
// goal: N8
#[tokio::test(start_paused = true)]
async fn an_address_that_hangs_gives_the_next_one_a_start_after_a_quarter_of_a_second() {
    let net = Net::new(4, &[("zk", &[1, 2, 3, 4])]).await;
    net.with(|state| state.hanging = [addr(1), addr(3)].into());
    let start = Instant::now();
    let client = within(net.connector("zk").connect()).await.unwrap();
    let took = start.elapsed();
    let allowed = Duration::from_millis(500)..Duration::from_millis(510);
    assert!(allowed.contains(&took), "two hang, one refuses at once: {took:?}");
    net.with(|state| {
        assert_eq!(state.dialed, [addr(1), addr(2), addr(3), addr(4)]);
        assert_eq!(state.server.connections().len(), 1, "the first to stand wins");
    });
    assert_eq!(client.unreachable().attempts, [], "a connection that stands has no failures");
}

/// All of them hang: the attempt ends with the patience for one host, and the next host has its turn.
// goal: N8
#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_as_a_whole_costs_its_share_of_the_session_timeout() {
    for _ in 0..10 {
        let net = Net::new(9, &[("dead", &[1, 2, 3]), ("alive", &[9])]).await;
        net.with(|state| state.hanging = [addr(1), addr(2), addr(3)].into());
        let connector = net.connector("dead,alive").session_timeout(Duration::from_secs(6));
        let start = Instant::now();
        within(connector.connect()).await.unwrap();
        let took = start.elapsed();
        let is_first = net.with(|state| state.dialed.first() == Some(&addr(9)));
        let allowed = if is_first { Duration::ZERO } else { Duration::from_secs(2) };
        assert!(took >= allowed && took < allowed + Duration::from_millis(300), "{took:?}");
    }
}

/// More addresses hang than can be started in the patience for one host: the rest come next, before any is tried twice.
// goal: N8
#[tokio::test(start_paused = true)]
async fn no_address_is_tried_twice_before_every_other_was_tried() {
    let many: Vec<u8> = (1..=20).collect();
    let net = Net::new(99, &[("zk", &many)]).await;
    net.with(|state| state.hanging = many.iter().copied().map(addr).collect());
    let connector = net.connector("zk").session_timeout(Duration::from_secs(2)).connect_timeout(Duration::ZERO);
    let failed = within(connector.connect()).await;
    let Err(Error::Unreachable(unreachable)) = failed else { panic!("{failed:?}") };
    assert_eq!(unreachable.attempts.len(), 20, "{unreachable}");
    net.with(|state| {
        assert_eq!(state.dialed[..20].iter().copied().collect::<BTreeSet<_>>().len(), 20, "{:?}", state.dialed);
        assert_eq!(state.resolved.len(), 1);
    });
}

/// A resolver that gives a million addresses costs one attempt 64 of them, and the next host has its turn.
// goal: N8
#[tokio::test(start_paused = true)]
async fn of_a_name_with_a_million_addresses_the_first_64_are_tried() {
    let net = Net::new(9, &[("a", &[1])]).await;
    let million: Vec<_> =
        (0..1_000_000_u32).map(|n| SocketAddr::from(((n + (11 << 24)).to_be_bytes(), 2181))).collect();
    net.with(|state| state.names.insert("zk", million.clone()));
    let failed = within(net.connector("zk,a").connect_timeout(Duration::ZERO).connect()).await;
    let Err(Error::Unreachable(unreachable)) = failed else { panic!("{failed:?}") };
    assert_eq!(unreachable.attempts.len(), 65, "{unreachable}");
    let dialed = net.with(|state| state.dialed.clone());
    let theirs: Vec<_> = dialed.into_iter().filter(|dialed| *dialed != addr(1)).collect();
    assert_eq!(theirs, million[..64]);
}

/// A name that does not resolve, and one without an address, do not hide the others.
#[tokio::test(start_paused = true)]
async fn names_that_lead_nowhere_are_passed_over() {
    for _ in 0..20 {
        let net = Net::new(1, &[("empty", &[]), ("zk", &[1])]).await;
        within(net.connector("none,empty,zk").connect_timeout(Duration::ZERO).connect()).await.unwrap();
    }
}

/// Even with no patience at all, `connect` tries every server before it gives up, whatever the number of addresses.
#[tokio::test(start_paused = true)]
async fn every_server_is_tried_before_connect_gives_up() {
    for _ in 0..50 {
        let net = Net::new(9, &[("many", &[1, 2, 3, 4]), ("right", &[9])]).await;
        let connected = within(net.connector("many,right").connect_timeout(Duration::ZERO).connect()).await;
        connected.unwrap_or_else(|error| panic!("{error}"));
    }
    let net = Net::new(9, &[("a", &[1, 2]), ("b", &[3])]).await;
    let failed = within(net.connector("a,b").connect_timeout(Duration::ZERO).connect()).await;
    let Err(Error::Unreachable(unreachable)) = failed else { panic!("{failed:?}") };
    let tried: BTreeSet<_> = unreachable.attempts.iter().map(|attempt| attempt.server.as_str()).collect();
    let all = ["a:2181 (10.0.0.1:2181)", "a:2181 (10.0.0.2:2181)", "b:2181 (10.0.0.3:2181)"];
    assert_eq!(tried, BTreeSet::from(all));
}

/// 300 clients of three servers: no server is everybody's first.
#[tokio::test(start_paused = true)]
async fn the_first_server_is_chosen_by_chance() {
    let net = Net::new(9, &[("a", &[1]), ("b", &[2]), ("c", &[3])]).await;
    for _ in 0..300 {
        drop(within(net.connector("a,b,c").connect_timeout(Duration::ZERO).connect()).await);
    }
    let mut firsts = BTreeMap::<_, usize>::new();
    net.with(|state| state.dialed.chunks(3).for_each(|round| *firsts.entry(round[0]).or_default() += 1));
    assert!(firsts.len() == 3 && firsts.values().all(|count| *count > 50), "{firsts:?}");
}

/// Over real sockets: the session moves to another server when its own is stopped.
#[tokio::test]
async fn a_session_moves_to_another_server() {
    let ensemble = TestEnsemble::start(3).await.unwrap();
    let connector = Connector::new(&ensemble.connect_string()).unwrap().reconnect_spread(AT_ONCE);
    let client = within(connector.connect()).await.unwrap();
    let session = client.session_id().unwrap();
    for _ in 0..3 {
        let member = ensemble.members()[0].connections()[0].member;
        ensemble.members()[member].stop().await;
        until_suspended(&client).await;
        until_connected(&client).await;
        assert_eq!(client.session_id(), Some(session));
        assert_ne!(ensemble.members()[0].connections()[0].member, member);
        ensemble.members()[member].start_again().await.unwrap();
    }
}
