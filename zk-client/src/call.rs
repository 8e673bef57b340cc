//! An operation on its way: the future that every operation returns.
//!
//! The reply is decoded here, in the caller's task, not in the driver's.

use crate::error::{Error, Unreachable, UsageError};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::oneshot;
use zk_proto::{
    Bytes, OpCode, SessionId, Zxid,
    jute::{Decode, decode_from},
    path::Chroot,
    session::{Interruption, Outcome, ReplyFailure},
};

/// What the driver sends back for a request.
#[derive(Debug)]
pub(crate) enum Outcomes {
    /// The server answered.
    Reply { zxid: Zxid, result: Result<Bytes, ReplyFailure> },
    /// The caller's time is over.
    TimedOut { after: Duration, outcome: Outcome },
    /// It was not sent, for a reason that only the driver could know.
    Usage(UsageError),
    /// No server takes us, for a reason that does not pass by itself; it was not sent.
    Unreachable(Unreachable),
    /// The answer will never come.
    Interrupted { by: Interruption, outcome: Outcome },
    /// It was meant for another session than the driver has; nothing was sent.
    Fenced(SessionId),
}

/// An answer on its way to a typed result.
pub(crate) struct Reply<'a> {
    pub(crate) op: OpCode,
    pub(crate) zxid: Zxid,
    /// What it was about, where its length is no limit's but the server's.
    pub(crate) path: Option<&'a str>,
    /// How many results were asked for, where that is not one.
    pub(crate) asked: usize,
    pub(crate) chroot: &'a Chroot,
    pub(crate) result: Result<Bytes, ReplyFailure>,
}

impl Reply<'_> {
    /// The body as a record.
    pub(crate) fn decode<T: for<'a> Decode<'a>>(&self) -> Result<T, Error> {
        match &self.result {
            Ok(body) => decode_from(body).map_err(|error| Error::Protocol { op: self.op, error }),
            Err(ReplyFailure::Refused(code)) => Err(Error::Refused { op: self.op, code: *code }),
            Err(ReplyFailure::TooLarge(size)) => {
                Err(Error::ReplyTooLarge { op: self.op, path: self.path.map(ToOwned::to_owned), size: *size })
            }
        }
    }
}

/// How an answer becomes a result.
pub(crate) type Finish<R> = fn(&Reply<'_>) -> Result<R, Error>;

/// An operation that has been queued; await it for the result.
///
/// # Cancel safety
/// Dropping it drops the answer; the request is still sent.
#[must_use = "the operation is under way, but only awaiting it tells whether it worked"]
pub struct Call<R> {
    op: OpCode,
    path: Option<Box<str>>,
    asked: usize,
    chroot: Arc<Chroot>,
    finish: Finish<R>,
    state: CallState,
}

enum CallState {
    Waiting(oneshot::Receiver<Outcomes>),
    Failed(Option<Error>),
}

impl<R> Call<R> {
    pub(crate) const fn waiting(
        op: OpCode,
        chroot: Arc<Chroot>,
        answer: oneshot::Receiver<Outcomes>,
        finish: Finish<R>,
    ) -> Self {
        Self { op, path: None, asked: 1, chroot, finish, state: CallState::Waiting(answer) }
    }

    pub(crate) const fn failed(op: OpCode, chroot: Arc<Chroot>, error: Error, finish: Finish<R>) -> Self {
        Self { op, path: None, asked: 1, chroot, finish, state: CallState::Failed(Some(error)) }
    }

    /// Says how many results it must have.
    pub(crate) const fn of(mut self, asked: usize) -> Self {
        self.asked = asked;
        self
    }

    /// Names what it is about, for an error.
    pub(crate) fn at(mut self, path: &str) -> Self {
        self.path = Some(path.into());
        self
    }
}

impl<R> Future for Call<R> {
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = Error::Interrupted { op: self.op, by: Interruption::Closed, outcome: Outcome::Unknown };
        let answer = match &mut self.state {
            CallState::Waiting(answer) => ready!(Pin::new(answer).poll(cx)),
            CallState::Failed(error) => return Poll::Ready(Err(error.take().unwrap_or(gone))),
        };
        Poll::Ready(match answer {
            Ok(Outcomes::Reply { zxid, result }) => {
                let (path, asked) = (self.path.as_deref(), self.asked);
                (self.finish)(&Reply { op: self.op, zxid, path, asked, chroot: &self.chroot, result })
            }
            Ok(Outcomes::Unreachable(unreachable)) => Err(Error::Unreachable(unreachable)),
            Ok(Outcomes::TimedOut { after, outcome }) => Err(Error::TimedOut { op: self.op, after, outcome }),
            Ok(Outcomes::Interrupted { by, outcome }) => Err(Error::Interrupted { op: self.op, by, outcome }),
            Ok(Outcomes::Usage(error)) => Err(error.into()),
            Ok(Outcomes::Fenced(session)) => Err(Error::Fenced { op: self.op, session }),
            // The driver went without a word: its runtime was shut down.
            Err(_) => Err(gone),
        })
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("op", &self.op).finish_non_exhaustive()
    }
}
