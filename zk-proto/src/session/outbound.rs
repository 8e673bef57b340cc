//! Frames to the server, in the order that ZooKeeper asks for.

use super::{
    Change, EncodedRequest, Session, SessionConfig, State, Waiting, greeting,
    inflight::{Pending, Purpose, next_xid},
    request, xid,
};
use crate::{
    code::OpCode,
    frame::TooLarge,
    jute::Encode as _,
    ops::Op,
    records::{AuthPacket, ConnectRequest, Secret},
};
use bytes::BytesMut;
use core::time::Duration;

impl<T> Session<T> {
    /// [`submit`](Self::submit) for a request that is not encoded yet, and does nothing to watches. Where it may leave at
    /// once, it is encoded where it leaves from, and needs no memory of its own. Whoever asks this way, again and again,
    /// knows how long answers are: [`awaits_data`](Self::awaits_data) does not count it.
    ///
    /// # Errors
    /// As [`EncodedRequest::new`]: nothing was written, and the ticket is dropped.
    pub fn submit_op<O: Op>(
        &mut self,
        now: Duration,
        request: &O::Request<'_>,
        limit: usize,
        ticket: T,
    ) -> Result<(), TooLarge> {
        if self.state != State::Up || self.refuses().is_some() {
            self.submit(now, EncodedRequest::new::<O>(request, limit)?, None, ticket);
            return Ok(());
        }
        let body_len = request::body_len(request, limit)?;
        let xid = self.put_frame(now, O::CODE, body_len, |outbox| request.encode(outbox));
        self.in_flight.push(Pending { xid, purpose: Purpose::Call(ticket), change: None });
        Ok(())
    }

    /// What comes first on a new connection.
    pub(super) fn ask_for_session(&mut self) {
        let mut outbox = core::mem::take(&mut self.outbox);
        greeting::put(&mut outbox, &self.connect_request());
        self.outbox = outbox;
    }

    /// What is asked for on the present connection.
    pub(super) fn connect_request(&self) -> ConnectRequest<'_> {
        let SessionConfig { timeout, read_only, .. } = self.config;
        greeting::request(&self.credentials, self.last_zxid, timeout, read_only)
    }

    /// What precedes everything else once a server has taken us.
    pub(super) fn send_auths(&mut self) {
        for index in 0..self.identities.len() {
            self.send_auth(index);
        }
    }

    /// What precedes requests behind the authentication, and the requests that waited for the connection.
    pub(super) fn greet(&mut self, now: Duration) {
        let watches = core::mem::take(&mut self.watches);
        watches.rearm(self.watched_zxid, |op, body| {
            let xid = self.put_frame(now, op, body.len(), |out| body.write(out));
            self.in_flight.push(Pending { xid, purpose: Purpose::Rearm, change: None });
        });
        self.watches = watches;
        while let Some(Waiting { request, change, ticket }) = self.waiting.pop_front() {
            self.send(now, request, change, ticket);
        }
    }

    pub(super) fn send(&mut self, now: Duration, request: EncodedRequest, change: Option<Change>, ticket: T) {
        let brings_data = matches!(request.op(), OpCode::GET_DATA | OpCode::MULTI_READ | OpCode::RECONFIG);
        let xid = self.take_xid();
        self.timers.sent = now;
        request.append_to(&mut self.outbox, xid);
        self.in_flight.push(Pending { xid, purpose: Purpose::Call(ticket), change });
        if brings_data {
            self.in_flight.brings_data(xid);
        }
    }

    pub(super) fn send_auth(&mut self, index: usize) {
        let Some(identity) = self.identities.get(index) else { return };
        let packet =
            AuthPacket { auth_type: 0, scheme: identity.scheme.as_ref().into(), auth: Some(Secret(&identity.auth)) };
        request::put_header(&mut self.outbox, xid::AUTH, OpCode::AUTH, packet.encoded_len());
        packet.encode(&mut self.outbox);
        self.auths.push_back(index);
    }

    pub(super) fn put_frame(&mut self, now: Duration, op: OpCode, len: usize, body: impl FnOnce(&mut BytesMut)) -> i32 {
        let xid = self.take_xid();
        self.put_header(xid, op, len);
        body(&mut self.outbox);
        self.timers.sent = now;
        xid
    }

    pub(super) fn put_header(&mut self, xid: i32, op: OpCode, body_len: usize) {
        request::put_header(&mut self.outbox, xid, op, body_len);
    }

    /// The numbers of what was not given out yet, oldest first.
    pub(super) fn unsent(&self) -> impl Iterator<Item = i32> {
        request::xids(&self.outbox)
    }

    /// Whether something of this number was not given out yet.
    #[cold]
    pub(super) fn is_unsent(&self, xid: i32) -> bool {
        self.unsent().any(|unsent| unsent == xid)
    }

    /// How many unanswered auth packets were given out: the oldest ones.
    pub(super) fn auths_given_out(&self) -> usize {
        let unsent = self.unsent().filter(|xid| *xid == xid::AUTH).count();
        self.auths.len().saturating_sub(unsent)
    }

    pub(super) fn take_xid(&mut self) -> i32 {
        let xid = self.next_xid;
        self.next_xid = next_xid(xid);
        xid
    }
}
