//! Which server is tried next, and when.
//!
//! Hosts are shuffled once and tried in turn, names are resolved at each attempt and every address is
//! tried; between attempts lies a back-off with full jitter, except before the very first. Knows nothing of sessions, and of
//! ZooKeeper only what a failed attempt said.

use crate::{
    connect_string::HostPort,
    dial::{Dial, Transport},
    error::{Attempt, Unreachable},
};
mod rebalancing;

use rebalancing::Move;
use std::{collections::VecDeque, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use zk_proto::Zxid;

/// The longest pause before the first attempt after a lost connection; doubles with each failed one.
pub(crate) const BACKOFF_BASE: Duration = Duration::from_millis(250);

/// No pause is longer.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Rounds in which every server closed without an answer before operations that wait without a session are told.
const ROUNDS_BEHIND_MAX: u32 = 5;

/// The least patience for one attempt to connect, however many hosts share the session timeout.
const PATIENCE_MIN: Duration = Duration::from_millis(500);

/// The list of servers and how they fared.
#[derive(Debug)]
pub(crate) struct Hosts {
    order: Vec<HostPort>,
    at: usize,
    /// Addresses of the current host that were not tried yet.
    addrs: VecDeque<SocketAddr>,
    /// Attempts failed since the last connection.
    failures: u32,
    /// Hosts of which every address failed since the last connection, each time counted.
    turns: usize,
    fresh: bool,
    /// The connection is given up for a better place, which is the front of the list.
    is_moving: bool,
    /// How often every host has failed since the last connection.
    pub(crate) rounds: u32,
    attempts: Vec<Attempt>,
    /// How many of the failures since the last connection were servers that may be behind us, and behind what.
    behind: (u32, Zxid),
}

/// What an attempt brought.
pub(crate) struct Attempted {
    pub(crate) server: String,
    /// Addresses of the host that are still to be tried.
    rest: VecDeque<SocketAddr>,
    pub(crate) result: io::Result<(SocketAddr, Box<dyn Transport>)>,
}

/// An attempt under way.
pub(crate) type Attempting = Pin<Box<dyn Future<Output = Attempted> + Send>>;

impl Hosts {
    pub(crate) fn new(mut order: Vec<HostPort>) -> Self {
        fastrand::shuffle(&mut order);
        Self {
            order,
            at: 0,
            addrs: VecDeque::new(),
            failures: 0,
            turns: 0,
            fresh: true,
            is_moving: false,
            rounds: 0,
            attempts: Vec::new(),
            behind: (0, Zxid(0)),
        }
    }

    /// How long one attempt may take: the hosts share the session timeout.
    pub(crate) fn patience(&self, session_timeout: Duration) -> Duration {
        let hosts = u32::try_from(self.order.len().max(1)).unwrap_or(u32::MAX);
        (session_timeout / hosts).max(PATIENCE_MIN)
    }

    /// Starts the next attempt, pause included.
    pub(crate) fn attempt(&mut self, dial: Arc<dyn Dial>, patience: Duration) -> Attempting {
        let pause = self.pause(patience);
        let host = self.order.get(self.at).cloned();
        let addrs = std::mem::take(&mut self.addrs);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            let Some(host) = host else {
                let result = Err(io::Error::other("no hosts"));
                return Attempted { server: String::new(), rest: VecDeque::new(), result };
            };
            let (server, rest, result) = one_attempt(&*dial, &host, addrs, patience).await;
            Attempted { server, rest, result }
        })
    }

    /// The back-off before the next attempt: anything between zero and a bound that doubles. Pauses before all hosts
    /// together take half the session timeout at most, so that no session expires because we slept.
    fn pause(&mut self, patience: Duration) -> Duration {
        if std::mem::take(&mut self.fresh) {
            return Duration::ZERO;
        }
        let bound = BACKOFF_BASE.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX).min(patience / 2);
        bound.mul_f64(fastrand::f64())
    }

    /// The transport stands; its host's other addresses are kept for the case that it leads nowhere.
    pub(crate) fn dialed(&mut self, attempted: &mut Attempted) {
        self.addrs = std::mem::take(&mut attempted.rest);
    }

    /// An attempt failed, before or after its transport stood.
    pub(crate) fn failed(&mut self, server: String, why: String) {
        self.failures = self.failures.saturating_add(1);
        self.attempts.retain(|attempt| attempt.server != server);
        self.attempts.push(Attempt { server, why });
        if self.addrs.is_empty() {
            self.next_host();
            self.turns += 1;
            if self.turns.is_multiple_of(self.order.len().max(1)) {
                self.rounds += 1;
            }
        }
    }

    /// A server has taken us.
    pub(crate) fn established(&mut self) {
        self.failures = 0;
        self.turns = 0;
        self.rounds = 0;
        self.attempts.clear();
        self.behind.0 = 0;
        self.addrs.clear();
    }

    /// Another list. Whether the connection is to be given up, if there is one; those that are to be tried then come first.
    pub(crate) fn update(&mut self, mut servers: Vec<HostPort>, is_connected: bool) -> bool {
        fastrand::shuffle(&mut servers);
        let before = std::mem::take(&mut self.order);
        let (mut kept, mut added): (Vec<_>, Vec<_>) = servers.into_iter().partition(|server| before.contains(server));
        let current = before.get(self.at).filter(|_| is_connected);
        let is_kept = current.is_some_and(|current| kept.contains(current));
        let decision = rebalancing::decide(before.len(), kept.len(), added.len(), is_kept, fastrand::f64());
        if decision == Move::Added {
            added.append(&mut kept);
            self.order = added;
        } else {
            kept.append(&mut added);
            self.order = kept;
        }
        if !is_connected {
            fastrand::shuffle(&mut self.order);
        }
        let stays = current.filter(|_| decision == Move::Stay);
        self.at = stays.and_then(|current| self.order.iter().position(|server| server == current)).unwrap_or(0);
        self.addrs.clear();
        self.is_moving = is_connected && stays.is_none();
        self.fresh = !is_connected;
        self.is_moving
    }

    /// The connection to it is lost: begin with another one.
    pub(crate) fn lost(&mut self) {
        if std::mem::take(&mut self.is_moving) {
            self.fresh = true;
        } else {
            self.next_host();
        }
        self.rounds = 0;
    }

    fn next_host(&mut self) {
        self.at += 1;
        if self.at >= self.order.len() {
            self.at = 0;
        }
    }

    /// The attempt that is about to fail was closed without an answer, after the server was told this zxid.
    pub(crate) fn unanswered(&mut self, last_zxid: Zxid) {
        if last_zxid > Zxid(0) {
            self.behind = (self.behind.0.saturating_add(1), last_zxid);
        }
    }

    /// What every server may be behind, if all attempts since the last connection say so.
    fn behind(&self) -> Option<Zxid> {
        (self.failures > 0 && self.behind.0 == self.failures).then_some(self.behind.1)
    }

    /// Whether that is so for longer than an election takes all servers away.
    pub(crate) fn is_stuck(&self) -> bool {
        self.rounds >= ROUNDS_BEHIND_MAX && self.behind().is_some()
    }

    pub(crate) fn unreachable(&self) -> Unreachable {
        Unreachable { attempts: self.attempts.clone(), behind: self.behind() }
    }
}

