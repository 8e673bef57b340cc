//! What was changed since the last snapshot, and at which transactions it may be shown.
//!
//! Each changed path has a stretch of transactions at which its value is not known: from the first event that was not read
//! yet, to the transaction that made the value which was read. Before the stretch the value is what the last snapshot
//! showed, behind it the new one. A transaction outside of all stretches, and before all that is unread, is a cut.
//!
//! Knows nothing of events and reads.

use crate::{changes::Change, snapshot::Node};
use std::{collections::BTreeSet, sync::Arc};
use zk_client::Zxid;

/// So many more may be touched before what was touched twice is brought together.
const TOUCHED_SLACK: usize = 1024;

/// Changes for which room is kept.
const KEPT_MAX: usize = 256;

/// One changed path.
#[derive(Debug)]
struct Touched {
    path: Arc<str>,
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
    /// By path, each once, so far; behind that as they came.
    touched: Vec<Touched>,
    /// How many of them are in order.
    merged: usize,
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
        if self.touched.len() > 2 * self.merged + TOUCHED_SLACK {
            self.merge();
        }
        self.touched.push(Touched { path: path.clone(), old, new, since, until });
    }

    /// Brings together what was touched twice: not known since the first time, and known as of the last.
    fn merge(&mut self) {
        if self.merged < self.touched.len() {
            // In the order in which they came, where paths are the same.
            self.touched.sort_by(|a, b| a.path.cmp(&b.path));
            self.touched.dedup_by(|later, first| {
                let same = later.path == first.path;
                if same {
                    (first.new, first.until) = (later.new.take(), later.until);
                }
                same
            });
            self.merged = self.touched.len();
        }
    }

    /// Deletions that only events told of came before this transaction.
    pub(super) fn gone_by(&mut self, gone: BTreeSet<Arc<str>>, zxid: Zxid) {
        self.merge();
        for path in gone {
            let found = self.touched.binary_search_by(|touched| touched.path.cmp(&path));
            if let Some(touched) = found.ok().and_then(|at| self.touched.get_mut(at)) {
                touched.until.get_or_insert(zxid);
            }
        }
    }

    /// Whether the copy is what the last snapshot shows.
    pub(super) const fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// The newest transaction, up to this one, that is in nobody's stretch.
    pub(super) fn newest_cut(&mut self, before: Zxid) -> Zxid {
        self.merge();
        let mut stretches: Vec<(Zxid, Zxid)> = self
            .touched
            .iter()
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
        if let [touched] = self.touched.as_slice()
            && touched.until() <= known_at
        {
            // One znode, once: nothing to bring in order.
            self.merged = 0;
            let touched = self.touched.pop().filter(|Touched { old, new, .. }| old != new);
            return touched.map(|Touched { path, old, new, .. }| Change { path, old, new }).into_iter().collect();
        }
        self.merge();
        let mut changes = Vec::with_capacity(self.touched.len());
        let known = self.touched.extract_if(.., |touched| touched.until() <= known_at);
        let changed = known.filter(|Touched { old, new, .. }| old != new);
        changes.extend(changed.map(|Touched { path, old, new, .. }| Change { path, old, new }));
        self.merged = self.touched.len();
        self.touched.shrink_to(KEPT_MAX);
        changes.shrink_to_fit();
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_again_and_again_is_one_change_and_takes_no_more_room() {
        let mut unpublished = Unpublished::default();
        let (busy, gone): (Arc<str>, Arc<str>) = ("/z".into(), "/a".into());
        for at in 1..=10 * TOUCHED_SLACK {
            unpublished.touch(&busy, None, None, Zxid(5), Some(Zxid(i64::try_from(at).unwrap())));
            assert!(unpublished.touched.len() <= TOUCHED_SLACK + 3);
        }
        unpublished.touch(&gone, None, None, Zxid(7), None);
        unpublished.gone_by(BTreeSet::from([gone]), Zxid(9));
        let all: Vec<_> =
            unpublished.touched.iter().map(|touched| (&*touched.path, touched.since, touched.until)).collect();
        let last = Zxid(i64::try_from(10 * TOUCHED_SLACK).unwrap());
        assert_eq!(all, [("/a", Zxid(7), Some(Zxid(9))), ("/z", Zxid(5), Some(last))]);
        assert_eq!(unpublished.newest_cut(Zxid(8)), Zxid(4));
    }
}
