//! Transactions: changes of the tree under one zxid, checked in ZooKeeper's order, that all happen or none.
//!
//! Must not know connections, frames or watches: a transaction gives a list of [`Change`]s, and somebody else tells
//! whoever watches. Source: protocol.md sections 3.1 to 3.3.

use std::sync::Arc;

use bytes::Bytes;
use zk_proto::{
    Acl, ErrorCode, EventType, Permissions, SessionId, Stat, Zxid,
    create::TtlFlags,
    multi::{MultiOp, MultiRequest, MultiResponse, MultiResult},
    path,
    records::{
        CreateContainerRequest, CreateRequest, CreateTtlRequest, DataRef, PathVersionRequest, SetAclRequest,
        SetDataRequest,
    },
};

use super::{
    acl::{self, Identities},
    delta::Delta,
    tree::{self, Kind, Node, ParentMark, Tree},
};
use crate::server::Profile;

/// Who changes the tree.
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub(super) session: SessionId,
    pub(super) identities: Identities,
}

/// Something that watches may be for.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Created, deleted or data changed.
    pub(super) event: EventType,
    pub(super) path: Box<str>,
    /// Of the znode, at the time of the change.
    pub(super) acl: Arc<[Acl]>,
    /// Of its parent; `None` for a change of data.
    pub(super) parent_acl: Option<Arc<[Acl]>>,
}

enum Undo {
    Create { path: Box<str>, before: ParentMark },
    Delete { path: Box<str>, node: Node, before: ParentMark },
    SetData { path: Box<str>, data: Option<Bytes>, mzxid: Zxid, mtime: i64, version: i32 },
}

/// What to create; the four requests that create differ only in it.
struct Creation<'a> {
    path: &'a str,
    data: DataRef<'a>,
    acl: &'a [Acl],
    kind: Kind,
    sequential: bool,
}

/// Changes under one zxid.
pub(super) struct Txn<'m> {
    pub(super) tree: &'m mut Tree,
    pub(super) profile: &'m Profile,
    pub(super) author: &'m Author,
    /// Hard limits of quotas count.
    pub(super) enforces_quota: bool,
    pub(super) zxid: Zxid,
    pub(super) time_ms: i64,
    pub(super) changes: Vec<Change>,
    pub(super) deltas: Vec<Delta>,
    /// The session that it ends.
    pub(super) ended: Option<SessionId>,
    undo: Vec<Undo>,
}

impl<'m> Txn<'m> {
    pub(super) const fn new(
        tree: &'m mut Tree,
        profile: &'m Profile,
        author: &'m Author,
        zxid: Zxid,
        time_ms: i64,
    ) -> Self {
        Self {
            tree,
            profile,
            author,
            enforces_quota: false,
            zxid,
            time_ms,
            changes: Vec::new(),
            deltas: Vec::new(),
            ended: None,
            undo: Vec::new(),
        }
    }

    /// create and create2: the path that was made, and its stat.
    pub(super) fn create(&mut self, request: &CreateRequest<'_>) -> Result<(String, Stat), ErrorCode> {
        let CreateRequest { path, data, acl, flags } = request;
        let kind = match flags.number() {
            // 4, a container, makes a plain znode under an opcode that is not its own
            0 | 2 | 4 => Kind::Persistent,
            1 | 3 => Kind::Ephemeral(self.author.session),
            _ => return Err(ErrorCode::BAD_ARGUMENTS),
        };
        self.make(&Creation {
            path,
            data: *data,
            acl: &acl.to_vec(),
            kind,
            sequential: matches!(flags.number(), 2 | 3),
        })
    }

    /// createContainer: a container, whichever of the plain numbers or its own it is asked for by.
    pub(super) fn create_container(
        &mut self,
        request: &CreateContainerRequest<'_>,
    ) -> Result<(String, Stat), ErrorCode> {
        let CreateContainerRequest { path, data, acl, flags } = request;
        if !(0..=4).contains(&flags.number()) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let (kind, sequential) = (Kind::Container, matches!(flags.number(), 2 | 3));
        self.make(&Creation { path, data: *data, acl: &acl.to_vec(), kind, sequential })
    }

