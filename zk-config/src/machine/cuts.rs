//! When a snapshot is published, and what it shows.

use super::{Change, HOLD_MAX, Machine, Output, Phase, retired::change};
use crate::{
    snapshot::{Nodes, Snapshot},
    status::MirrorError,
};
use std::sync::Arc;
use tokio::time::Instant;
use zk_client::Zxid;

/// How much of what changed is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Published {
    /// All of it: nothing is unread.
    Everything,
    /// What is known at the cut.
    Known,
    /// All of it, although it is no cut.
    AsItIs,
}

impl Machine {
    /// The server is at `zxid`, and every event up to it has arrived: a cut, if nothing is unread.
    pub(crate) fn bookmark(&mut self, now: Instant, zxid: Zxid) {
        if !matches!(self.phase, Phase::Syncing | Phase::Live) || !zxid.is_some() {
            return;
        }
        if let Some(limit) = self.held.exceeded(self.nodes.len() + self.hidden.len()) {
            return self.give_up(limit);
        }
        self.answered = self.answered.max(zxid);
        if !self.gone.is_empty() {
            self.unpublished.gone_by(std::mem::take(&mut self.gone), zxid);
        }
        match self.wants.oldest() {
            None => {
                self.unrest_since = None;
                self.cut(now, zxid);
            }
            Some(oldest) if self.phase == Phase::Live => self.part(now, zxid, oldest),
            Some(_) => {}
        }
    }

    /// Something is unread that belongs to the transaction `oldest`, or to a later one.
    fn part(&mut self, now: Instant, zxid: Zxid, oldest: Zxid) {
        let before = Zxid(oldest.0.saturating_sub(1)).min(zxid);
        let cut = self.unpublished.newest_cut(before);
        if cut > self.status.confirmed.max(self.shown_early) && !self.hidden_touched {
            self.unrest_since = Some(now);
            self.confirmed(now, cut);
            self.publish(cut, Published::Known);
        } else if self.unrest_since.is_some_and(|since| now.saturating_duration_since(since) >= HOLD_MAX) {
            self.unrest_since = Some(now);
            self.shown_early = zxid;
            self.publish(zxid, Published::AsItIs);
        }
    }

    /// The copy equals the server's subtree at `zxid`.
    fn cut(&mut self, now: Instant, zxid: Zxid) {
        let synced = self.phase == Phase::Syncing;
        self.phase = Phase::Live;
        self.status.live = true;
        self.status.ready = true;
        self.confirmed(now, zxid);
        self.status.failure = self.hidden.get(&self.root).map(|why| MirrorError::Root(*why));
        self.publish(zxid, Published::Everything);
        if synced {
            let live = Snapshot { live: true, seq: self.snapshot.seq + 1, ..(*self.snapshot).clone() };
            self.snapshot = Arc::new(live);
            self.outputs.push_back(Output::Resynced(self.snapshot.clone()));
        }
    }

    fn confirmed(&mut self, now: Instant, zxid: Zxid) {
        self.status.confirmed = zxid;
        self.status.last_confirmed = Some(now);
    }

    fn publish(&mut self, zxid: Zxid, what: Published) {
        let known_at = if what == Published::Known { zxid } else { Zxid(i64::MAX) };
        let is_first = self.is_loading();
        let changes = self.unpublished.take(known_at);
        let exact = what != Published::AsItIs;
        let same = changes.is_empty() && !self.hidden_touched && !is_first;
        if same && (exact == self.snapshot.exact || !exact) {
            return;
        }
        let hidden = if std::mem::take(&mut self.hidden_touched) {
            self.hidden.iter().map(|(path, why)| (path.clone(), *why)).collect()
        } else {
            self.snapshot.hidden.clone()
        };
        self.status.revision = zxid;
        let seq = self.snapshot.seq + 1;
        let is_whole = self.unpublished.is_empty();
        self.step.set(seq, &changes, is_whole && !is_first);
        self.snapshot = Arc::new(Snapshot {
            root: self.root.clone(),
            nodes: if is_whole { self.nodes.clone() } else { changed(&self.snapshot.nodes, &changes) },
            hidden,
            revision: zxid,
            exact,
            live: self.snapshot.live,
            seq,
        });
        let changes = (!is_first).then_some(changes);
        self.outputs.push_back(Output::Snapshot { snapshot: self.snapshot.clone(), changes });
    }
}

/// What the changes lead to.
fn changed(before: &Nodes, changes: &[Change]) -> Nodes {
    let mut nodes = before.clone();
    for Change { path, new, .. } in changes {
        change(&mut nodes, path.clone(), new.clone());
    }
    nodes
}
