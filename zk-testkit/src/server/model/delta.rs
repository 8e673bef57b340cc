//! Changes of znodes as a follower is told them: decided elsewhere, and only to be made.
//!
//! Must not know who asked for them, or why.

use std::sync::Arc;

use bytes::Bytes;
use zk_proto::{Acl, Zxid};

use super::tree::{Node, Tree};

/// A change of a znode as a follower is told it: no checks, only what is there afterwards.
#[derive(Clone, Debug)]
pub(super) enum Delta {
    Create { path: Box<str>, node: Node, creates: i32 },
    Delete { path: Box<str> },
    SetData { path: Box<str>, data: Option<Bytes>, mtime: i64, version: i32 },
    SetAcl { path: Box<str>, acl: Arc<[Acl]>, aversion: i32 },
}

impl Delta {
    /// Makes the same change in another tree.
    pub(super) fn apply(&self, tree: &mut Tree, zxid: Zxid) {
        match self {
            Self::Create { path, node, creates } => {
                tree.insert(path, node.clone(), *creates);
            }
            Self::Delete { path } => {
                tree.remove(path, zxid);
            }
            Self::SetData { path, data, mtime, version } => {
                tree.replace_data(path, data.clone());
                if let Some(node) = tree.get_mut(path) {
                    (node.mzxid, node.mtime, node.version) = (zxid, *mtime, *version);
                }
            }
            Self::SetAcl { path, acl, aversion } => {
                if let Some(node) = tree.get_mut(path) {
                    (node.acl, node.aversion) = (Arc::clone(acl), *aversion);
                }
            }
        }
    }
}
