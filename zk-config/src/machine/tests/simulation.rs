//! One history: a machine, a server somewhere in the log, a link that delays and breaks, and the rules.

use super::model::{Change as Write, Log, Shown, Tree};
use crate::{
    changes::{GapReason, diff},
    limits::Limits,
    machine::{Fetch, HOLD_MAX, Kind, Machine, Output, Reads},
    snapshot::{Nodes, Snapshot},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;
use zk_client::{
    Answer, Bytes, ErrorCode, GetDataResponse, KeeperState, MultiResult, Refusal, Text, TooLarge, WatchedEvent, Zxid,
    path, path::parent,
};

const ROOT: &str = "/r";

/// Rare states that the histories must have gone through.
#[derive(Debug, Default)]
pub(super) struct Reached {
    cut_while_syncing: u64,
    cut_before_the_watch_stood: u64,
    expired: u64,
    lagging_server: u64,
    recreated_unseen: u64,
    event_while_read: u64,
    batch: u64,
    half_read_at_cut: u64,
    plain_reads: u64,
    too_large: u64,
    inexact: u64,
    root_deleted: u64,
    whole_transactions: u64,
    refused_by_an_ending_session: u64,
    cut_with_unread: u64,
    held_back: u64,
    tree_taken_over: u64,
    tree_held: u64,
}

impl Reached {
    fn all(&self) -> [(&'static str, u64); 18] {
        [
            ("cut_while_syncing", self.cut_while_syncing),
            ("cut_before_the_watch_stood", self.cut_before_the_watch_stood),
            ("expired", self.expired),
            ("lagging_server", self.lagging_server),
            ("recreated_unseen", self.recreated_unseen),
            ("event_while_read", self.event_while_read),
            ("batch", self.batch),
            ("half_read_at_cut", self.half_read_at_cut),
            ("plain_reads", self.plain_reads),
            ("too_large", self.too_large),
            ("inexact", self.inexact),
            ("root_deleted", self.root_deleted),
            ("whole_transactions", self.whole_transactions),
            ("refused_by_an_ending_session", self.refused_by_an_ending_session),
            ("cut_with_unread", self.cut_with_unread),
            ("held_back", self.held_back),
            ("tree_taken_over", self.tree_taken_over),
            ("tree_held", self.tree_held),
        ]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.cut_while_syncing += other.cut_while_syncing;
        self.cut_before_the_watch_stood += other.cut_before_the_watch_stood;
        self.expired += other.expired;
        self.lagging_server += other.lagging_server;
        self.recreated_unseen += other.recreated_unseen;
        self.event_while_read += other.event_while_read;
        self.batch += other.batch;
        self.half_read_at_cut += other.half_read_at_cut;
        self.plain_reads += other.plain_reads;
        self.too_large += other.too_large;
        self.inexact += other.inexact;
        self.root_deleted += other.root_deleted;
        self.whole_transactions += other.whole_transactions;
        self.refused_by_an_ending_session += other.refused_by_an_ending_session;
        self.cut_with_unread += other.cut_with_unread;
        self.held_back += other.held_back;
        self.tree_taken_over += other.tree_taken_over;
        self.tree_held += other.tree_held;
    }

    pub(super) fn assert_all(&self) {
        for (name, count) in self.all() {
            assert!(count > 0, "no history reached {name}: the simulation does not test what it should");
        }
    }
}

enum Request {
    Watch,
    Reads(u64, Vec<Fetch>),
    Ping,
}

enum Incoming {
    Event(WatchedEvent),
    Watching,
    Answer(u64, Zxid, Answer),
    Bookmark(Zxid),
}

/// A connection to a server that has applied the log up to an index.
struct Connection {
    applied: usize,
    watching: bool,
    /// Nothing is answered any more; the connection ends when what was answered has arrived.
    hanging_up: bool,
    requests: VecDeque<Request>,
    stream: VecDeque<Incoming>,
}

/// What one seed decides for its whole history.
struct Plan {
    steps: u64,
    names: u64,
    event_zxids: bool,
    batches: bool,
    /// Batches with more values than this are "too large" for the client.
    batch_limit: usize,
    cut_one_in: u64,
    write_one_in: u64,
    tick: Duration,
}

/// A snapshot, and what was in it.
type Held = (Arc<Snapshot>, Vec<(Arc<str>, crate::Node)>);

pub(super) struct Simulation {
    seed: u64,
    random: u64,
    trace: bool,
    plan: Plan,
    log: Log,
    machine: Machine,
    connection: Option<Connection>,
    watch_asked: bool,
    armed: bool,
    /// The newest zxid in any reply: no server behind it is used.
    seen: Zxid,
    now: Instant,
    folded: Nodes,
    current: Arc<Snapshot>,
    /// One that a reader goes on holding, and what is in it.
    held: Option<Held>,
    /// One that was not given back at once.
    late: Option<Arc<Snapshot>>,
    in_gap: bool,
    shown: Shown,
    reached: Reached,
}

impl Simulation {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let empty = Arc::new(Snapshot::empty(ROOT.into()));
        let plan = Plan {
            steps: 0,
            names: 0,
            event_zxids: false,
            batches: false,
            batch_limit: 0,
            cut_one_in: 0,
            write_one_in: 0,
            tick: Duration::ZERO,
        };
        let mut this = Self {
            seed,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1,
            trace,
            plan,
            log: Log::new(),
            machine: Machine::new(ROOT.into(), empty.clone(), Limits::NONE),
            connection: None,
            watch_asked: false,
            armed: false,
            seen: Zxid(0),
            now: Instant::now(),
            folded: Nodes::new(),
            current: empty,
            held: None,
            late: None,
            in_gap: true,
            shown: Shown::default(),
            reached: Reached::default(),
        };
        this.plan = Plan {
            steps: 20 + this.below(200),
            names: 1 + this.below(4),
            event_zxids: this.below(2) == 0,
            batches: this.below(4) != 0,
            batch_limit: if this.below(4) == 0 { 2 } else { usize::MAX },
            cut_one_in: this.pick([8, 20, 60, 100_000]),
            write_one_in: 2 + this.below(6),
            tick: this.pick([Duration::from_micros(10), HOLD_MAX / 3]),
        };
        this
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below len")
    }

    fn pick<T, const N: usize>(&mut self, choices: [T; N]) -> T {
        let index = self.index(N);
        choices.into_iter().nth(index).expect("an index of the choices")
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{}", text());
        }
    }

    pub(super) fn run(mut self) -> Reached {
        for _ in 0..self.plan.steps {
            self.now += self.plan.tick;
            if self.below(self.plan.write_one_in) == 0 {
                self.write();
            }
            if self.below(self.plan.cut_one_in) == 0 {
                self.cut();
            }
            match self.below(4) {
                0 => self.apply(),
                1 => self.serve(),
                2 => self.deliver(),
                _ if self.connection.is_none() => self.connect(),
                _ => self.deliver(),
            }
            if self.below(8) == 0
                && let Some(late) = self.late.take()
            {
                self.retire(late);
            }
            self.check();
        }
        self.quiesce();
        self.check_held();
        self.reached
    }

    /// Everything heals, and everything that is on its way arrives.
    fn quiesce(&mut self) {
        if self.connection.is_none() {
            self.connect();
        }
        self.say(|| "quiet".into());
        for round in 0.. {
            assert!(round < 100_000, "seed {}: no rest", self.seed);
            while self.connection.as_ref().is_some_and(|c| c.applied + 1 < self.log.committed.len()) {
                self.apply();
            }
            while self.connection.as_ref().is_some_and(|c| !c.requests.is_empty() || !c.stream.is_empty()) {
                self.serve();
                self.deliver();
            }
            if self.connection.is_none() {
                // The server hung up on an operation that it does not know.
                self.connect();
                continue;
            }
            if round > 2 {
                break;
            }
            self.request(Request::Ping);
        }
        let (status, last) = (self.machine.status().clone(), self.log.last());
        let truth: Vec<_> = subtree(&last.tree).collect();
        let mirrored: Vec<_> = self.current.nodes.iter().map(|(p, n)| (p.to_string(), n.clone())).collect();
        for ((path, _), (_, node)) in mirrored.iter().zip(&truth) {
            self.say(|| format!("{path} {node:?}"));
        }
        let plain = |nodes: &[(String, Arc<crate::Node>)]| -> Vec<_> {
            nodes.iter().map(|(path, node)| (path.clone(), without_acl(node))).collect()
        };
        assert_eq!(plain(&mirrored), plain(&truth), "seed {}: mirror and server in quiet", self.seed);
        let bytes: usize = self.machine.nodes.iter().map(|(path, node)| path.len() + node.data.len()).sum();
        assert_eq!(self.machine.held.bytes(), bytes, "seed {}: what is held is counted", self.seed);
        assert!(status.live && status.ready && !self.in_gap, "seed {}: {status:?}", self.seed);
        assert_eq!(status.confirmed, last.zxid, "seed {}", self.seed);
        assert!(self.current.exact, "seed {}", self.seed);
    }

    fn path(&mut self) -> String {
        let mut path = ROOT.to_owned();
        for _ in 0..self.below(4) {
            path = path::join(&path, &format!("n{}", self.below(self.plan.names)));
        }
        path
    }

    fn write(&mut self) {
        let changes: Vec<Write> = match self.below(8) {
            0 => {
                // A subtree goes and comes again, in one transaction or in many.
                let root = self.path();
                let below: Vec<String> = subtree_of(&self.log.last().tree, &root);
                let mut all: Vec<Write> = below.iter().rev().cloned().map(Write::Delete).collect();
                all.extend(below.iter().cloned().map(|path| Write::Create(path, b"again".to_vec())));
                all.push(Write::Create(path::join(&root, "other"), b"other".to_vec()));
                all
            }
            1..=3 => (0..=self.below(4)).map(|_| self.change()).collect(),
            _ => vec![self.change()],
        };
        let together = self.below(2) == 0;
        self.reached.whole_transactions += u64::from(together && changes.len() > 1);
        self.say(|| format!("write {changes:?} together {together}"));
        if together {
            self.log.commit(&changes);
        } else {
            changes.iter().for_each(|change| self.log.commit(std::slice::from_ref(change)));
        }
        self.reached.root_deleted += u64::from(!self.log.last().tree.contains_key(ROOT) && !changes.is_empty());
    }

    fn change(&mut self) -> Write {
        let (path, value) = (self.path(), self.below(1000).to_string().into_bytes());
        match self.below(8) {
            0..=2 => Write::Create(path, value),
            3 => Write::Delete(path),
            4 => Write::SetAcl(path),
            _ => Write::Set(path, value),
        }
    }

    fn cut(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        self.say(|| "cut".into());
        self.reached.cut_before_the_watch_stood += u64::from(!self.armed);
        self.reached.cut_while_syncing += u64::from(self.armed && !self.machine.status().live);
        self.reached.half_read_at_cut += u64::from(self.machine.status().live && !connection.requests.is_empty());
        self.machine.disconnected();
        if self.below(4) == 0 {
            self.reached.expired += 1;
            self.machine.expired();
        }
        self.outputs();
    }

    fn connect(&mut self) {
        let oldest = self.log.committed.partition_point(|committed| committed.zxid < self.seen);
        let oldest = oldest.min(self.log.committed.len() - 1);
        let applied = oldest + self.index(self.log.committed.len() - oldest);
        self.reached.lagging_server += u64::from(applied + 1 < self.log.committed.len());
        self.say(|| format!("connect to a server at {}", self.log.committed[applied].zxid));
        let (requests, stream) = (VecDeque::new(), VecDeque::new());
        self.connection = Some(Connection { applied, watching: self.armed, hanging_up: false, requests, stream });
        // The client sets the watch again by itself, or asks again for one that was never answered.
        self.watch_asked |= self.machine.connected(self.now);
        if self.watch_asked && !self.armed {
            self.request(Request::Watch);
        }
        self.flush();
    }

    fn request(&mut self, request: Request) {
        if let Some(connection) = &mut self.connection {
            connection.requests.push_back(request);
        }
    }

    /// The server applies the next transaction and tells of it.
    fn apply(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let Some(committed) = self.log.committed.get(connection.applied + 1) else { return };
        connection.applied += 1;
        for (event_type, path) in committed.events.iter().filter(|_| connection.watching) {
            if !path.starts_with(ROOT) {
                continue;
            }
            let zxid = if self.plan.event_zxids { committed.zxid } else { Zxid::NONE };
            let (event_type, path) = (*event_type, path.as_str().into());
            let event = WatchedEvent { event_type, state: KeeperState::SYNC_CONNECTED, path, zxid };
            connection.stream.push_back(Incoming::Event(event));
            self.reached.event_while_read += u64::from(!connection.requests.is_empty());
        }
    }

    /// The server answers the oldest request as of what it has applied.
    fn serve(&mut self) {
        let session_ends = self.below(300) == 0;
        let Some(connection) = &mut self.connection else { return };
        let Some(request) = connection.requests.pop_front() else { return };
        if connection.hanging_up {
            return;
        }
        let at = &self.log.committed[connection.applied];
        let answer = match request {
            Request::Ping => Incoming::Bookmark(at.zxid),
            Request::Watch => {
                connection.watching = true;
                Incoming::Watching
            }
            Request::Reads(token, _) if session_ends => {
                // Refused as a whole, with the zxid that the server is at; that says nothing of the znodes.
                self.reached.refused_by_an_ending_session += 1;
                connection.hanging_up = true;
                let refusal = Refusal::Server(ErrorCode::SESSION_EXPIRED);
                Incoming::Answer(token, at.zxid, Answer::Refused(refusal))
            }
            Request::Reads(token, fetches) if fetches.len() == 1 => {
                self.reached.plain_reads += u64::from(!self.plan.batches);
                Incoming::Answer(token, at.zxid, one(&at.tree, &fetches[0]))
            }
            Request::Reads(token, _) if !self.plan.batches => {
                // Answered, and then the server hangs up.
                connection.requests.clear();
                let refusal = Refusal::Server(ErrorCode::UNIMPLEMENTED);
                self.machine.answered(self.now, token, Zxid(-1), Answer::Refused(refusal));
                return self.cut();
            }
            Request::Reads(token, fetches) if fetches.len() > self.plan.batch_limit => {
                self.reached.too_large += 1;
                let size = TooLarge { len: fetches.len(), limit: self.plan.batch_limit };
                Incoming::Answer(token, at.zxid, Answer::Refused(Refusal::ReplyTooLarge(size)))
            }
            Request::Reads(token, fetches) => {
                self.reached.batch += 1;
                let results = fetches.iter().map(|fetch| many(&at.tree, fetch)).collect();
                Incoming::Answer(token, at.zxid, Answer::Many(results))
            }
        };
        connection.stream.push_back(answer);
    }

    /// Some of the stream arrives.
    fn deliver(&mut self) {
        for _ in 0..=self.below(4) {
            let Some(incoming) = self.connection.as_mut().and_then(|connection| connection.stream.pop_front()) else {
                break;
            };
            match incoming {
                Incoming::Event(event) => {
                    self.say(|| format!("event {event} {}", event.zxid));
                    self.machine.event(self.now, &event);
                }
                Incoming::Watching => {
                    self.say(|| "watching".into());
                    self.armed = true;
                    self.machine.watch_answered(self.now, Ok(()));
                }
                Incoming::Answer(token, zxid, answer) => {
                    self.say(|| format!("answer {token} at {zxid}: {answer:?}"));
                    self.seen = self.seen.max(zxid);
                    self.machine.answered(self.now, token, zxid, answer);
                }
                Incoming::Bookmark(zxid) => {
                    self.seen = self.seen.max(zxid);
                    self.machine.bookmark(self.now, zxid);
                }
            }
            self.outputs();
        }
        self.flush();
        if self.connection.as_ref().is_some_and(|connection| connection.hanging_up && connection.stream.is_empty()) {
            return self.cut();
        }
        if self.below(16) == 0 {
            self.request(Request::Ping);
        }
    }

    fn flush(&mut self) {
        while let Some(Reads { token, fetches }) = self.machine.next_reads() {
            let fetches = fetches.to_vec();
            self.say(|| format!("ask {token}: {fetches:?}"));
            self.request(Request::Reads(token, fetches));
        }
        self.outputs();
    }

    /// What readers are told, and whether it is true.
    fn outputs(&mut self) {
        let seed = self.seed;
        while let Some(output) = self.machine.next_output() {
            match output {
                Output::Snapshot { snapshot, changes } => {
                    self.say(|| format!("snapshot at {} exact {} {changes:?}", snapshot.revision, snapshot.exact));
                    assert!(snapshot.revision >= self.current.revision, "seed {seed}: the revision went back");
                    let changes = changes.unwrap_or_else(|| diff(&Nodes::new(), &snapshot.nodes));
                    assert!(
                        changes.is_sorted_by(|a, b| a.path < b.path),
                        "seed {seed}: not by path, each once: {changes:?}"
                    );
                    for change in changes {
                        let before = match change.new {
                            Some(new) => self.folded.insert(change.path.clone(), new),
                            None => self.folded.remove(&*change.path),
                        };
                        assert_eq!(before, change.old, "seed {seed}: {} changed in silence", change.path);
                    }
                    assert!(self.folded == snapshot.nodes, "seed {seed}: the changes do not lead to the snapshot");
                    for (path, node) in &snapshot.nodes {
                        self.shown.check(path, &node.stat, seed);
                    }
                    if snapshot.exact {
                        self.check_cut(&snapshot);
                        self.reached.cut_with_unread += u64::from(self.machine.wants.oldest().is_some());
                        self.reached.held_back += u64::from(!self.machine.unpublished.is_empty());
                    } else {
                        self.reached.inexact += 1;
                    }
                    self.count_recreated(&snapshot);
                    self.show(snapshot);
                }
                Output::Gap(snapshot, reason) => {
                    assert!(!snapshot.live && (!self.in_gap || reason == GapReason::SessionExpired), "seed {seed}");
                    self.in_gap = true;
                    self.show(snapshot);
                }
                Output::Resynced(snapshot) => {
                    assert!(self.in_gap && snapshot.live && snapshot.exact, "seed {seed}");
                    self.in_gap = false;
                    self.show(snapshot);
                }
            }
        }
    }

    /// Readers get another snapshot; some go on holding the one that they had.
    fn show(&mut self, snapshot: Arc<Snapshot>) {
        self.check_held();
        let replaced = std::mem::replace(&mut self.current, snapshot);
        if self.below(3) == 0 {
            let all = replaced.iter().map(|(path, node)| (path.clone(), node.clone())).collect();
            self.held = Some((replaced.clone(), all));
        }
        // The driver gives it back at once. Whoever is late must do no harm.
        let late = if self.below(4) == 0 { self.late.replace(replaced) } else { Some(replaced) };
        if let Some(retired) = late {
            self.retire(retired);
        }
    }

    /// Gives a snapshot back that readers do not get any more: whatever becomes of it, the copy stays what it is.
    fn retire(&mut self, snapshot: Arc<Snapshot>) {
        let (is_held, copy) = (Arc::strong_count(&snapshot) > 1, self.machine.nodes.clone());
        let is_taken_over = self.machine.retired(snapshot);
        assert!(!is_held || !is_taken_over, "seed {}: a reader's snapshot is written to", self.seed);
        assert!(self.machine.nodes == copy, "seed {}: another snapshot's tree became the copy", self.seed);
        self.reached.tree_taken_over += u64::from(is_taken_over);
        self.reached.tree_held += u64::from(is_held);
    }

    fn check_held(&self) {
        let Some((snapshot, all)) = &self.held else { return };
        let is_same = snapshot.iter().eq(all.iter().map(|(path, node)| (path, node)));
        assert!(is_same, "seed {}: the snapshot at {} was changed", self.seed, snapshot.revision);
    }

    /// A snapshot that says so equals the server's subtree at its revision. ACL changes are told to nobody.
    fn check_cut(&self, snapshot: &Snapshot) {
        let truth: Vec<_> =
            subtree(self.log.tree_at(snapshot.revision)).map(|(path, node)| (path, without_acl(&node))).collect();
        let mirrored: Vec<_> =
            snapshot.nodes.iter().map(|(path, node)| (path.to_string(), without_acl(node))).collect();
        assert_eq!(mirrored, truth, "seed {}: no cut at {}", self.seed, snapshot.revision);
    }

    fn count_recreated(&mut self, snapshot: &Snapshot) {
        let recreated = snapshot.nodes.iter().any(|(path, node)| {
            self.current
                .nodes
                .get(path)
                .is_some_and(|old| old.stat.czxid != node.stat.czxid && old.stat.version == node.stat.version)
        });
        self.reached.recreated_unseen += u64::from(recreated);
    }

    fn check(&self) {
        let status = self.machine.status();
        assert!(!status.live || self.connection.is_some(), "seed {}: live without a connection", self.seed);
        assert_eq!(status.live, !self.in_gap, "seed {}: live and in a gap", self.seed);
    }
}

