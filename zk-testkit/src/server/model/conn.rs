//! One connection as the model sees it: who is there, what is to be written, how it ends.
//!
//! Must not know sockets: whoever has one takes the output with [`Model::take_output`](super::Model::take_output).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{BufMut, BytesMut};
use zk_proto::{ErrorCode, OpCode, SessionId, Zxid, frame::REPLY_HEADER_LEN, jute::Encode, records::ReplyHeader};

use super::acl::{self, Identities};

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
    pub(super) opened: Duration,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) last_op: OpCode,
    pub(super) last_xid: i32,
    outbox: BytesMut,
    close: Option<Close>,
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
            opened: now,
            received: 0,
            sent: 0,
            last_op: OpCode::NOTIFICATION,
            last_xid: 0,
            outbox: BytesMut::new(),
            close: None,
            listed: false,
        }
    }

    pub(super) const fn session(&self) -> Option<SessionId> {
        match self.phase {
            Phase::Up(session) => Some(session),
            Phase::Fresh | Phase::Over => None,
        }
    }

    /// Queues bytes as they are; nothing follows the end.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.close.is_none() {
            self.sent += 1;
            self.outbox.put_slice(bytes);
        }
    }

    /// Queues a frame without a header: an answer to a ConnectRequest.
    pub(super) fn put_record(&mut self, record: &impl Encode) {
        if self.close.is_none() {
            self.sent += 1;
            put_len(&mut self.outbox, record.encoded_len());
            record.encode(&mut self.outbox);
        }
    }

    /// Queues a reply; an error has no body.
    pub(super) fn put_reply<T: Encode>(&mut self, xid: i32, zxid: Zxid, result: &Result<T, ErrorCode>) {
        if self.close.is_none() {
            self.sent += 1;
            put_reply(&mut self.outbox, xid, zxid, result);
        }
    }

    /// Queues an error that has a body all the same.
    pub(super) fn put_refusal(&mut self, header: ReplyHeader, body: &impl Encode) {
        if self.close.is_none() {
            self.sent += 1;
            put_len(&mut self.outbox, header.encoded_len() + body.encoded_len());
            header.encode(&mut self.outbox);
            body.encode(&mut self.outbox);
        }
    }

    pub(super) fn hang_up(&mut self, how: Close) {
        self.phase = Phase::Over;
        if how == Close::Abort {
            self.outbox.clear();
            self.close = Some(Close::Abort);
        }
        self.close = self.close.or(Some(how));
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.close == Some(Close::Abort)
    }

    pub(super) fn take_output(&mut self) -> Output {
        Output { bytes: self.outbox.split(), close: self.close }
    }
}

/// A notification, a reply, or whatever else has a reply's header, as a whole frame.
pub(super) fn put_reply<T: Encode>(out: &mut BytesMut, xid: i32, zxid: Zxid, result: &Result<T, ErrorCode>) {
    let (err, body_len) = match result {
        Ok(body) => (ErrorCode::OK, body.encoded_len()),
        Err(code) => (*code, 0),
    };
    out.reserve(4 + REPLY_HEADER_LEN + body_len);
    put_len(out, REPLY_HEADER_LEN + body_len);
    ReplyHeader { xid, zxid, err }.encode(out);
    if let Ok(body) = result {
        body.encode(out);
    }
}

fn put_len(out: &mut BytesMut, len: usize) {
    out.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
}
