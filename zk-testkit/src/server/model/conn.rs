//! One connection as the model sees it: who is there, what is to be written, how it ends.
//!
//! Must not know sockets: whoever has one takes the output with [`Model::take_output`](super::Model::take_output).

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use zk_proto::{
    ErrorCode, OpCode, SessionId, Zxid,
    server::{Config, Connection},
};

use super::{
    acl::{self, Identities},
    sasl::Exchange,
    waiting::Waiting,
};

/// The number of a connection, over all members of an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// After everything was written.
    Gently,
    /// At once, by a reset.
    Abort,
}

/// What is to be written to a connection, and whether it then ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Whole frames, in the order of the commits.
    pub bytes: BytesMut,
    /// Set once; nothing follows.
    pub close: Option<Close>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was heard yet, or no whole first frame.
    Fresh,
    /// It belongs to a session.
    Up(SessionId),
    /// Nothing more is read from it.
    Over,
}

#[derive(Debug)]
pub(super) struct Conn {
    /// Which member of the ensemble it is connected to.
    pub(super) member: usize,
    pub(super) peer: SocketAddr,
    pub(super) phase: Phase,
    pub(super) identities: Identities,
    pub(super) sasl: Exchange,
    pub(super) opened: Duration,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) last_op: OpCode,
    pub(super) last_xid: i32,
    wire: Connection,
    close: Option<Close>,
    /// What it waits for, in order, because its member lags.
    pub(super) waiting: VecDeque<Waiting>,
    /// A reply that comes behind the next one, because a test says so.
    pub(super) late: Option<(i32, Zxid, ErrorCode, Bytes)>,
    /// Whether it waits to be named by `poll_ready`.
    pub(super) listed: bool,
}

impl Conn {
    pub(super) fn new(member: usize, peer: SocketAddr, now: Duration) -> Self {
        Self {
            member,
            peer,
            phase: Phase::Fresh,
            identities: Arc::new([acl::of_peer(peer.ip())]),
            sasl: Exchange::default(),
            opened: now,
            received: 0,
            sent: 0,
            last_op: OpCode::NOTIFICATION,
            last_xid: 0,
            wire: Connection::new(Config::default()),
            close: None,
            waiting: VecDeque::new(),
            late: None,
            listed: false,
        }
    }

    pub(super) const fn session(&self) -> Option<SessionId> {
        match self.phase {
            Phase::Up(session) => Some(session),
            Phase::Fresh | Phase::Over => None,
        }
    }

    /// The wire, to be read from.
    pub(super) const fn wire(&mut self) -> &mut Connection {
        &mut self.wire
    }

    /// The wire, to say one thing to; nothing follows the end.
    pub(super) fn say(&mut self) -> &mut Connection {
        self.sent += u64::from(self.close.is_none());
        &mut self.wire
    }

    pub(super) fn hang_up(&mut self, how: Close) {
        self.phase = Phase::Over;
        self.waiting.clear();
        self.wire.close();
        if how == Close::Abort {
            self.wire.poll_transmit();
            self.close = Some(Close::Abort);
        }
        self.close = self.close.or(Some(how));
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.close == Some(Close::Abort)
    }

    pub(super) fn take_output(&mut self) -> Output {
        Output { bytes: self.wire.poll_transmit().unwrap_or_default(), close: self.close }
    }
}
