//! What the machine tells, each to whom it is for.

use super::{
    Connection, Driver, Link,
    fanout::{Line, NoWatch, tell},
    inbox::Inbox,
    ticket::{ConsumerId, Ticket},
    watching::{code_of, is_followed},
};
use crate::{
    call::Outcomes,
    inline::{Answer, InlineState, Input, Refusal, Token},
    state::SessionState,
};
use tokio::time::Instant;
use zk_proto::{
    Bytes, WatchedEvent, Zxid,
    session::{Established, Event, Interruption, Loss, Outcome, ReplyFailure},
};

impl Driver {
    /// Hands out everything that the last turn brought, and everything that comes of that.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some(event) = self.session.poll_event() {
                self.dispatch(event);
            }
            if !self.fanout.notices.is_empty() {
                self.tell_notices();
            }
            self.with_each_consumer(|consumer, requests| consumer.flush(requests));
            if !self.refused.is_empty() {
                self.tell_refused();
            }
            match self.session.poll_transmit() {
                Some(bytes) if self.outbox.is_empty() => self.outbox = bytes,
                Some(bytes) => self.outbox.extend_from_slice(&bytes),
                None => {}
            }
            // Consumers that were told something may have asked for something.
            if self.fanout.notices.is_empty() && self.refused.is_empty() && !self.session.has_events() {
                return;
            }
        }
    }

    fn tell_notices(&mut self) {
        for (consumer, token, result) in std::mem::take(&mut self.fanout.notices) {
            let answer = match result {
                Ok(()) => Answer::Watching,
                Err(NoWatch::Refused(code)) => Answer::Refused(Refusal::Server(code)),
                Err(NoWatch::Conflict) => Answer::Refused(Refusal::WatchConflict),
                // Told by the state.
                Err(NoWatch::Ended(_) | NoWatch::Removed | NoWatch::TooManyZnodes) => continue,
            };
            self.tell(consumer, Input::Answer { token, zxid: Zxid::NONE, answer });
        }
    }

    fn tell_refused(&mut self) {
        for (consumer, token, size) in std::mem::take(&mut self.refused) {
            let answer = Answer::Refused(Refusal::RequestTooLarge(size));
            self.tell(consumer, Input::Answer { token, zxid: Zxid::NONE, answer });
        }
    }

    fn dispatch(&mut self, event: Event<Ticket>) {
        match event {
            Event::Established(established) => self.established(established),
            Event::SaslWanted => self.sasl_wanted(),
            Event::SaslToken(token) => self.sasl_token(token.as_ref()),
            Event::Lost { why, was_up } => self.lost(why, was_up),
            Event::Expired { id } => {
                tracing::warn!(session = %id, "session expired; its ephemerals are gone");
                self.connection = None;
                self.replaced = Some(id);
                self.state.send_replace(SessionState::Connecting { expired: Some(id) });
                self.tell_all(InlineState::Expired);
            }
            Event::Reply { ticket, zxid, result } => self.reply(ticket, zxid, result),
            Event::Interrupted { ticket, by, outcome } => self.interrupted(ticket, by, outcome),
            Event::Watch(event) => {
                let mut meant = std::mem::take(&mut self.meant);
                let (now, received) = (self.now, self.turn_at);
                self.fanout.event(&mut Line { session: &mut self.session, now }, received, &event, &mut meant);
                for consumer in meant.drain(..) {
                    self.tell_event(consumer, &event);
                }
                self.meant = meant;
            }
            Event::Bookmark(zxid) => self.bookmark(zxid),
            Event::Ended(end) => {
                // One that is left has not.
                if !self.is_leaving {
                    tracing::info!(%end, "session ended");
                }
                self.ended = true;
                self.link = Link::Down(None);
                self.state.send_replace(SessionState::Ended(end));
                self.fanout.ended(end);
                self.tell_all(InlineState::Ended(end));
            }
        }
    }

    /// Paths of events are the server's until a consumer with a root of its own is told.
    fn tell_event(&mut self, id: ConsumerId, event: &WatchedEvent) {
        self.with_consumer(id, |consumer, requests| {
            if requests.chroot.as_str() == "/" {
                return consumer.handle(Input::Event(event), requests);
            }
            let WatchedEvent { event_type, state, ref path, zxid } = *event;
            let path = requests.chroot.text_to_client(path);
            consumer.handle(Input::Event(&WatchedEvent { event_type, state, path, zxid }), requests);
        });
    }

    /// Every reply says how far the server is, whoever asked.
    pub(super) fn bookmark(&mut self, zxid: Zxid) {
        if zxid.is_some() {
            self.with_each_consumer(|consumer, requests| consumer.handle(Input::Bookmark(zxid), requests));
        }
    }

    fn established(&mut self, established: Established) {
        let Established { id, timeout, read_only, resumed } = established;
        let Some((name, server)) = &self.peer else { return };
        tracing::info!(session = %id, server = %name, ?timeout, read_only, resumed, "session established");
        let server = *server;
        self.hosts.established();
        self.tell_progress();
        self.seek(read_only);
        self.connection = Some(Connection { server, session: id, timeout });
        // A read-only server's own session is nothing to go on with.
        let credentials = Some(self.session.credentials().clone()).filter(|credentials| credentials.id == id);
        self.credentials.send_replace(credentials);
        self.fanout.resumed(!resumed);
        let replaced = self.replaced.take();
        self.state.send_replace(SessionState::Connected { server, session: id, timeout, read_only, replaced });
        self.tell_all(InlineState::Connected { server, session: id, timeout, new_session: !resumed });
    }

    fn lost(&mut self, why: Loss, was_up: bool) {
        self.link = Link::Down(None);
        self.inbox = Inbox::default();
        if self.is_leaving {
            // The end follows, and nobody is told of a loss before it.
            return;
        }
        let transport_error = self.transport_error.take();
        let server = self.peer.take().map_or_else(String::new, |(name, _)| name);
        if !was_up {
            if let Loss::NoAnswer { last_zxid } = why
                && transport_error.is_none()
            {
                self.hosts.unanswered(last_zxid);
            }
            // A transport knows better: TLS, for one, says only in the first read that our certificate was refused.
            self.hosts.note(server, transport_error.unwrap_or_else(|| why.to_string()));
            return self.attempt_failed();
        }
        tracing::warn!(server, %why, zxid = %self.session.last_zxid(), "connection lost; watches will be set again");
        self.hosts.lost();
        self.moving_by = None;
        self.seeking = None;
        if let Some(Connection { session, timeout, .. }) = self.connection.take() {
            self.lives_until = self.heard_at + timeout;
            if self.session.credentials().id == session {
                let expires = Instant::now() + timeout.saturating_mul(4) / 3;
                self.state.send_replace(SessionState::Suspended { session, expires });
            } else {
                // What a read-only server calls a session goes with the connection.
                self.replaced = Some(session);
                self.state.send_replace(SessionState::Connecting { expired: None });
            }
        }
        self.fanout.lost();
        let unsent = self.take_back_inline();
        self.tell_all(InlineState::Disconnected);
        for (consumer, token) in unsent {
            self.tell(consumer, Input::Interrupted { token });
        }
    }

    /// Consumers ask anew on each connection, so what they asked for on one ends with it, though it never left: otherwise
    /// connections that fail at once would pile it up.
    fn take_back_inline(&mut self) -> Vec<(ConsumerId, Token)> {
        let mut unsent = Vec::new();
        self.session.withdraw(|ticket| {
            let Ticket::Inline { consumer, token, .. } = ticket else { return false };
            unsent.push((*consumer, *token));
            true
        });
        unsent
    }

    fn reply(&mut self, ticket: Ticket, zxid: Zxid, result: Result<Bytes, ReplyFailure>) {
        let now = self.now;
        match ticket {
            Ticket::Call(answer) => {
                self.bookmark(zxid);
                // When nobody waits, the future was dropped, and with it the answer.
                answer.send(Outcomes::Reply { zxid, result });
            }
            Ticket::Nobody => self.bookmark(zxid),
            Ticket::Again(read) => {
                self.bookmark(zxid);
                read.1.send(Outcomes::Reply { zxid, result });
            }
            Ticket::Batch(reads) => {
                self.bookmark(zxid);
                self.batching.answered(&mut self.session, now, reads, zxid, result);
            }
            Ticket::Inline { consumer, token, op } => {
                let answer = match result {
                    Ok(body) => Answer::decode(op, &body),
                    Err(ReplyFailure::Refused(code)) => Answer::Refused(Refusal::Server(code)),
                    Err(ReplyFailure::TooLarge(size)) => Answer::Refused(Refusal::ReplyTooLarge(size)),
                };
                self.tell(consumer, Input::Answer { token, zxid, answer });
            }
            Ticket::Watch { path, mode, asked } => {
                let line = &mut Line { session: &mut self.session, now };
                self.fanout.watch_answered(line, &path, mode, asked, code_of(&result));
            }
            Ticket::Unwatch { path, what, told } => {
                let line = &mut Line { session: &mut self.session, now };
                self.fanout.unwatch_answered(line, &path, what, told, code_of(&result));
            }
            Ticket::Oneshot { path, kind, waiter, answer } => {
                self.oneshot_answered(&path, kind, waiter, answer, zxid, result);
            }
        }
    }

    fn interrupted(&mut self, ticket: Ticket, by: Interruption, outcome: Outcome) {
        let now = self.now;
        match ticket {
            Ticket::Call(answer) => answer.send(Outcomes::Interrupted { by, outcome }),
            Ticket::Batch(reads) => {
                // Reads, too, end with their session: they may be fenced.
                let is_followed = by == Interruption::ConnectionLost && !self.ended;
                let lost = if is_followed { self.batching.lost(&mut self.session, now, reads) } else { Some(reads) };
                for (_, caller) in lost.into_iter().flatten() {
                    caller.send(Outcomes::Interrupted { by, outcome });
                }
            }
            Ticket::Again(read) => match *read {
                (Some(request), caller) if by == Interruption::ConnectionLost && !self.ended => {
                    self.session.submit(now, request, None, Ticket::Again(Box::new((None, caller))));
                }
                // It has left before, with others.
                (_, caller) => caller.send(Outcomes::Interrupted { by, outcome: Outcome::Unknown }),
            },
            Ticket::Inline { consumer, token, .. } => self.tell(consumer, Input::Interrupted { token }),
            Ticket::Watch { path, mode, asked } if is_followed(by) && !self.ended => {
                let line = &mut Line { session: &mut self.session, now };
                self.fanout.watch_interrupted(line, &path, mode, asked);
            }
            Ticket::Nobody | Ticket::Watch { .. } => {}
            // The watch went with the connection.
            Ticket::Unwatch { told, .. } => tell(told, Ok(())),
            Ticket::Oneshot { path, kind, waiter, answer } => {
                self.oneshot_interrupted(&path, kind, waiter, answer, by, outcome);
            }
        }
    }
}
