//! What a seed decides before anything happens: sizes, options, and which faults there are and how often.
//!
//! A swarm: every seed has another subset of the faults, so that no fault hides another for ever.

use super::{chance::Rng, paths::PATHS};
use bytes::Bytes;
use std::{fmt, time::Duration};
use zk_proto::{SessionConfig, SessionId, Zxid, session::Credentials};

/// Something that happens in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Submit,
    /// One round trip in which nothing goes wrong.
    Flow,
    CarryToServer,
    CarryToClient,
    Serve,
    Change,
    Replicate,
    Dial,
    Pass,
    PassLong,
    AddAuth,
    // Faults from here.
    Cut,
    HoleUp,
    HoleDown,
    Expire,
    Close,
    HangUp,
    Move,
    Garbage,
    Dribble,
    Trickle,
    Late,
    Ghost,
    SwitchReadOnly,
    /// Cuts the link when the server has answered the first of several frames of watches.
    CutBetweenRearms,
}

/// Steps that always happen, with their usual weights.
const LIFE: [(Step, usize); 10] = [
    (Step::Submit, 9),
    (Step::Flow, 4),
    (Step::CarryToServer, 10),
    (Step::CarryToClient, 10),
    (Step::Serve, 9),
    (Step::Change, 3),
    (Step::Replicate, 2),
    (Step::Dial, 9),
    (Step::Pass, 3),
    (Step::AddAuth, 1),
];

/// Steps that a seed may leave out, with their usual weights.
const FAULTS: [(Step, usize); 14] = [
    (Step::PassLong, 1),
    (Step::Cut, 3),
    (Step::HoleUp, 1),
    (Step::HoleDown, 1),
    (Step::Expire, 1),
    (Step::Close, 1),
    (Step::HangUp, 1),
    (Step::Move, 1),
    (Step::Garbage, 1),
    (Step::Dribble, 2),
    (Step::Trickle, 2),
    (Step::Late, 1),
    (Step::Ghost, 2),
    (Step::SwitchReadOnly, 1),
];

/// What a server does with a ConnectRequest instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GreetFault {
    Close,
    SayExpired,
    AnotherId,
    Garbage,
    Mute,
    RefuseInSixteenBytes,
}

const GREET_FAULTS: [GreetFault; 6] = [
    GreetFault::Close,
    GreetFault::SayExpired,
    GreetFault::AnotherId,
    GreetFault::Garbage,
    GreetFault::Mute,
    GreetFault::RefuseInSixteenBytes,
];

const TABLE_LEN: usize = 64;
/// The session that another process left.
pub(crate) const LEFT_ID: i64 = 0x0100_0000_0000_0001;

/// The session that the client starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    No,
    Alive,
    Dead,
}

/// A step is drawn from here: each stands in it as often as it is likely.
struct Table([Step; TABLE_LEN]);

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|one, other| one == other);
        f.debug_map().entries(runs.map(|run| (run[0], run.len()))).finish()
    }
}

#[derive(Debug)]
pub(crate) struct Plan {
    table: Table,
    pub(crate) steps: usize,
    pub(crate) servers: usize,
    pub(crate) read_only_servers: usize,
    /// Wanted, and granted at most, in ms.
    pub(crate) timeout: u64,
    pub(crate) timeout_max: u64,
    pub(crate) patience: u64,
    pub(crate) read_only: bool,
    pub(crate) renew: bool,
    pub(crate) first_xid: i32,
    pub(crate) resume: Resume,
    pub(crate) start_zxid: i64,
    pub(crate) reply_len_max: usize,
    pub(crate) long_paths: bool,
    /// Bytes of a znode's data in replies, and in writes.
    pub(crate) reply_len: usize,
    pub(crate) write_len: usize,
    pub(crate) greet_faults: Vec<GreetFault>,
    /// One greeting in so many goes wrong.
    pub(crate) greet_fault_rate: usize,
    /// One request in so many is refused; 0 for none. So for the others.
    pub(crate) refusal_rate: usize,
    pub(crate) auth_demand_rate: usize,
    pub(crate) auth_refusal_rate: usize,
    pub(crate) rearm_refusal_rate: usize,
    pub(crate) rearm_demand_rate: usize,
    /// Makes a new session without a word when the old one is gone, as ClickHouse Keeper did.
    pub(crate) is_keeper: bool,
    /// Read-only servers without local sessions refuse in 16 bytes.
    pub(crate) no_local_sessions: bool,
    /// Events carry the zxid, as since 3.9.
    pub(crate) event_zxid: bool,
    pub(crate) has_twin: bool,
    /// Bytes go to the client in pieces of at most so many; 0 for any.
    pub(crate) piece: usize,
    /// Paths that requests are about.
    pub(crate) paths: usize,
}

/// Which of `all` a seed has, and never none.
fn subset<T: Copy>(rng: &mut Rng, all: &[T]) -> Vec<T> {
    let mut chosen: Vec<T> = all.iter().copied().filter(|_| rng.one_in(3)).collect();
    if chosen.is_empty() {
        chosen.push(rng.pick(all));
    }
    chosen
}

