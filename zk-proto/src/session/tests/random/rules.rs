//! The rules that hold after every step, whatever happened (reliability.md section 2a: W1 to W5, W7 to W11).

use super::{
    AUTH_TICKETS, Change, Event, Interruption, Loss, Outcome, PATHS, SessionConfig, State, T, WatchKind,
    server::{Node, Server, Watched, ticket_of, watch_lists},
};
use crate::{
    ErrorCode, OpCode,
    session::{
        ReplyFailure,
        tests::script::{Sent, read_frames},
        xid,
    },
    watch::EventType,
};
use alloc::{string::String, vec::Vec};
use bytes::BytesMut;
use core::time::Duration;

const DATA: usize = 0;
const EXIST: usize = 1;
const CHILD: usize = 2;
const PERSISTENT: usize = 3;
const RECURSIVE: usize = 4;

/// How far the frames of a connection have come; they never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connecting,
    Auth,
    Watches,
    Requests,
}

/// What one ticket's request changes, and where.
#[derive(Clone, Copy)]
enum Effect {
    None,
    Set(WatchKind, usize),
    RemoveAll(usize),
}

pub(super) struct Rules {
    renew: bool,
    long: bool,
    next_xid: i32,
    stage: Stage,
    greeted: bool,
    /// Identities whose packet was sent on this connection, and those that had to be before anything else.
    auths_sent: usize,
    auths_first: usize,
    auths_added: usize,
    /// Watches that the client knows of, and those that this connection still has to set again.
    watches: [[bool; 5]; PATHS],
    owed: Vec<(usize, usize)>,
    /// The znode that the client saw when a watch was set.
    armed: [[Node; 5]; PATHS],
    effects: Vec<Effect>,
    sent: Vec<bool>,
    ended: Vec<bool>,
    auth_ended: Vec<bool>,
    next_to_end: u32,
    pub(super) shown_zxid: i64,
    seen_zxid: i64,
    shadow: BytesMut,
    heard: Duration,
    talked: Duration,
    over: bool,
    pub(super) reached: Reached,
}

impl Rules {
    pub(super) fn new(config: &SessionConfig, long: bool) -> Self {
        Self {
            renew: config.renew,
            long,
            next_xid: config.first_xid,
            stage: Stage::Connecting,
            greeted: false,
            auths_sent: 0,
            auths_first: 0,
            auths_added: 0,
            watches: Default::default(),
            owed: Vec::new(),
            armed: Default::default(),
            effects: Vec::new(),
            sent: Vec::new(),
            ended: Vec::new(),
            auth_ended: Vec::new(),
            next_to_end: 0,
            shown_zxid: 0,
            seen_zxid: 0,
            shadow: BytesMut::new(),
            heard: Duration::ZERO,
            talked: Duration::ZERO,
            over: false,
            reached: Reached::default(),
        }
    }

    pub(super) fn submitted(&mut self, ticket: u32, change: Option<&Change>, paths: &[String]) {
        assert_eq!(ticket as usize, self.effects.len());
        let index = |path: &str| paths.iter().position(|known| known == path).unwrap();
        let effect = match change {
            None => Effect::None,
            Some(Change::Set(kind, path)) => Effect::Set(*kind, index(path)),
            Some(Change::Remove(_, path) | Change::RemoveAll(path)) => Effect::RemoveAll(index(path)),
        };
        if let (Effect::RemoveAll(path), false) = (effect, self.over) {
            self.watches[path] = Default::default();
        }
        self.effects.push(effect);
        self.sent.push(false);
        self.ended.push(false);
    }

    pub(super) fn auth_added(&mut self, _ticket: u32) {
        self.auths_added += 1;
        self.auth_ended.push(false);
    }

    pub(super) fn connected(&mut self, now: Duration) {
        (self.stage, self.greeted) = (Stage::Connecting, false);
        self.auths_sent = 0;
        self.owed.clear();
        self.shadow.clear();
        self.talked = now;
    }

