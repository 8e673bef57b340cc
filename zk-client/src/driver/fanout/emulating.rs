//! How an emulated watch does what it wants: its looks out, its events to the listeners.
//!
//! Source: reliability.md, finding 8: servers before 3.6 answer addWatch with -6 and hang up, once.

use super::{
    Fanout, Line, NoWatch, Side, Waiter, WaiterId,
    emulation::{Doing, Emulation, Halt, ZNODES_MAX},
};
use crate::{
    driver::watching::code_of,
    watch::{GapReason, Notification, WatchItem},
};
use std::sync::Arc;
use tokio::time::Instant;
use zk_proto::{
    Bytes, ErrorCode, WatchMode,
    jute::decode_from,
    records::{GetChildren2Response, StatResponse},
    session::{ReplyFailure, WatchKind},
};

impl Fanout {
    /// Lets one-shot watches stand in for a persistent one. Consumers in the driver are refused: they count on what only
    /// a real one gives.
    pub(super) fn emulate(&mut self, line: &mut Line<'_>, path: &str, mode: WatchMode) {
        let Some(group) = self.groups_mut(mode).get_mut(path) else { return };
        let inline = std::mem::take(&mut group.inline);
        let asked = group.asked;
        let is_wanted = !group.is_empty();
        let refused = Err(NoWatch::Refused(ErrorCode::UNIMPLEMENTED));
        self.notices.extend(inline.into_iter().map(|(consumer, token)| (consumer, token, refused.clone())));
        let Some(group) = self.groups_mut(mode).get_mut(path).filter(|_| is_wanted) else {
            self.groups_mut(mode).remove(path);
            return;
        };
        let mut doing = Doing::default();
        let is_recursive = mode == WatchMode::PERSISTENT_RECURSIVE;
        let emulation = group.emulation.insert(Box::new(Emulation::new(path, is_recursive, &mut doing)));
        let root = emulation.root.clone();
        self.carry_out(line, &root, mode, asked, Instant::now(), doing);
    }

    /// An emulated watch, if it is still the one that was asked for under this number.
    fn emulation(&mut self, root: &str, mode: WatchMode, asked: u64) -> Option<&mut Emulation> {
        let group = self.groups_mut(mode).get_mut(root).filter(|group| group.asked == asked)?;
        group.emulation.as_deref_mut()
    }

    /// Lets an emulated watch act, if it is still there.
    pub(super) fn emulated(
        &mut self,
        line: &mut Line<'_>,
        root: &Arc<str>,
        mode: WatchMode,
        asked: u64,
        received: Instant,
        act: impl FnOnce(&mut Emulation, &mut Doing),
    ) {
        let mut doing = Doing::default();
        let Some(emulation) = self.emulation(root, mode, asked) else { return };
        act(emulation, &mut doing);
        self.carry_out(line, root, mode, asked, received, doing);
    }

    fn carry_out(
        &mut self,
        line: &mut Line<'_>,
        root: &Arc<str>,
        mode: WatchMode,
        asked: u64,
        received: Instant,
        doing: Doing,
    ) {
        let Doing { events, looks, cancels, halt } = doing;
        let Some(group) = self.groups_mut(mode).get_mut(&**root) else { return };
        for event in events {
            group.push(&WatchItem::Event(Notification { event, received }));
        }
        for (path, side) in looks {
            self.oneshots.asked(&path, side);
            line.look(&path, side, Waiter::Emulation { root: root.clone(), mode, asked });
        }
        for (path, side) in cancels {
            self.oneshots.cancel(line, &path, side, WaiterId::Emulation(asked));
        }
        if let Some(halt) = halt {
            return self.halt(line, root, mode, halt);
        }
        let Some(group) = self.groups_mut(mode).get_mut(&**root) else { return };
        if !group.armed && group.emulation.as_ref().is_some_and(|emulation| emulation.is_whole()) {
            group.armed = true;
            self.tell_ready(root, mode);
        }
    }

