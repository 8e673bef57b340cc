//! A server's side of one connection, on `zk_proto::server`: requests in their order, two watch tables, and the ways
//! in which a server may refuse.

use super::{
    calls::{CHILD, DATA, EXIST, PERSISTENT, ticket_of, watch_lists},
    chance::Rng,
    ensemble::{Ensemble, Kind, Node, Txn},
    marks::{Mark, Marks},
    paths::{PATHS, Paths},
    plan::Plan,
};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use zk_proto::{
    ErrorCode, EventType, OpCode, WatchedEvent, Zxid,
    jute::Encode,
    records::Empty,
    server::{Config, Connection, Incoming},
    watch::{KeeperState, WatcherType},
};

/// What stands on a path for one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) data: bool,
    pub(crate) child: bool,
    pub(crate) persistent: bool,
    pub(crate) recursive: bool,
}

/// Everything around a connection that a server may look at.
pub(crate) struct Site<'a> {
    pub(crate) ensemble: &'a mut Ensemble,
    pub(crate) plan: &'a Plan,
    pub(crate) paths: &'a Paths,
    pub(crate) rng: &'a mut Rng,
    pub(crate) marks: &'a mut Marks,
    pub(crate) now: u64,
    /// No more faults.
    pub(crate) is_healthy: bool,
}

impl Site<'_> {
    fn hits(&mut self, rate: usize) -> bool {
        !self.is_healthy && rate > 0 && self.rng.one_in(rate)
    }
}

struct Pending {
    xid: i32,
    op: OpCode,
    body: Bytes,
}

pub(crate) struct Host {
    pub(crate) wire: Connection,
    inbox: BytesMut,
    pub(crate) member: usize,
    /// 0 until a session stands on the connection.
    pub(crate) session: i64,
    pending: VecDeque<Pending>,
    pub(crate) watched: [Watched; PATHS],
    /// A removal was refused here, so there may be more watches than the client knows of.
    pub(crate) may_have_more: [bool; PATHS],
    /// One-shot watches that were set again without an event, and the znode as it was; for the rules.
    pub(crate) rearmed: Vec<(usize, usize, Node)>,
    /// Those that caused an event, and the znode as it was.
    pub(crate) told: Vec<(usize, usize, Node)>,
    /// What the server applied for a request on this connection; its other connections' watches fire too.
    pub(crate) caught_up: Vec<(Txn, i64)>,
    /// The body of a getData.
    reply: Vec<u8>,
}

/// Bytes that are no jute: a reply's body, of any length.
struct Filler<'a>(&'a [u8]);

impl Encode for Filler<'_> {
    fn encoded_len(&self) -> usize {
        self.0.len()
    }
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.0);
    }
}

