//! Watches: who is told what, for the two tables that ZooKeeper keeps.
//!
//! Must not know znodes, ACLs or frames. A watch belongs to a connection, never to a session. Source: protocol.md
//! sections 4.1 to 4.6 and 12.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use zk_proto::{EventType, watch::WatcherType};

use super::ConnId;
use crate::server::Profile;

/// Kinds of watch of one connection on one path, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modes(u8);

impl Modes {
    pub(super) const STANDARD: Self = Self(1);
    pub(super) const PERSISTENT: Self = Self(2);
    pub(super) const RECURSIVE: Self = Self(4);
    const ALL: Self = Self(7);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The tables: watches for a znode, and watches for the names of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Data,
    Child,
}

#[derive(Debug, Default)]
struct Table {
    paths: HashMap<Box<str>, BTreeMap<ConnId, Modes>>,
    /// How many entries are recursive: without any, nobody looks at ancestors.
    recursive: usize,
}

/// All watches of all connections.
#[derive(Debug, Default)]
pub(super) struct Watches {
    data: Table,
    child: Table,
    of: BTreeMap<ConnId, BTreeSet<(Side, Box<str>)>>,
}

impl Watches {
    const fn table(&self, side: Side) -> &Table {
        match side {
            Side::Data => &self.data,
            Side::Child => &self.child,
        }
    }

    const fn table_mut(&mut self, side: Side) -> &mut Table {
        match side {
            Side::Data => &mut self.data,
            Side::Child => &mut self.child,
        }
    }

    /// Sets a one-shot watch.
    pub(super) fn add(&mut self, profile: &Profile, side: Side, path: &str, conn: ConnId) {
        self.put(profile, side, path, conn, Modes::STANDARD);
    }

    /// Sets a persistent watch: it is in both tables.
    pub(super) fn add_persistent(&mut self, profile: &Profile, path: &str, conn: ConnId) {
        self.put(profile, Side::Data, path, conn, Modes::PERSISTENT);
        self.put(profile, Side::Child, path, conn, Modes::PERSISTENT);
    }

    /// Sets a persistent recursive watch. Before 3.9 it entered the child table too, where it fires nothing of its
    /// own, but replaces what is there.
    pub(super) fn add_recursive(&mut self, profile: &Profile, path: &str, conn: ConnId) {
        self.put(profile, Side::Data, path, conn, Modes::RECURSIVE);
        if !profile.watch_modes_coexist() {
            self.put(profile, Side::Child, path, conn, Modes::RECURSIVE);
        }
    }

    fn put(&mut self, profile: &Profile, side: Side, path: &str, conn: ConnId, mode: Modes) {
        let coexist = profile.watch_modes_coexist();
        let table = self.table_mut(side);
        if !table.paths.contains_key(path) {
            table.paths.insert(path.into(), BTreeMap::new());
        }
        let Some(conns) = table.paths.get_mut(path) else { return };
        let before = conns.get(&conn).copied().unwrap_or(Modes(0));
        let after = if coexist { Modes(before.0 | mode.0) } else { mode };
        conns.insert(conn, after);
        table.recursive += usize::from(after.has(Modes::RECURSIVE));
        table.recursive -= usize::from(before.has(Modes::RECURSIVE));
        if before == Modes(0) {
            self.of.entry(conn).or_default().insert((side, path.into()));
        }
    }

    /// Takes modes of a connection off a path; whether it had any of them.
    fn take(&mut self, side: Side, path: &str, conn: ConnId, modes: Modes) -> bool {
        let table = self.table_mut(side);
        let Some(conns) = table.paths.get_mut(path) else { return false };
        let Some(&before) = conns.get(&conn) else { return false };
        let after = Modes(before.0 & !modes.0);
        table.recursive -= usize::from(before.has(Modes::RECURSIVE) && !after.has(Modes::RECURSIVE));
        if after != Modes(0) {
            conns.insert(conn, after);
            return after != before;
        }
        conns.remove(&conn);
        if conns.is_empty() {
            table.paths.remove(path);
        }
        if let Some(of) = self.of.get_mut(&conn) {
            of.remove(&(side, path.into()));
            if of.is_empty() {
                self.of.remove(&conn);
            }
        }
        true
    }

    /// Forgets a connection.
    pub(super) fn remove_connection(&mut self, conn: ConnId) {
        for (side, path) in self.of.remove(&conn).unwrap_or_default() {
            self.take(side, &path, conn, Modes::ALL);
        }
    }

    /// Whom to tell that something happened at a path; one-shot watches are used up by it.
    pub(super) fn trigger(&mut self, side: Side, path: &str, event: EventType) -> BTreeSet<ConnId> {
        let mut told = BTreeSet::new();
        let table = self.table(side);
        if table.paths.is_empty() {
            return told;
        }
        let mut used_up = Vec::new();
        for (conn, modes) in table.paths.get(path).into_iter().flatten() {
            // only before 3.9 is a recursive watch in the child table, alone
            if event == EventType::NODE_CHILDREN_CHANGED && *modes == Modes::RECURSIVE {
                continue;
            }
            told.insert(*conn);
            if modes.has(Modes::STANDARD) {
                used_up.push(*conn);
            }
        }
        if table.recursive > 0 && event != EventType::NODE_CHILDREN_CHANGED {
            for ancestor in ancestors(path) {
                let conns = table.paths.get(ancestor).into_iter().flatten();
                told.extend(conns.filter(|(_, modes)| modes.has(Modes::RECURSIVE)).map(|(conn, _)| *conn));
            }
        }
        for conn in used_up {
            self.take(side, path, conn, Modes::STANDARD);
        }
        told
    }

