//! Consumers that run inside the driver's task: from an event to the read it causes without a task switch.
//!
//! An [`Inline`] consumer is sans-IO: it is told what happened and asks for requests; it must not block.
//! `zk-config`'s mirror is one.

use crate::{
    connect_string::HostPort,
    driver::fanout::{Fanout, Line, Subscriber},
    driver::ticket::{ConsumerId, InlineOp, Ticket},
    transaction::{Read, check_count},
    watch::check_rearm,
};
use std::{fmt, net::SocketAddr, time::Duration};
use tokio::time::Instant;
use zk_proto::{
    Bytes, ErrorCode, Op, Session, SessionId, Stat, WatchMode, WatchedEvent, Zxid,
    frame::TooLarge,
    jute::{List, Text, decode_from},
    multi::{MultiReadRequest, MultiResponse, Results},
    ops,
    path::Chroot,
    records::{GetChildren2Response, GetDataRequest, GetDataResponse},
    session::End,
};

/// What a consumer calls one of its requests.
pub type Token = u64;

/// A consumer inside the driver.
pub trait Inline: Send + 'static {
    /// Something happened. Order: as the bytes arrived.
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>);

    /// Everything that arrived together has been handled: the time to send what belongs together.
    fn flush(&mut self, requests: &mut Requests<'_>);

    /// When [`flush`](Self::flush) is to be called although nothing arrives.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The consumer is no longer wanted; the driver forgets it.
    fn is_done(&self) -> bool;
}

/// One thing that a consumer is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// The session's connection changed.
    State(InlineState),
    /// A watch of this consumer fired. The path is the client's.
    Event(&'a WatchedEvent),
    /// The answer to a request.
    Answer {
        /// The consumer's name for the request.
        token: Token,
        /// The last transaction that the server had processed: every event up to it came before.
        zxid: Zxid,
        /// The answer.
        answer: Answer,
    },
    /// The request was lost with its connection.
    Interrupted {
        /// The consumer's name for the request.
        token: Token,
    },
    /// The server is at this transaction, and every event up to it came before.
    Bookmark(Zxid),
}

/// What became of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InlineState {
    /// A server serves us; watches are set again, before any request of this consumer.
    Connected {
        /// Which server.
        server: SocketAddr,
        /// The session.
        session: SessionId,
        /// The negotiated session timeout.
        timeout: Duration,
        /// Another session than the last time.
        new_session: bool,
    },
    /// The connection is lost; requests on their way were interrupted.
    Disconnected,
    /// The session expired; a new one is being made.
    Expired,
    /// Nothing more will come.
    Ended(End),
}

/// The answer to a consumer's request.
#[derive(Debug)]
pub enum Answer {
    /// Of [`Requests::watch`]: set.
    Watching,
    /// Of [`Requests::get_data`]. The data is a slice of the read buffer, as all data and names here are: copy what is kept.
    Data(Bytes, Stat),
    /// Of [`Requests::get_children`].
    Children(List<'static, Text>, Stat),
    /// Of [`Requests::read_many`]: as many results as there were reads, in their order, each of which is made when it is asked
    /// for. A read gives [`MultiResult::GetData`](crate::MultiResult::GetData), `GetChildren` or `Error`; a server that gives
    /// something else is broken.
    Many(Results),
    /// The request was refused.
    Refused(Refusal),
}

/// Why a consumer's request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// By the server.
    Server(ErrorCode),
    /// The reply is longer than the client accepts.
    ReplyTooLarge(TooLarge),
    /// The request is longer than a server accepts; it was not sent.
    RequestTooLarge(TooLarge),
    /// This client watches the path in the other mode already.
    WatchConflict,
    /// The reply cannot be read.
    Decode(zk_proto::DecodeError),
}

/// Where a consumer leaves its requests; they go out in the same write.
pub struct Requests<'a> {
    pub(crate) session: &'a mut Session<Ticket>,
    pub(crate) fanout: &'a mut Fanout,
    pub(crate) chroot: &'a Chroot,
    pub(crate) request_len_max: usize,
    pub(crate) consumer: ConsumerId,
    pub(crate) turn_at: Instant,
    pub(crate) now: Duration,
    /// Requests that could not be encoded: told to the consumer after it returns.
    pub(crate) refused: &'a mut Vec<(ConsumerId, Token, TooLarge)>,
    /// The servers that are to be used from now on.
    pub(crate) followed: &'a mut Option<Vec<HostPort>>,
}

impl Requests<'_> {
    /// Watches a path for this consumer; shared with all other watches of the same path and mode.
    pub fn watch(&mut self, token: Token, path: &str, mode: WatchMode) {
        let path = self.chroot.to_server(path);
        if let Err(size) = check_rearm(&path, self.request_len_max) {
            return self.refused.push((self.consumer, token, size));
        }
        let line = &mut Line { session: &mut *self.session, now: self.now };
        self.fanout.subscribe(line, &path, mode, Subscriber::Inline(self.consumer, token));
    }

    /// Reads data and stat.
    pub fn get_data(&mut self, token: Token, path: &str) {
        let request = GetDataRequest { path: self.chroot.to_server(path), watch: false };
        self.submit::<ops::GetData>(&request, InlineOp::Data, token);
    }

    /// Reads names of children, and the stat.
    pub fn get_children(&mut self, token: Token, path: &str) {
        let request = GetDataRequest { path: self.chroot.to_server(path), watch: false };
        self.submit::<ops::GetChildren2>(&request, InlineOp::Children, token);
    }

    /// Reads many things at one zxid; servers before 3.6 answer [`ErrorCode::UNIMPLEMENTED`] and hang up.
    pub fn read_many<'r>(&mut self, token: Token, reads: impl IntoIterator<Item = Read<'r>>) {
        let request = MultiReadRequest { ops: reads.into_iter().map(|read| read.to_op(self.chroot)).collect() };
        let asked = request.ops.iter().count();
        self.submit::<ops::MultiRead>(&request, InlineOp::Many(asked), token);
    }

    /// The time of this turn.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.turn_at
    }

    fn submit<O: Op>(&mut self, request: &O::Request<'_>, op: InlineOp, token: Token) {
        let ticket = Ticket::Inline { consumer: self.consumer, token, op };
        if let Err(size) = self.session.submit_op::<O>(self.now, request, self.request_len_max, ticket) {
            self.refused.push((self.consumer, token, size));
        }
    }
}

impl fmt::Debug for Requests<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

impl Answer {
    /// Reads the answer of an inline request.
    pub(crate) fn decode(op: InlineOp, body: &Bytes) -> Self {
        let decoded = match op {
            InlineOp::Data => {
                decode_from::<GetDataResponse>(body).map(|reply| Self::Data(reply.data.unwrap_or_default(), reply.stat))
            }
            InlineOp::Children => decode_from::<GetChildren2Response>(body)
                .map(|reply| Self::Children(reply.children.into_owned(), reply.stat)),
            InlineOp::Many(asked) => decode_from::<MultiResponse>(body)
                .and_then(|reply| check_count(&reply, asked).map(|()| Self::Many(reply.results))),
        };
        decoded.unwrap_or_else(|error| Self::Refused(Refusal::Decode(error)))
    }
}