impl Host {
    pub(crate) fn new(member: usize, plan: &Plan) -> Self {
        Self {
            wire: Connection::new(Config::default()),
            inbox: BytesMut::new(),
            member,
            session: 0,
            pending: VecDeque::new(),
            watched: Default::default(),
            may_have_more: [false; PATHS],
            rearmed: Vec::new(),
            told: Vec::new(),
            caught_up: Vec::new(),
            reply: vec![b'r'; plan.reply_len],
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// The request that is answered next, for a trace.
    pub(crate) fn next(&self) -> Option<(i32, OpCode)> {
        self.pending.front().map(|pending| (pending.xid, pending.op))
    }

    /// Hangs up, and forgets what was asked.
    pub(crate) fn forget(&mut self) {
        self.pending.clear();
        self.wire.close();
    }

    /// Reads what arrived.
    pub(crate) fn receive(&mut self, bytes: &[u8], site: &mut Site<'_>) {
        self.inbox.extend_from_slice(bytes);
        while let Some(incoming) = self.wire.poll_request(&mut self.inbox) {
            match incoming {
                Incoming::Connect(greeting) => self.greet(&greeting, site),
                Incoming::Request { xid, op, body } => self.request(xid, op, body, site),
                Incoming::Word(word) => panic!("wire: the client asked {word:?}"),
                Incoming::Closed(fault) => panic!("wire: {fault}"),
            }
        }
    }

    fn request(&mut self, xid: i32, op: OpCode, body: Bytes, site: &mut Site<'_>) {
        if op == OpCode::AUTH {
            return self.authenticate(xid, site);
        }
        if let Some(session) = site.ensemble.session(self.session) {
            session.touched = site.now;
        }
        let read_only = site.ensemble.members[self.member].read_only;
        if read_only && op == OpCode::SET_DATA {
            if let Some(ticket) = ticket_of(op, &body) {
                site.ensemble.fate(ticket).arrived += 1;
            }
            if !self.pending.is_empty() {
                site.marks.hit(Mark::RefusalOvertakes);
            }
            let zxid = Zxid(site.ensemble.zxid(self.member));
            return self.wire.reply(xid, zxid, Err::<&Empty, _>(ErrorCode::NOT_READ_ONLY));
        }
        if let Some(ticket) = ticket_of(op, &body) {
            site.ensemble.fate(ticket).arrived += 1;
        }
        self.pending.push_back(Pending { xid, op, body });
    }

    /// Auth packets are answered at once, and overtake.
    fn authenticate(&mut self, xid: i32, site: &mut Site<'_>) {
        if site.hits(site.plan.auth_refusal_rate) {
            self.wire.reply(xid, Zxid(0), Err::<&Empty, _>(ErrorCode::AUTH_FAILED));
            return self.forget();
        }
        if !self.pending.is_empty() {
            site.marks.hit(Mark::AuthOvertakes);
        }
        self.wire.reply(xid, Zxid(0), Ok(&Empty {}));
    }

    /// Carries out the oldest request.
    pub(crate) fn serve(&mut self, site: &mut Site<'_>) {
        let Some(Pending { xid, op, body }) = self.pending.pop_front() else { return };
        let is_fake = site.ensemble.members[self.member].read_only;
        if !is_fake && site.ensemble.session(self.session).is_none() {
            return self.forget();
        }
        let is_rearm = matches!(op, OpCode::SET_WATCHES | OpCode::SET_WATCHES2);
        let demand_rate = if is_rearm { site.plan.rearm_demand_rate } else { site.plan.auth_demand_rate };
        if !matches!(op, OpCode::PING | OpCode::CLOSE_SESSION) && site.hits(demand_rate) {
            let demand = ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH;
            self.wire.reply(xid, Zxid(0), Err::<&Empty, _>(demand));
            return self.forget();
        }
        let refused = match op {
            OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => site.hits(site.plan.rearm_refusal_rate),
            OpCode::PING | OpCode::CLOSE_SESSION => false,
            _ => site.hits(site.plan.refusal_rate),
        };
        if refused {
            return self.refuse(xid, op, &body, site);
        }
        self.carry_out(xid, op, &body, site);
    }

    fn refuse(&mut self, xid: i32, op: OpCode, body: &Bytes, site: &mut Site<'_>) {
        if op == OpCode::REMOVE_WATCHES
            && let Some(path) = path_of(body).and_then(|path| site.paths.index(path))
        {
            self.may_have_more[path] = true;
        }
        let code = site.rng.pick(&[
            ErrorCode::THROTTLED_OP,
            ErrorCode::MARSHALLING_ERROR,
            ErrorCode(-4711),
            ErrorCode::UNIMPLEMENTED,
        ]);
        if code == ErrorCode::UNIMPLEMENTED {
            // A server that does not know the operation says so and hangs up (protocol.md section 6).
            self.wire.reply(xid, Zxid(-1), Err::<&Empty, _>(code));
            return self.forget();
        }
        let zxid = Zxid(site.ensemble.zxid(self.member));
        if site.rng.one_in(4) {
            self.wire.reply_with_body(xid, zxid, code, &7_i32);
        } else {
            self.wire.reply(xid, zxid, Err::<&Empty, _>(code));
        }
    }

    fn carry_out(&mut self, xid: i32, op: OpCode, body: &Bytes, site: &mut Site<'_>) {
        let result = match op {
            OpCode::PING => Ok(0),
            OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => {
                self.set_watches(op, body, site);
                Ok(0)
            }
            OpCode::CLOSE_SESSION => {
                site.ensemble.end_session(self.session);
                Ok(0)
            }
            OpCode::SET_DATA => self.write(body, site),
            _ => self.read(op, body, site),
        };
        let zxid = Zxid(site.ensemble.zxid(self.member));
        match result {
            Ok(len) => self.wire.reply(xid, zxid, Ok(&Filler(&self.reply[..len]))),
            Err(code) => self.wire.reply(xid, zxid, Err::<&Empty, _>(code)),
        }
        if op == OpCode::CLOSE_SESSION {
            self.forget();
        }
    }

    /// Through the leader, and answered when this server has applied it.
    fn write(&mut self, body: &Bytes, site: &mut Site<'_>) -> Result<usize, ErrorCode> {
        let ticket = ticket_of(OpCode::SET_DATA, body).unwrap();
        let path = path_of(body).and_then(|path| site.paths.index(path)).unwrap();
        let session = site.ensemble.session(self.session).unwrap();
        // W6
        assert!(session.last_write < Some(ticket), "W6: write {ticket} behind {:?}", session.last_write);
        session.last_write = Some(ticket);
        let had_effect = site.ensemble.write(path, ticket);
        self.catch_up(site);
        if had_effect { Ok(0) } else { Err(ErrorCode::NO_NODE) }
    }

    fn read(&mut self, op: OpCode, body: &Bytes, site: &mut Site<'_>) -> Result<usize, ErrorCode> {
        let path = path_of(body).and_then(|path| site.paths.index(path)).unwrap();
        let what = &body[4 + site.paths.names[path].len()..];
        let node = site.ensemble.members[self.member].nodes[path];
        site.ensemble.fate(ticket_of(op, body).unwrap()).found = Some(node);
        if site.ensemble.lags(self.member) {
            site.marks.hit(Mark::LagSeen);
        }
        let watched = &mut self.watched[path];
        let wants_watch = what[0] == 1;
        let len = if op == OpCode::GET_DATA { self.reply.len() } else { 4 };
        match op {
            OpCode::EXISTS => watched.data |= wants_watch,
            OpCode::GET_DATA => watched.data |= wants_watch && node.exists,
            OpCode::GET_CHILDREN2 => watched.child |= wants_watch && node.exists,
            OpCode::ADD_WATCH => {
                let is_recursive = what[3] == 1;
                watched.recursive |= is_recursive;
                watched.persistent |= !is_recursive;
                return Ok(4.min(self.reply.len()));
            }
            OpCode::REMOVE_WATCHES => return remove(watched, WatcherType(i32::from(what[3]))),
            other => panic!("wire: unexpected {other:?}"),
        }
        if node.exists { Ok(len.min(self.reply.len())) } else { Err(ErrorCode::NO_NODE) }
    }

    /// protocol.md section 4.4.
    fn set_watches(&mut self, op: OpCode, body: &Bytes, site: &mut Site<'_>) {
        let nodes = site.ensemble.members[self.member].nodes;
        let mut lists = Vec::new();
        let relative = watch_lists(op, body, |list, path| lists.push((list, site.paths.index(path).unwrap()))).unwrap();
        for (list, path) in lists {
            let node @ Node { exists, mzxid, pzxid } = nodes[path];
            let event = match list {
                DATA | CHILD if !exists => Some(EventType::NODE_DELETED),
                DATA if mzxid > relative => Some(EventType::NODE_DATA_CHANGED),
                EXIST if exists => Some(EventType::NODE_CREATED),
                CHILD if pzxid > relative => Some(EventType::NODE_CHILDREN_CHANGED),
                _ => None,
            };
            if let Some(event) = event {
                site.marks.hit(Mark::ToldByRearming);
                self.tell(event, path, -1, site.paths);
                self.told.push((list, path, node));
                continue;
            }
            let watched = &mut self.watched[path];
            match list {
                DATA | EXIST => watched.data = true,
                CHILD => watched.child = true,
                PERSISTENT => watched.persistent = true,
                _ => watched.recursive = true,
            }
            if list < PERSISTENT {
                self.rearmed.push((list, path, node));
            }
        }
    }

    /// This connection's server applies everything there is.
    pub(crate) fn catch_up(&mut self, site: &mut Site<'_>) {
        while let Some((txn, zxid)) = site.ensemble.replicate(self.member) {
            self.applied(txn, zxid, site);
            self.caught_up.push((txn, zxid));
        }
    }

    /// This connection's server applied a transaction: its watches fire.
    pub(crate) fn applied(&mut self, txn: Txn, zxid: i64, site: &mut Site<'_>) {
        let mut told = 0;
        for (path, kind) in txn.changes.into_iter().flatten() {
            told += usize::from(self.trigger(path, kind, zxid, site));
        }
        if told > 1 {
            site.marks.hit(Mark::EventsOfOneTxn);
        }
    }

    fn trigger(&mut self, path: usize, kind: Kind, zxid: i64, site: &Site<'_>) -> bool {
        let watched = &mut self.watched[path];
        let Watched { data, child, persistent, recursive } = *watched;
        let (event, fires) = match kind {
            Kind::Created => (EventType::NODE_CREATED, data || persistent || recursive),
            Kind::Data => (EventType::NODE_DATA_CHANGED, data || persistent || recursive),
            Kind::Deleted => (EventType::NODE_DELETED, data || child || persistent || recursive),
            Kind::Children => (EventType::NODE_CHILDREN_CHANGED, child || persistent),
        };
        watched.data &= kind == Kind::Children;
        watched.child &= matches!(kind, Kind::Created | Kind::Data);
        if fires {
            self.tell(event, path, if site.plan.event_zxid { zxid } else { -1 }, site.paths);
        }
        fires
    }

    fn tell(&mut self, event_type: EventType, path: usize, zxid: i64, paths: &Paths) {
        let (state, path) = (KeeperState::SYNC_CONNECTED, paths.texts[path].clone());
        self.wire.notify(&WatchedEvent { event_type, state, path, zxid: Zxid(zxid) });
    }
}

/// The path that a body begins with.
fn path_of(body: &Bytes) -> Option<&[u8]> {
    let (len, rest) = body.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*len)).ok()?)
}

fn remove(watched: &mut Watched, kind: WatcherType) -> Result<usize, ErrorCode> {
    let before = *watched;
    match kind {
        WatcherType::DATA => watched.data = false,
        WatcherType::CHILDREN => watched.child = false,
        WatcherType::PERSISTENT => watched.persistent = false,
        WatcherType::PERSISTENT_RECURSIVE => watched.recursive = false,
        _ => *watched = Watched::default(),
    }
    if *watched == before { Err(ErrorCode::NO_WATCHER) } else { Ok(0) }
}
