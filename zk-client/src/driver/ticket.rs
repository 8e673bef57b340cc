//! What goes to the driver and what comes back with a reply.

use crate::{
    call::Outcomes,
    error::Error,
    inline::{Inline, Token},
    secret::Secret,
    watch::Queue,
};
use std::{fmt, sync::Arc};
use tokio::sync::oneshot;
use zk_proto::{WatchMode, session::EncodedRequest};

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
    Unwatch { path: Box<str>, all: bool },
}

/// What a handle asks of the driver; executed in order.
pub(crate) enum Command {
    /// Sends a request.
    Submit(EncodedRequest, oneshot::Sender<Outcomes>),
    /// Adds an identity to this and all later connections.
    AddAuth { scheme: String, auth: Secret, answer: oneshot::Sender<Outcomes> },
    /// Feeds a queue with the events of a watch.
    Watch { path: Box<str>, mode: WatchMode, queue: Arc<Queue>, ready: oneshot::Sender<Result<(), Error>> },
    /// Takes a consumer in.
    Attach(Box<dyn Inline>),
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit(..) => "Submit",
            Self::AddAuth { .. } => "AddAuth",
            Self::Watch { .. } => "Watch",
            Self::Attach(_) => "Attach",
        })
    }
}