    /// Whole frames are signs of life; the model never sends a long one, but for long paths.
    pub(super) fn delivered(&mut self, bytes: &[u8], now: Duration, state: State) {
        self.shadow.extend_from_slice(bytes);
        while let Some(prefix) = self.shadow.first_chunk::<4>() {
            let len = 4 + u32::from_be_bytes(*prefix) as usize;
            if self.shadow.len() < len {
                break;
            }
            drop(self.shadow.split_to(len));
            if state == State::Up {
                self.heard = now;
            }
        }
    }

    /// W10: a silent peer is left in time, and a server is never left without a sign of life.
    pub(super) fn time_passed(&self, now: Duration, state: State) {
        if state == State::Up && !self.long {
            assert!(now - self.heard < T * 2 / 3, "a dead peer was not found");
            assert!(now - self.talked < T / 3, "a ping is late");
        }
    }

    pub(super) fn event(&mut self, event: &Event<u32>, now: Duration, server: &Server, paths: &[String]) {
        assert!(!self.over, "{event:?} behind the end");
        match event {
            Event::Established(_) => {
                self.heard = now;
                self.stage = Stage::Auth;
                self.auths_first = self.auths_added;
                let all = (0..PATHS).flat_map(|path| (0..5).map(move |list| (list, path)));
                self.owed = all.filter(|(list, path)| self.watches[*path][*list]).collect();
                self.reached.greetings += 1;
            }
            Event::Lost { why, was_up } => {
                self.reached.lost(*why, *was_up, self.owed_to_server());
            }
            Event::Expired { .. } => {
                let silent = now - self.heard >= T * 4 / 3;
                assert!(server.said_gone || silent, "expired without a reason");
                self.reached.expiries += 1;
                self.reached.own_expiries += u32::from(!server.said_gone);
            }
            Event::Reply { ticket, zxid, result } => {
                let err = match result {
                    Ok(_) => ErrorCode::OK,
                    Err(ReplyFailure::Refused(code)) => *code,
                    Err(ReplyFailure::TooLarge(size)) => panic!("{size}"),
                };
                self.replied(*ticket, err, server);
                self.shown_zxid = self.shown_zxid.max(zxid.0);
            }
            Event::Interrupted { ticket, by, outcome } => self.interrupted(*ticket, *by, *outcome),
            Event::Watch(event) => {
                let path = paths.iter().position(|path| event.path == path.as_str()).unwrap();
                self.fired(event.event_type, path);
            }
            Event::Bookmark(zxid) => self.shown_zxid = self.shown_zxid.max(zxid.0),
            Event::Ended(_) => self.over = true,
        }
    }

    /// W4: once, and W1: in the order of the requests.
    fn end(&mut self, ticket: u32) {
        let ended = &mut self.ended[ticket as usize];
        assert!(!*ended, "{ticket} ended twice");
        assert!(ticket >= self.next_to_end, "{ticket} ended behind a later one");
        *ended = true;
        self.next_to_end = ticket + 1;
    }

    fn end_auth(&mut self, ticket: u32) {
        let ended = &mut self.auth_ended[(ticket - AUTH_TICKETS) as usize];
        assert!(!*ended, "identity {ticket} was answered twice");
        *ended = true;
    }

    fn replied(&mut self, ticket: u32, err: ErrorCode, server: &Server) {
        if ticket >= AUTH_TICKETS {
            return self.end_auth(ticket);
        }
        self.end(ticket);
        assert!(server.arrived.contains(&ticket), "W5: a reply to what never arrived");
        match (self.effects[ticket as usize], err) {
            (Effect::RemoveAll(path), _) => self.watches[path] = Default::default(),
            (Effect::Set(kind, path), err) => {
                let list = match (kind, err) {
                    (WatchKind::Exist, ErrorCode::NO_NODE) => EXIST,
                    (_, ErrorCode::OK) => match kind {
                        WatchKind::Data | WatchKind::Exist => DATA,
                        WatchKind::Child => CHILD,
                        WatchKind::Persistent => PERSISTENT,
                        WatchKind::PersistentRecursive => RECURSIVE,
                    },
                    _ => return,
                };
                self.watches[path][list] = true;
                self.armed[path][list] = server.found[ticket as usize].unwrap();
            }
            (Effect::None, _) => {}
        }
    }

