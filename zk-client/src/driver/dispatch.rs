//! What the machine tells, each to whom it is for.

use super::{Connection, Driver, Link, fanout::NoWatch, ticket::Ticket};
use crate::{
    call::Outcomes,
    inline::{Answer, InlineState, Input, Refusal},
    state::SessionState,
};
use tokio::time::Instant;
use zk_proto::{
    Bytes, ErrorCode, Zxid,
    session::{Established, Event, Interruption, Loss, Outcome, ReplyFailure},
};

impl Driver {
    /// Hands out everything that the last turn brought, and everything that comes of that.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some(event) = self.session.poll_event() {
                self.dispatch(event);
            }
            self.tell_notices();
            for at in 0..self.consumers.len() {
                if let Some(id) = self.consumer_at(at) {
                    self.with_consumer(id, |consumer, requests| consumer.flush(requests));
                }
            }
            self.tell_refused();
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
                let event = self.fanout.event(&event, &self.chroot, &mut meant);
                for consumer in meant.drain(..) {
                    self.tell(consumer, Input::Event(&event));
                }
                self.meant = meant;
            }
            Event::Bookmark(zxid) => self.bookmark(zxid),
            Event::Ended(end) => {
                tracing::info!(%end, "session ended");
                self.ended = true;
                self.link = Link::Down(None);
                self.state.send_replace(SessionState::Ended(end));
                self.fanout.ended(end);
                self.tell_all(InlineState::Ended(end));
            }
        }
    }

    /// Every reply says how far the server is, whoever asked.
    fn bookmark(&mut self, zxid: Zxid) {
        if zxid.is_some() {
            for at in 0..self.consumers.len() {
                if let Some(id) = self.consumer_at(at) {
                    self.tell(id, Input::Bookmark(zxid));
                }
            }
        }
    }

    fn established(&mut self, established: Established) {
        let Established { id, timeout, read_only, resumed } = established;
        let Some((name, server)) = &self.peer else { return };
        tracing::info!(session = %id, server = %name, ?timeout, read_only, resumed, "session established");
        let server = *server;
        self.hosts.established();
        self.tell_progress();
        self.connection = Some(Connection { server, session: id, timeout });
        self.credentials.send_replace(Some(self.session.credentials().clone()));
        self.fanout.resumed(!resumed);
        let replaced = self.replaced.take();
        self.state.send_replace(SessionState::Connected { server, session: id, timeout, read_only, replaced });
        self.tell_all(InlineState::Connected { server, session: id, timeout, new_session: !resumed });
    }

    fn lost(&mut self, why: Loss, was_up: bool) {
        self.link = Link::Down(None);
        let transport_error = self.transport_error.take();
        let server = self.peer.take().map_or_else(String::new, |(name, _)| name);
        if !was_up {
            // A transport knows better: TLS, for one, says only in the first read that our certificate was refused.
            return self.attempt_failed(server, transport_error.unwrap_or_else(|| why.to_string()));
        }
        tracing::warn!(server, %why, zxid = %self.session.last_zxid(), "connection lost; watches will be set again");
        self.hosts.lost();
        if let Some(Connection { session, timeout, .. }) = self.connection.take() {
            let expires = Instant::now() + timeout.saturating_mul(4) / 3;
            self.state.send_replace(SessionState::Suspended { session, expires });
        }
        self.fanout.lost();
        self.tell_all(InlineState::Disconnected);
    }

    fn reply(&mut self, ticket: Ticket, zxid: Zxid, result: Result<Bytes, ReplyFailure>) {
        let now = self.now();
        match ticket {
            Ticket::Call(answer) => {
                self.bookmark(zxid);
                // When nobody waits, the future was dropped, and with it the answer.
                drop(answer.send(Outcomes::Reply { zxid, result }));
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
                self.fanout.watch_answered(&path, mode, asked, code_of(&result));
            }
            Ticket::Unwatch { path, all } => {
                self.fanout.unwatch_answered(&mut self.session, now, &path, all, code_of(&result));
            }
        }
    }

    fn interrupted(&mut self, ticket: Ticket, by: Interruption, outcome: Outcome) {
        let now = self.now();
        match ticket {
            Ticket::Call(answer) => drop(answer.send(Outcomes::Interrupted { by, outcome })),
            Ticket::Inline { consumer, token, .. } => self.tell(consumer, Input::Interrupted { token }),
            Ticket::Watch { path, mode, asked }
                if matches!(by, Interruption::ConnectionLost | Interruption::SessionExpired) && !self.ended =>
            {
                self.fanout.watch_interrupted(&mut self.session, now, &path, mode, asked);
            }
            // The watch went with the connection.
            Ticket::Watch { .. } | Ticket::Unwatch { .. } => {}
        }
    }
}

fn code_of(result: &Result<Bytes, ReplyFailure>) -> Result<(), ErrorCode> {
    match result {
        Ok(_) | Err(ReplyFailure::TooLarge(_)) => Ok(()),
        Err(ReplyFailure::Refused(code)) => Err(*code),
    }
}
