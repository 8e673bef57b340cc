//! The znodes and their metadata, and nothing of who may change them or who watches.
//!
//! Must not know requests, sessions or versions of ZooKeeper. The mechanics are those of `DataTree`: a flat table by
//! path, each znode with the names of its children. Source: protocol.md section 8.3.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use zk_proto::{Acl, SessionId, Stat, Zxid, records};

/// What ends a znode's life besides a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Persistent,
    /// The end of this session.
    Ephemeral(SessionId),
    /// The loss of its last child.
    Container,
    /// This many milliseconds without a change and without children.
    Ttl(i64),
}

/// One znode.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) data: Option<Bytes>,
    pub(super) acl: Arc<[Acl]>,
    pub(super) kind: Kind,
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    pub(super) aversion: i32,
    /// Children ever created: the next sequence number.
    pub(super) creates: i32,
    pub(super) children: BTreeSet<Box<str>>,
}

impl Node {
    pub(super) fn new(data: Option<Bytes>, acl: Arc<[Acl]>, kind: Kind, zxid: Zxid, time_ms: i64) -> Self {
        Self {
            data,
            acl,
            kind,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time_ms,
            mtime: time_ms,
            version: 0,
            aversion: 0,
            creates: 0,
            children: BTreeSet::new(),
        }
    }

    /// The metadata as it is on the wire: the owner shows for ephemerals only, and the number of creates and
    /// deletes of children is twice the creates minus the children that are left.
    pub(super) fn stat(&self) -> Stat {
        let len = |len: usize| i32::try_from(len).unwrap_or(i32::MAX);
        let num_children = len(self.children.len());
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.creates.wrapping_mul(2).wrapping_sub(num_children),
            aversion: self.aversion,
            ephemeral_owner: if let Kind::Ephemeral(owner) = self.kind { owner } else { SessionId::NONE },
            data_length: len(self.data.as_ref().map_or(0, Bytes::len)),
            num_children,
            pzxid: self.pzxid,
        }
    }
}

/// What a child's creation or deletion changes in its parent.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParentMark {
    pub(super) creates: i32,
    pub(super) pzxid: Zxid,
}

/// All znodes.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: HashMap<Box<str>, Node>,
    ephemerals: BTreeMap<SessionId, BTreeSet<Box<str>>>,
    /// Containers and znodes with a time to live.
    mortals: BTreeSet<Box<str>>,
    /// Paths with limits; see `quota`.
    pub(super) quotas: BTreeSet<Box<str>>,
}

impl Tree {
    /// The tree of a new server: the root and `/zookeeper` with `quota` and `config`, all made by transaction 0.
    pub(super) fn new() -> Self {
        let mut tree = Self {
            nodes: HashMap::new(),
            ephemerals: BTreeMap::new(),
            mortals: BTreeSet::new(),
            quotas: BTreeSet::new(),
        };
        let open: Arc<[Acl]> = records::OPEN_ACL_UNSAFE.into();
        for (path, acl) in [
            ("/", &open),
            ("/zookeeper", &open),
            ("/zookeeper/quota", &open),
            ("/zookeeper/config", &records::READ_ACL_UNSAFE.into()),
        ] {
            let node = Node::new(Some(Bytes::new()), Arc::clone(acl), Kind::Persistent, Zxid(0), 0);
            tree.nodes.insert(path.into(), node);
        }
        for (parent, name) in [("/", "zookeeper"), ("/zookeeper", "quota"), ("/zookeeper", "config")] {
            if let Some(node) = tree.nodes.get_mut(parent) {
                node.children.insert(name.into());
            }
        }
        if let Some(config) = tree.nodes.get_mut("/zookeeper/config") {
            config.aversion = -1;
        }
        tree
    }