    fn interrupted(&mut self, ticket: u32, by: Interruption, outcome: Outcome) {
        if ticket >= AUTH_TICKETS {
            return self.end_auth(ticket);
        }
        self.end(ticket);
        if outcome == Outcome::NotSent {
            assert!(!self.sent[ticket as usize], "W5: {ticket} was sent");
            assert_ne!(by, Interruption::ConnectionLost, "it can wait for the next connection");
        } else if let Effect::RemoveAll(path) = self.effects[ticket as usize] {
            self.watches[path] = Default::default();
        }
    }

    fn fired(&mut self, event: EventType, path: usize) {
        let lists: &[usize] = match event {
            EventType::NODE_CHILDREN_CHANGED => &[CHILD],
            EventType::NODE_DELETED => &[DATA, EXIST, CHILD],
            _ => &[DATA, EXIST],
        };
        lists.iter().for_each(|list| self.watches[path][*list] = false);
        self.reached.events += 1;
    }

    pub(super) fn transmitted(&mut self, bytes: &BytesMut, now: Duration) {
        let mut wire = bytes.clone();
        for frame in read_frames(&mut wire, &mut self.greeted) {
            match frame {
                Sent::Connect { last_zxid, .. } => {
                    assert_eq!(self.stage, Stage::Connecting);
                    assert!(last_zxid >= self.shown_zxid, "W7: the caller saw more");
                    assert!(last_zxid >= self.seen_zxid, "the last zxid went back");
                    self.seen_zxid = last_zxid;
                }
                Sent::Request { xid, op, body } => self.requested(xid, op, &body, now),
            }
        }
        assert!(wire.is_empty(), "half a frame");
    }

    /// W9: auth, watches, requests; W2: xids; W3: nothing is sent twice.
    fn requested(&mut self, xid: i32, op: OpCode, body: &bytes::Bytes, now: Duration) {
        assert!(self.stage > Stage::Connecting, "{op:?} before the greeting was answered");
        if xid == xid::AUTH {
            self.auths_sent += 1;
            assert!(self.stage == Stage::Auth || self.auths_sent > self.auths_first, "an old identity behind {op:?}");
            return;
        }
        self.talked = now;
        assert!(self.auths_sent >= self.auths_first, "{op:?} before the identities");
        if op == OpCode::PING {
            return assert_eq!(xid, xid::PING);
        }
        assert_eq!(xid, self.next_xid);
        self.next_xid = if xid == i32::MAX { 1 } else { xid + 1 };
        self.reached.wraps += u32::from(xid == i32::MAX);
        if op == OpCode::SET_WATCHES || op == OpCode::SET_WATCHES2 {
            assert!(self.stage <= Stage::Watches, "watches behind requests");
            self.stage = Stage::Watches;
            self.pay(op, body);
            return;
        }
        self.stage = Stage::Requests;
        assert!(self.owed.is_empty(), "{op:?} before all watches were set again: {:?}", self.owed);
        if let Some(ticket) = ticket_of(op, body) {
            let sent = &mut self.sent[ticket as usize];
            assert!(!*sent, "{ticket} was sent twice");
            *sent = true;
        }
    }

    /// Each watch once, and none that is not wanted.
    fn pay(&mut self, op: OpCode, body: &bytes::Bytes) {
        for (list, path) in watch_lists(op, body).1 {
            let path: usize = path[1..2].parse().unwrap();
            let index = self.owed.iter().position(|owed| *owed == (list, path));
            let index = index.unwrap_or_else(|| panic!("list {list} of path {path} is not to be set"));
            self.owed.swap_remove(index);
        }
        self.reached.rearm_frames += 1;
    }

