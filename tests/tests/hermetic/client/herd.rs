//! How a thousand clients come back: nobody is hit by all of them at once.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::stage::{Stage, pass, ready, refused, until_connected, until_suspended, within};
use tokio::time::Instant;
use zk_client::{Client, Connector, Dial, Dialed, HostPort, Transport};

const CLIENTS: usize = 1_000;

/// What the goal counts in.
const BUCKET: Duration = Duration::from_millis(100);

/// Reaches the server while there is a way, and notes the time of each attempt.
#[derive(Clone)]
struct Watched {
    server: Stage,
    open: Arc<AtomicBool>,
    attempts: Arc<Mutex<Vec<(Instant, bool)>>>,
}

impl Watched {
    async fn start() -> Self {
        Self { server: Stage::start().await, open: Arc::new(AtomicBool::new(true)), attempts: Arc::default() }
    }
}

impl Dial for Watched {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec![self.server.addr()]))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let open = self.open.load(Ordering::Relaxed);
        self.attempts.lock().unwrap().push((Instant::now(), open));
        ready(if open { Ok(Box::new(self.server.pipe()) as Box<dyn Transport>) } else { Err(refused()) })
    }
}

/// A thousand clients lose their connections; the server is back after an outage. Gives the attempts since, with
/// whether they met a server.
async fn comeback(connector: Connector, seed: u64, outage: Duration) -> Vec<(Duration, bool)> {
    // Every client is in this thread. Chance makes the fullest of some hundred tenths of a second too full now and then.
    fastrand::seed(seed);
    let net = Watched::start().await;
    let connector = connector.dial(net.clone());
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(within(connector.clone().connect()).await.unwrap());
    }
    net.attempts.lock().unwrap().clear();
    let start = Instant::now();
    net.open.store(outage.is_zero(), Ordering::Relaxed);
    net.server.drop_connections();
    pass(outage.max(Duration::from_millis(1))).await;
    net.open.store(true, Ordering::Relaxed);
    for client in &clients {
        until_connected(client).await;
    }
    let attempts = net.attempts.lock().unwrap();
    attempts.iter().map(|(at, open)| (*at - start, *open)).collect()
}

/// The connector of everybody where the session timeout is no matter.
fn patient(servers: &str) -> Connector {
    Connector::new(servers).unwrap().session_timeout(Duration::from_secs(40))
}

/// When each of a thousand clients came back after all connections were cut and the servers stayed up.
async fn cut(connector: Connector, seed: u64) -> Vec<Duration> {
    let times: Vec<Duration> = comeback(connector, seed, Duration::ZERO).await.into_iter().map(|(at, _)| at).collect();
    assert_eq!(times.len(), CLIENTS, "one attempt each");
    times
}

/// The share of the fullest bucket.
fn fullest(times: impl Iterator<Item = Duration>) -> f64 {
    let mut buckets = std::collections::BTreeMap::<u128, usize>::new();
    times.for_each(|at| *buckets.entry(at.as_nanos() / BUCKET.as_nanos()).or_default() += 1);
    let (most, all) = (buckets.values().max().unwrap(), buckets.values().sum::<usize>());
    *most as f64 / all as f64
}

/// A switch restarts: all connections are cut, the servers stay up. With the session timeout of who says nothing, too.
// goal: N10
#[tokio::test(start_paused = true)]
async fn where_all_connections_are_cut_no_tenth_of_a_second_has_more_than_a_twentieth_of_the_clients() {
    for servers in ["zk1", "zk1,zk2,zk3", "zk1,zk2,zk3,zk4,zk5"] {
        for seed in 0..3 {
            let connector = if seed % 2 == 0 { patient(servers) } else { Connector::new(servers).unwrap() };
            let times = cut(connector, seed).await;
            let (share, last) = (fullest(times.iter().copied()), *times.iter().max().unwrap());
            println!("{servers}, seed {seed}: {:.1} % in the fullest, the last after {last:?}", share * 100.0);
            assert!(share <= 0.05, "{servers}, seed {seed}: {:.1} % in one bucket", share * 100.0);
            assert!(last < Duration::from_millis(3_510), "{servers}, seed {seed}: {last:?}");
        }
    }
}