    /// The znode at a path, which is not checked: the empty path is the root, any other strange one is nowhere.
    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(key(path))
    }

    pub(super) fn get_mut(&mut self, path: &str) -> Option<&mut Node> {
        self.nodes.get_mut(key(path))
    }

    /// All znodes, the root too.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of paths and data.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.iter().map(|(path, node)| path.len() + node.data.as_ref().map_or(0, Bytes::len)).sum()
    }

    /// How many znodes are below a path.
    pub(super) fn descendants(&self, path: &str) -> usize {
        if path == "/" {
            return self.len() - 1;
        }
        let below = |candidate: &str| candidate.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.nodes.keys().filter(|candidate| below(candidate)).count()
    }

    /// The ephemerals of a session, sorted.
    pub(super) fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = &str> {
        self.ephemerals.get(&session).into_iter().flatten().map(AsRef::as_ref)
    }

    pub(super) fn ephemerals_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// The containers and the znodes with a time to live.
    pub(super) fn mortals(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.mortals.iter().filter_map(|path| Some((path.as_ref(), self.get(path)?)))
    }

    /// Puts a new znode under its parent, which must be there; gives the parent's marks before.
    pub(super) fn insert(&mut self, path: &str, node: Node, creates: i32) -> ParentMark {
        let (parent, name) = split(path);
        let zxid = node.czxid;
        self.index(path, node.kind);
        self.nodes.insert(path.into(), node);
        let before = self.mark(parent, creates, zxid, |children| {
            children.insert(name.into());
        });
        self.quota_inserted(path);
        before
    }

    /// Takes a znode out; gives it and the parent's marks before.
    pub(super) fn remove(&mut self, path: &str, zxid: Zxid) -> Option<(Node, ParentMark)> {
        let node = self.nodes.remove(path)?;
        self.unindex(path, node.kind);
        self.quota_removed(path, &node);
        let (parent, name) = split(path);
        let creates = self.get(parent).map_or(0, |parent| parent.creates);
        let before = self.mark(parent, creates, zxid, |children| {
            children.remove(name);
        });
        Some((node, before))
    }

    /// Undoes [`insert`](Self::insert).
    pub(super) fn undo_insert(&mut self, path: &str, before: ParentMark) {
        self.remove(path, before.pzxid);
        if let Some(parent) = self.get_mut(split(path).0) {
            parent.creates = before.creates;
        }
    }

    /// Undoes [`remove`](Self::remove).
    pub(super) fn undo_remove(&mut self, path: &str, node: Node, before: ParentMark) {
        self.insert(path, node, before.creates);
        if let Some(parent) = self.get_mut(split(path).0) {
            parent.pzxid = before.pzxid;
        }
    }

    /// Changes the data of a znode; its stat is the caller's. Gives what was there.
    pub(super) fn replace_data(&mut self, path: &str, data: Option<Bytes>) -> Option<Bytes> {
        let len = |data: &Option<Bytes>| data.as_ref().map_or(0, |data| i64::try_from(data.len()).unwrap_or(i64::MAX));
        let is_counted = !self.quotas.is_empty();
        let more = len(&data);
        let before = std::mem::replace(&mut self.get_mut(path)?.data, data);
        if is_counted {
            self.use_quota(path, 0, more - len(&before));
        }
        before
    }

    fn mark(
        &mut self,
        parent: &str,
        creates: i32,
        pzxid: Zxid,
        change: impl FnOnce(&mut BTreeSet<Box<str>>),
    ) -> ParentMark {
        let Some(parent) = self.get_mut(parent) else { return ParentMark { creates, pzxid } };
        change(&mut parent.children);
        let before = ParentMark { creates: parent.creates, pzxid: parent.pzxid };
        parent.creates = creates;
        parent.pzxid = pzxid;
        before
    }

    fn index(&mut self, path: &str, kind: Kind) {
        match kind {
            Kind::Persistent => {}
            Kind::Ephemeral(owner) => {
                self.ephemerals.entry(owner).or_default().insert(path.into());
            }
            Kind::Container | Kind::Ttl(_) => {
                self.mortals.insert(path.into());
            }
        }
    }

    fn unindex(&mut self, path: &str, kind: Kind) {
        match kind {
            Kind::Persistent => {}
            Kind::Ephemeral(owner) => {
                if let Some(paths) = self.ephemerals.get_mut(&owner) {
                    paths.remove(path);
                    if paths.is_empty() {
                        self.ephemerals.remove(&owner);
                    }
                }
            }
            Kind::Container | Kind::Ttl(_) => {
                self.mortals.remove(path);
            }
        }
    }
}

/// The empty path is the root, as in `DataTree`.
fn key(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// A path's parent and name; the parent of `/a` is the empty path, which is the root.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(zxid: i64) -> Node {
        Node::new(None, records::OPEN_ACL_UNSAFE.into(), Kind::Persistent, Zxid(zxid), 0)
    }

    #[test]
    fn a_new_tree_looks_like_zookeepers() {
        let tree = Tree::new();
        let stat =
            |path: &str| tree.get(path).map(Node::stat).map(|stat| (stat.cversion, stat.num_children, stat.aversion));
        assert_eq!(stat("/"), Some((-1, 1, 0)));
        assert_eq!(stat(""), stat("/"));
        assert_eq!(stat("/zookeeper"), Some((-2, 2, 0)));
        assert_eq!(stat("/zookeeper/config"), Some((0, 0, -1)));
        assert_eq!(tree.descendants("/"), 3);
    }

    #[test]
    fn an_undone_change_leaves_no_trace() {
        let mut tree = Tree::new();
        tree.insert("/a", node(1), 1);
        let before = tree.get("/").unwrap().stat();
        let mark = tree.insert("/b", node(2), 2);
        tree.undo_insert("/b", mark);
        assert_eq!(tree.get("/").unwrap().stat(), before);
        let (removed, mark) = tree.remove("/a", Zxid(3)).unwrap();
        tree.undo_remove("/a", removed, mark);
        assert_eq!(tree.get("/").unwrap().stat(), before);
        assert!(tree.get("/a").is_some() && tree.get("/b").is_none());
    }
}
