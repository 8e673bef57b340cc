//! What readers hold: an immutable copy of the subtree, as of one transaction.
//!
//! Knows nothing of how it came about.

use crate::status::Hidden;
use imbl::OrdMap;
use std::{ops::Bound, sync::Arc};
use zk_client::{Bytes, Stat, Zxid};

/// A znode as it was at the snapshot's revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its data; null reads as empty.
    pub data: Bytes,
    /// Its metadata.
    pub stat: Stat,
}

/// Path to znode; paths are the client's, root included.
pub(crate) type Nodes = OrdMap<Arc<str>, Arc<Node>>;

/// The subtree as of one transaction. Cheap to keep: snapshots share what did not change.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) root: Arc<str>,
    pub(crate) nodes: Nodes,
    pub(crate) hidden: Arc<[(Arc<str>, Hidden)]>,
    pub(crate) revision: Zxid,
    pub(crate) exact: bool,
    pub(crate) live: bool,
    /// The update that made it; what has a higher number came later.
    pub(crate) seq: u64,
}

impl Snapshot {
    pub(crate) fn empty(root: Arc<str>) -> Self {
        Self { root, nodes: Nodes::new(), hidden: Arc::new([]), revision: Zxid(0), exact: false, live: false, seq: 0 }
    }

    /// The subtree's root, which need not exist.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The transaction that the snapshot stands for; zero before the first load.
    #[must_use]
    pub const fn revision(&self) -> Zxid {
        self.revision
    }

    /// Whether it equals the server's subtree at its revision. Only a tree that changes without pause, for
    /// longer than the mirror holds changes back, gives snapshots that are not.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether the mirror was live when the snapshot was made.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.live
    }

    /// A znode by its path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path).map(AsRef::as_ref)
    }

    /// All znodes, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Node)> {
        self.nodes.iter().map(|(path, node)| (path, node.as_ref()))
    }

    /// The znodes below a path, itself not included, by path.
    pub fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a Arc<str>, &'a Node)> {
        let prefix = prefix_of(path);
        self.nodes
            .range::<_, str>((Bound::Excluded(prefix.as_str()), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, node)| (path, node.as_ref()))
    }

    /// How many znodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no znode, not even the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Znodes that are known to exist but could not be read, and why.
    #[must_use]
    pub fn hidden(&self) -> &[(Arc<str>, Hidden)] {
        &self.hidden
    }
}

/// What every path below `path` begins with.
pub(crate) fn prefix_of(path: &str) -> String {
    if path == "/" { String::from("/") } else { format!("{path}/") }
}
