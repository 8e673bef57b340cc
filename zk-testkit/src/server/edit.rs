//! Changes of the tree by somebody else: a superuser without a session. They fire watches as every change does.
//!
//! Must not know clients.

use zk_proto::{Acl, ErrorCode, SessionId, Stat, Zxid};

use super::{TestServer, model::Edit};

impl TestServer {
    /// Carries out a transaction; gives its zxid.
    ///
    /// # Errors
    /// The first edit that fails, by its index, and why; then nothing has happened.
    pub fn apply(&self, edits: &[Edit<'_>]) -> Result<Zxid, (usize, ErrorCode)> {
        self.hub.act(|state, now| state.model.apply(now, edits))
    }

    /// Creates a persistent znode.
    ///
    /// # Errors
    /// As a client's create.
    pub fn create(&self, path: &str, data: &[u8]) -> Result<Zxid, ErrorCode> {
        self.apply(&[Edit::Create(path, data)]).map_err(|(_, code)| code)
    }

    /// Sets the data of a znode, whatever its version.
    ///
    /// # Errors
    /// As a client's setData.
    pub fn set(&self, path: &str, data: &[u8]) -> Result<Zxid, ErrorCode> {
        self.apply(&[Edit::Set(path, data)]).map_err(|(_, code)| code)
    }

    /// Deletes a childless znode, whatever its version.
    ///
    /// # Errors
    /// As a client's delete.
    pub fn delete(&self, path: &str) -> Result<Zxid, ErrorCode> {
        self.apply(&[Edit::Delete(path)]).map_err(|(_, code)| code)
    }

    /// Creates a znode by the flags of protocol.md section 3.2 (1: ephemeral, 2: sequential, 4: container), for a
    /// session; gives its path.
    ///
    /// # Errors
    /// As a client's create.
    pub fn create_for(&self, session: SessionId, path: &str, data: &[u8], flags: i32) -> Result<String, ErrorCode> {
        self.hub.act(|state, now| state.model.create_for(now, session, path, data, flags))
    }

    /// Replaces the ACL of a znode.
    ///
    /// # Errors
    /// As a client's setACL.
    pub fn set_acl(&self, path: &str, acl: &[Acl]) -> Result<Stat, ErrorCode> {
        self.hub.act(|state, now| state.model.set_acl(now, path, acl))
    }

    /// Deletes unused containers and outlived znodes now, instead of at the next interval.
    pub fn sweep_containers(&self) {
        self.hub.act(|state, now| state.model.sweep_containers(now));
    }
}
