//! What goes to the driver and what comes back with a reply.

use crate::{
    call::Outcomes,
    error::Error,
    inline::{Inline, Token},
    watch::Queue,
};
use std::{fmt, sync::Arc};
use tokio::sync::oneshot;
use zk_proto::{OpCode, SessionId, WatchMode, session::EncodedRequest};

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
    AddAuth { scheme: String, auth: Vec<u8>, answer: oneshot::Sender<Outcomes> },
    /// Feeds a queue with the events of a watch.
    Watch { path: Box<str>, mode: WatchMode, queue: Arc<Queue>, ready: oneshot::Sender<Result<(), Error>> },
    /// Takes a consumer in.
    Attach(Box<dyn Inline>),
    /// Does this if the session is this one, and refuses it otherwise.
    Fenced(SessionId, Box<Command>),
    /// Forgets what was seen of an ensemble that lost its data; answers whether there was need to.
    AcceptRebuilt(oneshot::Sender<bool>),
}

impl Command {
    /// What is to be done in this session; what was meant for another is refused.
    pub(crate) fn pass(self, session: SessionId) -> Option<Self> {
        let Self::Fenced(fence, command) = self else { return Some(self) };
        if fence == session {
            return Some(*command);
        }
        command.refuse(fence);
        None
    }

    /// Tells whoever waits for it that it was meant for another session.
    pub(crate) fn refuse(self, session: SessionId) {
        match self {
            Self::Submit(_, answer) | Self::AddAuth { answer, .. } => drop(answer.send(Outcomes::Fenced(session))),
            Self::Watch { ready, .. } => {
                drop(ready.send(Err(Error::Fenced { op: OpCode::ADD_WATCH, session })));
            }
            Self::Fenced(_, command) => command.refuse(session),
            // Never fenced.
            Self::Attach(_) | Self::AcceptRebuilt(_) => {}
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit(..) => "Submit",
            Self::AddAuth { .. } => "AddAuth",
            Self::Watch { .. } => "Watch",
            Self::Attach(_) => "Attach",
            Self::Fenced(..) => "Fenced",
            Self::AcceptRebuilt(_) => "AcceptRebuilt",
        })
    }
}
