//! What goes to the driver and what comes back with a reply.

use super::{
    batching::Read,
    fanout::{Ready, Removal, Removed, Waiter, tell},
};
use crate::client::WatchInfo;
use crate::{
    call::Outcomes,
    caller::Caller,
    connect_string::HostPort,
    inline::{Inline, Token},
    oneshot::Slot,
    secret::Secret,
    watch::Queue,
};
use std::{fmt, sync::Arc};
use tokio::{sync::oneshot, time::Instant};
use zk_proto::{
    SessionId, WatchMode,
    path::Chroot,
    session::{EncodedRequest, Outcome, WatchKind},
    watch::WatcherType,
};

/// An inline consumer. No two of a driver ever have the same, so that answers for one that is gone go nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerId(pub(crate) u64);

/// Which read an inline consumer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InlineOp {
    Data,
    Children,
    /// So many reads.
    Many(usize),
}

/// Who waits for a reply.
#[derive(Debug)]
pub(crate) enum Ticket {
    /// A caller's future.
    Call(Caller),
    /// Nobody: an identity of the connector.
    Nobody,
    /// Callers' futures whose reads travel together.
    Batch(Vec<Read>),
    /// A read that left with others, and is sent again alone; and its copy, with which it follows to one more connection.
    Again(Box<(Option<EncodedRequest>, Caller)>),
    /// A consumer in the driver.
    Inline { consumer: ConsumerId, token: Token, op: InlineOp },
    /// The fan-out's addWatch.
    Watch { path: Box<str>, mode: WatchMode, asked: u64 },
    /// The fan-out's removeWatches.
    Unwatch { path: Box<str>, what: Removal, told: Removed },
    /// A read that leaves a one-shot watch.
    Oneshot { path: Box<str>, kind: WatchKind, waiter: Waiter, answer: Option<Caller> },
}

impl Ticket {
    /// Tells callers whose time is over.
    pub(crate) fn expire(&mut self, now: Instant, outcome: Outcome) {
        match self {
            Self::Call(caller) => caller.expire(now, outcome),
            Self::Batch(reads) => reads.iter_mut().for_each(|(_, caller)| caller.expire(now, outcome)),
            // It has left before, with others.
            Self::Again(read) => read.1.expire(now, Outcome::Unknown),
            // The watch is gone here, and went with its connection at the server; what may set it on the next one waits before
            // the removal, which is sent for that.
            Self::Unwatch { told, .. } if outcome == Outcome::NotSent => {
                tell(told.take_if(|caller| caller.is_over(now)), Ok(()));
            }
            Self::Unwatch { told: caller, .. } | Self::Oneshot { answer: caller, .. } => {
                if let Some(caller) = caller {
                    caller.expire(now, outcome);
                }
            }
            Self::Nobody | Self::Inline { .. } | Self::Watch { .. } => {}
        }
    }

    /// Whether its caller was told before there was an outcome, so that it must not leave any more.
    pub(crate) const fn is_given_up(&self) -> bool {
        match self {
            Self::Call(caller) | Self::Oneshot { answer: Some(caller), .. } => caller.is_gone(),
            Self::Again(read) => read.1.is_gone(),
            // Nobody's alone, nobody's at all, the fan-out's, or a consumer's.
            Self::Batch(_)
            | Self::Nobody
            | Self::Inline { .. }
            | Self::Watch { .. }
            | Self::Unwatch { .. }
            | Self::Oneshot { answer: None, .. } => false,
        }
    }
}

/// What a handle asks of the driver; executed in order.
pub(crate) enum Command {
    /// Sends a request.
    Submit(EncodedRequest, Caller),
    /// Adds an identity to this and all later connections.
    AddAuth { scheme: String, auth: Secret, answer: Caller },
    /// Something about watches.
    Watch(WatchCommand),
    /// Takes a consumer in, whose paths are below this.
    Attach(Box<dyn Inline>, Arc<Chroot>),
    /// Does this if the session is this one, and refuses it otherwise.
    Fenced(SessionId, Box<Command>),
    /// Forgets what was seen of an ensemble that lost its data; answers whether there was need to.
    AcceptRebuilt(oneshot::Sender<bool>),
    /// Uses other servers from now on.
    UpdateServers(Vec<HostPort>),
}

/// What a handle asks about watches.
pub(crate) enum WatchCommand {
    /// Feeds a queue with the events of a watch.
    Feed(Arc<Queue>, Ready),
    /// Sends a read that leaves a one-shot watch.
    Read { request: EncodedRequest, slot: Arc<Slot>, answer: Caller },
    /// Removes watches by name.
    Remove { path: Box<str>, kinds: WatcherType, answer: Caller },
    /// Tells of every watch.
    Report(oneshot::Sender<Vec<WatchInfo>>),
}

impl Command {
    /// Who waits for an outcome.
    pub(crate) fn caller(&mut self) -> Option<&mut Caller> {
        match self {
            Self::Submit(_, answer)
            | Self::AddAuth { answer, .. }
            | Self::Watch(WatchCommand::Read { answer, .. } | WatchCommand::Remove { answer, .. }) => Some(answer),
            Self::Fenced(_, command) => command.caller(),
            Self::Watch(WatchCommand::Feed(..) | WatchCommand::Report(_))
            | Self::Attach(..)
            | Self::AcceptRebuilt(_)
            | Self::UpdateServers(_) => None,
        }
    }

    /// Tells a caller whose time is over before the command was carried out; whether that is so.
    pub(crate) fn is_too_late(&mut self, now: Instant) -> bool {
        self.caller().is_some_and(|caller| {
            caller.expire(now, Outcome::NotSent);
            caller.is_gone()
        })
    }

    /// What is to be done in this session; who waits for what was meant for another is told so.
    pub(crate) fn pass(self, session: SessionId) -> Option<Self> {
        let Self::Fenced(fence, mut command) = self else { return Some(self) };
        if fence == session {
            return Some(*command);
        }
        if let Some(caller) = command.caller() {
            caller.give_up(Outcomes::Fenced(fence));
        }
        None
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit(..) => "Submit",
            Self::AddAuth { .. } => "AddAuth",
            Self::Watch(_) => "Watch",
            Self::Attach(..) => "Attach",
            Self::Fenced(..) => "Fenced",
            Self::AcceptRebuilt(_) => "AcceptRebuilt",
            Self::UpdateServers(_) => "UpdateServers",
        })
    }
}