    /// checkWatches; `None` is a type that this version does not know. From 3.6 to 3.8 it walks up the path, and falls
    /// over one that has no parent.
    pub(super) fn contains(
        &self,
        profile: &Profile,
        path: Option<&str>,
        kind: WatcherType,
        conn: ConnId,
    ) -> Option<bool> {
        let wanted = wanted(profile, kind)?;
        let stumbles =
            profile.checks_watches_of_all() && path.is_none_or(|path| !path.is_empty() && !path.contains('/'));
        if stumbles {
            return None;
        }
        // The empty path has no parents to walk up, and nobody is found on it.
        let is_walked = !(profile.checks_watches_of_all() && path.is_some_and(str::is_empty));
        let Some(path) = path.filter(|_| is_walked) else { return Some(false) };
        let has = |side: Side, modes: Modes| {
            let conns = self.table(side).paths.get(path);
            if profile.checks_watches_of_all() {
                return conns.is_some();
            }
            conns.and_then(|conns| conns.get(&conn)).is_some_and(|has| has.has(modes))
        };
        Some(wanted.iter().any(|(side, modes)| has(*side, *modes)))
    }

    /// removeWatches; whether there was one. `None` is a type that this version does not know.
    pub(super) fn remove(
        &mut self,
        profile: &Profile,
        path: Option<&str>,
        kind: WatcherType,
        conn: ConnId,
    ) -> Option<bool> {
        let wanted = wanted(profile, kind)?;
        let Some(path) = path else { return Some(false) };
        let mut any = false;
        for (side, modes) in wanted {
            any |= self.take(*side, path, conn, *modes);
        }
        Some(any)
    }

    /// Paths in the data table, with the connections that watch them: what the four-letter words show.
    pub(super) fn by_path(&self) -> BTreeMap<&str, Vec<ConnId>> {
        self.data.paths.iter().map(|(path, conns)| (path.as_ref(), conns.keys().copied().collect())).collect()
    }

    /// Every entry of a connection, of both tables.
    pub(super) fn of(&self, conn: ConnId) -> impl Iterator<Item = (Side, &str, Modes)> {
        let modes =
            move |side, path: &str| self.table(side).paths.get(path).and_then(|conns| conns.get(&conn)).copied();
        let entries = self.of.get(&conn).into_iter().flatten();
        entries.filter_map(move |(side, path)| Some((*side, path.as_ref(), modes(*side, path)?)))
    }

    /// Entries of both tables, as `zk_watch_count` counts them.
    pub(super) fn len(&self) -> usize {
        self.of.values().map(BTreeSet::len).sum()
    }
}

/// What a type of checkWatches and removeWatches means. Before 3.9 the types went by table.
const fn wanted(profile: &Profile, kind: WatcherType) -> Option<&'static [(Side, Modes)]> {
    use Side::{Child, Data};
    let coexist = profile.watch_modes_coexist();
    Some(match kind {
        WatcherType::ANY => &[(Child, Modes::ALL), (Data, Modes::ALL)],
        WatcherType::CHILDREN if coexist => &[(Child, Modes::STANDARD)],
        WatcherType::DATA if coexist => &[(Data, Modes::STANDARD)],
        WatcherType::CHILDREN => &[(Child, Modes::ALL)],
        WatcherType::DATA => &[(Data, Modes::ALL)],
        WatcherType::PERSISTENT if coexist => &[(Data, Modes::PERSISTENT), (Child, Modes::PERSISTENT)],
        WatcherType::PERSISTENT_RECURSIVE if coexist => &[(Data, Modes::RECURSIVE)],
        _ => return None,
    })
}

/// Every path above, up to the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(zk_proto::path::parent(path), |path| zk_proto::path::parent(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gone_connection_leaves_nothing_behind() {
        let mut watches = Watches::default();
        let profile = Profile::V3_9;
        watches.add(&profile, Side::Child, "/a", ConnId(1));
        watches.add_persistent(&profile, "/a", ConnId(1));
        watches.add_recursive(&profile, "/a", ConnId(1));
        watches.add(&profile, Side::Data, "/a", ConnId(2));
        assert_eq!(watches.len(), 3);
        watches.remove_connection(ConnId(1));
        assert_eq!((watches.len(), watches.data.recursive), (1, 0));
        watches.trigger(Side::Data, "/a", EventType::NODE_DELETED);
        assert!(watches.data.paths.is_empty() && watches.child.paths.is_empty() && watches.of.is_empty());
    }
}
