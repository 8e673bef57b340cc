//! Who listens to which watch: one watch at the server for any number of listeners.
//!
//! Paths are the server's. Knows nothing of sockets; setting watches again after a reconnect is the
//! session machine's, as soon as addWatch was answered once. Source: protocol.md section 4.3.

use super::ticket::{ConsumerId, Ticket};
use crate::{
    error::{Error, UsageError},
    inline::Token,
    oneshot::Slot,
    sweep::Sweep,
    watch::{GapReason, Notification, WatchItem},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::time::Instant;
use zk_proto::{
    ErrorCode, OpCode, WatchMode, WatchedEvent, path,
    session::{EncodedRequest, End, Interruption, Outcome, WatchKind},
};

mod emulating;
pub(crate) mod emulation;
mod group;
mod line;
mod oneshots;
mod removing;

pub(crate) use group::{Ready, Subscriber};
pub(crate) use line::{Line, Removal, Removed};
pub(crate) use oneshots::{Side, Waiter};
pub(crate) use removing::tell;

use group::{Group, answer};
use oneshots::{Oneshots, WaiterId};

type Groups = BTreeMap<Box<str>, Group>;

const MODES: [WatchMode; 2] = [WatchMode::PERSISTENT, WatchMode::PERSISTENT_RECURSIVE];

/// So many recursive watches are looked at one by one; with more, an event's path is followed up to the root.
const FEW: usize = 8;

/// All listeners.
#[derive(Debug)]
pub(crate) struct Fanout {
    persistent: Groups,
    recursive: Groups,
    oneshots: Oneshots,
    /// How many watches were asked for.
    asked: u64,
    /// The connection is lost: whoever joins a watch now joins it in its gap.
    in_gap: bool,
    /// The servers of this session have no addWatch: persistent watches are made of one-shot ones.
    emulates: bool,
    /// Paths where a server before 3.9 may still have a persistent watch that could not be removed alone.
    leftovers: BTreeSet<Box<str>>,
    sweep: Arc<Sweep>,
    /// Inline consumers to be told that their watch stands, or was refused.
    pub(crate) notices: Vec<(ConsumerId, Token, Result<(), NoWatch>)>,
}

/// Why there is no watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoWatch {
    /// The server refused it.
    Refused(ErrorCode),
    /// The path is watched in another way already.
    Conflict,
    /// Too many znodes to watch one by one.
    TooManyZnodes,
    /// The session ended first.
    Ended(Interruption),
    /// It was removed by name.
    Removed,
}

impl NoWatch {
    /// The error of the call; the path is the caller's.
    pub(crate) fn error(self, path: &str) -> Error {
        let interrupted = |by| Error::Interrupted { op: OpCode::ADD_WATCH, by, outcome: Outcome::Unknown };
        match self {
            Self::Refused(code) => Error::Refused { op: OpCode::ADD_WATCH, code },
            Self::Conflict => UsageError::WatchConflict { path: path.to_owned() }.into(),
            Self::TooManyZnodes => {
                UsageError::TooManyZnodes { path: path.to_owned(), limit: emulation::ZNODES_MAX }.into()
            }
            Self::Ended(by) => interrupted(by),
            Self::Removed => Error::Refused { op: OpCode::ADD_WATCH, code: ErrorCode::NO_WATCHER },
        }
    }
}

impl Fanout {
    pub(crate) fn new(sweep: Arc<Sweep>) -> Self {
        Self {
            persistent: Groups::new(),
            recursive: Groups::new(),
            oneshots: Oneshots::default(),
            asked: 0,
            in_gap: false,
            emulates: false,
            leftovers: BTreeSet::new(),
            sweep,
            notices: Vec::new(),
        }
    }

    const fn groups(&self, mode: WatchMode) -> &Groups {
        if mode.0 == WatchMode::PERSISTENT_RECURSIVE.0 { &self.recursive } else { &self.persistent }
    }

    const fn groups_mut(&mut self, mode: WatchMode) -> &mut Groups {
        if mode.0 == WatchMode::PERSISTENT_RECURSIVE.0 { &mut self.recursive } else { &mut self.persistent }
    }

