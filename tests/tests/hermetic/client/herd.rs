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
async fn comeback(outage: Duration) -> Vec<(Duration, bool)> {
    let net = Watched { server: Stage::start().await, open: Arc::new(AtomicBool::new(true)), attempts: Arc::default() };
    let connector = Connector::new("zk1,zk2,zk3").unwrap().session_timeout(Duration::from_secs(40)).dial(net.clone());
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
    let times: Vec<Duration> = comeback(Duration::ZERO).await.into_iter().map(|(at, _)| at).collect();
    assert_eq!(times.len(), CLIENTS, "one attempt each");
    for tenth in 0..10 {
        let of = |at: &&Duration| at.as_millis() / 25 == tenth;
        let share = times.iter().filter(of).count();
        assert!((50..200).contains(&share), "{share} of {CLIENTS} in tenth {tenth}");
    }
}

// goal: N10
#[tokio::test(start_paused = true)]
async fn after_an_outage_no_tenth_of_a_second_has_more_than_a_twentieth_of_the_clients() {
    let attempts = comeback(Duration::from_secs(10)).await;
    let met: Vec<Duration> = attempts.iter().filter(|(_, open)| *open).map(|(at, _)| *at).collect();
    assert_eq!(met.len(), CLIENTS, "one attempt each");
    let share = fullest(met.iter().copied());
    assert!(share < 0.05, "{:.1} % in one bucket", share * 100.0);
    assert!(*met.last().unwrap() < Duration::from_secs(21), "the pause has a cap");
    assert!(attempts.len() < 12 * CLIENTS, "{} attempts in ten seconds", attempts.len());
}
