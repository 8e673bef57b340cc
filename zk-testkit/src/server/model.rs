//! The server without its sockets: bytes and times in, bytes out. No clock, no randomness, no tasks.
//!
//! Must not know tokio. Several servers ("members") may share one model, an ensemble: what is committed is the same for
//! all, and each applies it when its [`Lag`] says so.
//!
//! # Rule
//! After **every** call that takes `now`, write what [`take_output`](Model::take_output) gives to each connection that
//! [`poll_ready`](Model::poll_ready) names, and arm a timer by [`poll_timeout`](Model::poll_timeout). Output is in the
//! order of the commits: an event always stands before a reply that could show the new state.

mod acl;
mod conn;
mod connect;
mod delta;
mod direct;
mod dispatch;
mod members;
mod observe;
mod quorum;
mod quota;
mod reads;
mod sasl;
mod scripts;
mod sessions;
mod tree;
mod txn;
mod waiting;
mod watch_ops;
mod watches;
mod words;
mod writes;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use bytes::BytesMut;
use zk_proto::{AuthId, SessionId, Zxid};

pub(super) use acl::digest_id;
pub use conn::{Close, ConnId, Output};
pub use connect::ConnectAnswer;
pub use direct::Edit;
pub use members::Lag;
pub use observe::{ConnectionInfo, RequestRecord, SessionInfo, WatchInfo, WatchedKind};
pub use quorum::Role;
pub use sasl::SaslConfig;
pub use scripts::ReplyFault;

use super::Profile;
use conn::{Conn, Phase};
use members::Member;
use observe::Log;
use quorum::Quorum;
use scripts::Refusal;
use sessions::Sessions;
use tree::Tree;
use txn::Author;

/// How long a connection may stay without a ConnectRequest (`sessionlessCnxnTimeout`).
const SESSIONLESS_LIMIT: Duration = Duration::from_secs(10);

/// What a model is made of.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The ZooKeeper to be like.
    pub profile: Profile,
    /// The unit of session deadlines.
    pub tick: Duration,
    /// The shortest and the longest session timeout; ZooKeeper's own are 2 and 20 ticks.
    pub timeout_bounds: Option<(Duration, Duration)>,
    /// The wall clock at time zero, in ms since the epoch; stamps `ctime` and `mtime`.
    pub wall_base_ms: i64,
    /// The first session's id.
    pub first_session: SessionId,
    /// The digest (`super:BASE64(..)`) that may do everything.
    pub super_digest: Option<String>,
    /// How often unused containers and outlived znodes are looked for.
    pub container_interval: Duration,
    /// DIGEST-MD5, if it is offered.
    pub sasl: Option<SaslConfig>,
    /// Without an identity of one of these schemes every request is answered -124 and the connection closed
    /// (`enforce.auth.schemes`; `sessionRequireClientSASLAuth` is `sasl`). Empty: nobody is asked.
    pub required_schemes: Vec<String>,
    /// How many servers there are; 1 is a server alone.
    pub members: usize,
    /// How long members without a leader take to have one.
    pub election: Duration,
    /// Members without a quorum serve readers (`readonlymode.enabled`).
    pub read_only_mode: bool,
    /// Whether members of an ensemble have sessions of their own.
    pub local_sessions: LocalSessions,
    /// Hard limits of quotas are enforced (`enforceQuota`, since 3.7).
    pub enforce_quota: bool,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            tick: Duration::from_secs(2),
            timeout_bounds: None,
            wall_base_ms: 0,
            first_session: SessionId(0x0100_0000_0000_0000),
            super_digest: None,
            container_interval: Duration::from_secs(60),
            sasl: None,
            required_schemes: Vec::new(),
            members: 1,
            election: Duration::ZERO,
            read_only_mode: false,
            local_sessions: LocalSessions::Off,
            enforce_quota: false,
        }
    }
}

/// Sessions that only one member knows: they are no transactions, and cannot move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalSessions {
    /// Every session is the ensemble's.
    #[default]
    Off,
    /// Sessions begin as local ones (`localSessionsEnabled`); they cannot create ephemerals, which is answered -120.
    On,
    /// They become the ensemble's when they create an ephemeral (`localSessionsUpgradingEnabled`).
    Upgradable,
}

/// The whole state of a server, or of an ensemble; see the module's rule.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    zxid: Zxid,
    tree: Tree,
    members: BTreeMap<usize, Member>,
    quorum: Quorum,
    sessions: Sessions,
    conns: BTreeMap<ConnId, Conn>,
    next_conn: u64,
    /// Connections with output.
    ready: VecDeque<ConnId>,
    connect_answers: VecDeque<ConnectAnswer>,
    refusals: VecDeque<Refusal>,
    reply_faults: VecDeque<ReplyFault>,
    read_only: bool,
    next_container_check: Duration,
    log: Log,
}

impl Model {
    /// A server with an empty tree.
    #[must_use]
    pub fn new(mut config: ModelConfig) -> Self {
        config.profile.sasl = config.sasl.is_some();
        let bounds = config.timeout_bounds.unwrap_or((config.tick * 2, config.tick * 20));
        Self {
            zxid: first_zxid(config.members),
            tree: Tree::new(),
            members: members::members(config.members),
            quorum: Quorum::new(config.members),
            sessions: Sessions::new(config.tick, bounds, config.first_session.0),
            conns: BTreeMap::new(),
            next_conn: 1,
            ready: VecDeque::new(),
            connect_answers: VecDeque::new(),
            refusals: VecDeque::new(),
            reply_faults: VecDeque::new(),
            read_only: false,
            next_container_check: config.container_interval,
            log: Log::default(),
            config,
        }
    }

