//! A model of one server and its tree: four znodes, two watch tables, sessions that come and go.

use super::{PATHS, Rng};
use crate::{
    ErrorCode, OpCode,
    jute::{Encode, decode_from},
    records::{AddWatchRequest, Empty, GetDataRequest, SetWatches2Request, SetWatchesRequest},
    session::{
        tests::script::{Sent, accept_frame, event_frame, framed, hex, read_frames, reply_frame},
        xid,
    },
    watch::{EventType, WatchMode},
};
use alloc::{collections::VecDeque, string::String, vec::Vec};
use bytes::{Bytes, BytesMut};

/// A znode, as far as watches care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) exists: bool,
    pub(super) mzxid: i64,
    pub(super) pzxid: i64,
}

/// What stands on a path for the one connection: bits of the data and the child table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) data: bool,
    pub(super) child: bool,
    pub(super) persistent: bool,
    pub(super) recursive: bool,
}

pub(super) struct Server {
    paths: Vec<String>,
    pub(super) nodes: [Node; PATHS],
    pub(super) watched: [Watched; PATHS],
    zxid: i64,
    session: Option<i64>,
    sessions: i64,
    /// No more faults of its own.
    pub(super) healthy: bool,
    /// Whether the client was told that its session is gone, on this connection.
    pub(super) said_gone: bool,
    taken: bool,
    greeted: bool,
    inbox: BytesMut,
    pending: VecDeque<(i32, OpCode, Bytes)>,
    pub(super) out: BytesMut,
    /// The znode as each request found it, by ticket.
    pub(super) found: Vec<Option<Node>>,
    /// The tickets of all requests that arrived.
    pub(super) arrived: Vec<u32>,
}

impl Server {
    pub(super) fn new(paths: Vec<String>) -> Self {
        Self {
            paths,
            nodes: [Node::default(); PATHS],
            watched: Default::default(),
            zxid: 100,
            session: None,
            sessions: 0,
            healthy: false,
            said_gone: false,
            taken: false,
            greeted: false,
            inbox: BytesMut::new(),
            pending: VecDeque::new(),
            out: BytesMut::new(),
            found: Vec::new(),
            arrived: Vec::new(),
        }
    }

    pub(super) fn connected(&mut self) {
        self.disconnected();
        self.said_gone = false;
    }

    /// Watches die with the connection.
    pub(super) fn disconnected(&mut self) {
        self.watched = Default::default();
        (self.taken, self.greeted) = (false, false);
        self.inbox.clear();
        self.pending.clear();
        self.out.clear();
    }

    pub(super) fn expire(&mut self) {
        self.session = None;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.out.is_empty()
    }

    /// Another client changes the tree, sometimes two znodes in one transaction.
    pub(super) fn change(&mut self, rng: &mut Rng) {
        let (path, distance) = (rng.below(PATHS), rng.below(PATHS));
        self.zxid += 1;
        self.change_one(path, self.zxid, rng);
        if distance > 0 {
            self.change_one((path + distance) % PATHS, self.zxid, rng);
        }
    }

    fn change_one(&mut self, path: usize, zxid: i64, rng: &mut Rng) {
        let node = &mut self.nodes[path];
        match (node.exists, rng.below(3)) {
            (false, _) => {
                *node = Node { exists: true, mzxid: zxid, pzxid: zxid };
                self.trigger(path, EventType::NODE_CREATED, zxid);
            }
            (true, 0) => {
                node.exists = false;
                self.trigger(path, EventType::NODE_DELETED, zxid);
            }
            (true, 1) => {
                node.pzxid = zxid;
                self.trigger(path, EventType::NODE_CHILDREN_CHANGED, zxid);
            }
            (true, _) => {
                node.mzxid = zxid;
                self.trigger(path, EventType::NODE_DATA_CHANGED, zxid);
            }
        }
    }

    fn trigger(&mut self, path: usize, event: EventType, zxid: i64) {
        let watched = &mut self.watched[path];
        let fires = match event {
            EventType::NODE_CHILDREN_CHANGED => watched.child || watched.persistent,
            EventType::NODE_DELETED => watched.data || watched.child || watched.persistent || watched.recursive,
            _ => watched.data || watched.persistent || watched.recursive,
        };
        if event != EventType::NODE_CHILDREN_CHANGED {
            watched.data = false;
        }
        if matches!(event, EventType::NODE_CHILDREN_CHANGED | EventType::NODE_DELETED) {
            watched.child = false;
        }
        if fires {
            self.out.unsplit(event_frame(event, &self.paths[path], zxid));
        }
    }

    /// Reads what arrived; false when it hangs up.
    pub(super) fn receive(&mut self, bytes: &[u8], rng: &mut Rng) -> bool {
        self.inbox.extend_from_slice(bytes);
        for sent in read_frames(&mut self.inbox, &mut self.greeted) {
            match sent {
                Sent::Connect { id, .. } => {
                    if !self.greet(id, rng) {
                        return false;
                    }
                }
                Sent::Request { .. } if !self.taken => panic!("a request before the answer to the greeting"),
                // Auth packets are answered at once and overtake.
                Sent::Request { xid: xid::AUTH, .. } => self.reply(xid::AUTH, 0, ErrorCode::OK, &Empty {}),
                Sent::Request { xid, op, body } => {
                    self.arrived.extend(ticket_of(op, &body));
                    self.pending.push_back((xid, op, body));
                }
            }
        }
        true
    }

