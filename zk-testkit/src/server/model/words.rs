//! Four-letter words: what a server says of itself to whoever asks before a handshake. All are allowed.
//!
//! Must not know requests, or how an answer is written. Source: protocol.md section 9.1.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use zk_proto::{
    SessionId,
    words::{
        ConnectionInfo, Connections, FourLetterWord, Imok, IsReadOnly, Latency, Monitor, ServerMode, ServerStatus,
        WatchSummary, WatchesByPath, WatchesBySession,
    },
};

use super::{Conn, ConnId, Model, Role, watches::Watches};

/// What is answered where no leader is.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

impl Model {
    /// The answer to a word, if it is one that is answered here.
    pub(super) fn four_letters(&self, now: Duration, member: usize, word: FourLetterWord) -> Option<String> {
        let is_serving = self.role(member) != Role::NotServing;
        Some(match word {
            FourLetterWord::ISRO if !is_serving => "null".to_owned(),
            FourLetterWord::RUOK => Imok.to_string(),
            FourLetterWord::ISRO => IsReadOnly(self.is_read_only(member)).to_string(),
            _ if !is_serving => NOT_SERVING.to_owned(),
            FourLetterWord::SRVR => self.status(member, None).to_string(),
            FourLetterWord::STAT => self.status(member, Some(self.describe_conns(now, member, false))).to_string(),
            FourLetterWord::MNTR => self.monitor(now, member).to_string(),
            FourLetterWord::CONS => Connections(self.describe_conns(now, member, true)).to_string(),
            FourLetterWord::WCHS => self.watch_summary(member).to_string(),
            FourLetterWord::WCHP => self.watches_by_path(member).to_string(),
            FourLetterWord::WCHC => self.watches_by_session(member).to_string(),
            FourLetterWord::DUMP => {
                let mut text = String::new();
                let _ = self.dump(member, &mut text); // writing to a string cannot fail
                text
            }
            _ => return None,
        })
    }

    fn conns_of(&self, member: usize) -> impl Iterator<Item = &Conn> {
        self.conns.values().filter(move |conn| conn.member == member)
    }

    fn watches_on(&self, member: usize) -> Option<&Watches> {
        self.members.get(&member).map(|member| &member.watches)
    }

    fn received(&self, member: usize) -> i64 {
        count(self.conns_of(member).map(|conn| conn.received).sum::<u64>())
    }

    fn sent(&self, member: usize) -> i64 {
        count(self.conns_of(member).map(|conn| conn.sent).sum::<u64>())
    }

    fn version(&self) -> String {
        format!("{}-zk-testkit, built on 1970-01-01 00:00 UTC", self.config.profile.version())
    }

    fn mode(&self, member: usize) -> ServerMode {
        match self.role(member) {
            _ if self.is_read_only(member) => ServerMode::ReadOnly,
            Role::Leader => ServerMode::Leader,
            Role::Follower => ServerMode::Follower,
            Role::Standalone | Role::ReadOnly | Role::NotServing => ServerMode::Standalone,
        }
    }

    fn status(&self, member: usize, clients: Option<Vec<ConnectionInfo>>) -> ServerStatus {
        ServerStatus {
            version: self.version(),
            read_only: self.is_read_only(member),
            clients,
            latency: Latency::default(),
            received: self.received(member),
            sent: self.sent(member),
            connections: count(self.conns_of(member).count()),
            outstanding: 0,
            zxid: self.applied(member),
            mode: self.mode(member),
            node_count: count(self.tree_of(member).len()),
            proposal_sizes: None,
        }
    }

    fn monitor(&self, now: Duration, member: usize) -> Monitor {
        let mut monitor = Monitor::new(&self.version(), &self.mode(member));
        monitor.push("zk_avg_latency", "0.0");
        for (key, value) in [
            ("zk_min_latency", 0),
            ("zk_max_latency", 0),
            ("zk_packets_received", self.received(member)),
            ("zk_packets_sent", self.sent(member)),
            ("zk_num_alive_connections", count(self.conns_of(member).count())),
            ("zk_outstanding_requests", 0),
            ("zk_znode_count", count(self.tree_of(member).len())),
            ("zk_watch_count", count(self.watches_on(member).map_or(0, Watches::len))),
            ("zk_ephemerals_count", count(self.tree_of(member).ephemerals_count())),
            ("zk_approximate_data_size", count(self.tree_of(member).bytes())),
            ("zk_global_sessions", count(self.sessions.len())),
            ("zk_local_sessions", 0),
            ("zk_uptime", count(now.as_millis())),
        ] {
            monitor.push(key, value);
        }
        monitor
    }

