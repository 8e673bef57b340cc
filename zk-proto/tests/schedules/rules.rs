//! The rules that hold after every step, whatever happened: reliability.md section 2a, W1 to W12 (W13 is the twin's),
//! and what 2b says of watches (E4 to E6). From what was seen on the wire, from what is true, and from what the client
//! was told. No look inside the machine.

use super::{
    calls::{CHILD, DATA, EXIST, Kind, PERSISTENT, RECURSIVE},
    ensemble::{Ensemble, Node},
    host::Watched,
    marks::{Mark, Marks},
    paths::PATHS,
    plan::{LEFT_ID, Plan, Resume},
    wire::{Fatal, Life, Wire},
};
use std::collections::VecDeque;
use zk_proto::session::{End, Loss, State, WatchKind};

#[path = "rules/sent.rs"]
mod sent;
#[path = "rules/told.rs"]
mod told;

pub(crate) use told::Told;

/// A rule that does not hold.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

pub(crate) type Held = Result<(), Broken>;

/// Checks one rule: `hold!("W7", a >= b, "{a} is before {b}")`.
macro_rules! hold {
    ($rule:literal, $holds:expr, $($detail:tt)+) => {
        if !$holds {
            return Err($crate::rules::Broken(format!("{}: {}", $rule, format_args!($($detail)+))));
        }
    };
}
pub(crate) use hold;

/// How far the frames of a connection have come; they never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connecting,
    Auth,
    Watches,
    Requests,
    Closing,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
    NotSent,
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    kind: Kind,
    path: usize,
    is_sent: bool,
    /// It was submitted when no connection was up.
    had_to_wait: bool,
    outcome: Option<Outcome>,
}

/// Tickets of identities count from here.
pub(crate) const AUTH_TICKETS: u32 = 1 << 20;

pub(crate) struct Rules {
    renew: bool,
    reply_len_max: usize,
    wanted_timeout: u64,
    may_be_read_only: bool,
    calls: Vec<Call>,
    /// Which identities had their first answer.
    identities: Vec<bool>,
    /// How many identities were ever sent.
    identities_sent: usize,
    /// Watches that the client knows of, by path and list, and the znode that it saw when each was set.
    watches: [[bool; 5]; PATHS],
    armed: [[Node; 5]; PATHS],
    next_xid: i32,
    /// The highest zxid in a reply.
    seen_zxid: i64,
    /// The session that the client holds.
    held: Option<i64>,
    expired: Vec<i64>,
    /// Calls submitted before an expiry: they end with it.
    calls_expired: usize,
    timeout: u64,
    // This connection.
    pub(crate) wire: Wire,
    told: VecDeque<Told>,
    is_open: bool,
    is_greeted: bool,
    is_up: bool,
    /// A numbered frame was sent on this connection.
    has_numbered: bool,
    stage: Stage,
    auths_sent: usize,
    auths_first: usize,
    owed: Vec<(usize, usize)>,
    frames_of_watches: usize,
    rearms_sent: usize,
    dialed: u64,
    patience: u64,
    /// The last sure sign of life, and the last one of any kind.
    sure_at: u64,
    life_at: u64,
    talked: u64,
    pings: usize,
    /// The harness closed the transport.
    is_cut: bool,
    /// The answer to the greeting was that the session is gone.
    was_gone: bool,
    lost_greeting_at: Option<u64>,
    was_up_at_close: bool,
    last_interrupted: Option<u32>,
    pub(crate) bookmarks: usize,
    // The end.
    pub(crate) is_closing: bool,
    end: Option<End>,
    must_end: Option<i32>,
}

