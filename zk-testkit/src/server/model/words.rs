//! Four-letter words: what a server says of itself to whoever asks before a handshake. All are allowed.
//!
//! Must not know requests. Source: protocol.md section 9.1.

use std::{fmt::Write as _, time::Duration};

use super::{ConnId, Model};

/// A word that this server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Ruok,
    Isro,
    Srvr,
    Stat,
    Mntr,
    Cons,
    Wchs,
    Wchp,
    Wchc,
    Dump,
}

/// The word that the first four bytes of a connection are, if they are one.
pub(super) const fn known(prefix: [u8; 4]) -> Option<Word> {
    Some(match &prefix {
        b"ruok" => Word::Ruok,
        b"isro" => Word::Isro,
        b"srvr" => Word::Srvr,
        b"stat" => Word::Stat,
        b"mntr" => Word::Mntr,
        b"cons" => Word::Cons,
        b"wchs" => Word::Wchs,
        b"wchp" => Word::Wchp,
        b"wchc" => Word::Wchc,
        b"dump" => Word::Dump,
        _ => return None,
    })
}

impl Model {
    pub(super) fn four_letters(&self, now: Duration, word: Word) -> String {
        let mut text = String::new();
        // writing to a string cannot fail
        let _ = match word {
            Word::Ruok => write!(text, "imok"),
            Word::Isro => write!(text, "{}", if self.read_only { "ro" } else { "rw" }),
            Word::Srvr => self.srvr(&mut text, false, now),
            Word::Stat => self.srvr(&mut text, true, now),
            Word::Mntr => self.mntr(&mut text, now),
            Word::Cons => self.cons(&mut text, now),
            Word::Wchs => self.wchs(&mut text),
            Word::Wchp => self.wchp(&mut text),
            Word::Wchc => self.wchc(&mut text),
            Word::Dump => self.dump(&mut text),
        };
        text
    }

    fn received(&self) -> u64 {
        self.conns.values().map(|conn| conn.received).sum()
    }

    fn sent(&self) -> u64 {
        self.conns.values().map(|conn| conn.sent).sum()
    }

    const fn mode(&self) -> &'static str {
        if self.read_only { "read-only" } else { "standalone" }
    }

    fn srvr(&self, text: &mut String, with_clients: bool, now: Duration) -> std::fmt::Result {
        let version = self.config.profile.version();
        writeln!(text, "Zookeeper version: {version}-zk-testkit, built on 1970-01-01 00:00 UTC")?;
        if self.read_only {
            writeln!(text, "READ-ONLY mode; serving only read-only clients")?;
        }
        if with_clients {
            writeln!(text, "Clients:")?;
            self.cons(text, now)?;
            writeln!(text)?;
        }
        writeln!(text, "Latency min/avg/max: 0/0.0/0")?;
        writeln!(text, "Received: {}", self.received())?;
        writeln!(text, "Sent: {}", self.sent())?;
        writeln!(text, "Connections: {}", self.conns.len())?;
        writeln!(text, "Outstanding: 0")?;
        writeln!(text, "Zxid: {}", self.zxid)?;
        writeln!(text, "Mode: {}", self.mode())?;
        writeln!(text, "Node count: {}", self.tree.len())
    }

    fn mntr(&self, text: &mut String, now: Duration) -> std::fmt::Result {
        writeln!(text, "zk_version\t{}-zk-testkit", self.config.profile.version())?;
        writeln!(text, "zk_server_state\t{}", self.mode())?;
        writeln!(text, "zk_avg_latency\t0.0")?;
        writeln!(text, "zk_min_latency\t0")?;
        writeln!(text, "zk_max_latency\t0")?;
        writeln!(text, "zk_packets_received\t{}", self.received())?;
        writeln!(text, "zk_packets_sent\t{}", self.sent())?;
        writeln!(text, "zk_num_alive_connections\t{}", self.conns.len())?;
        writeln!(text, "zk_outstanding_requests\t0")?;
        writeln!(text, "zk_znode_count\t{}", self.tree.len())?;
        writeln!(text, "zk_watch_count\t{}", self.watches.len())?;
        writeln!(text, "zk_ephemerals_count\t{}", self.tree.ephemerals_count())?;
        writeln!(text, "zk_approximate_data_size\t{}", self.tree.bytes())?;
        writeln!(text, "zk_global_sessions\t{}", self.sessions.len())?;
        writeln!(text, "zk_local_sessions\t0")?;
        writeln!(text, "zk_uptime\t{}", now.as_millis())
    }

    fn cons(&self, text: &mut String, now: Duration) -> std::fmt::Result {
        for conn in self.conns.values() {
            let (received, sent) = (conn.received, conn.sent);
            write!(text, " /{}[1](queued=0,recved={received},sent={sent}", conn.peer)?;
            if let Some(session) = conn.session() {
                let timeout = self.sessions.get(session).map_or(0, |session| session.timeout.as_millis());
                let since =
                    self.config.wall_base_ms.saturating_add(i64::try_from(conn.opened.as_millis()).unwrap_or(0));
                let age = now.saturating_sub(conn.opened).as_millis();
                write!(
                    text,
                    ",sid={session},lop={},est={since},to={timeout},lcxid=0x{:x},lzxid={},lresp={age},llat=0,minlat=0,avglat=0,maxlat=0",
                    conn.last_op.name().unwrap_or("NA"),
                    conn.last_xid,
                    self.zxid,
                )?;
            }
            writeln!(text, ")")?;
        }
        Ok(())
    }

    /// What the words name a connection by.
    fn session_of(&self, conn: ConnId) -> String {
        let session = self.conns.get(&conn).and_then(super::Conn::session).unwrap_or_default();
        session.to_string()
    }

    fn wchs(&self, text: &mut String) -> std::fmt::Result {
        let by_path = self.watches.by_path();
        let conns: std::collections::BTreeSet<&ConnId> = by_path.values().flatten().collect();
        writeln!(text, "{} connections watching {} paths", conns.len(), by_path.len())?;
        writeln!(text, "Total watches:{}", by_path.values().map(Vec::len).sum::<usize>())
    }

    fn wchp(&self, text: &mut String) -> std::fmt::Result {
        for (path, conns) in self.watches.by_path() {
            writeln!(text, "{path}")?;
            for conn in conns {
                writeln!(text, "\t{}", self.session_of(conn))?;
            }
        }
        Ok(())
    }

    fn wchc(&self, text: &mut String) -> std::fmt::Result {
        let by_path = self.watches.by_path();
        for conn in self.conns.keys() {
            let paths: Vec<&&str> =
                by_path.iter().filter(|(_, conns)| conns.contains(conn)).map(|(path, _)| path).collect();
            if !paths.is_empty() {
                writeln!(text, "{}", self.session_of(*conn))?;
            }
            for path in paths {
                writeln!(text, "\t{path}")?;
            }
        }
        Ok(())
    }

    fn dump(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "SessionTracker dump:\nSessions ({}):", self.sessions.len())?;
        for (id, session) in self.sessions.iter() {
            writeln!(text, "{id}\t{}ms", session.timeout.as_millis())?;
        }
        let owners: Vec<_> =
            self.sessions.iter().map(|(id, _)| id).filter(|id| self.tree.ephemerals(*id).next().is_some()).collect();
        writeln!(text, "ephemeral nodes dump:\nSessions with Ephemerals ({}):", owners.len())?;
        for owner in owners {
            writeln!(text, "{owner}:")?;
            for path in self.tree.ephemerals(owner) {
                writeln!(text, "\t{path}")?;
            }
        }
        Ok(())
    }
}
