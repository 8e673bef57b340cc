//! The driver's part in watches: commands and answers to and from the fan-out.

use super::{
    Driver,
    fanout::{Line, Subscriber, Waiter},
    ticket::WatchCommand,
};
use crate::{call::Outcomes, caller::Caller};
use zk_proto::{
    Bytes, ErrorCode, Zxid,
    session::{Interruption, Outcome, ReplyFailure, WatchKind},
};

impl Driver {
    /// A command that is the fan-out's.
    pub(super) fn watch_command(&mut self, command: WatchCommand) {
        let now = self.now;
        let line = &mut Line { session: &mut self.session, now };
        match command {
            // Nobody waits for it any more.
            WatchCommand::Feed(queue, _) if queue.is_dropped() => {}
            WatchCommand::Feed(queue, ready) => {
                let subscriber = Subscriber::Stream { queue: queue.clone(), ready: Some(ready) };
                self.fanout.subscribe(line, &queue.path, queue.mode, subscriber);
            }
            WatchCommand::Read { request, slot, answer } => {
                self.fanout.read_and_watch(line, request, slot, answer);
            }
            WatchCommand::Remove { path, kinds, answer } => {
                self.fanout.remove_watches(line, &path, kinds, Some(answer));
            }
            WatchCommand::Report(answer) => drop(answer.send(self.fanout.report(line))),
        }
    }

    pub(super) fn sweep(&mut self) {
        let now = self.now;
        self.fanout.sweep(&mut Line { session: &mut self.session, now });
    }

    /// The answer to a read that leaves a one-shot watch.
    pub(super) fn oneshot_answered(
        &mut self,
        path: &str,
        kind: WatchKind,
        waiter: Waiter,
        answer: Option<Caller>,
        zxid: Zxid,
        result: Result<Bytes, ReplyFailure>,
    ) {
        let (now, received) = (self.now, self.turn_at);
        let line = &mut Line { session: &mut self.session, now };
        match waiter {
            Waiter::Caller(slot) => self.fanout.read_answered(line, kind, slot, code_of(&result)),
            waiter @ Waiter::Emulation { .. } => {
                self.fanout.look_answered(line, received, path, kind, waiter, &result);
            }
        }
        if let Some(answer) = answer {
            self.bookmark(zxid);
            // When nobody waits, the future was dropped, and with it the answer.
            answer.send(Outcomes::Reply { zxid, result });
        }
    }

    /// A read that leaves a one-shot watch was lost with its connection, or with the session.
    pub(super) fn oneshot_interrupted(
        &mut self,
        path: &str,
        kind: WatchKind,
        waiter: Waiter,
        answer: Option<Caller>,
        by: Interruption,
        outcome: Outcome,
    ) {
        let now = self.now;
        let line = &mut Line { session: &mut self.session, now };
        match waiter {
            Waiter::Emulation { .. } if is_followed(by) && !self.ended => {
                self.fanout.look_interrupted(line, path, kind, waiter);
            }
            Waiter::Caller(_) | Waiter::Emulation { .. } => self.fanout.read_interrupted(line, path, kind),
        }
        if let Some(answer) = answer {
            answer.send(Outcomes::Interrupted { by, outcome });
        }
    }
}

/// Whether another connection may follow.
pub(super) const fn is_followed(by: Interruption) -> bool {
    matches!(by, Interruption::ConnectionLost | Interruption::SessionExpired)
}

pub(super) fn code_of(result: &Result<Bytes, ReplyFailure>) -> Result<(), ErrorCode> {
    match result {
        Ok(_) | Err(ReplyFailure::TooLarge(_)) => Ok(()),
        Err(ReplyFailure::Refused(code)) => Err(*code),
    }
}
