//! Who listens to which watch: one watch at the server for any number of listeners.
//!
//! Paths are the server's. Knows nothing of sockets; setting watches again after a reconnect is the
//! session machine's, as soon as addWatch was answered once. Source: protocol.md section 4.3.

use super::ticket::{ConsumerId, Ticket};
use crate::{
    error::{Error, UsageError},
    inline::Token,
    watch::{GapReason, Queue, WatchItem},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::oneshot;
use zk_proto::{
    ErrorCode, OpCode, Session, WatchMode, WatchedEvent, ops, path,
    records::{AddWatchRequest, WatchesRequest},
    session::{Change, EncodedRequest, End, Interruption, Outcome, WatchKind},
    watch::WatcherType,
};

/// One listener.
#[derive(Debug)]
pub(crate) enum Subscriber {
    Stream { queue: Arc<Queue>, ready: Option<oneshot::Sender<Result<(), NoWatch>>> },
    Inline(ConsumerId, Token),
}

/// The listeners of one watch.
#[derive(Debug, Default)]
struct Group {
    /// The number of its addWatch. The answer to an earlier one on the same path is about a watch that has been
    /// given up since, and is being removed.
    asked: u64,
    armed: bool,
    subscribers: Vec<Subscriber>,
}

type Groups = BTreeMap<Box<str>, Group>;

/// All listeners.
#[derive(Debug, Default)]
pub(crate) struct Fanout {
    persistent: Groups,
    recursive: Groups,
    /// How many watches were asked for.
    asked: u64,
    /// The connection is lost: whoever joins a watch now joins it in its gap.
    in_gap: bool,
    /// Inline consumers to be told that their watch stands, or was refused.
    pub(crate) notices: Vec<(ConsumerId, Token, Result<(), NoWatch>)>,
}

/// Why there is no watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoWatch {
    /// The server refused it.
    Refused(ErrorCode),
    /// The other mode is watched on the path already.
    Conflict,
    /// The session ended first.
    Ended(Interruption),
}

impl NoWatch {
    /// The error of the call; the path is the caller's.
    pub(crate) fn error(self, path: &str) -> Error {
        match self {
            Self::Refused(code) => Error::Refused { op: OpCode::ADD_WATCH, code },
            Self::Conflict => UsageError::WatchConflict { path: path.to_owned() }.into(),
            Self::Ended(by) => Error::Interrupted { op: OpCode::ADD_WATCH, by, outcome: Outcome::Unknown },
        }
    }
}

impl Fanout {
    fn groups(&mut self, mode: WatchMode) -> &mut Groups {
        if mode == WatchMode::PERSISTENT_RECURSIVE { &mut self.recursive } else { &mut self.persistent }
    }

