//! How a thousand clients come back: nobody is hit by all of them at once.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::stage::{Stage, pass, ready, refused, until_connected, within};
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
async fn comeback(servers: &str, outage: Duration) -> Vec<(Duration, bool)> {
    // Every client is in this thread. Chance makes the fullest of some hundred tenths of a second too full now and then.
    fastrand::seed(10);
    let net = Watched { server: Stage::start().await, open: Arc::new(AtomicBool::new(true)), attempts: Arc::default() };
    let connector = Connector::new(servers).unwrap().session_timeout(Duration::from_secs(40)).dial(net.clone());
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

/// The share of the fullest bucket.
fn fullest(times: impl Iterator<Item = Duration>) -> f64 {
    let mut buckets = std::collections::BTreeMap::<u128, usize>::new();
    times.for_each(|at| *buckets.entry(at.as_nanos() / BUCKET.as_nanos()).or_default() += 1);
    let (most, all) = (buckets.values().max().unwrap(), buckets.values().sum::<usize>());
    *most as f64 / all as f64
}

/// Nobody is told to wait for long where another server is up, and nobody moves in step with others.
// goal: N10
#[tokio::test(start_paused = true)]
async fn after_a_lost_connection_clients_come_back_at_any_time_of_the_first_quarter_second() {
    let times: Vec<Duration> = comeback("zk1,zk2,zk3", Duration::ZERO).await.into_iter().map(|(at, _)| at).collect();
    assert_eq!(times.len(), CLIENTS, "one attempt each");
    for tenth in 0..10 {
        let of = |at: &&Duration| at.as_millis() / 25 == tenth;
        let share = times.iter().filter(of).count();
        assert!((50..200).contains(&share), "{share} of {CLIENTS} in tenth {tenth}");
    }
}

/// An ensemble, or a server, restarts. That takes longer than the first attempts, so that these meet nobody; the next ones are
/// spread, whenever the servers come back.
// goal: N10
#[tokio::test(start_paused = true)]
async fn after_a_restart_no_tenth_of_a_second_has_more_than_a_twentieth_of_the_clients() {
    for (servers, outage_ms) in [
        ("zk1,zk2,zk3", 1_000),
        ("zk1", 500),
        ("zk1", 1_500),
        ("zk1,zk2,zk3", 3_000),
        ("zk1,zk2,zk3,zk4,zk5", 5_000),
        ("zk1,zk2,zk3", 10_000),
    ] {
        let attempts = comeback(servers, Duration::from_millis(outage_ms)).await;
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

/// One of three servers dies, and the next one that is asked, too: whoever was there finds the third within the one short pause.
// goal: N10
#[tokio::test(start_paused = true)]
async fn where_one_server_of_three_dies_another_is_found_in_a_quarter_of_a_second() {
    let mut times = Vec::new();
    for _ in 0..300 {
        let net = OneDies { server: Stage::start().await, dead: Arc::default() };
        let client = within(Connector::new("zk1,zk2,zk3").unwrap().dial(net.clone()).connect()).await.unwrap();
        let start = Instant::now();
        net.server.drop_connections();
        crate::stage::until_suspended(&client).await;
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