/// Whoever wants to be back sooner says how far clients spread, and they use all of it.
// goal: N10
#[tokio::test(start_paused = true)]
async fn clients_spread_as_far_as_they_are_told() {
    for (spread_ms, session_s) in [(250, 40), (10_000, 40), (0, 40), (3_500, 4)] {
        let spread = Duration::from_millis(spread_ms);
        let connector = patient("zk1,zk2,zk3").session_timeout(Duration::from_secs(session_s)).reconnect_spread(spread);
        let times = cut(connector, spread_ms).await;
        // Never longer than half of what the session has left.
        let whole = spread.min(Duration::from_secs(session_s) / 2);
        let last = *times.iter().max().unwrap();
        assert!(last <= whole + Duration::from_millis(1), "{spread:?}: {last:?}");
        for tenth in (0..10).filter(|_| !whole.is_zero()) {
            let of = |at: &&Duration| at.as_micros() * 10 / whole.as_micros() == tenth;
            let share = times.iter().filter(of).count();
            assert!((50..200).contains(&share), "{spread:?}: {share} of {CLIENTS} in tenth {tenth}");
        }
    }
}

/// A server falls silent, which is noticed when a third of the session is left, and all servers count from before. However far
/// clients are told to spread, they go on with their sessions.
// goal: N10
#[tokio::test(start_paused = true)]
async fn no_session_expires_because_its_client_waits_for_its_turn() {
    let server = Stage::start().await;
    for _ in 0..40 {
        let connector = server.connector().session_timeout(Duration::from_secs(10)).renew_session(false);
        let client = within(connector.reconnect_spread(Duration::from_secs(60)).connect()).await.unwrap();
        let session = client.session_id();
        server.black_hole(true);
        until_suspended(&client).await;
        server.black_hole(false);
        until_connected(&client).await;
        assert_eq!(client.session_id(), session);
    }
}

/// An ensemble, or a server, restarts. That takes longer than the first attempts, so that these meet nobody; the next ones are
/// spread, whenever the servers come back, as long as sessions have a third of their time left.
// goal: N10
#[tokio::test(start_paused = true)]
async fn after_a_restart_no_tenth_of_a_second_has_more_than_a_twentieth_of_the_clients() {
    for (servers, session_s, outage_ms) in [
        ("zk1,zk2,zk3", 10, 1_000),
        ("zk1", 40, 500),
        ("zk1", 40, 1_500),
        ("zk1,zk2,zk3", 40, 3_000),
        ("zk1", 10, 3_000),
        ("zk1,zk2,zk3", 10, 3_400),
        ("zk1", 10, 4_200),
        ("zk1,zk2,zk3", 10, 5_000),
        ("zk1,zk2,zk3", 10, 6_000),
        ("zk1", 10, 6_500),
        ("zk1,zk2,zk3,zk4,zk5", 40, 5_000),
        ("zk1,zk2,zk3", 40, 10_000),
    ] {
        let connector = patient(servers).session_timeout(Duration::from_secs(session_s));
        let attempts = comeback(connector, 10, Duration::from_millis(outage_ms)).await;
        let met: Vec<Duration> = attempts.iter().filter(|(_, open)| *open).map(|(at, _)| *at).collect();
        assert_eq!(met.len(), CLIENTS, "one attempt each");
        let share = fullest(met.iter().copied());
        let last = *met.iter().max().unwrap() - Duration::from_millis(outage_ms);
        println!("{servers}, {outage_ms} ms: {:.1} % in the fullest, the last after {last:?}", share * 100.0);
        assert!(share <= 0.05, "{servers}, {outage_ms} ms: {:.1} % in one bucket", share * 100.0);
        assert!(last < Duration::from_secs(11), "{servers}, {outage_ms} ms: the pause has a cap, not {last:?}");
        assert!(attempts.len() < 20 * CLIENTS, "{} attempts in {outage_ms} ms", attempts.len());
    }
}