    /// The last transaction that was committed; see [`applied`](Self::applied) for what a member has of it.
    #[must_use]
    pub const fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// A client has connected to a member.
    pub fn open(&mut self, now: Duration, member: usize, peer: SocketAddr) -> ConnId {
        let id = ConnId(self.next_conn);
        self.next_conn += 1;
        self.conns.insert(id, Conn::new(member, peer, now));
        id
    }

    /// The transport has shown who a connection is.
    pub fn identify(&mut self, conn: ConnId, identity: AuthId) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.identities = conn.identities.iter().cloned().chain([identity]).collect();
        }
    }

    /// The transport of a connection is gone: its watches go with it, its session lives on.
    pub fn close(&mut self, conn: ConnId) {
        self.hang_up(conn, Close::Abort);
        self.conns.remove(&conn);
    }

    /// Hangs up on every connection of a member.
    pub fn hang_up_member(&mut self, member: usize, how: Close) {
        let ids: Vec<ConnId> = self.conns.iter().filter(|(_, conn)| conn.member == member).map(|(id, _)| *id).collect();
        for id in ids {
            self.hang_up(id, how);
        }
    }

    /// The next connection that has something to be written or is to be ended.
    pub fn poll_ready(&mut self) -> Option<ConnId> {
        let id = self.ready.pop_front()?;
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.listed = false;
        }
        Some(id)
    }

    /// What is to be written to a connection.
    pub fn take_output(&mut self, conn: ConnId) -> Output {
        match self.conns.get_mut(&conn) {
            Some(conn) => conn.take_output(),
            None => Output { bytes: BytesMut::new(), close: Some(Close::Abort) },
        }
    }

    /// Whether a connection is to be reset, so that what is held back for it is of no use any more.
    #[must_use]
    pub fn is_aborted(&self, conn: ConnId) -> bool {
        self.conns.get(&conn).is_none_or(Conn::is_aborted)
    }

    /// Sends bytes that are no answer to anything: an event that did not happen, half a frame, garbage.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.say().transmit_raw(bytes);
        }
        self.list(conn);
    }

    /// The unit of deadlines.
    #[must_use]
    pub const fn tick(&self) -> Duration {
        self.config.tick
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let fresh = self.conns.values().filter(|conn| conn.phase == Phase::Fresh);
        let fresh = fresh.filter(|conn| conn.waiting.is_empty());
        let sessionless = fresh.map(|conn| conn.opened + SESSIONLESS_LIMIT).min();
        let containers = self.tree.mortals().next().map(|_| self.next_container_check);
        let expiry = self.sessions.next_deadline().filter(|_| self.is_led());
        [expiry, sessionless, containers, self.poll_pace()].into_iter().flatten().min()
    }

    /// When a member that lags by time, or an election, is due; finer than ticks.
    #[must_use]
    pub fn poll_pace(&self) -> Option<Duration> {
        [self.next_apply(), self.quorum.elected_at()].into_iter().flatten().min()
    }

    /// Ends sessions whose time is over, and connections that never said who they are.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.elect_if_due(now);
        self.follow_all(now);
        if self.is_led() {
            for session in self.sessions.due(now) {
                self.expire(now, session);
            }
        }
        let is_late = |conn: &Conn| {
            conn.phase == Phase::Fresh && conn.waiting.is_empty() && conn.opened + SESSIONLESS_LIMIT <= now
        };
        let late: Vec<ConnId> = self.conns.iter().filter(|(_, conn)| is_late(conn)).map(|(id, _)| *id).collect();
        for id in late {
            self.hang_up(id, Close::Gently);
        }
        if self.is_led() && self.next_container_check <= now {
            self.check_containers(now);
            self.next_container_check = now + self.config.container_interval;
        }
    }

    /// The servers were down: every session has its whole timeout again.
    pub fn handle_restart(&mut self, now: Duration) {
        self.sessions.restart(now);
    }

    /// Ends a session as the ensemble does when nothing was heard of it. Whether there was one.
    pub fn expire(&mut self, now: Duration, session: SessionId) -> bool {
        let Some(ended) = self.sessions.remove(session) else { return false };
        if let Some(conn) = ended.conn.filter(|conn| ended.local_to.is_some() || self.keeps_up(self.member_of(*conn))) {
            self.hang_up(conn, Close::Gently);
        }
        if ended.local_to.is_none() {
            self.end_session(now, session);
        }
        self.hang_up_moved(session, None);
        true
    }

    /// Deletes the ephemerals of a session that is no more, as one transaction.
    fn end_session(&mut self, now: Duration, session: SessionId) {
        let author = Author { session, identities: acl::superuser() };
        self.transact(now, &author, |txn| txn.delete_ephemerals());
    }

    /// Marks a connection as one with output.
    fn list(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.listed) {
            conn.listed = true;
            self.ready.push_back(id);
        }
    }

    /// Ends a connection: its watches go at once, its session is free for another one.
    fn hang_up(&mut self, id: ConnId, how: Close) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let session = conn.session();
        conn.hang_up(how);
        self.watching(id).1.remove_connection(id);
        if let Some(session) = session {
            self.sessions.detach(session, id);
        }
        self.list(id);
    }

    /// The wall clock in ms since the epoch.
    fn wall_ms(&self, now: Duration) -> i64 {
        self.config.wall_base_ms.saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    /// For whoever commits; see `members`.
    fn next_zxid(&mut self) -> Zxid {
        self.zxid = Zxid(self.zxid.0.wrapping_add(1));
        self.zxid
    }
}

/// An ensemble has had an election, and so is in its first epoch.
const fn first_zxid(members: usize) -> Zxid {
    if members > 1 { Zxid(1 << 32) } else { Zxid(0) }
}