    const fn other_mode(&self, mode: WatchMode) -> &Groups {
        if mode.0 == WatchMode::PERSISTENT_RECURSIVE.0 { &self.persistent } else { &self.recursive }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Group> {
        self.persistent.values_mut().chain(self.recursive.values_mut())
    }

    /// Adds a listener; the first one on a path sets the watch at the server.
    ///
    /// A path is watched in one mode only: servers before 3.9 keep the last mode that was set and drop the other
    /// without a word (ZOOKEEPER-4466), and a server does not say how old it is.
    pub(crate) fn subscribe(
        &mut self,
        session: &mut Session<Ticket>,
        now: Duration,
        path: &str,
        mode: WatchMode,
        subscriber: Subscriber,
    ) {
        // Streams that were dropped do not count, though they may not have been swept yet.
        if self.other_mode(mode).contains_key(path) {
            self.sweep(session, now, None);
        }
        if self.other_mode(mode).contains_key(path) {
            return self.refuse(subscriber, NoWatch::Conflict);
        }
        let in_gap = self.in_gap;
        let is_new = !self.groups(mode).contains_key(path);
        self.asked += u64::from(is_new);
        let asked = self.asked;
        let group = self.groups(mode).entry(path.into()).or_insert_with(|| Group { asked, ..Group::default() });
        if let (true, true, Subscriber::Stream { queue, .. }) = (in_gap, group.armed, &subscriber) {
            queue.push(WatchItem::Gap(GapReason::ConnectionLost));
        }
        group.subscribers.push(subscriber);
        if group.armed {
            self.tell_ready(path, mode);
        } else if is_new {
            add_watch(session, now, path, mode, asked);
        }
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

    /// The answer to addWatch.
    pub(crate) fn watch_answered(&mut self, path: &str, mode: WatchMode, asked: u64, result: Result<(), ErrorCode>) {
        let Some(group) = self.groups(mode).get_mut(path).filter(|group| group.asked == asked) else { return };
        group.armed = result.is_ok();
        match result {
            Ok(()) => self.tell_ready(path, mode),
            Err(code) => {
                for subscriber in self.groups(mode).remove(path).into_iter().flat_map(|group| group.subscribers) {
                    self.refuse(subscriber, NoWatch::Refused(code));
                }
            }
        }
    }

    /// addWatch was lost with its connection: ask again, unless nobody wants it any more.
    pub(crate) fn watch_interrupted(
        &mut self,
        session: &mut Session<Ticket>,
        now: Duration,
        path: &str,
        mode: WatchMode,
        asked: u64,
    ) {
        if self.groups(mode).get(path).is_some_and(|group| group.asked == asked) {
            add_watch(session, now, path, mode, asked);
        }
    }

    /// The answer to removeWatches. Servers before 3.9 cannot remove a persistent watch alone; there
    /// everything on the path goes, if nothing else is wanted there.
    pub(crate) fn unwatch_answered(
        &mut self,
        session: &mut Session<Ticket>,
        now: Duration,
        path: &str,
        all: bool,
        result: Result<(), ErrorCode>,
    ) {
        let wanted = self.persistent.contains_key(path) || self.recursive.contains_key(path);
        if result == Err(ErrorCode::MARSHALLING_ERROR) && !all && !wanted {
            remove_watch(session, now, path, WatchMode::PERSISTENT, true);
        }
    }

    fn tell_ready(&mut self, path: &str, mode: WatchMode) {
        let mut notices = std::mem::take(&mut self.notices);
        let subscribers = self.groups(mode).get_mut(path).map(|group| &mut group.subscribers);
        for subscriber in subscribers.into_iter().flatten() {
            match subscriber {
                Subscriber::Stream { ready, .. } => answer(ready.take(), Ok(())),
                // Told whenever any listener of the group becomes ready: telling twice is harmless.
                Subscriber::Inline(consumer, token) => notices.push((*consumer, *token, Ok(()))),
            }
        }
        self.notices = notices;
    }

    /// Hands an event to every stream that is meant, and names the inline consumers that are.
    pub(crate) fn event(&self, event: &WatchedEvent, consumers: &mut Vec<ConsumerId>) {
        let mut deliver = |group: &Group| {
            for subscriber in &group.subscribers {
                match subscriber {
                    Subscriber::Stream { queue, .. } => queue.push(WatchItem::Event(event.clone())),
                    Subscriber::Inline(consumer, _) if consumers.contains(consumer) => {}
                    Subscriber::Inline(consumer, _) => consumers.push(*consumer),
                }
            }
        };
        let event_path = event.path.as_str();
        if let Some(group) = self.persistent.get(event_path) {
            deliver(group);
        }
        let recursive = |root: &str| WatchMode::PERSISTENT_RECURSIVE.matches(root, event.event_type, event_path);
        let mut root = Some(event_path);
        while let Some(at) = root.filter(|at| recursive(at)) {
            if let Some(group) = self.recursive.get(at) {
                deliver(group);
            }
            root = path::parent(at);
        }
    }

    /// The connection is gone: events may be missed from here on.
    pub(crate) fn lost(&mut self) {
        self.in_gap = true;
        self.mark(&WatchItem::Gap(GapReason::ConnectionLost));
    }

    /// The session machine has set all watches again.
    pub(crate) fn resumed(&mut self, new_session: bool) {
        self.in_gap = false;
        self.mark(&WatchItem::Resumed { new_session });
    }

    fn mark(&mut self, item: &WatchItem) {
        for group in self.all().filter(|group| group.armed) {
            for subscriber in &group.subscribers {
                if let Subscriber::Stream { queue, .. } = subscriber {
                    queue.push(item.clone());
                }
            }
        }
    }

    /// The session is over.
    pub(crate) fn ended(&mut self, end: End) {
        let by = end.interruption();
        for subscriber in self.all().flat_map(|group| &mut group.subscribers) {
            if let Subscriber::Stream { queue, ready } = subscriber {
                answer(ready.take(), Err(NoWatch::Ended(by)));
                queue.end();
            }
        }
    }

    /// Forgets dropped streams and the given consumer; a watch that nobody wants is removed at the server.
    pub(crate) fn sweep(&mut self, session: &mut Session<Ticket>, now: Duration, gone: Option<ConsumerId>) {
        for mode in [WatchMode::PERSISTENT, WatchMode::PERSISTENT_RECURSIVE] {
            self.groups(mode).retain(|path, group| {
                group.subscribers.retain(|subscriber| match subscriber {
                    Subscriber::Stream { queue, .. } => !queue.is_dropped(),
                    Subscriber::Inline(consumer, _) => Some(*consumer) != gone,
                });
                let wanted = !group.subscribers.is_empty();
                if !wanted {
                    remove_watch(session, now, path, mode, false);
                }
                wanted
            });
        }
    }
}

/// Tells a caller how its watch stands; one that went away has dropped its queue, too.
fn answer(ready: Option<oneshot::Sender<Result<(), NoWatch>>>, result: Result<(), NoWatch>) {
    let _ = ready.map(|ready| ready.send(result));
}

fn add_watch(session: &mut Session<Ticket>, now: Duration, path: &str, mode: WatchMode, asked: u64) {
    let request = AddWatchRequest { path: path.into(), mode };
    // A path is far shorter than a frame may be: paths were checked when they came in.
    let Ok(encoded) = EncodedRequest::new::<ops::AddWatch>(&request, usize::MAX) else { return };
    let change = Change::Set(WatchKind::from(mode), path.into());
    session.submit(now, encoded, Some(change), Ticket::Watch { path: path.into(), mode, asked });
}

fn remove_watch(session: &mut Session<Ticket>, now: Duration, path: &str, mode: WatchMode, all: bool) {
    let watcher_type = if all { WatcherType::ANY } else { mode.watcher_type() };
    let change = if all { Change::RemoveAll(path.into()) } else { Change::Remove(WatchKind::from(mode), path.into()) };
    let request = WatchesRequest { path: path.into(), watcher_type };
    let Ok(encoded) = EncodedRequest::new::<ops::RemoveWatches>(&request, usize::MAX) else { return };
    session.submit(now, encoded, Some(change), Ticket::Unwatch { path: path.into(), all });
}
