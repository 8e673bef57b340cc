//! How watches go: listeners that were dropped, removals by name, and what old servers cannot remove.
//!
//! Source: protocol.md sections 3.4 and 4.6.

use super::{Fanout, Group, Line, MODES, Removal, Removed, Side, WaiterId, oneshots::SIDES};
use crate::{call::Outcomes, client::WatchInfo, driver::ticket::ConsumerId, sweep::Dropped};
use std::collections::BTreeSet;
use zk_proto::{
    Bytes, ErrorCode, WatchMode, Zxid,
    session::{ReplyFailure, WatchKind},
    watch::WatcherType,
};

impl Fanout {
    /// Forgets dropped listeners; a watch that nobody wants is removed at the server. The cost follows the number of
    /// those dropped, not of those that stay.
    pub(crate) fn sweep(&mut self, line: &mut Line<'_>) {
        for dropped in self.sweep.take() {
            match dropped {
                Dropped::Stream(queue) => {
                    if let Some(group) = self.groups_mut(queue.mode).get_mut(&queue.path) {
                        group.drop_stream(queue.id);
                        self.let_go(line, &queue.path, queue.mode);
                    }
                }
                Dropped::Oneshot(slot) => {
                    self.oneshots.cancel(line, &slot.path, Side::of(slot.kind), WaiterId::Caller(slot.id));
                    self.remove_leftover(line, &slot.path);
                }
            }
        }
    }

    /// Forgets a consumer that is gone.
    pub(crate) fn drop_consumer(&mut self, line: &mut Line<'_>, gone: ConsumerId) {
        for mode in MODES {
            let has = |group: &Group| group.inline.iter().any(|(consumer, _)| *consumer == gone);
            let groups = self.groups_mut(mode);
            let paths: Vec<Box<str>> =
                groups.iter().filter(|(_, group)| has(group)).map(|(path, _)| path.clone()).collect();
            for path in paths {
                if let Some(group) = self.groups_mut(mode).get_mut(&path) {
                    group.drop_consumer(gone);
                }
                self.let_go(line, &path, mode);
            }
        }
    }

    /// Forgets a group without listeners, at the server, too.
    fn let_go(&mut self, line: &mut Line<'_>, path: &str, mode: WatchMode) {
        if self.groups(mode).get(path).is_some_and(Group::is_empty) {
            self.drop_group(line, path, mode, None);
        }
    }

    fn drop_group(&mut self, line: &mut Line<'_>, path: &str, mode: WatchMode, told: Removed) {
        let Some(group) = self.groups_mut(mode).remove(path) else { return };
        match group.emulation {
            Some(emulation) => {
                self.stop_emulation(line, group.asked, &emulation);
                tell(told, Ok(()));
            }
            None => line.remove(path, Removal::Mode(mode), told),
        }
    }

    fn is_wanted(&self, path: &str) -> bool {
        self.persistent.contains_key(path) || self.recursive.contains_key(path) || self.oneshots.contains(path)
    }

    /// The answer to removeWatches. Servers before 3.9 cannot remove a persistent watch alone (ZOOKEEPER-4472); there
    /// everything on the path goes, as soon as nothing else is wanted there.
    pub(crate) fn unwatch_answered(
        &mut self,
        line: &mut Line<'_>,
        path: &str,
        what: Removal,
        told: Removed,
        result: Result<(), ErrorCode>,
    ) {
        let needs_all = result == Err(ErrorCode::MARSHALLING_ERROR) && matches!(what, Removal::Mode(_));
        if needs_all && !self.is_wanted(path) {
            return line.remove(path, Removal::All, told);
        }
        if needs_all && !self.is_persistent(path) {
            self.leftovers.insert(path.into());
        }
        tell(told, Ok(()));
    }

    /// Removes what an old server could not remove while something else was wanted on the path.
    pub(super) fn remove_leftover(&mut self, line: &mut Line<'_>, path: &str) {
        if !self.leftovers.is_empty() && self.leftovers.contains(path) && !self.is_wanted(path) {
            self.leftovers.remove(path);
            line.remove(path, Removal::All, None);
        }
    }

    /// Ends the listeners of these kinds of watch on a path, and removes the watches at the server. What consumers in the
    /// driver watch stays.
    pub(crate) fn remove_watches(&mut self, line: &mut Line<'_>, path: &str, kinds: WatcherType, told: Removed) {
        self.sweep(line);
        let (mut told, mut any) = (told, false);
        for side in SIDES {
            let meant = if side == Side::Data { WatcherType::DATA } else { WatcherType::CHILDREN };
            if kinds == WatcherType::ANY || kinds == meant {
                any |= self.oneshots.remove_callers(line, path, side, &mut told);
            }
        }
        for mode in MODES.into_iter().filter(|mode| kinds == WatcherType::ANY || kinds == mode.watcher_type()) {
            let Some(group) = self.groups_mut(mode).get_mut(path).filter(|group| group.has_streams()) else { continue };
            any = true;
            group.remove_streams();
            if group.is_empty() {
                self.drop_group(line, path, mode, told.take());
            }
        }
        self.remove_leftover(line, path);
        tell(told, if any { Ok(()) } else { Err(ErrorCode::NO_WATCHER) });
    }

    /// Every watch, with how many listen.
    pub(crate) fn report(&self, line: &Line<'_>) -> Vec<WatchInfo> {
        let mut watches = Vec::new();
        let mut add = |path: &str, kind, listeners, is_set| {
            watches.push(WatchInfo { path: path.to_owned(), kind, listeners, is_set });
        };
        for (path, kind) in line.session.watches() {
            let listeners = match kind {
                WatchKind::Persistent => self.persistent.get(path).map_or(0, Group::len),
                WatchKind::PersistentRecursive => self.recursive.get(path).map_or(0, Group::len),
                WatchKind::Data | WatchKind::Exist | WatchKind::Child => self.oneshots.waiters(path, Side::of(kind)),
            };
            add(path, kind, listeners, true);
        }
        for (mode, (path, group)) in
            MODES.into_iter().flat_map(|mode| self.groups(mode).iter().map(move |at| (mode, at)))
        {
            if !line.session.is_watched(path, mode) {
                // An emulated one stands without an entry of its own.
                add(path, mode.into(), group.len(), group.armed);
            }
        }
        let one_shots = line.session.watches().filter(|(_, kind)| !is_persistent(*kind));
        let set: BTreeSet<(&str, bool)> = one_shots.map(|(path, kind)| (path, kind == WatchKind::Child)).collect();
        for (path, side) in self.oneshots.iter().filter(|(path, side)| !set.contains(&(path, *side == Side::Child))) {
            let kind = if side == Side::Data { WatchKind::Data } else { WatchKind::Child };
            add(path, kind, self.oneshots.waiters(path, side), false);
        }
        watches
    }
}

const fn is_persistent(kind: WatchKind) -> bool {
    matches!(kind, WatchKind::Persistent | WatchKind::PersistentRecursive)
}

/// Answers whoever asked for a removal. What a lost connection took away is removed, too.
pub(crate) fn tell(told: Removed, result: Result<(), ErrorCode>) {
    let result = result.map(|()| Bytes::new()).map_err(ReplyFailure::Refused);
    let _ = told.map(|told| told.send(Outcomes::Reply { zxid: Zxid::NONE, result }));
}
