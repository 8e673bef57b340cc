//! A model of ZooKeeper as one session sees it: a log of transactions, and servers that are somewhere in it.

use crate::snapshot::Node;
use imbl::OrdMap;
use std::{collections::BTreeMap, sync::Arc};
use zk_client::{Bytes, EventType, SessionId, Stat, Zxid, path};

/// A tree, cheap to clone.
pub(super) type Tree = OrdMap<String, Arc<Node>>;

/// One committed transaction: its events in order, and the tree behind it.
#[derive(Clone)]
pub(super) struct Committed {
    pub(super) zxid: Zxid,
    pub(super) events: Vec<(EventType, String)>,
    pub(super) tree: Tree,
}

/// One change of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Create(String, Vec<u8>),
    Delete(String),
    Set(String, Vec<u8>),
    /// Moves `aversion` only, and tells nobody.
    SetAcl(String),
}

/// The ensemble: everything that was ever committed.
pub(super) struct Log {
    pub(super) committed: Vec<Committed>,
}

impl Log {
    pub(super) fn new() -> Self {
        let first = Committed { zxid: Zxid(1), events: Vec::new(), tree: Tree::new() };
        Self { committed: vec![first] }
    }

    pub(super) fn last(&self) -> &Committed {
        self.committed.last().expect("never empty")
    }

    /// The tree as of a zxid: behind the last transaction up to it.
    pub(super) fn tree_at(&self, zxid: Zxid) -> &Tree {
        let index = self.committed.partition_point(|committed| committed.zxid <= zxid);
        &self.committed[index.saturating_sub(1)].tree
    }

    /// Commits changes under one zxid: all of them, or none and the zxid is used up all the same.
    pub(super) fn commit(&mut self, changes: &[Change]) {
        let zxid = Zxid(self.last().zxid.0 + 1);
        let (mut tree, mut events) = (self.last().tree.clone(), Vec::new());
        let all = changes.iter().try_for_each(|change| apply(&mut tree, &mut events, change, zxid));
        if all.is_none() {
            (tree, events) = (self.last().tree.clone(), Vec::new());
        }
        self.committed.push(Committed { zxid, events, tree });
    }
}

fn apply(tree: &mut Tree, events: &mut Vec<(EventType, String)>, change: &Change, zxid: Zxid) -> Option<()> {
    match change {
        Change::Create(path, data) => {
            let has_parent = path::parent(path).is_none_or(|parent| parent == "/" || tree.contains_key(parent));
            if tree.contains_key(path) || !has_parent {
                return None;
            }
            child_changed(tree, path, zxid, 1);
            tree.insert(path.clone(), Arc::new(Node { data: Bytes::from(data.clone()), stat: born(zxid, data.len()) }));
            events.push((EventType::NODE_CREATED, path.clone()));
        }
        Change::Delete(path) => {
            if tree.get(path)?.stat.num_children > 0 {
                return None;
            }
            tree.remove(path);
            child_changed(tree, path, zxid, -1);
            events.push((EventType::NODE_DELETED, path.clone()));
        }
        Change::Set(path, data) => {
            let mut node = Node::clone(tree.get(path)?);
            node.data = Bytes::from(data.clone());
            node.stat.mzxid = zxid;
            node.stat.version += 1;
            node.stat.data_length = i32::try_from(data.len()).unwrap();
            tree.insert(path.clone(), Arc::new(node));
            events.push((EventType::NODE_DATA_CHANGED, path.clone()));
        }
        Change::SetAcl(path) => {
            let mut node = Node::clone(tree.get(path)?);
            node.stat.aversion += 1;
            tree.insert(path.clone(), Arc::new(node));
        }
    }
    Some(())
}

fn born(zxid: Zxid, len: usize) -> Stat {
    Stat {
        czxid: zxid,
        mzxid: zxid,
        ctime: zxid.0,
        mtime: zxid.0,
        version: 0,
        cversion: 0,
        aversion: 0,
        ephemeral_owner: SessionId::NONE,
        data_length: i32::try_from(len).unwrap(),
        num_children: 0,
        pzxid: zxid,
    }
}

/// The parent's stat changes, and no event says so.
fn child_changed(tree: &mut Tree, child: &str, zxid: Zxid, by: i32) {
    let Some(parent) = path::parent(child) else { return };
    if let Some(node) = tree.get(parent) {
        let mut node = Node::clone(node);
        node.stat.pzxid = zxid;
        node.stat.cversion += 1;
        node.stat.num_children += by;
        tree.insert(parent.to_owned(), Arc::new(node));
    }
}

/// Values that a reader can have been shown, for "never back": the newest per path.
#[derive(Default)]
pub(super) struct Shown(BTreeMap<String, (Zxid, Zxid)>);

impl Shown {
    pub(super) fn check(&mut self, path: &str, stat: &Stat, seed: u64) {
        let now = (stat.czxid, stat.mzxid);
        let before = self.0.insert(path.to_owned(), now);
        assert!(before.is_none_or(|before| before <= now), "seed {seed}: {path} went back from {before:?} to {now:?}");
    }
}
