//! A persistent watch made of one-shot ones, for servers before 3.6, which have no addWatch.
//!
//! Sans-IO: events and answers in; events for listeners, and znodes to look at again, out. Paths are the server's.
//!
//! Each znode has a one-shot watch of its data (left by exists) and one of its children (left by getChildren2). An event
//! is told at once, and the znode looked at again, which sets the watch again. What the look finds is compared with what
//! listeners were told: a change that came between event and look is told then. Several changes between two looks are
//! told as one, and a znode that came and went again between two looks is not told at all. Nothing is told that did not
//! happen: versions are counted.

use super::oneshots::{SIDES, Side};
use std::{collections::BTreeMap, ops::Bound, sync::Arc};
use zk_proto::{ErrorCode, EventType, Stat, WatchedEvent, Zxid, jute::Text, path, watch::KeeperState};

/// Znodes that one emulated recursive watch follows: each costs two watches at the server, and about a kilobyte here.
pub(crate) const ZNODES_MAX: usize = 10_000;

/// How one of a znode's two watches stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Watch {
    #[default]
    Unset,
    /// A look that sets it is on its way.
    Asked,
    Set,
}

/// What listeners know of a znode.
#[derive(Debug, Default)]
struct Node {
    /// Its creation and its version, as of the last look; none while it is not there, or was not looked at.
    known: Option<(Zxid, i32)>,
    /// Its creation was told, though it has not been looked at since.
    is_created_told: bool,
    /// A change of its data was told since the last look.
    is_change_told: bool,
    /// How often its children had changed at the last look; none if that is not known.
    cversion: Option<i32>,
    /// A change of its children was told since the last look.
    are_children_told: bool,
    /// Children that the next look finds are news.
    announces: bool,
    data: Watch,
    child: Watch,
}

impl Node {
    /// Whether listeners take it to be there.
    const fn is_there(&self) -> bool {
        self.known.is_some() || self.is_created_told
    }

    const fn watch(&mut self, side: Side) -> &mut Watch {
        match side {
            Side::Data => &mut self.data,
            Side::Child => &mut self.child,
        }
    }

    /// It was created just now.
    const fn create(&mut self) {
        self.is_created_told = true;
        self.is_change_told = false;
        self.are_children_told = false;
        self.cversion = Some(0);
        self.announces = true;
    }
}

/// Why there is no going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    TooManyZnodes,
    Refused(ErrorCode),
}

/// What comes of an input.
#[derive(Debug, Default)]
pub(super) struct Doing {
    /// For listeners.
    pub(super) events: Vec<WatchedEvent>,
    /// To look at, leaving a watch.
    pub(super) looks: Vec<(Box<str>, Side)>,
    /// Watches that are not needed any more.
    pub(super) cancels: Vec<(Box<str>, Side)>,
    pub(super) halt: Option<Halt>,
}

impl Doing {
    fn tell(&mut self, event_type: EventType, path: &str, zxid: Zxid) {
        let (state, path) = (KeeperState::SYNC_CONNECTED, Text::from(path));
        self.events.push(WatchedEvent { event_type, state, path, zxid });
    }
}

/// One emulated watch.
#[derive(Debug)]
pub(super) struct Emulation {
    pub(super) root: Arc<str>,
    is_recursive: bool,
    nodes: BTreeMap<Box<str>, Node>,
    /// Looks on their way.
    pending: usize,
}

impl Emulation {
    pub(super) fn new(root: &str, is_recursive: bool, doing: &mut Doing) -> Self {
        let mut emulation = Self { root: root.into(), is_recursive, nodes: BTreeMap::new(), pending: 0 };
        emulation.follow(root, Node::default(), doing);
        emulation
    }

    /// Whether every znode that is known is watched.
    pub(super) const fn is_whole(&self) -> bool {
        self.pending == 0
    }

    /// Whether this watch is still of use, now that it is set.
    pub(super) fn wants(&self, path: &str, side: Side) -> bool {
        self.nodes.get(path).is_some_and(|node| match side {
            Side::Data => node.data == Watch::Set,
            Side::Child => node.child == Watch::Set,
        })
    }

    /// All watches that are set.
    pub(super) fn watches(&self) -> impl Iterator<Item = (&str, Side)> {
        let sides = |path| SIDES.into_iter().map(move |side| (path, side));
        self.nodes.keys().flat_map(move |path| sides(path.as_ref())).filter(|(path, side)| self.wants(path, *side))
    }

