//! One-shot watches: who waits for which, and when the server's can go.
//!
//! Paths are the server's. Knows nothing of frames, and nothing of persistent watches. A server has at most one one-shot
//! watch a path and table, for any number of waiters. Invariant: a watch is removed only when nobody waits for it and no
//! read that would set it again is on its way. Source: protocol.md sections 3.4, 4.1 and 4.3.

use super::line::{Line, Removal, Removed};
use crate::oneshot::{Slot, WatchLost};
use std::{collections::BTreeMap, sync::Arc};
use zk_proto::{ErrorCode, EventType, WatchMode, session::End, session::WatchKind};

/// The server's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Watches of data and of existence.
    Data,
    /// Watches of the names of children.
    Child,
}

pub(super) const SIDES: [Side; 2] = [Side::Data, Side::Child];

impl Side {
    pub(crate) const fn of(kind: WatchKind) -> Self {
        match kind {
            WatchKind::Child => Self::Child,
            WatchKind::Data | WatchKind::Exist | WatchKind::Persistent | WatchKind::PersistentRecursive => Self::Data,
        }
    }

    /// Which one-shot watches an event uses up.
    const fn used_up(event_type: EventType) -> &'static [Self] {
        match event_type {
            EventType::NODE_CREATED | EventType::NODE_DATA_CHANGED => &[Self::Data],
            EventType::NODE_DELETED => &[Self::Data, Self::Child],
            EventType::NODE_CHILDREN_CHANGED => &[Self::Child],
            _ => &[],
        }
    }
}

/// Who waits for a one-shot watch.
#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    /// A caller.
    Caller(Arc<Slot>),
    /// A persistent watch that is made of one-shot ones.
    Emulation { root: Arc<str>, mode: WatchMode, asked: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WaiterId {
    Caller(u64),
    Emulation(u64),
}

impl Waiter {
    fn id(&self) -> WaiterId {
        match self {
            Self::Caller(slot) => WaiterId::Caller(slot.id),
            Self::Emulation { asked, .. } => WaiterId::Emulation(*asked),
        }
    }
}

/// The waiters of one watch.
#[derive(Debug, Default)]
struct Entry {
    armed: BTreeMap<WaiterId, Waiter>,
    /// Reads on their way that set it.
    pending: usize,
    /// The server has it, as far as we know.
    set: bool,
}

/// All one-shot watches.
#[derive(Debug, Default)]
pub(super) struct Oneshots {
    data: BTreeMap<Box<str>, Entry>,
    child: BTreeMap<Box<str>, Entry>,
}

impl Oneshots {
    const fn side(&self, side: Side) -> &BTreeMap<Box<str>, Entry> {
        match side {
            Side::Data => &self.data,
            Side::Child => &self.child,
        }
    }

    const fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Box<str>, Entry> {
        match side {
            Side::Data => &mut self.data,
            Side::Child => &mut self.child,
        }
    }

    /// Whether nothing is watched, or about to be.
    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty() && self.child.is_empty()
    }

    /// Whether anything is watched or about to be on the path.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.data.contains_key(path) || self.child.contains_key(path)
    }

    /// How many wait for a watch.
    pub(super) fn waiters(&self, path: &str, side: Side) -> usize {
        self.side(side).get(path).map_or(0, |entry| entry.armed.len() + entry.pending)
    }

    /// Every path and side, with how many wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Side)> {
        SIDES.into_iter().flat_map(|side| self.side(side).keys().map(move |path| (path.as_ref(), side)))
    }

    /// A read that sets a watch leaves.
    pub(super) fn asked(&mut self, path: &str, side: Side) {
        if let Some(entry) = self.side_mut(side).get_mut(path) {
            entry.pending += 1;
        } else {
            self.side_mut(side).insert(path.into(), Entry { pending: 1, ..Entry::default() });
        }
    }

    /// The read was answered; `waiter` is none when nobody wants the watch any more.
    pub(super) fn answered(
        &mut self,
        line: &mut Line<'_>,
        path: &str,
        kind: WatchKind,
        waiter: Option<Waiter>,
        result: Result<(), ErrorCode>,
    ) {
        let side = Side::of(kind);
        let Some(entry) = self.side_mut(side).get_mut(path) else { return };
        entry.pending = entry.pending.saturating_sub(1);
        if result.is_ok() || (kind == WatchKind::Exist && result == Err(ErrorCode::NO_NODE)) {
            entry.set = true;
            entry.armed.extend(waiter.map(|waiter| (waiter.id(), waiter)));
        }
        self.let_go(line, path, side);
    }

    /// The read was lost with its connection, and set nothing.
    pub(super) fn interrupted(&mut self, line: &mut Line<'_>, path: &str, side: Side) {
        if let Some(entry) = self.side_mut(side).get_mut(path) {
            entry.pending = entry.pending.saturating_sub(1);
            self.let_go(line, path, side);
        }
    }

    /// Somebody does not wait any more.
    pub(super) fn cancel(&mut self, line: &mut Line<'_>, path: &str, side: Side, id: WaiterId) {
        if let Some(entry) = self.side_mut(side).get_mut(path) {
            entry.armed.remove(&id);
            self.let_go(line, path, side);
        }
    }

    /// Forgets an entry that nobody needs, at the server, too.
    fn let_go(&mut self, line: &mut Line<'_>, path: &str, side: Side) {
        let Some(entry) = self.side(side).get(path) else { return };
        if entry.armed.is_empty() && entry.pending == 0 {
            if entry.set {
                line.remove(path, Removal::Side(side), None);
            }
            self.side_mut(side).remove(path);
        }
    }

    /// An event: whom it is for, with the sides that it used up.
    pub(super) fn fired(&mut self, path: &str, event_type: EventType) -> Vec<(Waiter, Side)> {
        let mut fired = Vec::new();
        for &side in Side::used_up(event_type) {
            let Some(entry) = self.side_mut(side).get_mut(path) else { continue };
            entry.set = false;
            fired.extend(std::mem::take(&mut entry.armed).into_values().map(|waiter| (waiter, side)));
            if entry.pending == 0 {
                self.side_mut(side).remove(path);
            }
        }
        fired
    }

    /// Ends the waiting of all callers on one side of a path; whether there were any.
    pub(super) fn remove_callers(&mut self, line: &mut Line<'_>, path: &str, side: Side, told: &mut Removed) -> bool {
        let Some(entry) = self.side_mut(side).get_mut(path) else { return false };
        let mut any = false;
        entry.armed.retain(|_, waiter| match waiter {
            Waiter::Caller(slot) => {
                any = true;
                slot.lose(WatchLost::Removed);
                false
            }
            Waiter::Emulation { .. } => true,
        });
        if any && entry.armed.is_empty() && entry.pending == 0 && entry.set {
            line.remove(path, Removal::Side(side), told.take());
            self.side_mut(side).remove(path);
        }
        any
    }

    /// The session is over.
    pub(super) fn ended(&mut self, end: End) {
        for entry in self.data.values().chain(self.child.values()) {
            for waiter in entry.armed.values() {
                if let Waiter::Caller(slot) = waiter {
                    slot.lose(WatchLost::Ended(end));
                }
            }
        }
        *self = Self::default();
    }
}
