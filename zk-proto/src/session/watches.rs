//! The watches that live on a server connection, and the frames that set them again on the next one.
//!
//! Paths are the server's. Knows nothing of who listens: fan-out to local watchers is the owner's.
//! Source: protocol.md sections 2.6, 4.1 and 4.4; trap list 12 to 16.

use crate::{
    code::{ErrorCode, OpCode},
    id::Zxid,
    jute::{Encode, TextsBuilder},
    records::{SetWatches2Request, SetWatchesRequest},
    watch::{EventType, WatchMode, WatchedEvent},
};
use alloc::{boxed::Box, collections::BTreeMap};

/// No frame that sets watches again is longer than this, prefix included, unless one path alone is: an
/// oversize frame costs the connection, and the same frame would follow on the next one, for ever.
pub const REARM_FRAME_BYTES_MAX: usize = 128 * 1024;

/// Length prefix, header, relative zxid and five list counts.
const REARM_OVERHEAD_BYTES: usize = 4 + 8 + 8 + 5 * 4;

/// A watch that a request sets on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// One-shot, by getData.
    Data,
    /// One-shot, by exists: a data watch if the znode exists, otherwise one for its creation.
    Exist,
    /// One-shot, by getChildren and getChildren2.
    Child,
    /// By addWatch: the znode and the names of its children.
    Persistent,
    /// By addWatch: the znode and everything below.
    PersistentRecursive,
}

impl From<WatchMode> for WatchKind {
    fn from(mode: WatchMode) -> Self {
        if mode == WatchMode::PERSISTENT_RECURSIVE { Self::PersistentRecursive } else { Self::Persistent }
    }
}

/// What a request changes in the set of watches, once it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A watch is set.
    Set(WatchKind, Box<str>),
    /// A watch is removed: forgotten at once, so that it is not set again on another connection.
    Remove(WatchKind, Box<str>),
    /// All watches on a path are removed.
    RemoveAll(Box<str>),
}

/// The five lists of setWatches2, in wire order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Armed([bool; 5]);

const DATA: usize = 0;
const EXIST: usize = 1;
const CHILD: usize = 2;
const PERSISTENT: usize = 3;
const RECURSIVE: usize = 4;

/// What each list is of.
const KINDS: [WatchKind; 5] =
    [WatchKind::Data, WatchKind::Exist, WatchKind::Child, WatchKind::Persistent, WatchKind::PersistentRecursive];

impl Armed {
    fn set(&mut self, list: usize, armed: bool) {
        if let Some(slot) = self.0.get_mut(list) {
            *slot = armed;
        }
    }

    fn lists(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().filter_map(|(list, armed)| armed.then_some(list))
    }
}

/// Every watch that the server should have.
#[derive(Debug, Default)]
pub(super) struct Watches {
    paths: BTreeMap<Box<str>, Armed>,
}

impl Watches {
    /// How many paths have a watch.
    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether a persistent watch of this mode stands on the path.
    pub(super) fn has(&self, path: &str, mode: WatchMode) -> bool {
        let list = if mode == WatchMode::PERSISTENT_RECURSIVE { RECURSIVE } else { PERSISTENT };
        self.paths.get(path).is_some_and(|armed| armed.lists().any(|l| l == list))
    }