    const fn other(mode: WatchMode) -> WatchMode {
        if mode.0 == WatchMode::PERSISTENT_RECURSIVE.0 {
            WatchMode::PERSISTENT
        } else {
            WatchMode::PERSISTENT_RECURSIVE
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Group> {
        self.persistent.values_mut().chain(self.recursive.values_mut())
    }

    /// Adds a listener; the first one on a path sets the watch at the server.
    ///
    /// A path is watched in one way only: servers before 3.9 keep the last persistent mode or one-shot watch that was set
    /// and drop the other without a word (ZOOKEEPER-4466), and a server does not say how old it is.
    pub(crate) fn subscribe(&mut self, line: &mut Line<'_>, path: &str, mode: WatchMode, subscriber: Subscriber) {
        // Listeners that were dropped do not count, though they may not have been swept yet.
        if self.excludes(path, mode) {
            self.sweep(line);
        }
        if self.excludes(path, mode) {
            return self.refuse(subscriber, NoWatch::Conflict);
        }
        let in_gap = self.in_gap;
        let is_new = !self.groups(mode).contains_key(path);
        if is_new && self.emulates && matches!(subscriber, Subscriber::Inline(..)) {
            return self.refuse(subscriber, NoWatch::Refused(ErrorCode::UNIMPLEMENTED));
        }
        self.asked += u64::from(is_new);
        let asked = self.asked;
        let group = self.groups_mut(mode).entry(path.into()).or_insert_with(|| Group::new(asked));
        if let (true, true, Subscriber::Stream { queue, .. }) = (in_gap, group.armed, &subscriber) {
            queue.push(WatchItem::Gap(GapReason::ConnectionLost));
        }
        group.add(subscriber);
        if group.armed {
            self.tell_ready(path, mode);
        } else if is_new && self.emulates {
            self.emulate(line, path, mode);
        } else if is_new {
            self.leftovers.remove(path);
            line.add_watch(path, mode, asked);
        }
    }

    /// Whether something else is in the way of a persistent watch.
    fn excludes(&self, path: &str, mode: WatchMode) -> bool {
        let one_shots = !self.emulates && self.oneshots.contains(path);
        one_shots || self.groups(Self::other(mode)).contains_key(path)
    }

    /// Whether the path has a persistent watch of the server's own.
    fn is_persistent(&self, path: &str) -> bool {
        let own = |group: &Group| group.emulation.is_none();
        MODES.into_iter().any(|mode| self.groups(mode).get(path).is_some_and(own))
    }

    fn refuse(&mut self, subscriber: Subscriber, why: NoWatch) {
        match subscriber {
            Subscriber::Stream { queue, ready } => {
                answer(ready, Err(why));
                queue.end();
            }
            Subscriber::Inline(consumer, token) => self.notices.push((consumer, token, Err(why))),
        }
    }

    /// Takes a group away and tells everybody why.
    fn refuse_group(&mut self, path: &str, mode: WatchMode, why: &NoWatch, gap: Option<GapReason>) {
        let Some(mut group) = self.groups_mut(mode).remove(path) else { return };
        group.end(why, gap);
        self.notices.extend(group.inline.iter().map(|(consumer, token)| (*consumer, *token, Err(why.clone()))));
    }

    /// The answer to addWatch.
    pub(crate) fn watch_answered(
        &mut self,
        line: &mut Line<'_>,
        path: &str,
        mode: WatchMode,
        asked: u64,
        result: Result<(), ErrorCode>,
    ) {
        let Some(group) = self.groups_mut(mode).get_mut(path).filter(|group| group.asked == asked) else { return };
        match result {
            Ok(()) => {
                group.armed = true;
                self.tell_ready(path, mode);
            }
            Err(ErrorCode::UNIMPLEMENTED) => {
                self.emulates = true;
                self.emulate(line, path, mode);
            }
            Err(code) => self.refuse_group(path, mode, &NoWatch::Refused(code), None),
        }
    }

    /// addWatch was lost with its connection: ask again, unless nobody wants it any more.
    pub(crate) fn watch_interrupted(&mut self, line: &mut Line<'_>, path: &str, mode: WatchMode, asked: u64) {
        if self.groups(mode).get(path).is_none_or(|group| group.asked != asked) {
            return;
        }
        if self.emulates {
            self.emulate(line, path, mode);
        } else {
            line.add_watch(path, mode, asked);
        }
    }

    fn tell_ready(&mut self, path: &str, mode: WatchMode) {
        let Some(group) = self.groups_mut(mode).get_mut(path) else { return };
        group.tell_ready();
        // Told whenever any listener of the group becomes ready: telling twice is harmless.
        let inline: Vec<_> = group.inline.iter().map(|(consumer, token)| (*consumer, *token, Ok(()))).collect();
        self.notices.extend(inline);
    }

    /// A read that leaves a one-shot watch.
    pub(crate) fn read_and_watch(
        &mut self,
        line: &mut Line<'_>,
        request: EncodedRequest,
        slot: Arc<Slot>,
        answer: crate::caller::Caller,
    ) {
        if self.is_persistent(&slot.path) {
            self.sweep(line);
        }
        if self.is_persistent(&slot.path) {
            return slot.conflict();
        }
        let (path, kind) = (slot.path.clone(), slot.kind);
        self.oneshots.asked(&path, Side::of(kind));
        let ticket = Ticket::Oneshot { path: path.clone(), kind, waiter: Waiter::Caller(slot), answer: Some(answer) };
        line.read_and_watch(request, kind, &path, ticket);
    }

    /// A caller's read that leaves a one-shot watch was answered.
    pub(crate) fn read_answered(
        &mut self,
        line: &mut Line<'_>,
        kind: WatchKind,
        slot: Arc<Slot>,
        result: Result<(), ErrorCode>,
    ) {
        let path = slot.path.clone();
        let waiter = (!slot.is_dropped()).then_some(Waiter::Caller(slot));
        self.oneshots.answered(line, &path, kind, waiter, result);
        self.remove_leftover(line, &path);
    }

    /// A read that would have left a one-shot watch was lost with its connection.
    pub(crate) fn read_interrupted(&mut self, line: &mut Line<'_>, path: &str, kind: WatchKind) {
        self.oneshots.interrupted(line, path, Side::of(kind));
        self.remove_leftover(line, path);
    }

    /// Hands an event to every stream and one-shot watch that is meant, and names the inline consumers that are.
    pub(crate) fn event(
        &mut self,
        line: &mut Line<'_>,
        received: Instant,
        event: &WatchedEvent,
        consumers: &mut Vec<ConsumerId>,
    ) {
        let mut copy = None;
        let mut deliver = |group: &Group| {
            if group.emulation.is_some() {
                return;
            }
            group.push_event(event, received, &mut copy);
            for (consumer, _) in &group.inline {
                if !consumers.contains(consumer) {
                    consumers.push(*consumer);
                }
            }
        };
        let event_path = event.path.as_str();
        if let Some(group) = self.persistent.get(event_path) {
            deliver(group);
        }
        let recursive = |root: &str| WatchMode::PERSISTENT_RECURSIVE.matches(root, event.event_type, event_path);
        if self.recursive.len() <= FEW {
            self.recursive.iter().filter(|(root, _)| recursive(root)).for_each(|(_, group)| deliver(group));
        } else {
            let mut root = Some(event_path);
            while let Some(at) = root.filter(|at| recursive(at)) {
                if let Some(group) = self.recursive.get(at) {
                    deliver(group);
                }
                root = path::parent(at);
            }
        }
        if self.oneshots.is_empty() {
            return;
        }
        let fired = self.oneshots.fired(event_path, event.event_type);
        if !fired.is_empty() {
            self.remove_leftover(line, event_path);
        }
        for (waiter, side) in fired {
            match waiter {
                Waiter::Caller(slot) => {
                    slot.fire(copy.get_or_insert_with(|| Notification::copy_of(event, received)).clone())
                }
                Waiter::Emulation { root, mode, asked } => {
                    self.emulated(line, &root, mode, asked, received, |it, doing| it.fired(event, side, doing));
                }
            }
        }
    }

    /// The connection is gone: events may be missed from here on.
    pub(crate) fn lost(&mut self) {
        self.in_gap = true;
        // Watches that could not be removed went with the connection, and are not set again.
        self.leftovers.clear();
        self.mark(&WatchItem::Gap(GapReason::ConnectionLost));
    }

    /// The session machine has set all watches again.
    pub(crate) fn resumed(&mut self, new_session: bool) {
        self.in_gap = false;
        // Servers may have been replaced since: a new session tries again what they can do, unless one-shot watches of
        // emulated ones would be in the way.
        self.emulates &= !new_session || self.all().any(|group| group.emulation.is_some());
        self.mark(&WatchItem::Resumed { new_session });
    }

    fn mark(&mut self, item: &WatchItem) {
        for group in self.all().filter(|group| group.armed) {
            group.push(item);
        }
    }

    /// The session is over.
    pub(crate) fn ended(&mut self, end: End) {
        let why = NoWatch::Ended(end.interruption());
        self.all().for_each(|group| group.end(&why, None));
        self.oneshots.ended(end);
    }
}

impl Drop for Fanout {
    /// The driver may go without a word, with its runtime: nobody must wait for ever.
    fn drop(&mut self) {
        self.ended(End::Closed);
        self.sweep.close();
    }
}
