//! The copy after a snapshot was published: the tree of the snapshot before it, brought up to date.
//!
//! What is published is shared, so a change of the copy behind that copies its path from the root down: some tables of keys and
//! values, and each of those is counted once more, wherever it lies in memory. That is most of what an update costs where it
//! comes cold. The snapshot that was replaced mostly has no reader any more. Its tree is the copy but for the last changes,
//! and nobody else's: with these it takes the copy's place, and what changes next is changed in place. So two trees take turns,
//! one shown and one written. Where somebody does hold the replaced snapshot, its tree stays as it is, and what changes next is
//! copied once more.
//!
//! Knows nothing of how snapshots come about.

use super::{Change, Machine};
use crate::snapshot::{Node, Nodes, Snapshot};
use std::sync::Arc;

/// With more changes than this the trees are shared: to make each twice costs more than to copy where they are.
const CHANGES_MAX: usize = 64;

/// What led from one snapshot to the next.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// The number of the snapshot that it led to; zero where the trees are to stay shared.
    to: u64,
    changes: Vec<(Arc<str>, Option<Arc<Node>>)>,
}

impl Step {
    /// These are the changes that lead to a snapshot, if the copy is what that shows.
    pub(super) fn set(&mut self, to: u64, changes: &[Change], is_whole: bool) {
        self.changes.clear();
        let is_short = is_whole && changes.len() <= CHANGES_MAX;
        self.to = if is_short { to } else { 0 };
        if is_short {
            self.changes.extend(changes.iter().map(|change| (change.path.clone(), change.new.clone())));
        }
    }
}

impl Machine {
    /// A snapshot that readers do not get any more. Answers whether its tree is the copy now.
    pub(crate) fn retired(&mut self, snapshot: Arc<Snapshot>) -> bool {
        // Gaps may have been published since, which change nothing; and whoever is late brings the wrong one.
        if snapshot.seq + 1 != self.step.to || !self.unpublished.is_empty() {
            return false;
        }
        let Ok(Snapshot { mut nodes, .. }) = Arc::try_unwrap(snapshot) else { return false };
        for (path, new) in self.step.changes.drain(..) {
            change(&mut nodes, path, new);
        }
        self.step.to = 0;
        self.nodes = nodes;
        true
    }
}

/// Makes one change. That a znode has another value is nearly always all.
pub(super) fn change(nodes: &mut Nodes, path: Arc<str>, new: Option<Arc<Node>>) {
    match new {
        Some(new) => match nodes.get_mut(&*path) {
            Some(slot) => *slot = new,
            None => drop(nodes.insert(path, new)),
        },
        None => drop(nodes.remove(&*path)),
    }
}