    fn describe_conns(&self, now: Duration, member: usize, in_full: bool) -> Vec<ConnectionInfo> {
        self.conns_of(member).map(|conn| self.connection(now, conn, in_full)).collect()
    }

    fn connection(&self, now: Duration, conn: &Conn, in_full: bool) -> ConnectionInfo {
        let brief = ConnectionInfo {
            peer: format!("/{}", conn.peer),
            interest_ops: 1,
            received: count(conn.received),
            sent: count(conn.sent),
            ..ConnectionInfo::default()
        };
        let Some(session) = conn.session().filter(|_| in_full) else { return brief };
        let timeout = self.sessions.get(session).map_or(0, |session| session.timeout.as_millis());
        ConnectionInfo {
            session: Some(session),
            last_op: Some(conn.last_op.name().unwrap_or("NA").to_owned()),
            established_ms: Some(self.config.wall_base_ms.saturating_add(count(conn.opened.as_millis()))),
            timeout_ms: Some(count(timeout)),
            last_cxid: Some(conn.last_xid.into()),
            last_zxid: Some(self.applied(conn.member)),
            last_response_ms: Some(count(now.saturating_sub(conn.opened).as_millis())),
            last_latency_ms: Some(0),
            min_latency_ms: Some(0),
            avg_latency_ms: Some(0),
            max_latency_ms: Some(0),
            ..brief
        }
    }

    /// What the words name a connection by.
    fn session_of(&self, conn: ConnId) -> SessionId {
        self.conns.get(&conn).and_then(Conn::session).unwrap_or_default()
    }

    fn watch_summary(&self, member: usize) -> WatchSummary {
        let by_path = self.watches_on(member).map(Watches::by_path).unwrap_or_default();
        let conns: BTreeSet<&ConnId> = by_path.values().flatten().collect();
        let watches = by_path.values().map(Vec::len).sum::<usize>();
        WatchSummary { connections: count(conns.len()), paths: count(by_path.len()), watches: count(watches) }
    }

    fn watches_by_path(&self, member: usize) -> WatchesByPath {
        let sessions = |conns: Vec<ConnId>| conns.into_iter().map(|conn| self.session_of(conn)).collect();
        let by_path = self.watches_on(member).map(Watches::by_path).unwrap_or_default().into_iter();
        WatchesByPath(by_path.map(|(path, conns)| (path.to_owned(), sessions(conns))).collect())
    }

    fn watches_by_session(&self, member: usize) -> WatchesBySession {
        let mut by_conn: BTreeMap<ConnId, Vec<String>> = BTreeMap::new();
        for (path, conns) in self.watches_on(member).map(Watches::by_path).unwrap_or_default() {
            for conn in conns {
                by_conn.entry(conn).or_default().push(path.to_owned());
            }
        }
        WatchesBySession(by_conn.into_iter().map(|(conn, paths)| (self.session_of(conn), paths)).collect())
    }

    fn dump(&self, member: usize, text: &mut String) -> std::fmt::Result {
        writeln!(text, "SessionTracker dump:\nSessions ({}):", self.sessions.len())?;
        for (id, session) in self.sessions.iter() {
            writeln!(text, "{id}\t{}ms", session.timeout.as_millis())?;
        }
        let owners: Vec<_> = self
            .sessions
            .iter()
            .map(|(id, _)| id)
            .filter(|id| self.tree_of(member).ephemerals(*id).next().is_some())
            .collect();
        writeln!(text, "ephemeral nodes dump:\nSessions with Ephemerals ({}):", owners.len())?;
        for owner in owners {
            writeln!(text, "{owner}:")?;
            for path in self.tree_of(member).ephemerals(owner) {
                writeln!(text, "\t{path}")?;
            }
        }
        Ok(())
    }
}

/// A number as Java has it; none here comes near the end of an `i64`.
fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
