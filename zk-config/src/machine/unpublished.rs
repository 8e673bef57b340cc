//! What was changed since the last snapshot, and at which transactions it may be shown.
//!
//! Each changed path has a stretch of transactions at which its value is not known: from the first event that was not read
//! yet, to the transaction that made the value which was read. Before the stretch the value is what the last snapshot
//! showed, behind it the new one. A transaction outside of all stretches, and before all that is unread, is a cut.
//!
//! Knows nothing of events and reads.

use crate::{changes::Change, snapshot::Node};
use foldhash::fast::RandomState;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};
use zk_client::Zxid;

/// One changed path.
#[derive(Debug)]
struct Touched {
    /// What the last snapshot shows.
    old: Option<Arc<Node>>,
    /// What the copy holds.
    new: Option<Arc<Node>>,
    /// From here on the last snapshot's value is not known to be right.
    since: Zxid,
    /// From here on the copy's value is right; `None` for a deletion of which only an event without zxid is known.
    until: Option<Zxid>,
}

impl Touched {
    fn until(&self) -> Zxid {
        self.until.unwrap_or(Zxid(i64::MAX))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Unpublished {
    paths: HashMap<Arc<str>, Touched, RandomState>,
}

impl Unpublished {
    /// A path was changed; `old` is what the copy held before, `new` what it holds now.
    pub(super) fn touch(
        &mut self,
        path: &Arc<str>,
        old: Option<Arc<Node>>,
        new: Option<Arc<Node>>,
        since: Zxid,
        until: Option<Zxid>,
    ) {
        match self.paths.entry(path.clone()) {
            Entry::Occupied(touched) => {
                let touched = touched.into_mut();
                (touched.new, touched.until) = (new, until);
            }
            Entry::Vacant(entry) => drop(entry.insert(Touched { old, new, since, until })),
        }
    }

    /// A deletion that only an event told of came before this transaction.
    pub(super) fn gone_by(&mut self, path: &str, zxid: Zxid) {
        if let Some(touched) = self.paths.get_mut(path) {
            touched.until.get_or_insert(zxid);
        }
    }

    /// Whether the copy is what the last snapshot shows.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The newest transaction, up to this one, that is in nobody's stretch.
    pub(super) fn newest_cut(&self, before: Zxid) -> Zxid {
        let mut stretches: Vec<(Zxid, Zxid)> = self
            .paths
            .values()
            .filter(|touched| touched.since <= before)
            .map(|touched| (touched.until(), touched.since))
            .collect();
        stretches.sort_unstable_by(|a, b| b.cmp(a));
        let mut cut = before;
        for (until, since) in stretches {
            if until > cut && since <= cut {
                cut = Zxid(since.0.saturating_sub(1));
            }
        }
        cut
    }

    /// Takes out what is known at a transaction, and leaves out what is as it was; by path.
    pub(super) fn take(&mut self, known_at: Zxid) -> Vec<Change> {
        let known = self.paths.extract_if(|_, touched| touched.until() <= known_at);
        let changed = known.filter(|(_, Touched { old, new, .. })| old != new);
        let mut changes: Vec<_> = changed.map(|(path, Touched { old, new, .. })| Change { path, old, new }).collect();
        changes.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        changes
    }
}