    /// There is no going on: whoever listens is told why.
    fn halt(&mut self, line: &mut Line<'_>, root: &str, mode: WatchMode, halt: Halt) {
        let (why, gap) = match halt {
            Halt::TooManyZnodes => (NoWatch::TooManyZnodes, GapReason::TooManyZnodes { limit: ZNODES_MAX }),
            Halt::Refused(code) => (NoWatch::Refused(code), GapReason::Refused(code)),
        };
        let Some(group) = self.groups_mut(mode).get_mut(root) else { return };
        let (asked, emulation) = (group.asked, group.emulation.take());
        self.refuse_group(root, mode, &why, Some(gap));
        if let Some(emulation) = emulation {
            self.stop_emulation(line, asked, &emulation);
        }
    }

    /// Removes the watches of an emulated one that is gone.
    pub(super) fn stop_emulation(&mut self, line: &mut Line<'_>, asked: u64, emulation: &Emulation) {
        for (path, side) in emulation.watches() {
            self.oneshots.cancel(line, path, side, WaiterId::Emulation(asked));
        }
    }

    /// A look was answered.
    pub(crate) fn look_answered(
        &mut self,
        line: &mut Line<'_>,
        received: Instant,
        path: &str,
        kind: WatchKind,
        waiter: Waiter,
        result: &Result<Bytes, ReplyFailure>,
    ) {
        let Waiter::Emulation { root, mode, asked } = &waiter else { return };
        let side = Side::of(kind);
        let mut doing = Doing::default();
        let is_wanted = self.emulation(root, *mode, *asked).is_some_and(|emulation| {
            match side {
                Side::Data => match read(result, |reply: StatResponse| reply.stat) {
                    Ok(answer) => emulation.exists_answered(path, answer, &mut doing),
                    Err(halt) => doing.halt = Some(halt),
                },
                Side::Child => {
                    let children = |reply: GetChildren2Response| (reply.children.to_strings(), reply.stat);
                    match read(result, children) {
                        Ok(answer) => emulation.children_answered(path, answer, &mut doing),
                        Err(halt) => doing.halt = Some(halt),
                    }
                }
            }
            emulation.wants(path, side)
        });
        // What is not needed any more is removed at once, and is not among the cancelled.
        doing.cancels.retain(|(at, of)| (at.as_ref(), *of) != (path, side));
        let (root, mode, asked) = (root.clone(), *mode, *asked);
        self.oneshots.answered(line, path, kind, is_wanted.then_some(waiter), code_of(result));
        self.carry_out(line, &root, mode, asked, received, doing);
    }

    /// A look was lost with its connection: look again, unless nobody wants it any more.
    pub(crate) fn look_interrupted(&mut self, line: &mut Line<'_>, path: &str, kind: WatchKind, waiter: Waiter) {
        let Waiter::Emulation { root, mode, asked } = &waiter else { return };
        let side = Side::of(kind);
        if self.emulation(root, *mode, *asked).is_some_and(|emulation| emulation.interrupted(path, side)) {
            line.look(path, side, waiter);
        } else {
            self.oneshots.interrupted(line, path, side);
        }
    }
}

/// What a look found; what cannot be read is as good as a refusal.
fn read<T: for<'a> zk_proto::jute::Decode<'a>, R>(
    result: &Result<Bytes, ReplyFailure>,
    found: impl FnOnce(T) -> R,
) -> Result<Result<R, ErrorCode>, Halt> {
    match result {
        Ok(body) => {
            decode_from(body).map(|reply| Ok(found(reply))).map_err(|_| Halt::Refused(ErrorCode::MARSHALLING_ERROR))
        }
        Err(ReplyFailure::Refused(code)) => Ok(Err(*code)),
        Err(ReplyFailure::TooLarge(_)) => Err(Halt::TooManyZnodes),
    }
}
