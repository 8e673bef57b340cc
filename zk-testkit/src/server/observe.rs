//! What a test can see without a client of its own.
//!
//! Must not change anything but the log of requests.

use std::collections::BTreeMap;

use bytes::Bytes;
use zk_proto::{SessionId, Stat, Zxid};

use super::{
    TestServer,
    model::{ConnId, ConnectionInfo, Model, RequestRecord, SessionInfo, WatchInfo},
};

impl TestServer {
    /// Looks at the model; connections stand still meanwhile.
    pub fn inspect<R>(&self, look: impl FnOnce(&Model) -> R) -> R {
        look(&self.hub.lock().model)
    }

    /// Waits until the server is in a certain state. Has no limit of time: put one around it.
    pub async fn wait_until(&self, mut condition: impl FnMut(&Model) -> bool) {
        self.hub.changed(|state| condition(&state.model)).await;
    }

    /// The last 65,536 requests of all members, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.inspect(Model::requests)
    }

    /// Gives the requests and forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<RequestRecord> {
        self.hub.act(|state, _| state.model.take_requests())
    }

    /// The living sessions, by id.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.inspect(Model::sessions)
    }

    /// The connections of all members, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.inspect(Model::connections)
    }

    /// The connection that a session is on.
    #[must_use]
    pub fn connection_of(&self, session: SessionId) -> Option<ConnId> {
        self.sessions().into_iter().find(|info| info.id == session)?.conn
    }

    /// The watches of every connection that has any, sorted.
    #[must_use]
    pub fn watches(&self) -> BTreeMap<ConnId, Vec<WatchInfo>> {
        self.inspect(|model| {
            let all = model.connections().into_iter().map(|conn| (conn.id, model.watches(conn.id)));
            all.filter(|(_, watches)| !watches.is_empty()).collect()
        })
    }

    /// Entries in both tables of watches; a persistent watch is two.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        self.inspect(Model::watch_count)
    }

    /// The last transaction.
    #[must_use]
    pub fn zxid(&self) -> Zxid {
        self.inspect(Model::zxid)
    }

    /// Bytes received by this member.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.hub.lock().members.get(self.member).map_or(0, |member| member.bytes_in)
    }

    /// Bytes sent by this member.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.hub.lock().members.get(self.member).map_or(0, |member| member.bytes_out)
    }

    /// Bytes from and to the client of a connection; `None` when it has ended.
    #[must_use]
    pub fn bytes_of(&self, conn: ConnId) -> Option<(u64, u64)> {
        self.hub.bytes_of(conn)
    }

    /// Data and stat of a znode; null data reads as empty.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<(Bytes, Stat)> {
        self.inspect(|model| model.get(path))
    }

    /// The names of a znode's children, sorted.
    #[must_use]
    pub fn children(&self, path: &str) -> Option<Vec<String>> {
        self.inspect(|model| model.children(path))
    }
}
