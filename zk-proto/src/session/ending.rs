//! How connections and sessions come to an end, and what becomes of the requests that were on their way.

use super::{
    Credentials, EncodedRequest, End, Event, Identity, Interruption, Loss, Outcome, Session, State, Step, Waiting,
    inflight::{Pending, Purpose},
};
use crate::id::{SessionId, Zxid};
use alloc::vec::Vec;

impl<T> Session<T> {
    pub(super) fn lose(&mut self, why: Loss) {
        let was_up = self.state == State::Up;
        if !self.step(Step::Lost) {
            return;
        }
        self.recall();
        self.auths.clear();
        self.established = None;
        self.events.push_back(Event::Lost { why, was_up });
        self.interrupt_sent(Interruption::ConnectionLost);
        if self.closing {
            self.end(End::Closed);
        }
    }

    /// The session is gone. Watches stay in the list: a new session sets them again.
    pub(super) fn expire(&mut self) {
        let id = core::mem::replace(&mut self.credentials, Credentials::NEW).id;
        if id == SessionId::NONE || self.state == State::Ended {
            return;
        }
        self.timers.set_timeout(self.config.timeout);
        self.events.push_back(Event::Expired { id });
        if self.config.renew {
            self.interrupt_waiting(Interruption::SessionExpired);
        } else {
            self.end(End::Expired);
        }
    }

    /// Forgets the highest zxid seen, and gives the session up with it: for an ensemble that lost its data, which starts
    /// to count anew and takes nobody who has seen more than it has. False, and nothing changes, while a server serves
    /// us, because that one has everything we have seen; and after the end.
    pub fn accept_rebuilt(&mut self) -> bool {
        match self.state {
            State::Authenticating | State::Up | State::Ended => return false,
            State::Greeting => self.lose(Loss::NoAnswer { last_zxid: self.last_zxid }),
            State::Down => {}
        }
        self.last_zxid = Zxid(0);
        self.watched_zxid = Zxid(0);
        self.expire();
        true
    }

    pub(super) fn end(&mut self, end: End) {
        if !self.step(Step::End) {
            return;
        }
        self.ended = Some(end);
        self.recall();
        let by = self.refuses().unwrap_or(Interruption::Closed);
        self.interrupt_sent(by);
        self.interrupt_waiting(by);
        for Identity { ticket, in_doubt, .. } in self.identities.drain(..) {
            let outcome = if in_doubt { Outcome::Unknown } else { Outcome::NotSent };
            self.events.extend(ticket.map(|ticket| Event::Interrupted { ticket, by, outcome }));
        }
        self.events.push_back(Event::Ended(end));
    }

    /// What is still in the outbox never leaves: its requests wait again, before those that waited all along. Everything
    /// else there goes with its connection, and of the identities those that have left are in doubt. So nothing is counted
    /// while things go well.
    fn recall(&mut self) {
        for index in self.auths.iter().take(self.auths_given_out()) {
            self.identities.get_mut(*index).into_iter().for_each(|identity| identity.in_doubt = true);
        }
        let mut outbox = self.outbox.split();
        let mut frames = Vec::new();
        while let Some(frame) = EncodedRequest::take_back(&mut outbox) {
            frames.push(frame);
        }
        for (xid, request) in frames.into_iter().rev() {
            // Pings and auth packets are nobody's.
            let Some(Pending { purpose, change, .. }) = self.in_flight.take_newest(xid) else { continue };
            if let Purpose::Call(ticket) = purpose {
                self.waiting.push_front(Waiting { request, change, ticket });
            }
        }
    }

    fn interrupt_sent(&mut self, by: Interruption) {
        let (events, watches) = (&mut self.events, &mut self.watches);
        self.in_flight.drain().for_each(|pending| {
            if let Some(change) = &pending.change {
                // A watch that was set since the removal left is older than the removal.
                watches.submitted(change);
            }
            if let Purpose::Call(ticket) = pending.purpose {
                events.push_back(Event::Interrupted { ticket, by, outcome: Outcome::Unknown });
            }
        });
    }

    fn interrupt_waiting(&mut self, by: Interruption) {
        for Waiting { ticket, .. } in self.waiting.drain(..) {
            self.events.push_back(Event::Interrupted { ticket, by, outcome: Outcome::NotSent });
        }
    }
}