impl Rules {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            renew: plan.renew,
            reply_len_max: plan.reply_len_max,
            wanted_timeout: plan.timeout,
            may_be_read_only: plan.read_only,
            calls: Vec::with_capacity(64),
            identities: Vec::new(),
            identities_sent: 0,
            watches: Default::default(),
            armed: Default::default(),
            next_xid: plan.first_xid,
            seen_zxid: if plan.resume == Resume::No { 0 } else { plan.start_zxid },
            held: (plan.resume != Resume::No).then_some(LEFT_ID),
            expired: Vec::new(),
            calls_expired: 0,
            timeout: plan.timeout,
            wire: Wire::default(),
            told: VecDeque::new(),
            is_open: false,
            is_greeted: false,
            is_up: false,
            has_numbered: false,
            stage: Stage::Connecting,
            auths_sent: 0,
            auths_first: 0,
            owed: Vec::new(),
            frames_of_watches: 0,
            rearms_sent: 0,
            dialed: 0,
            patience: plan.patience,
            sure_at: 0,
            life_at: 0,
            talked: 0,
            pings: 0,
            is_cut: false,
            was_gone: false,
            lost_greeting_at: None,
            was_up_at_close: false,
            last_interrupted: None,
            bookmarks: 0,
            is_closing: false,
            end: None,
            must_end: None,
        }
    }

    pub(crate) fn submitted(&mut self, kind: Kind, path: usize) {
        if self.end.is_none() && !self.is_closing {
            self.forget(kind, path);
        }
        let had_to_wait = !self.is_up;
        self.calls.push(Call { kind, path, is_sent: false, had_to_wait, outcome: None });
    }

    pub(crate) fn auth_added(&mut self) {
        self.identities.push(false);
    }

    pub(crate) const fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(crate) const fn identities(&self) -> usize {
        self.identities.len()
    }

    /// Whether an auth reply may be one to a packet.
    pub(crate) fn auth_is_asked(&self) -> bool {
        !self.is_up || self.identities.len() > self.auths_sent || !self.wire.auths.is_empty()
    }

    pub(crate) const fn closes(&mut self) {
        (self.is_closing, self.was_up_at_close) = (true, self.is_up);
    }

    /// The machine is drained next.
    pub(crate) const fn settles(&mut self) {
        self.last_interrupted = None;
    }

    /// Requests that wait for a connection, or to be given out.
    fn has_waiting(&self) -> bool {
        self.calls.iter().any(|call| !call.is_sent && call.outcome.is_none())
    }

    /// What a request removes is forgotten.
    fn forget(&mut self, kind: Kind, path: usize) {
        let watches = &mut self.watches[path];
        let lists: &[usize] = match kind {
            Kind::RemoveAll => &[DATA, EXIST, CHILD, PERSISTENT, RECURSIVE],
            Kind::Remove(WatchKind::Data | WatchKind::Exist) => &[DATA, EXIST],
            Kind::Remove(WatchKind::Child) => &[CHILD],
            Kind::Remove(WatchKind::Persistent) => &[PERSISTENT],
            Kind::Remove(WatchKind::PersistentRecursive) => &[RECURSIVE],
            Kind::Watch(_) | Kind::Write | Kind::Read => &[],
        };
        lists.iter().for_each(|list| watches[*list] = false);
    }

    pub(crate) fn dialed(&mut self, now: u64) {
        self.wire.reset(self.reply_len_max);
        self.told.clear();
        (self.is_open, self.is_greeted, self.is_up, self.is_cut) = (true, false, false, false);
        (self.was_gone, self.has_numbered) = (false, false);
        self.stage = Stage::Connecting;
        (self.auths_sent, self.auths_first, self.frames_of_watches, self.rearms_sent) = (0, 0, 0, 0);
        self.owed.clear();
        (self.dialed, self.talked, self.pings) = (now, now, 0);
    }

    /// The harness closes the transport.
    pub(crate) const fn cut(&mut self) {
        self.is_cut = true;
    }

    pub(crate) const fn is_rearming(&self) -> bool {
        self.is_up && self.frames_of_watches > 0
    }

    /// How many frames of watches this connection needed, and how many are answered.
    pub(crate) const fn rearmed(&self) -> (usize, usize) {
        (self.rearms_sent, self.rearms_sent - self.frames_of_watches)
    }

    /// Bytes arrive at the client: what they mean must be told next.
    pub(crate) fn delivered(&mut self, bytes: &[u8], now: u64, marks: &mut Marks) {
        let mut wire = std::mem::take(&mut self.wire);
        let life = wire.delivered(bytes, |wire, meaning| self.means(wire, meaning, now, marks));
        if std::mem::take(&mut wire.has_skipped) {
            marks.hit(Mark::OversizeSkipped);
        }
        self.wire = wire;
        // A greeting counts when it gives a session; its parts never do.
        if self.is_up {
            if matches!(life, Life::Part | Life::SurePart) {
                marks.hit(Mark::PartIsLife);
            }
            if life > Life::None {
                (self.life_at, self.pings) = (now, 0);
            }
            if life >= Life::SurePart {
                self.sure_at = now;
            }
        }
    }

    /// W10, W11: after the timers ran, nothing is late.
    pub(crate) fn timers_ran(&self, now: u64, state: State) -> Held {
        if state == State::Up {
            hold!("W10", now - self.life_at < self.timeout * 2 / 3, "a dead peer was not found");
            hold!("W10", now - self.talked < self.timeout / 3, "a ping is late");
            hold!("W10", self.pings <= 2, "{} pings into silence", self.pings);
        }
        if state == State::Greeting {
            hold!("W10", now < self.dialed + self.patience, "a greeting without an answer was not given up");
        }
        if state != State::Up && state != State::Ended && self.held.is_some() {
            let last = self.timeout * 4 / 3;
            hold!("W11", now - self.life_at < last, "a session that is certainly gone was not given up");
        }
        Ok(())
    }

    /// Watches were set again without an event: then the znode must be the one that the client knows.
    pub(crate) fn rearmed_silently(&self, list: usize, path: usize, node: Node) -> Held {
        if !self.watches[path][list] {
            return Ok(());
        }
        let armed = self.armed[path][list];
        let is_same = match list {
            DATA => node.exists && node.mzxid == armed.mzxid,
            CHILD => node.exists && node.pzxid == armed.pzxid,
            _ => !node.exists,
        };
        hold!("E4", is_same, "a change of path {path} is hidden from list {list}: {node:?}, known {armed:?}");
        Ok(())
    }

    /// Watches were set again with an event: then the znode must be another than the one that the client knows.
    pub(crate) fn rearmed_loudly(&self, list: usize, path: usize, node: Node) -> Held {
        let armed = self.armed[path][list];
        let is_phantom = self.watches[path][list] && node.exists && node == armed;
        hold!("E3", !is_phantom, "an event of path {path} for list {list}, and nothing changed: {node:?}");
        Ok(())
    }

    pub(crate) fn watched_paths(&self) -> usize {
        self.watches.iter().filter(|lists| lists.contains(&true)).count()
    }

    pub(crate) const fn seen_zxid(&self) -> i64 {
        self.seen_zxid
    }

    pub(crate) const fn held(&self) -> Option<i64> {
        self.held
    }

    /// The server's table is the client's, and no change happened behind the back of a watch.
    pub(crate) fn at_rest(&self, watched: &[Watched; PATHS], more: &[bool; PATHS], nodes: &[Node; PATHS]) -> Held {
        for (path, lists) in self.watches.iter().enumerate() {
            let [data, exist, child, persistent, recursive] = *lists;
            let known = Watched { data: data || exist, child, persistent, recursive };
            let there = watched[path];
            let more_at_most = Watched {
                data: known.data || there.data,
                child: known.child || there.child,
                persistent: known.persistent || there.persistent,
                recursive: known.recursive || there.recursive,
            };
            let is_right = there == known || more[path] && there == more_at_most;
            hold!("E5", is_right, "path {path}: the client knows {known:?}, the server has {there:?}");
            for list in [DATA, EXIST, CHILD].into_iter().filter(|list| lists[*list]) {
                self.rearmed_silently(list, path, nodes[path])?;
            }
        }
        hold!("W4", self.identities.iter().all(|is_answered| *is_answered), "an identity was never answered");
        let open = self.calls.iter().position(|call| call.outcome.is_none());
        hold!("W4", open.is_none(), "ticket {open:?} never came back");
        Ok(())
    }

    /// W4, W5: how everything ended, against what is true.
    pub(crate) fn at_the_end(&self, ensemble: &mut Ensemble, marks: &mut Marks) -> Held {
        hold!("W4", self.identities.iter().all(|is_answered| *is_answered), "an identity was never answered");
        for (ticket, call) in self.calls.iter().enumerate() {
            let fate = *ensemble.fate(ticket as u32);
            let applied = fate.applied;
            // W3, from the other end of the wire.
            hold!("W3", fate.arrived <= 1, "ticket {ticket} arrived {} times", fate.arrived);
            hold!("W5", call.is_sent || fate.arrived == 0, "ticket {ticket} arrived and was never sent");
            match call.outcome {
                None => hold!("W4", false, "ticket {ticket} never came back"),
                Some(Outcome::Done) => {
                    let expected = u32::from(call.kind == Kind::Write);
                    hold!("W5", applied == expected, "ticket {ticket} is done, and was carried out {applied} times");
                }
                Some(Outcome::Refused) => {
                    hold!("W5", applied == 0, "ticket {ticket} was refused, and was carried out");
                }
                Some(Outcome::NotSent) => {
                    marks.hit(Mark::NotSent);
                    hold!("W5", !call.is_sent && applied == 0, "ticket {ticket} was not sent, and was carried out");
                }
                Some(Outcome::Unknown) => {
                    hold!("W5", applied <= 1, "ticket {ticket} was carried out {applied} times");
                    if call.kind == Kind::Write {
                        marks.hit(if applied == 1 { Mark::UnknownApplied } else { Mark::UnknownLost });
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether an own expiry is due.
    const fn is_certainly_gone(&self, now: u64) -> bool {
        now - self.sure_at >= self.timeout * 4 / 3
    }

    /// W11, W12: a loss has one cause, and is told once.
    fn lost(&mut self, why: &Loss, was_up: bool, now: u64, marks: &mut Marks) -> Held {
        hold!("W11", self.is_open, "lost twice: {why:?}");
        hold!("W11", was_up == self.is_up, "{why:?}: was_up is {was_up}");
        if was_up && self.has_waiting() {
            marks.hit(Mark::LostBeforeSending);
        }
        match (why, self.told.front()) {
            (why, Some(Told::Fatal(fatal))) if fatal.is(why) => {
                self.fatal(*fatal, marks);
                self.told.pop_front();
            }
            (Loss::Transport, None) => hold!("W12", self.is_cut && was_up, "nobody closed the transport"),
            (Loss::NoAnswer { last_zxid }, None) => {
                hold!("W12", self.is_cut && !was_up, "nobody closed the transport");
                hold!("W7", last_zxid.0 == self.seen_zxid, "the loss names {last_zxid}");
                marks.hit(Mark::NoAnswer);
            }
            (Loss::Silent, None) => {
                let is_silent = if was_up {
                    now - self.sure_at >= self.timeout * 2 / 3
                } else {
                    now >= self.dialed + self.patience || self.is_certainly_gone(now)
                };
                hold!("W10", is_silent, "the peer was not silent");
            }
            (why, told) => hold!("W12", false, "lost for {why:?}, expected {told:?}"),
        }
        self.lost_greeting_at = (!was_up).then_some(now);
        (self.is_open, self.is_up) = (false, false);
        self.wire.is_dead = true;
        Ok(())
    }

    fn fatal(&mut self, fatal: Fatal, marks: &mut Marks) {
        match fatal {
            Fatal::Gone => {
                self.was_gone = true;
                marks.hit(if self.held.is_some() { Mark::Gone } else { Mark::GoneWithoutSession });
            }
            Fatal::WatchesRefused => marks.hit(Mark::WatchesRefused),
            Fatal::NotZooKeeper(_) | Fatal::Refused | Fatal::Decode | Fatal::Length | Fatal::Unexpected => {}
        }
    }
}