/// Sessions have less left than that, and the servers, who could not be reached, have counted on: clients come closer together,
/// and none is late. A session lost is a new session, its ephemerals and its watches: a greater herd.
// goal: N10
#[tokio::test(start_paused = true)]
async fn where_sessions_have_little_left_no_client_is_late() {
    for outage_ms in [7_000, 9_000] {
        let connector = Connector::new("zk1,zk2,zk3").unwrap().session_timeout(Duration::from_secs(10));
        let attempts = comeback(connector.renew_session(false), 10, Duration::from_millis(outage_ms)).await;
        // Whoever loses its session is not renewed, and `comeback` would have waited for it in vain.
        let met: Vec<Duration> = attempts.iter().filter(|(_, open)| *open).map(|(at, _)| *at).collect();
        assert_eq!(met.len(), CLIENTS, "one attempt each");
        println!("{outage_ms} ms: {:.1} % in the fullest", fullest(met.into_iter()) * 100.0);
    }
}

/// Rounds take time, where a host is slow to fail. That is counted: the pause leaves time for the round behind it.
#[tokio::test(start_paused = true)]
async fn no_session_expires_because_hosts_are_slow_to_fail() {
    fastrand::seed(11);
    for run in 0..100 {
        let net = Watched::start().await;
        let connector = Connector::new("zk1,slow").unwrap().session_timeout(Duration::from_secs(10));
        let client = within(connector.renew_session(false).dial(OneIsSlow(net.clone())).connect()).await.unwrap();
        let session = client.session_id();
        net.open.store(false, Ordering::Relaxed);
        net.server.drop_connections();
        pass(Duration::from_secs(6)).await;
        net.open.store(true, Ordering::Relaxed);
        until_connected(&client).await;
        assert_eq!(client.session_id(), session, "run {run}");
    }
}

/// Another server is asked, too, and never reached, which takes a second to show.
#[derive(Clone)]
struct OneIsSlow(Watched);

impl Dial for OneIsSlow {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        self.0.resolve(host)
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        if host.host != "slow" {
            return self.0.dial(host, addr);
        }
        Box::pin(async {
            pass(Duration::from_secs(1)).await;
            Err(refused())
        })
    }
}

/// One of three servers dies, and the next one that is asked, too: whoever was there finds the third within the one pause, which
/// is short for who says so.
// goal: N10
#[tokio::test(start_paused = true)]
async fn where_one_server_of_three_dies_another_is_found_in_a_quarter_of_a_second() {
    let mut times = Vec::new();
    for _ in 0..300 {
        let net = OneDies { server: Stage::start().await, dead: Arc::default() };
        let connector = Connector::new("zk1,zk2,zk3").unwrap().reconnect_spread(Duration::from_millis(250));
        let client = within(connector.dial(net.clone()).connect()).await.unwrap();
        let start = Instant::now();
        net.server.drop_connections();
        until_suspended(&client).await;
        until_connected(&client).await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("fail-over: median {:?}, 99 of 100 {:?}, worst {:?}", times[150], times[297], times[299]);
    assert!(times[150] < Duration::from_millis(200), "median {:?}", times[150]);
    assert!(times[299] < Duration::from_millis(260), "worst {:?}", times[299]);
}

/// The first server that is used is dead afterwards, and so is the next one that is asked.
#[derive(Clone)]
struct OneDies {
    server: Stage,
    dead: Arc<Mutex<Vec<String>>>,
}

impl Dial for OneDies {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec![self.server.addr()]))
    }

    fn dial<'a>(&'a self, host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let mut dead = self.dead.lock().unwrap();
        let is_first = dead.is_empty();
        let is_dead = !is_first && dead.len() < 2;
        if is_first || is_dead {
            dead.push(host.host.clone());
        }
        ready(if is_dead { Err(refused()) } else { Ok(Box::new(self.server.pipe()) as Box<dyn Transport>) })
    }
}
