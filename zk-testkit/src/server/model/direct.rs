//! The tree for tests, without a client: reads, and transactions that act as somebody else's.
//!
//! Must not know connections: an edit fires watches as every transaction does.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::{
    Acl, ErrorCode, SessionId, Stat, Zxid,
    create::{ContainerFlags, CreateFlags},
    multi::{MultiOp, MultiRequest},
    records::{
        CreateContainerRequest, CreateRequest, OPEN_ACL_UNSAFE, PathVersionRequest, SetAclRequest, SetDataRequest,
    },
};

use super::{Model, acl, tree::Node, txn::Author};

/// One change of a transaction that a test makes without a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Creates a persistent znode.
    Create(&'a str, &'a [u8]),
    /// Sets data, whatever the version.
    Set(&'a str, &'a [u8]),
    /// Deletes a childless znode, whatever the version.
    Delete(&'a str),
}

impl<'a> Edit<'a> {
    fn into_op(self) -> MultiOp<'a> {
        match self {
            Self::Create(path, data) => MultiOp::Create(creation(path, data, CreateFlags::PERSISTENT)),
            Self::Set(path, data) => {
                MultiOp::SetData(SetDataRequest { path: path.into(), data: Some(data), version: -1 })
            }
            Self::Delete(path) => MultiOp::Delete(PathVersionRequest { path: path.into(), version: -1 }),
        }
    }
}

fn creation<'a>(path: &'a str, data: &'a [u8], flags: CreateFlags) -> CreateRequest<'a> {
    CreateRequest { path: path.into(), data: Some(data), acl: OPEN_ACL_UNSAFE.into(), flags }
}

impl Model {
    /// Carries out a transaction as a superuser of no session; gives its zxid.
    ///
    /// # Errors
    /// The first edit that fails, by its index, and why; nothing has happened then, but for the zxid that is used up.
    pub fn apply(&mut self, now: Duration, edits: &[Edit<'_>]) -> Result<Zxid, (usize, ErrorCode)> {
        let request = MultiRequest { ops: edits.iter().cloned().map(Edit::into_op).collect() };
        let author = Author { session: SessionId::NONE, identities: acl::superuser() };
        let results = self.transact(now, &author, |txn| txn.multi(&request));
        match results.map_err(|code| (0, code))?.failure() {
            Some(failure) => Err(failure),
            None => Ok(self.zxid),
        }
    }

    /// Creates a znode by any flags of protocol.md section 3.2 but those of a TTL, for a session; gives its path.
    ///
    /// # Errors
    /// As a client's create.
    pub fn create_for(
        &mut self,
        now: Duration,
        session: SessionId,
        path: &str,
        data: &[u8],
        flags: i32,
    ) -> Result<String, ErrorCode> {
        let author = Author { session, identities: acl::superuser() };
        let made = self.transact(now, &author, |txn| {
            let request = creation(path, data, CreateFlags::raw(flags));
            if flags == ContainerFlags::CONTAINER.number() {
                let CreateRequest { path, data, acl, .. } = request;
                return txn.create_container(&CreateContainerRequest {
                    path,
                    data,
                    acl,
                    flags: ContainerFlags::CONTAINER,
                });
            }
            txn.create(&request)
        });
        made.map(|(path, _)| path)
    }

    /// Replaces the ACL of a znode.
    ///
    /// # Errors
    /// As a client's setACL.
    pub fn set_acl(&mut self, now: Duration, path: &str, acl: &[Acl]) -> Result<Stat, ErrorCode> {
        let author = Author { session: SessionId::NONE, identities: acl::superuser() };
        let request = SetAclRequest { path: path.into(), acl: acl.into(), version: -1 };
        self.transact(now, &author, |txn| txn.set_acl(&request))
    }

    /// Data and stat of a znode; null data reads as empty.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<(Bytes, Stat)> {
        self.tree.get(path).map(|node| (node.data.clone().unwrap_or_default(), node.stat()))
    }

    /// The same as a member sees it.
    #[must_use]
    pub fn get_at(&self, member: usize, path: &str) -> Option<(Bytes, Stat)> {
        self.tree_of(member).get(path).map(|node| (node.data.clone().unwrap_or_default(), node.stat()))
    }

    /// The names of a znode's children, sorted.
    #[must_use]
    pub fn children(&self, path: &str) -> Option<Vec<String>> {
        self.tree.get(path).map(|node: &Node| node.children.iter().map(|name| name.to_string()).collect())
    }

    /// Looks for unused containers and outlived znodes now.
    pub fn sweep_containers(&mut self, now: Duration) {
        self.check_containers(now);
    }
}