    fn greet(&mut self, id: i64, rng: &mut Rng) -> bool {
        let mood = if self.healthy { 9 } else { rng.below(10) };
        match mood {
            0 => return false,
            1 => {
                self.out.extend_from_slice(&hex("00000010 00000000 0000000000000005 ffffff89"));
                return true;
            }
            _ => {}
        }
        if id != 0 && self.session != Some(id) {
            self.said_gone = true;
            if mood < 5 {
                self.out.unsplit(framed(&[0; 20]));
                return true;
            }
        }
        if self.session != Some(id) || id == 0 {
            self.sessions += 1;
            self.session = Some(self.sessions);
        }
        self.taken = true;
        self.out.unsplit(accept_frame(self.session.unwrap(), 6000));
        true
    }

    fn reply(&mut self, xid: i32, zxid: i64, err: ErrorCode, body: &impl Encode) {
        self.out.unsplit(reply_frame(xid, zxid, err, body));
    }

    /// Carries out the oldest request.
    pub(super) fn answer(&mut self) {
        let Some((xid, op, body)) = self.pending.pop_front() else { return };
        let err = match op {
            OpCode::PING => ErrorCode::OK,
            OpCode::CLOSE_SESSION => {
                self.session = None;
                ErrorCode::OK
            }
            OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => {
                self.set_watches(op, &body);
                ErrorCode::OK
            }
            _ => self.carry_out(op, &body),
        };
        self.reply(xid, self.zxid, err, &Empty {});
    }

    fn carry_out(&mut self, op: OpCode, body: &Bytes) -> ErrorCode {
        let request: GetDataRequest<'_> = decode_from(body).unwrap();
        let path = self.paths.iter().position(|path| *path == request.path).unwrap();
        let ticket = ticket_of(op, body).unwrap() as usize;
        self.found.resize(self.found.len().max(ticket + 1), None);
        self.found[ticket] = Some(self.nodes[path]);
        let exists = self.nodes[path].exists;
        let watched = &mut self.watched[path];
        match op {
            OpCode::EXISTS => watched.data |= request.watch,
            OpCode::GET_DATA => watched.data |= request.watch && exists,
            OpCode::GET_CHILDREN2 => watched.child |= request.watch && exists,
            OpCode::ADD_WATCH => {
                let request: AddWatchRequest<'_> = decode_from(body).unwrap();
                let recursive = request.mode == WatchMode::PERSISTENT_RECURSIVE;
                watched.recursive |= recursive;
                watched.persistent |= !recursive;
                return ErrorCode::OK;
            }
            OpCode::REMOVE_WATCHES => {
                let had = core::mem::take(watched) != Watched::default();
                return if had { ErrorCode::OK } else { ErrorCode::NO_WATCHER };
            }
            OpCode::SET_DATA if exists => {
                self.zxid += 1;
                self.nodes[path].mzxid = self.zxid;
                self.trigger(path, EventType::NODE_DATA_CHANGED, self.zxid);
            }
            OpCode::SET_DATA => self.zxid += 1,
            other => panic!("unexpected {other:?}"),
        }
        if exists { ErrorCode::OK } else { ErrorCode::NO_NODE }
    }

    /// protocol.md section 4.4.
    fn set_watches(&mut self, op: OpCode, body: &Bytes) {
        let (relative, lists) = watch_lists(op, body);
        for (list, path) in lists {
            let path = self.paths.iter().position(|known| *known == path).unwrap();
            let Node { exists, mzxid, pzxid } = self.nodes[path];
            let event = match list {
                0 | 2 if !exists => Some(EventType::NODE_DELETED),
                0 if mzxid > relative => Some(EventType::NODE_DATA_CHANGED),
                1 if exists => Some(EventType::NODE_CREATED),
                2 if pzxid > relative => Some(EventType::NODE_CHILDREN_CHANGED),
                _ => None,
            };
            let watched = &mut self.watched[path];
            match (event, list) {
                (Some(event), _) => self.out.unsplit(event_frame(event, &self.paths[path], -1)),
                (None, 0 | 1) => watched.data = true,
                (None, 2) => watched.child = true,
                (None, 3) => watched.persistent = true,
                (None, _) => watched.recursive = true,
            }
        }
    }
}

/// The ticket that stands behind a request's body; nothing for requests of the session itself.
pub(super) fn ticket_of(op: OpCode, body: &Bytes) -> Option<u32> {
    let own = [OpCode::PING, OpCode::AUTH, OpCode::SET_WATCHES, OpCode::SET_WATCHES2, OpCode::CLOSE_SESSION];
    if own.contains(&op) {
        return None;
    }
    Some(u32::from_be_bytes(*body.last_chunk().unwrap()))
}

/// The paths that a frame sets watches on, with the index of their list, and the zxid to compare with.
pub(super) fn watch_lists(op: OpCode, body: &Bytes) -> (i64, Vec<(usize, String)>) {
    let (zxid, lists) = if op == OpCode::SET_WATCHES2 {
        let r: SetWatches2Request<'_> = decode_from(body).unwrap();
        (r.relative_zxid, alloc::vec![r.data, r.exist, r.child, r.persistent, r.recursive])
    } else {
        let r: SetWatchesRequest<'_> = decode_from(body).unwrap();
        (r.relative_zxid, alloc::vec![r.data, r.exist, r.child])
    };
    let lists = lists.into_iter().enumerate();
    (zxid.0, lists.flat_map(|(list, paths)| paths.to_strings().into_iter().map(move |path| (list, path))).collect())
}