    fn follow(&mut self, path: &str, node: Node, doing: &mut Doing) {
        if self.nodes.len() >= ZNODES_MAX {
            doing.halt = Some(Halt::TooManyZnodes);
            return;
        }
        self.nodes.insert(path.into(), node);
        SIDES.into_iter().for_each(|side| self.look(path, side, doing));
    }

    fn look(&mut self, path: &str, side: Side, doing: &mut Doing) {
        let Some(watch) = self.nodes.get_mut(path).map(|node| node.watch(side)) else { return };
        if *watch != Watch::Asked {
            *watch = Watch::Asked;
            self.pending += 1;
            doing.looks.push((path.into(), side));
        }
    }

    /// A one-shot watch fired, and is gone.
    pub(super) fn fired(&mut self, event: &WatchedEvent, side: Side, doing: &mut Doing) {
        let path = event.path.as_str();
        let Some(node) = self.nodes.get_mut(path) else { return };
        if *node.watch(side) == Watch::Set {
            *node.watch(side) = Watch::Unset;
        }
        match event.event_type {
            EventType::NODE_CREATED => {
                if !node.is_there() {
                    node.create();
                    doing.events.push(event.clone());
                }
                SIDES.into_iter().for_each(|side| self.look(path, side, doing));
            }
            EventType::NODE_DATA_CHANGED => {
                node.is_change_told = true;
                doing.events.push(event.clone());
                self.look(path, Side::Data, doing);
            }
            EventType::NODE_DELETED => self.gone(path, event.zxid, doing),
            EventType::NODE_CHILDREN_CHANGED => {
                if !self.is_recursive {
                    node.are_children_told = true;
                    doing.events.push(event.clone());
                }
                self.look(path, Side::Child, doing);
            }
            _ => {}
        }
    }

    /// A look was lost with its connection; whether it is to be repeated.
    pub(super) fn interrupted(&mut self, path: &str, side: Side) -> bool {
        let wanted = self.nodes.get_mut(path).is_some_and(|node| *node.watch(side) == Watch::Asked);
        self.pending -= usize::from(!wanted && self.pending > 0);
        wanted
    }

    /// exists was answered: it has left a watch, whether the znode is there or not.
    pub(super) fn exists_answered(&mut self, path: &str, result: Result<Stat, ErrorCode>, doing: &mut Doing) {
        self.pending = self.pending.saturating_sub(1);
        let Some(node) = self.nodes.get_mut(path) else { return };
        node.data = Watch::Set;
        let stat = match result {
            Ok(stat) => stat,
            Err(ErrorCode::NO_NODE) => {
                node.announces = true;
                return self.gone_for_good(path, doing);
            }
            Err(code) => {
                doing.halt = Some(Halt::Refused(code));
                return;
            }
        };
        match node.known {
            None if node.is_created_told => {
                if stat.version > 0 {
                    doing.tell(EventType::NODE_DATA_CHANGED, path, stat.mzxid);
                }
            }
            None => {
                if node.announces {
                    node.create();
                    doing.tell(EventType::NODE_CREATED, path, stat.czxid);
                }
            }
            Some((czxid, _)) if czxid != stat.czxid => return self.recreated(path, &stat, doing),
            Some((_, version)) => {
                if stat.version.wrapping_sub(version) > i32::from(node.is_change_told) {
                    doing.tell(EventType::NODE_DATA_CHANGED, path, stat.mzxid);
                }
            }
        }
        node.known = Some((stat.czxid, stat.version));
        (node.is_created_told, node.is_change_told) = (false, false);
        if node.child == Watch::Unset {
            self.look(path, Side::Child, doing);
        }
    }

    /// Deleted and created again while nobody was connected.
    fn recreated(&mut self, path: &str, stat: &Stat, doing: &mut Doing) {
        self.below_gone(path, doing);
        doing.tell(EventType::NODE_DELETED, path, Zxid::NONE);
        doing.tell(EventType::NODE_CREATED, path, stat.czxid);
        if let Some(node) = self.nodes.get_mut(path) {
            node.create();
            node.is_created_told = false;
            node.known = Some((stat.czxid, stat.version));
        }
        self.look(path, Side::Child, doing);
    }