    pub(super) fn create_ttl(&mut self, request: &CreateTtlRequest<'_>) -> Result<(String, Stat), ErrorCode> {
        let CreateTtlRequest { path, data, acl, flags, ttl } = request;
        if !flags.is_legal() {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        if !self.profile.ttl {
            return Err(ErrorCode::UNIMPLEMENTED);
        }
        ttl.check().map_err(|_| ErrorCode::BAD_ARGUMENTS)?;
        let (kind, sequential) = (Kind::Ttl(ttl.as_millis()), *flags == TtlFlags::PERSISTENT_SEQUENTIAL_WITH_TTL);
        self.make(&Creation { path, data: *data, acl: &acl.to_vec(), kind, sequential })
    }

    fn make(&mut self, creation: &Creation<'_>) -> Result<(String, Stat), ErrorCode> {
        if !creation.path.contains('/') || creation.path.contains('\0') {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let acl = acl::fix_up(creation.acl, &self.author.identities, self.profile)?;
        let (parent_path, _) = tree::split(creation.path);
        let parent = self.tree.get(parent_path).ok_or(ErrorCode::NO_NODE)?;
        allow(&parent.acl, Permissions::CREATE, self.author)?;
        let (sequence, parent_kind, parent_acl) = (parent.creates, parent.kind, Arc::clone(&parent.acl));
        let mut path = creation.path.to_owned();
        if creation.sequential {
            path.push_str(&format!("{sequence:010}"));
        }
        check_path(&path)?;
        if self.tree.get(&path).is_some() {
            return Err(ErrorCode::NODE_EXISTS);
        }
        if matches!(parent_kind, Kind::Ephemeral(_)) {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        if self.enforces_quota {
            self.tree.check_quota(&path, 1, len(creation.data))?;
        }
        let creates =
            if self.profile.sequence_sticks() { sequence.saturating_add(1) } else { sequence.wrapping_add(1) };
        let data = creation.data.map(Bytes::copy_from_slice);
        let node = Node::new(data, Arc::clone(&acl), creation.kind, self.zxid, self.time_ms);
        let stat = node.stat();
        self.deltas.push(Delta::Create { path: path.as_str().into(), node: node.clone(), creates });
        let before = self.tree.insert(&path, node, creates);
        self.undo.push(Undo::Create { path: path.as_str().into(), before });
        self.changed(EventType::NODE_CREATED, &path, acl, Some(parent_acl));
        Ok((path, stat))
    }

    pub(super) fn delete(&mut self, request: &PathVersionRequest<'_>) -> Result<(), ErrorCode> {
        let (parent, _) = deletable(&request.path)?;
        let parent = self.tree.get(parent).ok_or(ErrorCode::NO_NODE)?;
        let node = self.tree.get(&request.path).ok_or(ErrorCode::NO_NODE);
        if self.profile.delete_hides_what_is_there() {
            allow(&parent.acl, Permissions::DELETE, self.author)?;
        }
        let node = node?;
        allow(&parent.acl, Permissions::DELETE, self.author)?;
        check_version(node.version, request.version)?;
        if !node.children.is_empty() {
            return Err(ErrorCode::NOT_EMPTY);
        }
        self.remove(&request.path);
        Ok(())
    }

    /// What the server itself does to unused containers; by opcode 20 every client can, to any znode.
    pub(super) fn delete_container(&mut self, path: &str) -> Result<(), ErrorCode> {
        deletable(path)?;
        let node = self.tree.get(path).ok_or(ErrorCode::NO_NODE)?;
        if !node.children.is_empty() {
            return Err(ErrorCode::NOT_EMPTY);
        }
        if matches!(node.kind, Kind::Ephemeral(_)) {
            return Err(ErrorCode::BAD_VERSION);
        }
        self.remove(path);
        Ok(())
    }

    /// Deletes every ephemeral of the author: its session has ended.
    pub(super) fn delete_ephemerals(&mut self) {
        self.ended = Some(self.author.session);
        let paths: Vec<Box<str>> = self.tree.ephemerals(self.author.session).map(Into::into).collect();
        for path in &paths {
            self.remove(path);
        }
    }

    fn remove(&mut self, path: &str) {
        let parent_acl = self.tree.get(tree::split(path).0).map(|parent| Arc::clone(&parent.acl));
        let Some((node, before)) = self.tree.remove(path, self.zxid) else { return };
        self.changed(EventType::NODE_DELETED, path, Arc::clone(&node.acl), parent_acl);
        self.deltas.push(Delta::Delete { path: path.into() });
        self.undo.push(Undo::Delete { path: path.into(), node, before });
    }

    pub(super) fn set_data(&mut self, request: &SetDataRequest<'_>) -> Result<Stat, ErrorCode> {
        check_path(&request.path)?;
        let node = self.tree.get(&request.path).ok_or(ErrorCode::NO_NODE)?;
        allow(&node.acl, Permissions::WRITE, self.author)?;
        if self.enforces_quota {
            let more = len(request.data) - len(node.data.as_deref());
            self.tree.check_quota(&request.path, 0, more)?;
        }
        check_version(node.version, request.version)?;
        let (mzxid, mtime, version) = (node.mzxid, node.mtime, node.version);
        let data = self.tree.replace_data(&request.path, request.data.map(Bytes::copy_from_slice));
        let node = self.tree.get_mut(&request.path).ok_or(ErrorCode::NO_NODE)?;
        node.mzxid = self.zxid;
        node.mtime = self.time_ms;
        node.version = version.wrapping_add(1);
        let (stat, acl) = (node.stat(), Arc::clone(&node.acl));
        self.deltas.push(Delta::SetData {
            path: request.path.as_ref().into(),
            data: node.data.clone(),
            mtime: node.mtime,
            version: node.version,
        });
        self.undo.push(Undo::SetData { path: request.path.as_ref().into(), data, mzxid, mtime, version });
        self.changed(EventType::NODE_DATA_CHANGED, &request.path, acl, None);
        Ok(stat)
    }

    /// Fires nothing, and is not allowed in a multi, so it needs no undo.
    pub(super) fn set_acl(&mut self, request: &SetAclRequest<'_>) -> Result<Stat, ErrorCode> {
        check_path(&request.path)?;
        let acl = acl::fix_up(&request.acl.to_vec(), &self.author.identities, self.profile)?;
        let node = self.tree.get_mut(&request.path).ok_or(ErrorCode::NO_NODE)?;
        allow(&node.acl, Permissions::ADMIN, self.author)?;
        check_version(node.aversion, request.version)?;
        node.acl = acl;
        node.aversion = node.aversion.wrapping_add(1);
        let (acl, aversion) = (Arc::clone(&node.acl), node.aversion);
        self.deltas.push(Delta::SetAcl { path: request.path.as_ref().into(), acl, aversion });
        Ok(node.stat())
    }

    pub(super) fn check(&self, request: &PathVersionRequest<'_>) -> Result<(), ErrorCode> {
        check_path(&request.path)?;
        let node = self.tree.get(&request.path).ok_or(ErrorCode::NO_NODE)?;
        allow(&node.acl, Permissions::READ, self.author)?;
        check_version(node.version, request.version)
    }

    /// All operations or none. A failure is in the results: 0 for what was undone, the culprit's code, and -2 for
    /// what was not tried.
    pub(super) fn multi(&mut self, request: &MultiRequest<'_>) -> Result<MultiResponse, ErrorCode> {
        if self.profile.multi_bad_flags_unreadable() && request.ops.iter().any(|op| has_impossible_flags(&op)) {
            return Err(ErrorCode::MARSHALLING_ERROR);
        }
        let mut results = Vec::with_capacity(request.ops.len());
        for (index, op) in request.ops.iter().enumerate() {
            match self.multi_op(&op) {
                Ok(result) => results.push(result),
                Err(culprit) => {
                    self.roll_back();
                    let code = |position: usize| match position.cmp(&index) {
                        std::cmp::Ordering::Less => ErrorCode::OK,
                        std::cmp::Ordering::Equal => culprit,
                        std::cmp::Ordering::Greater => ErrorCode::RUNTIME_INCONSISTENCY,
                    };
                    results = (0..request.ops.len()).map(code).map(MultiResult::Error).collect();
                    break;
                }
            }
        }
        Ok(MultiResponse { results: results.into() })
    }

    fn multi_op(&mut self, op: &MultiOp<'_>) -> Result<MultiResult, ErrorCode> {
        let full = |(path, stat): (String, Stat)| MultiResult::Create2(path, stat);
        match op {
            MultiOp::Create(request) => self.create(request).map(|(path, _)| MultiResult::Create(path)),
            MultiOp::Create2(request) if !self.profile.multi_create2 => {
                self.create(request).map(|(path, _)| MultiResult::Create(path))
            }
            MultiOp::Create2(request) => self.create(request).map(full),
            MultiOp::CreateContainer(request) => self.create_container(request).map(full),
            MultiOp::CreateTtl(request) => self.create_ttl(request).map(full),
            MultiOp::Delete(request) => self.delete(request).map(|()| MultiResult::Delete),
            MultiOp::SetData(request) => self.set_data(request).map(MultiResult::SetData),
            MultiOp::Check(request) => self.check(request).map(|()| MultiResult::Check),
        }
    }

    fn roll_back(&mut self) {
        self.changes.clear();
        self.deltas.clear();
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Create { path, before } => self.tree.undo_insert(&path, before),
                Undo::Delete { path, node, before } => self.tree.undo_remove(&path, node, before),
                Undo::SetData { path, data, mzxid, mtime, version } => {
                    self.tree.replace_data(&path, data);
                    if let Some(node) = self.tree.get_mut(&path) {
                        node.mzxid = mzxid;
                        node.mtime = mtime;
                        node.version = version;
                    }
                }
            }
        }
    }

    fn changed(&mut self, event: EventType, path: &str, acl: Arc<[Acl]>, parent_acl: Option<Arc<[Acl]>>) {
        self.changes.push(Change { event, path: path.into(), acl, parent_acl });
    }
}

fn has_impossible_flags(op: &MultiOp<'_>) -> bool {
    let number = match op {
        MultiOp::Create(request) | MultiOp::Create2(request) => request.flags.number(),
        MultiOp::CreateContainer(request) => request.flags.number(),
        MultiOp::CreateTtl(request) => request.flags.number(),
        MultiOp::Delete(_) | MultiOp::SetData(_) | MultiOp::Check(_) => return false,
    };
    !(0..=6).contains(&number)
}

/// Bytes of data; none can be longer than a frame.
fn len(data: Option<&[u8]>) -> i64 {
    data.map_or(0, |data| i64::try_from(data.len()).unwrap_or(i64::MAX))
}

fn check_path(path: &str) -> Result<(), ErrorCode> {
    path::validate(path).map_err(|_| ErrorCode::BAD_ARGUMENTS)
}

/// A path that can be deleted at all, as parent and name.
fn deletable(path: &str) -> Result<(&str, &str), ErrorCode> {
    let is_protected = matches!(path, "/" | "/zookeeper" | "/zookeeper/quota" | "/zookeeper/config");
    if is_protected || !path.contains('/') || path.contains('\0') {
        return Err(ErrorCode::BAD_ARGUMENTS);
    }
    Ok(tree::split(path))
}

fn check_version(is: i32, wanted: i32) -> Result<(), ErrorCode> {
    if wanted == -1 || wanted == is { Ok(()) } else { Err(ErrorCode::BAD_VERSION) }
}

fn allow(acl: &[Acl], wanted: Permissions, author: &Author) -> Result<(), ErrorCode> {
    if acl::allows(acl, wanted, &author.identities) { Ok(()) } else { Err(ErrorCode::NO_AUTH) }
}
