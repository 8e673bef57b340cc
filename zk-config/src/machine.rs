//! The mirror's algorithm, sans-IO: events and answers in, reads and snapshots out.
//!
//! Knows nothing of sockets, tasks or channels. The rules it stands on (design: "the mirror"):
//!
//! 1. The recursive watch is set before the first read, and before every resynchronisation. So every change
//!    after that comes as an event, and everything before it is found by reading.
//! 2. On one connection an event arrives before any answer that could show its change. So an answer with
//!    the header zxid Z that leaves nothing unread makes the copy equal to the server's subtree at Z: a cut.
//!    While something is unread, the copy is known up to the transaction before the first one that it belongs to
//!    (`unpublished.rs`). Nothing is published anywhere else, so nobody sees half a transaction.
//! 3. What is unread stays unread until an answer *on the current connection* clears it: the list of it
//!    survives a lost connection.
//! 4. Values are compared by `czxid` and `mzxid`, lists of children by `pzxid`; never by version.

use crate::{
    changes::{Change, GapReason},
    limits::{Held, Limits},
    snapshot::{Node, Nodes, Snapshot, prefix_of},
    status::{Hidden, MirrorError, Status},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use zk_client::{End, EventType, Stat, WatchedEvent, Zxid, path};

mod answers;
mod cuts;
mod retired;
mod unpublished;
mod wants;

use retired::Step;
use unpublished::Unpublished;
use wants::Wants;
pub(crate) use wants::{Fetch, Kind, Reads};

/// How long changes are held back in the hope of a cut, while the tree never comes to rest.
pub(crate) const HOLD_MAX: Duration = Duration::from_millis(100);

/// Where the mirror stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No connection.
    Down,
    /// Connected, but the watch does not stand yet.
    Arming,
    /// The watch stands; everything is being read and compared.
    Syncing,
    /// Every change comes as an event.
    Live,
}

/// What is to be told to readers.
#[derive(Debug)]
pub(crate) enum Output {
    /// A new snapshot, and the changes that lead to it. To the first one, everything in it leads: that is not written down.
    Snapshot { snapshot: Arc<Snapshot>, changes: Option<Vec<Change>> },
    /// The current snapshot may be behind from here on.
    Gap(Arc<Snapshot>, GapReason),
    /// The current snapshot is exact again.
    Resynced(Arc<Snapshot>),
}

/// The mirror's state; see the module.
#[derive(Debug)]
pub(crate) struct Machine {
    root: Arc<str>,
    phase: Phase,
    /// Whether the watch was ever answered; the client sets it again by itself after that.
    armed: bool,
    nodes: Nodes,
    held: Held,
    hidden: BTreeMap<Arc<str>, Hidden>,
    wants: Wants,
    /// Deleted, says an event, but no answer has covered it yet. The zxid of an event does not count as
    /// seen, so the next server may be behind it and have the znode still.
    gone: BTreeSet<Arc<str>>,
    /// What was changed since the last snapshot.
    unpublished: Unpublished,
    /// The newest zxid of any answer: an event that comes now is of a later transaction.
    answered: Zxid,
    /// Everything up to this transaction may have been published as it was: no cut before it can be shown.
    shown_early: Zxid,
    hidden_touched: bool,
    /// Since when something is unread.
    unrest_since: Option<Instant>,
    snapshot: Arc<Snapshot>,
    /// What led to the snapshot.
    step: Step,
    status: Status,
    outputs: VecDeque<Output>,
}

impl Machine {
    pub(crate) fn new(root: Arc<str>, snapshot: Arc<Snapshot>, limits: Limits) -> Self {
        Self {
            root,
            phase: Phase::Down,
            armed: false,
            nodes: Nodes::new(),
            held: Held::nothing(limits),
            hidden: BTreeMap::new(),
            wants: Wants::default(),
            gone: BTreeSet::new(),
            unpublished: Unpublished::default(),
            answered: Zxid(0),
            shown_early: Zxid(0),
            hidden_touched: false,
            unrest_since: None,
            snapshot,
            step: Step::default(),
            status: Status::new(),
            outputs: VecDeque::new(),
        }
    }

