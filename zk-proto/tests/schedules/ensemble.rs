//! What is true: the log of transactions, how far each server has come in it, the sessions, and what became of each
//! request that arrived.

use super::{
    chance::Rng,
    paths::PATHS,
    plan::{LEFT_ID, Plan, Resume},
};

/// A znode, as far as watches care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) exists: bool,
    pub(crate) mzxid: i64,
    pub(crate) pzxid: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Created,
    Deleted,
    Data,
    Children,
}

/// One transaction: up to two changes, perhaps none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Txn {
    pub(crate) changes: [Option<(usize, Kind)>; 2],
}

#[derive(Debug, Default)]
pub(crate) struct Member {
    /// Transactions applied.
    pub(crate) applied: usize,
    pub(crate) nodes: [Node; PATHS],
    pub(crate) read_only: bool,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: i64,
    pub(crate) alive: bool,
    pub(crate) timeout: u64,
    pub(crate) touched: u64,
    /// Where its connection was last.
    pub(crate) member: usize,
    /// W6: the last write of this session, by ticket.
    pub(crate) last_write: Option<u32>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) arrived: u32,
    pub(crate) applied: u32,
    /// The znode as it was found.
    pub(crate) found: Option<Node>,
}

pub(crate) struct Ensemble {
    start: i64,
    log: Vec<Txn>,
    /// The leader's znodes.
    nodes: [Node; PATHS],
    pub(crate) members: Vec<Member>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) fates: Vec<Fate>,
    next_session: i64,
    fakes: i64,
}

impl Ensemble {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut ensemble = Self {
            start: plan.start_zxid,
            log: Vec::with_capacity(32),
            nodes: [Node::default(); PATHS],
            members: (0..plan.servers).map(|_| Member::default()).collect(),
            sessions: Vec::with_capacity(4),
            fates: Vec::with_capacity(64),
            next_session: 0x0100_0000_0000_0007,
            fakes: 0x7e00_0000_0000_0001,
        };
        plan.read_only_servers.min(plan.servers).checked_sub(1).into_iter().for_each(|last| {
            ensemble.members[..=last].iter_mut().for_each(|member| member.read_only = true);
        });
        if plan.long_paths {
            // Watches that have something to tell from the start.
            let node = Node { exists: true, mzxid: plan.start_zxid, pzxid: plan.start_zxid };
            ensemble.nodes = [node; PATHS];
            ensemble.members.iter_mut().for_each(|member| member.nodes = ensemble.nodes);
        }
        if plan.resume == Resume::Alive {
            let timeout = plan.timeout.min(plan.timeout_max);
            ensemble.sessions.push(Session {
                id: LEFT_ID,
                alive: true,
                timeout,
                touched: 0,
                member: 0,
                last_write: None,
            });
        }
        ensemble
    }

    const fn zxid_at(&self, applied: usize) -> i64 {
        self.start + applied as i64
    }

    /// The last transaction that a server has applied.
    pub(crate) fn zxid(&self, member: usize) -> i64 {
        self.zxid_at(self.members[member].applied)
    }

    pub(crate) fn lags(&self, member: usize) -> bool {
        self.members[member].applied < self.log.len()
    }

    /// Appends a transaction; servers come to it later.
    fn append(&mut self, txn: Txn) -> i64 {
        self.log.push(txn);
        let zxid = self.zxid_at(self.log.len());
        apply(&mut self.nodes, txn, zxid);
        zxid
    }

    /// Lets a server apply one more transaction, if there is one.
    pub(crate) fn replicate(&mut self, member: usize) -> Option<(Txn, i64)> {
        let applied = self.members[member].applied;
        let txn = *self.log.get(applied)?;
        let zxid = self.zxid_at(applied + 1);
        let member = &mut self.members[member];
        member.applied += 1;
        apply(&mut member.nodes, txn, zxid);
        Some((txn, zxid))
    }

    /// Another client changes one or two znodes in one transaction.
    pub(crate) fn change(&mut self, rng: &mut Rng, paths: usize) {
        let first = rng.below(paths);
        let second = (first + rng.below(paths)) % paths;
        let mut change = |path: usize| {
            let kind = match (self.nodes[path].exists, rng.below(3)) {
                (false, _) => Kind::Created,
                (true, 0) => Kind::Deleted,
                (true, 1) => Kind::Children,
                (true, _) => Kind::Data,
            };
            Some((path, kind))
        };
        let changes = [change(first), if second == first { None } else { change(second) }];
        self.append(Txn { changes });
    }

    /// A write of the client's: a transaction in any case, with an effect if the znode exists. Whether it had one.
    pub(crate) fn write(&mut self, path: usize, ticket: u32) -> bool {
        let exists = self.nodes[path].exists;
        let change = exists.then_some((path, Kind::Data));
        self.append(Txn { changes: [change, None] });
        self.fate(ticket).applied += u32::from(exists);
        exists
    }

    pub(crate) fn fate(&mut self, ticket: u32) -> &mut Fate {
        let index = ticket as usize;
        if self.fates.len() <= index {
            self.fates.resize(index + 1, Fate::default());
        }
        &mut self.fates[index]
    }

    /// A new session, which is a transaction; not on a read-only server, whose sessions are its own invention.
    pub(crate) fn open(&mut self, member: usize, timeout: u64, now: u64) -> i64 {
        if self.members[member].read_only {
            self.fakes += 1;
            return self.fakes;
        }
        self.append(Txn::default());
        self.next_session += 1;
        let id = self.next_session;
        self.sessions.push(Session { id, alive: true, timeout, touched: now, member, last_write: None });
        id
    }

    /// The live session of this id.
    pub(crate) fn session(&mut self, id: i64) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id && session.alive)
    }

    /// The end of a session: a transaction.
    pub(crate) fn end_session(&mut self, id: i64) -> bool {
        let Some(session) = self.session(id) else { return false };
        session.alive = false;
        self.append(Txn::default());
        true
    }

    /// Ends the sessions that nothing was heard of, as the leader does.
    pub(crate) fn expire_silent(&mut self, now: u64) {
        for index in 0..self.sessions.len() {
            let Session { id, alive, timeout, touched, .. } = self.sessions[index];
            if alive && now > touched + timeout {
                self.end_session(id);
            }
        }
    }
}

fn apply(nodes: &mut [Node; PATHS], txn: Txn, zxid: i64) {
    for (path, kind) in txn.changes.into_iter().flatten() {
        let node = &mut nodes[path];
        match kind {
            Kind::Created => *node = Node { exists: true, mzxid: zxid, pzxid: zxid },
            Kind::Deleted => node.exists = false,
            Kind::Data => node.mzxid = zxid,
            Kind::Children => node.pzxid = zxid,
        }
    }
}