fn without_acl(node: &crate::Node) -> crate::Node {
    let mut node = node.clone();
    node.stat.aversion = 0;
    node
}

fn subtree(tree: &Tree) -> impl Iterator<Item = (String, Arc<crate::Node>)> + '_ {
    tree.iter().map(|(path, node)| (path.clone(), node.clone()))
}

/// The paths of a subtree, parents first.
fn subtree_of(tree: &Tree, root: &str) -> Vec<String> {
    let below = format!("{root}/");
    tree.keys().filter(|path| *path == root || path.starts_with(&below)).cloned().collect()
}

fn one(tree: &Tree, fetch: &Fetch) -> Answer {
    match many(tree, fetch) {
        MultiResult::GetData(reply) => Answer::Data(reply.data.unwrap_or_default(), reply.stat),
        MultiResult::GetChildren(names) => Answer::Children(names, tree[&*fetch.path].stat),
        MultiResult::Error(code) => Answer::Refused(Refusal::Server(code)),
        MultiResult::Create(_)
        | MultiResult::Create2(..)
        | MultiResult::Delete
        | MultiResult::SetData(_)
        | MultiResult::Check => panic!("no read gives that"),
    }
}

fn many(tree: &Tree, fetch: &Fetch) -> MultiResult {
    let Some(node) = tree.get(&*fetch.path) else { return MultiResult::Error(ErrorCode::NO_NODE) };
    match fetch.kind {
        Kind::Data => {
            MultiResult::GetData(GetDataResponse { data: Some(Bytes::copy_from_slice(&node.data)), stat: node.stat })
        }
        Kind::Children => {
            let mine = |path: &&String| parent(path) == Some(&*fetch.path);
            let name = |path: &String| Text::from(path.rsplit('/').next().unwrap_or_default());
            MultiResult::GetChildren(tree.keys().filter(mine).map(name).collect())
        }
    }
}
