//! What a test may look at: requests, sessions, connections, watches.
//!
//! Must not change anything but the log of requests.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use zk_proto::{OpCode, SessionId};

use super::{
    ConnId, Model,
    watches::{Modes, Side, Watches},
};

/// Requests that are kept; older ones are forgotten, so that a long load does not fill the memory.
const REQUESTS_KEPT_MAX: usize = 65_536;

/// One request as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The member that received it.
    pub member: usize,
    /// The connection.
    pub conn: ConnId,
    /// The session of the connection.
    pub session: SessionId,
    /// Its number.
    pub xid: i32,
    /// The operation.
    pub op: OpCode,
    /// The path it begins with, if it has one.
    pub path: Option<String>,
}

/// A living session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its number.
    pub id: SessionId,
    /// The negotiated timeout.
    pub timeout: Duration,
    /// The connection it is on; `None` while its client is away.
    pub conn: Option<ConnId>,
    /// Its ephemeral znodes, sorted.
    pub ephemerals: Vec<String>,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Its number.
    pub id: ConnId,
    /// The member it is connected to.
    pub member: usize,
    /// The client's address.
    pub peer: SocketAddr,
    /// Its session, once there is one.
    pub session: Option<SessionId>,
}

/// A kind of watch, as the server keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchedKind {
    /// One-shot, for the znode: of getData and exists.
    Data,
    /// One-shot, for the names of the children.
    Child,
    /// Persistent.
    Persistent,
    /// Persistent and recursive.
    Recursive,
}

/// A watch of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchInfo {
    /// Where.
    pub path: String,
    /// What kind.
    pub kind: WatchedKind,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    requests: VecDeque<RequestRecord>,
}

impl Log {
    pub(super) fn push(&mut self, request: RequestRecord) {
        if self.requests.len() == REQUESTS_KEPT_MAX {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }
}

impl Model {
    /// The last 65,536 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.log.requests.iter().cloned().collect()
    }

    /// Gives the requests and forgets them.
    pub fn take_requests(&mut self) -> Vec<RequestRecord> {
        std::mem::take(&mut self.log.requests).into()
    }

    /// The living sessions, by id.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let ephemerals = |id| self.tree.ephemerals(id).map(str::to_owned).collect();
        let info = |(id, session): (SessionId, &super::sessions::Session)| SessionInfo {
            id,
            timeout: session.timeout,
            conn: session.conn,
            ephemerals: ephemerals(id),
        };
        self.sessions.iter().map(info).collect()
    }

    /// The connections, oldest first; not those that were hung up on.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let living = self.conns.iter().filter(|(_, conn)| conn.phase != super::Phase::Over);
        let info = |(id, conn): (&ConnId, &super::Conn)| ConnectionInfo {
            id: *id,
            member: conn.member,
            peer: conn.peer,
            session: conn.session(),
        };
        living.map(info).collect()
    }

    /// The watches of a connection, sorted.
    #[must_use]
    pub fn watches(&self, conn: ConnId) -> Vec<WatchInfo> {
        let Some(member) = self.members.get(&self.member_of(conn)) else { return Vec::new() };
        let mut watches: Vec<WatchInfo> = Vec::new();
        for (side, path, modes) in member.watches.of(conn) {
            let standard = if side == Side::Data { WatchedKind::Data } else { WatchedKind::Child };
            let kinds = [
                (Modes::STANDARD, standard),
                (Modes::PERSISTENT, WatchedKind::Persistent),
                (Modes::RECURSIVE, WatchedKind::Recursive),
            ];
            let set = kinds.into_iter().filter(|(mode, _)| modes.has(*mode));
            watches.extend(set.map(|(_, kind)| WatchInfo { path: path.to_owned(), kind }));
        }
        watches.sort();
        // a persistent watch is in both tables
        watches.dedup();
        watches
    }

    /// Entries in both tables of watches; a persistent watch is two.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        self.all_watches().map(Watches::len).sum()
    }
}
