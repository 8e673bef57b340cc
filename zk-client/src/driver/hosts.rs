//! Which server is tried next, and when.
//!
//! Hosts are shuffled once and tried in turn, names are resolved at each attempt and every address is tried. Knows nothing of
//! sessions, and of ZooKeeper only what a failed attempt said.

use crate::{
    connect_string::{DNS_SRV, HostPort, Servers},
    dial::{Dial, Transport},
    error::{Attempt, Unreachable},
};
mod pauses;
pub(super) mod racing;
mod rebalancing;
mod srv;

pub(crate) use pauses::RECONNECT_SPREAD;
use pauses::{Pause, Pauses};
use rebalancing::Move;
use std::{collections::VecDeque, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use zk_proto::Zxid;

/// Rounds in which every server closed without an answer before operations that wait without a session are told.
const ROUNDS_BEHIND_MAX: u32 = 5;

/// Addresses whose failure is kept to be told. A name may lead to others each time, for as long as an outage lasts.
const ATTEMPTS_MAX: usize = 100;

/// The list of servers and how they fared.
#[derive(Debug)]
pub(crate) struct Hosts {
    order: Vec<HostPort>,
    at: usize,
    /// The DNS service whose servers these are.
    service: Option<String>,
    /// It is asked before the next attempt.
    is_asking: bool,
    /// The servers that the user named, while the list is the ensemble's.
    named: Option<Vec<HostPort>>,
    /// Addresses of the current host that were not tried yet.
    addrs: VecDeque<SocketAddr>,
    /// Addresses, or names that led to none, that failed since the last connection, each time counted.
    failures: u32,
    /// Hosts of which every address failed since the last connection, each time counted.
    turns: usize,
    pauses: Pauses,
    /// The connection is given up for a better place, which is the front of the list.
    is_moving: bool,
    /// How often every host has failed since the last connection.
    pub(crate) rounds: u32,
    attempts: Vec<Attempt>,
    /// How many of the failures since the last connection were servers that may be behind us, and behind what.
    behind: (u32, Zxid),
}

/// What an attempt on a host brought.
pub(crate) struct Attempted {
    /// The host with the address that was reached, the address, and the way to it.
    pub(crate) stands: Option<(String, SocketAddr, Box<dyn Transport>)>,
    /// What was tried in vain.
    failed: Vec<Attempt>,
    /// Addresses of the host that are still to be tried.
    rest: VecDeque<SocketAddr>,
    /// The servers that the service has now; the first of them was tried.
    servers: Option<Vec<HostPort>>,
}

/// An attempt under way.
pub(crate) type Attempting = Pin<Box<dyn Future<Output = Attempted> + Send>>;

impl Hosts {
    pub(crate) fn new(servers: Servers, spread: Duration) -> Self {
        let (mut order, service) = match servers {
            Servers::Listed(order) => (order, None),
            Servers::Service(name) => (Vec::new(), Some(name)),
        };
        fastrand::shuffle(&mut order);
        Self {
            order,
            is_asking: service.is_some(),
            service,
            at: 0,
            named: None,
            addrs: VecDeque::new(),
            failures: 0,
            turns: 0,
            pauses: Pauses::new(spread),
            is_moving: false,
            rounds: 0,
            attempts: Vec::new(),
            behind: (0, Zxid(0)),
        }
    }

    /// How long one attempt may take to connect, and then again to be taken by the server.
    pub(crate) fn patience(&self, session_timeout: Duration, left: Option<Duration>) -> Duration {
        pauses::patience(session_timeout, self.order.len(), left)
    }

    /// Starts the next attempt, pause included. `left` is what a session has to live at least that waits for a server.
    pub(crate) fn attempt(
        &mut self,
        dial: Arc<dyn Dial>,
        session_timeout: Duration,
        left: Option<Duration>,
    ) -> Attempting {
        let pause = self.pauses.take(session_timeout, left, self.rounds);
        let left = left.map(|left| left.saturating_sub(pause));
        let mut patience = self.patience(session_timeout, left);
        if self.is_between_rounds() {
            self.pauses.round_begins(pause);
        }
        let mut host = self.order.get(self.at).cloned();
        let rest = std::mem::take(&mut self.addrs);
        let asks = std::mem::take(&mut self.is_asking) || self.order.is_empty();
        let service = self.service.clone().filter(|_| asks);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            let (mut servers, mut no_service) = (None, None);
            if let Some(name) = service {
                match ask(&*dial, &name, patience).await {
                    Ok(order) => {
                        host = order.first().cloned();
                        patience = pauses::patience(session_timeout, order.len(), left);
                        servers = Some(order);
                    }
                    Err(why) => no_service = Some(Attempt { server: format!("{DNS_SRV}{name}"), why }),
                }
            }
            let mut attempted = match host {
                Some(host) => racing::attempt(&*dial, &host, rest, patience).await,
                None => Attempted { stands: None, failed: Vec::new(), rest: VecDeque::new(), servers: None },
            };
            attempted.failed.extend(no_service);
            Attempted { servers, ..attempted }
        })
    }

    /// An attempt came to an end; addresses that were not tried are kept for the case that its transport leads nowhere.
    pub(crate) fn dialed(&mut self, attempted: &mut Attempted) {
        self.addrs = std::mem::take(&mut attempted.rest);
        if let Some(servers) = attempted.servers.take() {
            self.order = servers;
            (self.at, self.turns) = (0, 0);
        }
        for Attempt { server, why } in attempted.failed.drain(..) {
            self.note(server, why);
        }
    }

    /// An address or a name failed.
    pub(crate) fn note(&mut self, server: String, why: String) {
        tracing::debug!(server, why, "attempt to connect failed");
        self.failures = self.failures.saturating_add(1);
        self.attempts.retain(|attempt| attempt.server != server);
        if self.attempts.len() >= ATTEMPTS_MAX {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt { server, why });
    }

    /// No host of the next round has failed yet.
    fn is_between_rounds(&self) -> bool {
        self.turns.is_multiple_of(self.order.len().max(1))
    }

    /// An attempt failed, before or after its transport stood.
    pub(crate) fn failed(&mut self) {
        if self.addrs.is_empty() {
            self.next_host();
            self.turns += 1;
            if self.is_between_rounds() {
                self.rounds += 1;
                self.is_asking = true;
                self.fall_back();
                self.pauses.next = Pause::Round;
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

    /// The ensemble says who its servers are, `peer` being the one that serves us. Whether the connection is to be given up, as
    /// in [`update`](Self::update); `None` when nothing changes. Nobody moves for the first list: that it calls servers
    /// otherwise than the user does is no reason to.
    pub(crate) fn follow(&mut self, servers: Vec<HostPort>, peer: Option<SocketAddr>) -> Option<bool> {
        // The server in use may be known by its name until now, and in the list by its address.
        let is_peer = |server: &&HostPort| {
            peer.is_some_and(|peer| server.port == peer.port() && server.host.parse() == Ok(peer.ip()))
        };
        if let Some(current) = self.order.get_mut(self.at)
            && !servers.contains(current)
            && let Some(same) = servers.iter().find(is_peer)
        {
            *current = same.clone();
        }
        let is_same = servers.len() == self.order.len() && servers.iter().all(|server| self.order.contains(server));
        if self.named.is_some() {
            return (!is_same).then(|| self.update(servers, peer.is_some()));
        }
        let current = self.order.get(self.at).cloned();
        self.named = Some(std::mem::replace(&mut self.order, servers));
        fastrand::shuffle(&mut self.order);
        // Who is in no list is left with the next one.
        self.order.extend(current.clone().filter(|current| !self.order.contains(current)));
        self.at = self.order.iter().position(|server| Some(server) == current.as_ref()).unwrap_or(0);
        None
    }

    /// What the user says from now on; the ensemble may say otherwise later.
    pub(crate) fn named(&mut self, servers: &[HostPort]) {
        self.service = None;
        if let Some(named) = &mut self.named {
            *named = servers.to_vec();
        }
    }

    /// No server of the ensemble's list can be reached: perhaps it names them as only they know each other.
    fn fall_back(&mut self) {
        for server in self.named.iter().flatten() {
            if !self.order.contains(server) {
                self.order.push(server.clone());
            }
        }
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
        self.pauses.next = Pause::None;
        self.is_moving
    }

    /// Everybody, in the order in which they are tried.
    pub(crate) fn list(&self) -> &[HostPort] {
        &self.order
    }

    /// The connection is to be given up for this server; the others come behind it.
    pub(crate) fn go_to(&mut self, host: &HostPort, addr: SocketAddr) {
        if let Some(at) = self.order.iter().position(|known| known == host) {
            self.at = at;
            self.addrs = [addr].into();
            self.is_moving = true;
        }
    }

    /// The connection to it is lost: begin with another one.
    pub(crate) fn lost(&mut self) {
        if std::mem::take(&mut self.is_moving) {
            self.pauses.next = Pause::None;
        } else {
            self.pauses.next = Pause::First;
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

/// Asks the DNS for the servers of a service, in the order in which they are to be tried; at least one.
async fn ask(dial: &dyn Dial, service: &str, patience: Duration) -> Result<Vec<HostPort>, String> {
    let records = match tokio::time::timeout(patience, dial.resolve_srv(service)).await {
        Ok(records) => records.map_err(|error| format!("the service does not resolve: {error}"))?,
        Err(_) => return Err(format!("resolving the service took longer than {patience:?}")),
    };
    let order = srv::in_order(records, &mut fastrand::Rng::new());
    if order.is_empty() { Err("the service has no servers".to_owned()) } else { Ok(order) }
}