async fn one_attempt(
    dial: &dyn Dial,
    host: &HostPort,
    mut addrs: VecDeque<SocketAddr>,
    patience: Duration,
) -> (String, VecDeque<SocketAddr>, io::Result<(SocketAddr, Box<dyn Transport>)>) {
    let too_slow =
        |what: &str| io::Error::new(io::ErrorKind::TimedOut, format!("{what} took longer than {patience:?}"));
    if addrs.is_empty() {
        match tokio::time::timeout(patience, dial.resolve(host)).await {
            Ok(Ok(resolved)) => addrs = resolved.into(),
            Ok(Err(error)) => {
                let error = io::Error::new(error.kind(), format!("the name does not resolve: {error}"));
                return (host.to_string(), addrs, Err(error));
            }
            Err(_) => return (host.to_string(), addrs, Err(too_slow("resolving the name"))),
        }
    }
    let Some(addr) = addrs.pop_front() else {
        return (host.to_string(), addrs, Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    };
    let server = if host.host.parse() == Ok(addr.ip()) { host.to_string() } else { format!("{host} ({addr})") };
    match tokio::time::timeout(patience, dial.dial(host, addr)).await {
        Ok(Ok(transport)) => (server, addrs, Ok((addr, transport))),
        Ok(Err(error)) => (server, addrs, Err(error)),
        Err(_) => (server, addrs, Err(too_slow("connecting"))),
    }
}