    pub(crate) const fn status(&self) -> &Status {
        &self.status
    }

    /// A server serves us. Answers whether the watch must be asked for.
    pub(crate) fn connected(&mut self, now: Instant) -> bool {
        if self.armed {
            self.start_sync(now);
            return false;
        }
        let ask = self.phase == Phase::Down && !self.wants.watch_asked;
        self.wants.watch_asked = true;
        self.phase = Phase::Arming;
        ask
    }

    /// The watch stands, or was refused.
    pub(crate) fn watch_answered(&mut self, now: Instant, result: Result<(), MirrorError>) {
        match result {
            Ok(()) if !self.armed => {
                self.armed = true;
                if self.phase == Phase::Arming {
                    self.start_sync(now);
                }
            }
            Ok(()) => {}
            Err(failure) => self.status.failure = Some(failure),
        }
    }

    /// The connection is gone; what was on its way is unread.
    pub(crate) fn disconnected(&mut self) {
        self.wants.connection_lost();
        for path in std::mem::take(&mut self.gone) {
            self.wants.want_anew(path, Kind::Data);
        }
        self.unrest_since = None;
        if self.phase == Phase::Down {
            return;
        }
        self.phase = Phase::Down;
        if self.status.live {
            self.gap(GapReason::ConnectionLost);
        }
    }

    /// The session is gone; a new one is being made.
    pub(crate) fn expired(&mut self) {
        if self.status.ready {
            self.gap(GapReason::SessionExpired);
        }
    }

    pub(crate) fn ended(&mut self, end: End) {
        self.disconnected();
        self.status.failure = Some(MirrorError::Ended(end));
    }

    /// The subtree is larger than the copy may be. What was published stays as it is; the mirror is over, so nothing follows.
    fn give_up(&mut self, failure: MirrorError) {
        self.status.failure = Some(failure);
        if self.status.live {
            self.gap(GapReason::GivenUp);
        }
    }

    fn gap(&mut self, reason: GapReason) {
        self.status.live = false;
        self.status.gaps += 1;
        let stale = Snapshot { live: false, seq: self.snapshot.seq + 1, ..(*self.snapshot).clone() };
        self.snapshot = Arc::new(stale);
        self.outputs.push_back(Output::Gap(self.snapshot.clone(), reason));
    }

    /// Everything known is read again, and compared.
    fn start_sync(&mut self, now: Instant) {
        self.phase = Phase::Syncing;
        self.status.resyncs += 1;
        self.hidden_touched |= !self.hidden.is_empty();
        for path in std::mem::take(&mut self.hidden).into_keys() {
            self.wants.want_anew(path, Kind::Data);
        }
        for path in self.nodes.keys() {
            self.wants.want_anew(path.clone(), Kind::Data);
        }
        if self.is_loading() && self.nodes.is_empty() {
            self.wants.want_first(self.root.clone(), Kind::Data);
        } else {
            self.wants.want_anew(self.root.clone(), Kind::Data);
        }
        self.unrest_since = Some(now);
    }

    /// A watched change.
    pub(crate) fn event(&mut self, now: Instant, event: &WatchedEvent) {
        let path = self.known(&event.path);
        let zxid = event.zxid;
        let since = if zxid.is_some() { zxid } else { Zxid(self.answered.0.saturating_add(1)) };
        match event.event_type {
            EventType::NODE_DATA_CHANGED => {}
            EventType::NODE_CREATED => self.want_parent(&path, zxid, since),
            EventType::NODE_DELETED => {
                let until = zxid.is_some().then_some(zxid);
                self.remove(&path, since, until, true);
                self.want_parent(&path, zxid, since);
                if path != self.root {
                    return self.restless(now);
                }
                // No parent to read: the answer "no such znode" is the cut.
            }
            // Made up by a newer server: find out by reading.
            _ => self.wants.want(path.clone(), Kind::Children, zxid, since),
        }
        self.wants.want(path, Kind::Data, zxid, since);
        self.restless(now);
    }

