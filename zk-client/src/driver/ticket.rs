//! What goes to the driver and what comes back with a reply.

use super::fanout::{Ready, Removal, Removed, Waiter};
use crate::client::WatchInfo;
use crate::{
    call::Outcomes,
    inline::{Inline, Token},
    oneshot::Slot,
    secret::Secret,
    watch::Queue,
};
use std::{fmt, sync::Arc};
use tokio::sync::oneshot;
use zk_proto::{
    WatchMode,
    path::Chroot,
    session::{EncodedRequest, WatchKind},
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
    Many,
}

/// Who waits for a reply.
#[derive(Debug)]
pub(crate) enum Ticket {
    /// A caller's future.
    Call(oneshot::Sender<Outcomes>),
    /// A consumer in the driver.
    Inline { consumer: ConsumerId, token: Token, op: InlineOp },
    /// The fan-out's addWatch.
    Watch { path: Box<str>, mode: WatchMode, asked: u64 },
    /// The fan-out's removeWatches.
    Unwatch { path: Box<str>, what: Removal, told: Removed },
    /// A read that leaves a one-shot watch.
    Oneshot { path: Box<str>, kind: WatchKind, waiter: Waiter, answer: Option<oneshot::Sender<Outcomes>> },
}

/// What a handle asks of the driver; executed in order.
pub(crate) enum Command {
    /// Sends a request.
    Submit(EncodedRequest, oneshot::Sender<Outcomes>),
    /// Adds an identity to this and all later connections.
    AddAuth { scheme: String, auth: Secret, answer: oneshot::Sender<Outcomes> },
    /// Something about watches.
    Watch(WatchCommand),
    /// Takes a consumer in, whose paths are below this.
    Attach(Box<dyn Inline>, Arc<Chroot>),
}

/// What a handle asks about watches.
pub(crate) enum WatchCommand {
    /// Feeds a queue with the events of a watch.
    Feed(Arc<Queue>, Ready),
    /// Sends a read that leaves a one-shot watch.
    Read { request: EncodedRequest, slot: Arc<Slot>, answer: oneshot::Sender<Outcomes> },
    /// Removes watches by name.
    Remove { path: Box<str>, kinds: WatcherType, answer: oneshot::Sender<Outcomes> },
    /// Tells of every watch.
    Report(oneshot::Sender<Vec<WatchInfo>>),
}

impl Command {
    /// Who waits for an outcome.
    pub(crate) fn into_answer(self) -> Option<oneshot::Sender<Outcomes>> {
        match self {
            Self::Submit(_, answer)
            | Self::AddAuth { answer, .. }
            | Self::Watch(WatchCommand::Read { answer, .. } | WatchCommand::Remove { answer, .. }) => Some(answer),
            Self::Watch(WatchCommand::Feed(..) | WatchCommand::Report(_)) | Self::Attach(..) => None,
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit(..) => "Submit",
            Self::AddAuth { .. } => "AddAuth",
            Self::Watch(_) => "Watch",

            Self::Attach(..) => "Attach",
        })
    }
}