    fn owed_to_server(&self) -> bool {
        self.stage == Stage::Watches
    }

    pub(super) fn watched_paths(&self) -> usize {
        self.watches.iter().filter(|lists| lists.contains(&true)).count()
    }

    /// The server's table is the client's, and no change happened behind the back of a watch.
    pub(super) fn at_rest(&mut self, server: &Server) {
        for (path, lists) in self.watches.iter().enumerate() {
            let [data, exist, child, persistent, recursive] = *lists;
            let known = Watched { data: data || exist, child, persistent, recursive };
            assert_eq!(server.watched[path], known, "watches on path {path}");
            let (node, armed) = (server.nodes[path], self.armed[path]);
            let same = |list: usize| node.exists && node.mzxid == armed[list].mzxid;
            assert!(!data || same(DATA), "a change of path {path} was never told: {node:?}, {:?}", armed[DATA]);
            assert!(!exist || !node.exists, "the creation of path {path} was never told");
            let same = node.exists && node.pzxid == armed[CHILD].pzxid;
            assert!(!child || same, "a change below path {path} was never told");
        }
        assert!(self.auth_ended.iter().all(|ended| *ended), "an identity was never answered");
        self.reached.rests += 1;
    }

    pub(super) fn at_the_end(&self, tickets: u32, auths: u32) {
        assert!(self.over);
        assert_eq!((self.ended.len(), self.auth_ended.len()), (tickets as usize, auths as usize));
        assert!(self.ended.iter().all(|ended| *ended), "a ticket never came back");
        assert!(self.auth_ended.iter().all(|ended| *ended), "an identity was never answered");
        assert!(self.reached.expiries <= 1 || self.renew, "without renewal there is one session");
    }
}

/// How often the schedules came to the places that matter; a test that never gets there proves nothing.
#[derive(Debug, Default)]
pub(super) struct Reached {
    greetings: u32,
    expiries: u32,
    own_expiries: u32,
    events: u32,
    rearm_frames: u32,
    cuts_while_rearming: u32,
    silent: u32,
    refused: u32,
    wraps: u32,
    rests: u32,
}

impl Reached {
    fn lost(&mut self, why: Loss, was_up: bool, rearming: bool) {
        self.cuts_while_rearming += u32::from(was_up && rearming);
        self.silent += u32::from(was_up && why == Loss::Silent);
        self.refused += u32::from(matches!(why, Loss::Refused(_)));
    }

    fn fields(&mut self) -> [(&'static str, &mut u32); 10] {
        [
            ("greetings", &mut self.greetings),
            ("expiries", &mut self.expiries),
            ("own expiries", &mut self.own_expiries),
            ("events", &mut self.events),
            ("re-arm frames", &mut self.rearm_frames),
            ("cuts while re-arming", &mut self.cuts_while_rearming),
            ("silent peers", &mut self.silent),
            ("refusals", &mut self.refused),
            ("wraps", &mut self.wraps),
            ("rests", &mut self.rests),
        ]
    }

    pub(super) fn add(&mut self, other: &Self) {
        let Self { greetings, expiries, own_expiries, events, rearm_frames, .. } = other;
        let Self { cuts_while_rearming, silent, refused, wraps, rests, .. } = other;
        let others = [
            greetings,
            expiries,
            own_expiries,
            events,
            rearm_frames,
            cuts_while_rearming,
            silent,
            refused,
            wraps,
            rests,
        ];
        for ((_, sum), part) in self.fields().into_iter().zip(others) {
            *sum += part;
        }
    }

    pub(super) fn check(&mut self) {
        for (name, count) in self.fields() {
            std::println!("{name}: {count}");
            assert!(*count >= 20, "the schedules reached too few {name}: {count}");
        }
    }
}
