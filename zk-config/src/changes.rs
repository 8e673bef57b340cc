//! The stream of changes: what subscribers see.
//!
//! Invariant: folding the changes over the snapshot that came with the subscription always gives the
//! mirror's snapshot, and what was not told one by one is announced by a gap.

use crate::{
    mirror::Shared,
    snapshot::{Node, Nodes, Snapshot},
};
use futures_core::Stream;
use imbl::ordmap::DiffItem;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock, Weak},
    task::{Context, Poll},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use zk_client::Zxid;

/// What a subscriber is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update {
    /// The snapshot changed.
    Changes(Arc<Batch>),
    /// From here on changes may be missed; those that were are told before [`Resynced`](Self::Resynced).
    Gap(GapReason),
    /// The gap is closed: the changes so far lead to exactly this revision.
    Resynced {
        /// The transaction that the snapshot stands for.
        revision: Zxid,
    },
}

/// Why changes are not told one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The first load is not complete yet.
    NotLoaded,
    /// The connection was lost; the snapshot is stale until [`Update::Resynced`].
    ConnectionLost,
    /// The session expired, too.
    SessionExpired,
    /// The mirror gave up, and [`Status::failure`](crate::Status::failure) says why; the snapshot is stale for good.
    GivenUp,
    /// This subscriber was too slow; the mirror itself missed nothing.
    Overflow,
}

/// Changes that became visible together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The transaction that the snapshot stands for since.
    pub revision: Zxid,
    /// Whether the snapshot since equals the server's subtree at that revision.
    pub exact: bool,
    /// By path; a path occurs once.
    pub changes: Vec<Change>,
}

/// One znode before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The znode's path, as the client sees it.
    pub path: Arc<str>,
    /// Before; `None` if it was not there.
    pub old: Option<Arc<Node>>,
    /// After; `None` if it is gone.
    pub new: Option<Arc<Node>>,
}

impl Change {
    /// Whether only metadata changed that is not the znode's own doing: children came or went, or the ACL
    /// was set.
    #[must_use]
    pub fn is_stat_only(&self) -> bool {
        matches!((&self.old, &self.new), (Some(old), Some(new)) if old.stat.same_value(&new.stat))
    }

    /// Whether the znode was deleted and created again since.
    #[must_use]
    pub fn is_recreated(&self) -> bool {
        matches!((&self.old, &self.new), (Some(old), Some(new)) if old.stat.czxid != new.stat.czxid)
    }
}

/// One update and the snapshot that it leads to.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) told: Told,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// What an item is.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Update(Update),
    /// The first snapshot, in which everything is new. That is written down when the first subscriber asks: mostly nobody does.
    First(Arc<OnceLock<Update>>),
    /// Nothing more will come.
    End,
}

impl Item {
    pub(crate) fn update(&self) -> Option<&Update> {
        match &self.told {
            Told::Update(update) => Some(update),
            Told::First(update) => Some(update.get_or_init(|| {
                let (revision, exact) = (self.snapshot.revision, self.snapshot.exact);
                let changes = diff(&Nodes::new(), &self.snapshot.nodes);
                Update::Changes(Arc::new(Batch { revision, exact, changes }))
            })),
            Told::End => None,
        }
    }
}

/// The changes behind a snapshot; ends when the mirror is dropped or its session ends.
pub struct Changes {
    seen: Arc<Snapshot>,
    /// The one before, until the next call: that frees what only it held, which whoever has the update need not wait for.
    before: Option<Arc<Snapshot>>,
    updates: Option<Receiver<Item>>,
    ready: VecDeque<Update>,
    shared: Weak<Shared>,
    receiving: Option<Receiving>,
}

type Received = (Result<Item, RecvError>, Receiver<Item>);
type Receiving = Pin<Box<dyn Future<Output = Received> + Send>>;

impl Changes {
    pub(crate) fn new(seen: Arc<Snapshot>, updates: Option<Receiver<Item>>, shared: Weak<Shared>) -> Self {
        let gap = match (seen.live, seen.seq) {
            (true, _) => None,
            (false, 0) => Some(Update::Gap(GapReason::NotLoaded)),
            (false, _) => Some(Update::Gap(GapReason::ConnectionLost)),
        };
        let ready = gap.into_iter().collect();
        Self { seen, before: None, updates, ready, shared, receiving: None }
    }

    /// The next update; `None` when no more will come.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Update> {
        self.before = None;
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Some(update);
            }
            // A stream poll may have left a wait behind.
            let received = match &mut self.receiving {
                Some(receiving) => {
                    let (received, updates) = receiving.await;
                    self.receiving = None;
                    self.updates = Some(updates);
                    received
                }
                None => self.updates.as_mut()?.recv().await,
            };
            self.take(received);
        }
    }

    fn take(&mut self, received: Result<Item, RecvError>) {
        match received {
            Ok(item) => match item.told {
                Told::End => self.updates = None,
                // Part of the snapshot already.
                Told::Update(_) | Told::First(_) if item.snapshot.seq <= self.seen.seq => {}
                Told::Update(_) | Told::First(_) => {
                    self.ready.extend(item.update().cloned());
                    self.before = Some(std::mem::replace(&mut self.seen, item.snapshot));
                }
            },
            Err(RecvError::Lagged(_)) => self.catch_up(),
            Err(RecvError::Closed) => self.updates = None,
        }
    }

    /// Too slow: what was overwritten is replaced by the difference to the current snapshot.
    fn catch_up(&mut self) {
        self.ready.push_back(Update::Gap(GapReason::Overflow));
        // Without the mirror there is nothing to compare with: the gap stays open, and is the last that is told.
        let Some(shared) = self.shared.upgrade() else { return self.updates = None };
        let current = shared.snapshot.load_full();
        let changes = diff(&self.seen.nodes, &current.nodes);
        let (revision, exact, live) = (current.revision, current.exact, current.live);
        if !changes.is_empty() {
            self.ready.push_back(Update::Changes(Arc::new(Batch { revision, exact, changes })));
        }
        self.ready.push_back(if live { Update::Resynced { revision } } else { Update::Gap(GapReason::ConnectionLost) });
        self.seen = current;
    }
}

impl Stream for Changes {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        self.before = None;
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Poll::Ready(Some(update));
            }
            if self.receiving.is_none() {
                let Some(mut updates) = self.updates.take() else { return Poll::Ready(None) };
                self.receiving = Some(Box::pin(async move {
                    let received = updates.recv().await;
                    (received, updates)
                }));
            }
            let Some(receiving) = &mut self.receiving else { return Poll::Ready(None) };
            let (received, updates) = std::task::ready!(receiving.as_mut().poll(cx));
            self.receiving = None;
            self.updates = Some(updates);
            self.take(received);
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("revision", &self.seen.revision).finish_non_exhaustive()
    }
}

/// What leads from one map to another; skips what both share.
pub(crate) fn diff(old: &Nodes, new: &Nodes) -> Vec<Change> {
    let change = |path: &Arc<str>, old, new| Change { path: path.clone(), old, new };
    old.diff(new)
        .filter_map(|item| match item {
            DiffItem::Add(path, node) => Some(change(path, None, Some(node.clone()))),
            DiffItem::Remove(path, node) => Some(change(path, Some(node.clone()), None)),
            DiffItem::Update { old: (path, old), new: (_, new) } => {
                (old != new).then(|| change(path, Some(old.clone()), Some(new.clone())))
            }
        })
        .collect()
}
