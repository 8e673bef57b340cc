//! How much a mirror may hold, and how much it does.
//!
//! A tree that somebody fills by mistake must not fill every process that mirrors it. Knows nothing of where znodes come from.

use crate::{snapshot::Node, status::MirrorError};

/// How much a mirror may hold.
///
/// A larger subtree is not shown in part: the mirror gives up with [`MirrorError::TooManyNodes`] or
/// [`MirrorError::TooManyBytes`]. What it has published stays readable, and says that it is stale. The answer to a read tells that
/// there is too much, so up to one answer more than the limits is held until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Znodes, with the root, and with those that [cannot be read](crate::Snapshot::hidden).
    pub nodes: usize,
    /// Bytes of all paths and all data. A znode needs some 300 bytes more.
    pub bytes: usize,
}

impl Limits {
    /// As much as there is.
    pub const NONE: Self = Self { nodes: usize::MAX, bytes: usize::MAX };
}

impl Default for Limits {
    fn default() -> Self {
        Self::NONE
    }
}

/// What the copy holds.
#[derive(Debug)]
pub(crate) struct Held {
    limits: Limits,
    bytes: usize,
    /// Znodes in the longest list of children, with their parent: they are there, though they may not have been read yet.
    listed: usize,
}

impl Held {
    pub(crate) const fn nothing(limits: Limits) -> Self {
        Self { limits, bytes: 0, listed: 0 }
    }

    /// A path has another value than before, or none.
    pub(crate) fn replace(&mut self, path: &str, old: Option<&Node>, new: Option<&Node>) {
        let bytes = |node: Option<&Node>| node.map_or(0, |node| path.len() + node.data.len());
        self.bytes = self.bytes + bytes(new) - bytes(old);
    }

    /// A znode has so many children.
    pub(crate) fn list(&mut self, names: usize) {
        self.listed = self.listed.max(names.saturating_add(1));
    }

    /// Which limit is exceeded, with so many znodes.
    pub(crate) const fn exceeded(&self, nodes: usize) -> Option<MirrorError> {
        let Limits { nodes: nodes_max, bytes: bytes_max } = self.limits;
        if nodes > nodes_max || self.listed > nodes_max {
            Some(MirrorError::TooManyNodes { limit: nodes_max })
        } else if self.bytes > bytes_max {
            Some(MirrorError::TooManyBytes { limit: bytes_max })
        } else {
            None
        }
    }

    #[cfg(test)]
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}