    /// getChildren2 was answered: it has left a watch, if the znode is there.
    pub(super) fn children_answered(
        &mut self,
        path: &str,
        result: Result<(Vec<String>, Stat), ErrorCode>,
        doing: &mut Doing,
    ) {
        self.pending = self.pending.saturating_sub(1);
        let Some(node) = self.nodes.get_mut(path) else { return };
        let (names, stat) = match result {
            Ok(found) => found,
            // The data watch has told of it, or the exists on its way does.
            Err(ErrorCode::NO_NODE) => {
                node.child = Watch::Unset;
                return;
            }
            Err(code) => {
                doing.halt = Some(Halt::Refused(code));
                return;
            }
        };
        node.child = Watch::Set;
        if node.announces && !node.is_there() {
            node.create();
            doing.tell(EventType::NODE_CREATED, path, stat.czxid);
        }
        let announces = std::mem::replace(&mut node.announces, true);
        let told = i32::from(std::mem::take(&mut node.are_children_told));
        let before = node.cversion.replace(stat.cversion);
        if self.is_recursive {
            self.list(path, &names, announces, doing);
        } else if before.is_some_and(|before| stat.cversion.wrapping_sub(before) > told) {
            doing.tell(EventType::NODE_CHILDREN_CHANGED, path, stat.pzxid);
        }
    }

    /// Follows the children that are new. Those that are gone are told by their own watches.
    fn list(&mut self, parent: &str, names: &[String], announces: bool, doing: &mut Doing) {
        for child in names.iter().map(|name| path::join(parent, name)) {
            if self.nodes.contains_key(child.as_str()) {
                continue;
            }
            let mut node = Node::default();
            if announces {
                node.create();
                doing.tell(EventType::NODE_CREATED, &child, Zxid::NONE);
            }
            self.follow(&child, node, doing);
            if doing.halt.is_some() {
                return;
            }
        }
    }

    /// A znode is gone, and everything below it.
    fn gone(&mut self, path: &str, zxid: Zxid, doing: &mut Doing) {
        self.below_gone(path, doing);
        let Some(node) = self.nodes.get_mut(path) else { return };
        if node.is_there() {
            doing.tell(EventType::NODE_DELETED, path, zxid);
        }
        if *path != *self.root {
            return self.forget(path, doing);
        }
        let (data, child) = (node.data, node.child);
        *node = Node { data, child, announces: true, ..Node::default() };
        self.look(path, Side::Data, doing);
    }

    /// A look found that a znode is not there. Only the root is waited for.
    fn gone_for_good(&mut self, path: &str, doing: &mut Doing) {
        let is_there = self.nodes.get(path).is_some_and(Node::is_there);
        if *path != *self.root {
            self.gone(path, Zxid::NONE, doing);
        } else if is_there {
            self.below_gone(path, doing);
            doing.tell(EventType::NODE_DELETED, path, Zxid::NONE);
            if let Some(node) = self.nodes.get_mut(path) {
                *node = Node { data: Watch::Set, child: node.child, announces: true, ..Node::default() };
            }
        }
    }

    /// Every znode below a path, parents before their children.
    fn below(&self, path: &str) -> impl DoubleEndedIterator<Item = &str> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let from = self.nodes.range::<str, _>((Bound::Excluded(prefix.as_str()), Bound::Unbounded));
        let below: Vec<&str> = from.map(|(below, _)| below.as_ref()).take_while(|at| at.starts_with(&prefix)).collect();
        below.into_iter()
    }

    /// Children go before their parents, as they must have.
    fn below_gone(&mut self, path: &str, doing: &mut Doing) {
        let below: Vec<Box<str>> = self.below(path).rev().map(Box::from).collect();
        for path in below {
            if self.nodes.get(&path).is_some_and(Node::is_there) {
                doing.tell(EventType::NODE_DELETED, &path, Zxid::NONE);
            }
            self.forget(&path, doing);
        }
    }

    fn forget(&mut self, path: &str, doing: &mut Doing) {
        if let Some(mut node) = self.nodes.remove(path) {
            let set = SIDES.into_iter().filter(|side| *node.watch(*side) == Watch::Set);
            doing.cancels.extend(set.map(|side| (Box::from(path), side)));
        }
    }
}