    /// A path as the copy has it, or a new one. An event of a known znode so allocates nothing, and what has to be looked at for
    /// its answer is near by then.
    fn known(&self, path: &str) -> Arc<str> {
        self.nodes.get_key_value(path).map_or_else(|| path.into(), |(path, _)| path.clone())
    }

    fn restless(&mut self, now: Instant) {
        self.unrest_since.get_or_insert(now);
    }

    /// A child came or went: the parent's stat changed, and no event says so.
    fn want_parent(&mut self, child: &str, zxid: Zxid, since: Zxid) {
        if child != &*self.root
            && let Some(parent) = path::parent(child)
        {
            self.wants.want(self.known(parent), Kind::Data, zxid, since);
        }
    }

    /// Nothing was ever published: whatever the copy holds then is new to readers.
    fn is_loading(&self) -> bool {
        self.snapshot.seq == 0
    }

    /// Takes a znode and everything below out of the copy; nothing of it need be read any more.
    fn remove(&mut self, path: &Arc<str>, since: Zxid, until: Option<Zxid>, by_event: bool) {
        let prefix = prefix_of(path);
        let below = (Bound::Excluded(prefix.as_str()), Bound::Unbounded);
        let known = self.nodes.range::<_, str>(below).map(|(path, _)| path.clone());
        let below: Vec<_> = known.take_while(|path| path.starts_with(&prefix)).collect();
        for path in below.iter().chain([path]) {
            self.forget(path, since, until);
        }
        if by_event {
            self.gone.extend(below);
            self.gone.insert(path.clone());
        }
        if !self.hidden.is_empty() {
            let hidden = self.hidden.len();
            self.hidden.retain(|hidden, _| hidden != path && !hidden.starts_with(&prefix));
            self.hidden_touched |= hidden != self.hidden.len();
        }
    }

    /// Takes one znode out, which was not known since one transaction, and is known not to be there from another one on.
    fn forget(&mut self, path: &Arc<str>, since: Zxid, until: Option<Zxid>) {
        let wanted = self.wants.drop(path);
        let old = self.nodes.remove(&**path);
        self.held.replace(path, old.as_deref(), None);
        if (old.is_some() || wanted.is_some()) && !self.is_loading() {
            let since = wanted.map_or(since, |wanted| wanted.min(since));
            self.unpublished.touch(path, old, None, since, until);
        }
    }

    /// Takes a value in, which was not known since one transaction; its stat says from which one on it is right.
    fn set(&mut self, path: &Arc<str>, since: Zxid, node: Node) {
        let until = known_since(&node.stat);
        let node = Arc::new(node);
        let old = self.nodes.insert(path.clone(), node.clone());
        self.held.replace(path, old.as_deref(), Some(&node));
        if !self.is_loading() {
            self.unpublished.touch(path, old, Some(node), since, Some(until));
        }
        if !self.hidden.is_empty() && self.hidden.remove(path).is_some() {
            self.hidden_touched = true;
        }
    }

    fn hide(&mut self, path: &Arc<str>, since: Zxid, zxid: Zxid, why: Hidden) {
        self.forget(path, since, Some(zxid));
        self.hidden_touched |= self.hidden.insert(path.clone(), why) != Some(why);
    }

    /// The reads to send now; none while nothing may be read.
    pub(crate) fn next_reads(&mut self) -> Option<Reads<'_>> {
        let reads = match self.phase {
            Phase::Syncing | Phase::Live => self.wants.next_reads()?,
            Phase::Down | Phase::Arming => return None,
        };
        self.status.reads += reads.fetches.len() as u64;
        Some(reads)
    }

    /// What readers are to be told next.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

/// From which transaction on a value is right.
fn known_since(stat: &Stat) -> Zxid {
    stat.mzxid.max(stat.pzxid)
}

#[cfg(test)]
mod tests;