    /// Every watch, by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, WatchKind)> {
        self.paths
            .iter()
            .flat_map(|(path, armed)| armed.lists().filter_map(move |list| Some((&**path, *KINDS.get(list)?))))
    }

    /// A request that changes watches leaves: what it removes is forgotten now.
    pub(super) fn submitted(&mut self, change: &Change) {
        match change {
            Change::Set(..) => {}
            Change::Remove(kind, path) => self.remove(*kind, path),
            Change::RemoveAll(path) => drop(self.paths.remove(&**path)),
        }
    }

    /// A request that changes watches was answered.
    pub(super) fn answered(&mut self, change: Change, err: ErrorCode) {
        match change {
            Change::Set(kind, path) => {
                // Only exists leaves a watch on a znode that is not there.
                let list = match (kind, err) {
                    (WatchKind::Data | WatchKind::Exist, ErrorCode::OK) => DATA,
                    (WatchKind::Exist, ErrorCode::NO_NODE) => EXIST,
                    (WatchKind::Child, ErrorCode::OK) => CHILD,
                    (WatchKind::Persistent, ErrorCode::OK) => PERSISTENT,
                    (WatchKind::PersistentRecursive, ErrorCode::OK) => RECURSIVE,
                    (
                        WatchKind::Data
                        | WatchKind::Exist
                        | WatchKind::Child
                        | WatchKind::Persistent
                        | WatchKind::PersistentRecursive,
                        _,
                    ) => return,
                };
                self.paths.entry(path).or_default().set(list, true);
            }
            // Another addWatch may have been answered since this removal left.
            Change::Remove(kind, path) => self.remove(kind, &path),
            Change::RemoveAll(path) => drop(self.paths.remove(&*path)),
        }
    }

    fn remove(&mut self, kind: WatchKind, path: &str) {
        let lists: &[usize] = match kind {
            WatchKind::Data | WatchKind::Exist => &[DATA, EXIST],
            WatchKind::Child => &[CHILD],
            WatchKind::Persistent => &[PERSISTENT],
            WatchKind::PersistentRecursive => &[RECURSIVE],
        };
        self.clear(path, lists);
    }

    /// An event arrived: the one-shot watches that it consumed are gone.
    pub(super) fn fired(&mut self, event: &WatchedEvent) {
        let lists: &[usize] = match event.event_type {
            EventType::NODE_CREATED | EventType::NODE_DATA_CHANGED => &[DATA, EXIST],
            EventType::NODE_DELETED => &[DATA, EXIST, CHILD],
            EventType::NODE_CHILDREN_CHANGED => &[CHILD],
            _ => return,
        };
        self.clear(&event.path, lists);
    }

    fn clear(&mut self, path: &str, lists: &[usize]) {
        let Some(armed) = self.paths.get_mut(path) else { return };
        lists.iter().for_each(|list| armed.set(*list, false));
        if *armed == Armed::default() {
            self.paths.remove(path);
        }
    }

    /// Bodies of setWatches and setWatches2 that together set every watch again, each path once a list.
    pub(super) fn rearm(&self, relative_zxid: Zxid, mut frame: impl FnMut(OpCode, &dyn DynEncode)) {
        let mut chunk = Chunk::default();
        for (path, armed) in &self.paths {
            let path_len = 4 + path.len();
            for list in armed.lists() {
                if chunk.bytes > 0 && REARM_OVERHEAD_BYTES + chunk.bytes + path_len > REARM_FRAME_BYTES_MAX {
                    core::mem::take(&mut chunk).emit(relative_zxid, &mut frame);
                }
                chunk.push(list, path, path_len);
            }
        }
        if chunk.bytes > 0 {
            chunk.emit(relative_zxid, &mut frame);
        }
    }
}

/// [`Encode`] behind a reference, so that one closure takes both records.
pub(super) trait DynEncode {
    fn len(&self) -> usize;
    fn write(&self, out: &mut bytes::BytesMut);
}

impl<E: Encode> DynEncode for E {
    fn len(&self) -> usize {
        self.encoded_len()
    }
    fn write(&self, out: &mut bytes::BytesMut) {
        self.encode(out);
    }
}

/// The paths of one frame.
#[derive(Default)]
struct Chunk {
    lists: [TextsBuilder; 5],
    bytes: usize,
}

impl Chunk {
    fn push(&mut self, list: usize, path: &str, path_len: usize) {
        if let Some(list) = self.lists.get_mut(list) {
            list.push(path);
            self.bytes += path_len;
        }
    }

    /// Servers before 3.6 do not know setWatches2, so it is sent only where it is needed.
    fn emit(self, relative_zxid: Zxid, frame: &mut impl FnMut(OpCode, &dyn DynEncode)) {
        let [data, exist, child, persistent, recursive] = self.lists.map(TextsBuilder::finish);
        if persistent.is_empty() && recursive.is_empty() {
            frame(OpCode::SET_WATCHES, &SetWatchesRequest { relative_zxid, data, exist, child });
        } else {
            let request = SetWatches2Request { relative_zxid, data, exist, child, persistent, recursive };
            frame(OpCode::SET_WATCHES2, &request);
        }
    }
}