fn rate(rng: &mut Rng, one_seed_in: usize, rates: &[usize]) -> usize {
    if rng.one_in(one_seed_in) { rng.pick(rates) } else { 0 }
}

fn table(rng: &mut Rng, long_paths: bool, long_replies: bool) -> Table {
    let mut all: Vec<Step> = Vec::with_capacity(3 * TABLE_LEN);
    for (step, weight) in LIFE {
        let weight = weight * rng.pick(&[1, 2, 2, 3]);
        all.extend(std::iter::repeat_n(step, weight));
    }
    if !rng.one_in(16) {
        for (step, weight) in subset(rng, &FAULTS) {
            // A close is the end of most of the fun.
            let weight = if step == Step::Close { 1 } else { weight * rng.pick(&[1, 2, 4]) };
            all.extend(std::iter::repeat_n(step, weight));
        }
    }
    if long_replies {
        all.extend([Step::Trickle; 4]);
    }
    if long_paths {
        all.extend([Step::CutBetweenRearms; 8]);
        all.extend([Step::Flow; 10]);
    }
    // Every step that there is has a place.
    let mut table = [Step::Pass; TABLE_LEN];
    for (index, slot) in table.iter_mut().enumerate() {
        let spread = index * all.len() / TABLE_LEN;
        *slot = all[if all.len() > TABLE_LEN { spread + rng.below(all.len() / TABLE_LEN) } else { spread }];
    }
    Table(table)
}

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut plan = Self::any(rng);
        if plan.long_paths {
            // Rare and slow, so they must get to where they are for: many watches, and connections that break.
            (plan.steps, plan.read_only_servers, plan.refusal_rate) = (plan.steps.max(100), 0, 0);
            plan.greet_faults.clear();
        }
        plan
    }

    fn any(rng: &mut Rng) -> Self {
        let long_paths = rng.one_in(50);
        let big = rng.one_in(12);
        let timeout = rng.pick(&[3000, 6000, 6000, 9000]);
        let servers = rng.pick(&[1, 1, 2, 3]);
        let small = !long_paths && rng.one_in(6);
        let reply_len = if big || small { rng.pick(&[40, 90, 300, 9_000, 21_000, 21_000]) } else { 3 };
        let long_replies = reply_len > 4096;
        Self {
            table: table(rng, long_paths, long_replies),
            steps: 40 + rng.below(110),
            servers,
            read_only_servers: if rng.one_in(6) { 1 + rng.below(servers) } else { 0 },
            timeout,
            timeout_max: rng.pick(&[timeout, timeout, 2400, 60_000]),
            patience: rng.pick(&[600, 1000, 2000]),
            read_only: rng.one_in(3),
            renew: !rng.one_in(5),
            first_xid: if rng.one_in(3) { i32::MAX - rng.below(25) as i32 } else { 1 },
            resume: rng.pick(&[Resume::No, Resume::No, Resume::No, Resume::No, Resume::Alive, Resume::Dead]),
            start_zxid: rng.pick(&[5, 0x1_0000_0005, 0x7_ffff_fff0]),
            // A header and 90 bytes: to the byte.
            reply_len_max: if small { 106 } else { 1 << 20 },
            long_paths,
            reply_len,
            write_len: if big { 12_000 } else { 3 },
            greet_faults: if rng.one_in(2) { subset(rng, &GREET_FAULTS) } else { Vec::new() },
            greet_fault_rate: rng.pick(&[2, 4, 10]),
            refusal_rate: rate(rng, 4, &[3, 10]),
            auth_demand_rate: rate(rng, 20, &[10, 20]),
            auth_refusal_rate: rate(rng, 12, &[2, 6]),
            rearm_refusal_rate: rate(rng, 8, &[2, 4]),
            rearm_demand_rate: rate(rng, 30, &[2, 4]),
            is_keeper: rng.one_in(6),
            no_local_sessions: rng.one_in(3),
            event_zxid: rng.one_in(2),
            has_twin: rng.one_in(if long_replies { 2 } else { 16 }),
            piece: rng.pick(&[0, 0, 0, 1, 7, 40]),
            paths: if long_paths { PATHS } else { rng.pick(&[1, 2, PATHS, PATHS]) },
        }
    }

    pub(crate) fn step(&self, rng: &mut Rng) -> Step {
        self.table.0[rng.below(TABLE_LEN)]
    }

    pub(crate) fn config(&self) -> SessionConfig {
        let left = || Credentials { id: SessionId(LEFT_ID), password: Bytes::copy_from_slice(&password(LEFT_ID)) };
        SessionConfig {
            timeout: Duration::from_millis(self.timeout),
            read_only: self.read_only,
            renew: self.renew,
            reply_len_max: self.reply_len_max,
            resume: (self.resume != Resume::No).then(left),
            last_zxid: Zxid(if self.resume == Resume::No { 0 } else { self.start_zxid }),
            sasl: false,
            first_xid: self.first_xid,
        }
    }
}

/// A session's password follows from its id, as ZooKeeper's do.
pub(crate) fn password(id: i64) -> [u8; 16] {
    let mut password = [0x50; 16];
    password[8..].copy_from_slice(&id.wrapping_mul(0x5DEE_CE66D).to_be_bytes());
    password
}
