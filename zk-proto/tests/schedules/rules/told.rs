//! What the client is told, against what the bytes meant: W1, W4, W5, W8, W11.

use super::{
    super::{
        calls::{CHILD, DATA, EXIST, Kind, PERSISTENT, RECURSIVE},
        chance::print_of,
        ensemble::Ensemble,
        marks::{Mark, Marks},
        paths::Paths,
        wire::{Body, Fatal, Meaning, What, Wire},
    },
    AUTH_TICKETS, Broken, Held, Outcome, Rules, Stage, hold,
};
use zk_proto::{
    ErrorCode, EventType,
    session::{End, Established, Event, Interruption, Outcome as Sending, ReplyFailure, State, WatchKind},
};

/// What must be told next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Taken { id: i64, timeout: u64, read_only: bool },
    Reply { ticket: u32, zxid: i64, err: i32, body: Body },
    Auth { identity: usize, err: i32 },
    Watch { kind: i32, zxid: i64, path: usize },
    Bookmark(i64),
    Fatal(Fatal),
    Ended,
}

const REQUIRE_AUTH: i32 = ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH.0;

impl Rules {
    /// Turns what bytes mean into what is to be told.
    pub(super) fn means(&mut self, wire: &mut Wire, meaning: Meaning, now: u64, marks: &mut Marks) {
        match meaning {
            Meaning::Taken { id, timeout, read_only } => {
                self.taken(id, timeout, now, marks);
                self.told.push_back(Told::Taken { id, timeout, read_only });
                // Without renewal, another id is the end.
                wire.is_dead |= !self.renew && self.held.is_some_and(|held| held != id);
            }
            Meaning::Reply { what, zxid, err, body } => self.answered(wire, what, (zxid, err, body), marks),
            Meaning::Auth { identity, err } => {
                if !self.identities[identity] {
                    self.identities[identity] = true;
                    self.told.push_back(Told::Auth { identity, err });
                }
                if err != 0 {
                    marks.hit(Mark::AuthRefused);
                    self.must_end = Some(err);
                    self.told.push_back(Told::Ended);
                    wire.is_dead = true;
                }
            }
            Meaning::Watch { kind, zxid, path } => self.told.push_back(Told::Watch { kind, zxid, path }),
            Meaning::Bookmark(zxid) => {
                self.seen_zxid = self.seen_zxid.max(zxid);
                self.told.push_back(Told::Bookmark(zxid));
            }
            Meaning::Fatal(fatal) => self.told.push_back(Told::Fatal(fatal)),
        }
    }

    fn taken(&mut self, id: i64, timeout: u64, now: u64, marks: &mut Marks) {
        let is_end = !self.renew && self.held.is_some_and(|held| held != id);
        if !is_end {
            (self.is_up, self.timeout) = (true, timeout);
            (self.sure_at, self.life_at) = (now, now);
            self.stage = Stage::Auth;
            self.auths_first = self.identities.len();
            let watches = &self.watches;
            self.owed.extend(
                (0..watches.len())
                    .flat_map(|path| (0..5).filter(move |list| watches[path][*list]).map(move |list| (list, path))),
            );
        }
        if self.held.is_some_and(|held| held == id && id == super::LEFT_ID) {
            marks.hit(Mark::ResumedGood);
        }
    }

    fn answered(&mut self, wire: &mut Wire, what: What, (zxid, err, body): (i64, i32, Body), marks: &mut Marks) {
        if what == What::Rearm && err == REQUIRE_AUTH {
            marks.hit(Mark::WatchesNeedAuth);
        } else {
            self.seen_zxid = self.seen_zxid.max(zxid);
        }
        match what {
            What::Call(ticket) => self.told.push_back(Told::Reply { ticket, zxid, err, body }),
            What::Rearm => self.frames_of_watches -= 1,
            What::Close => {
                marks.hit(Mark::CloseUp);
                self.told.push_back(Told::Ended);
                wire.is_dead = true;
            }
        }
        if err == REQUIRE_AUTH {
            marks.hit(Mark::AuthDemanded);
            self.must_end = Some(err);
            self.told.push_back(Told::Ended);
            wire.is_dead = true;
        }
    }

    /// Everything that the bytes meant was told.
    pub(crate) fn all_told(&self) -> Held {
        hold!("W1", self.told.is_empty(), "never told: {:?}", self.told);
        Ok(())
    }

    pub(crate) fn event(
        &mut self,
        event: &Event<u32>,
        now: u64,
        truth: (&mut Ensemble, &Paths),
        marks: &mut Marks,
    ) -> Held {
        // W4: behind the end, only what came too late is told so.
        let is_late = matches!(event, Event::Interrupted { outcome: Sending::NotSent, .. });
        hold!("W4", self.end.is_none() || is_late, "{event:?} behind the end");
        match event {
            Event::Established(established) => self.established(*established),
            Event::Lost { why, was_up } => self.lost(why, *was_up, now, marks),
            Event::Expired { id } => self.expired(id.0, now, marks),
            Event::Reply { ticket, zxid, result } => self.reply(*ticket, zxid.0, result, truth.0, marks),
            Event::Interrupted { ticket, by, outcome } => self.interrupted(*ticket, *by, *outcome),
            Event::Watch(event) => {
                let path = truth.1.index(event.path.as_bytes()).unwrap_or(usize::MAX);
                let told = Told::Watch { kind: event.event_type.0, zxid: event.zxid.0, path };
                self.is_next(told)?;
                self.fired(event.event_type, path);
                Ok(())
            }
            Event::Bookmark(zxid) => {
                self.bookmarks += 1;
                self.is_next(Told::Bookmark(zxid.0))
            }
            Event::Ended(end) => self.ended(*end, marks),
            Event::SaslWanted | Event::SaslToken(_) => {
                hold!("W9", false, "{event:?}, which nobody wants");
                Ok(())
            }
        }
    }

    /// W1, W8: in the order of the bytes, and nothing that no bytes of this connection say.
    fn is_next(&mut self, told: Told) -> Held {
        let next = self.told.pop_front();
        hold!("W1", next == Some(told), "told {told:?}, the bytes say {next:?}");
        Ok(())
    }

    fn established(&mut self, established: Established) -> Held {
        let Established { id, timeout, read_only, resumed } = established;
        let id = id.0;
        self.is_next(Told::Taken { id, timeout: timeout.as_millis() as u64, read_only })?;
        hold!("W11", resumed == (self.held == Some(id)), "{established:?}, held {:x?}", self.held);
        hold!("W11", resumed || self.held.is_none(), "session {:x?} is gone, and nobody was told", self.held);
        hold!("W11", !self.expired.contains(&id), "session {id:#x} had expired");
        self.held = (resumed || !read_only).then_some(id);
        Ok(())
    }

    /// W11: a server said so, or 4/3 T passed.
    fn expired(&mut self, id: i64, now: u64, marks: &mut Marks) -> Held {
        hold!("W11", self.held == Some(id), "session {id:#x} expired, held {:x?}", self.held);
        let said = self.is_open && matches!(self.told.front(), Some(Told::Taken { id: other, .. }) if *other != id);
        let said = said || self.was_gone;
        let own = !said && self.is_certainly_gone(now);
        hold!("W11", said || own, "session {id:#x} expired without a reason");
        self.was_gone = false;
        if said && self.has_waiting() {
            marks.hit(Mark::GoneWithWaiting);
        }
        if own {
            marks.hit(if self.lost_greeting_at == Some(now) { Mark::OwnExpiryGreeting } else { Mark::OwnExpiryDown });
        }
        if id == super::LEFT_ID && said {
            marks.hit(Mark::ResumedBad);
        }
        if !self.renew {
            marks.hit(Mark::ExpiryEnds);
            hold!("W11", self.expired.is_empty(), "without renewal there is one session");
        }
        self.expired.push(id);
        self.calls_expired = self.calls.len();
        self.held = None;
        self.timeout = if self.is_up { self.timeout } else { self.wanted_timeout };
        Ok(())
    }

    fn ended(&mut self, end: End, marks: &mut Marks) -> Held {
        let by_bytes = matches!(self.told.front(), Some(Told::Ended));
        match end {
            End::Closed => {
                hold!("W4", self.is_closing, "closed by itself");
                hold!("W4", by_bytes || !self.is_open || !self.is_up, "closed without an answer");
            }
            End::Expired => {
                hold!("W11", !self.renew && !self.expired.is_empty(), "ended by an expiry that was none");
                if matches!(self.told.front(), Some(Told::Taken { .. })) {
                    self.told.pop_front();
                }
            }
            End::AuthFailed(code) => {
                hold!(
                    "W12",
                    by_bytes && self.must_end == Some(code.0),
                    "ended with {code:?}, told {:?}",
                    self.must_end
                );
            }
            other @ (End::SaslFailed(_) | _) => hold!("W4", false, "ended by {other:?}"),
        }
        if by_bytes {
            self.told.pop_front();
        } else if end == End::Closed && self.was_up_at_close {
            marks.hit(Mark::CloseLost);
        }
        // W4: then all calls have ended.
        let open = self.calls.iter().position(|call| call.outcome.is_none());
        hold!("W4", open.is_none(), "ticket {open:?} is open behind the end");
        (self.end, self.is_open, self.is_up) = (Some(end), false, false);
        self.wire.is_dead = true;
        Ok(())
    }

    fn reply(
        &mut self,
        ticket: u32,
        zxid: i64,
        result: &Result<bytes::Bytes, ReplyFailure>,
        ensemble: &mut Ensemble,
        marks: &mut Marks,
    ) -> Held {
        let err = match result {
            Err(ReplyFailure::Refused(code)) => code.0,
            Ok(_) | Err(ReplyFailure::TooLarge(_)) => 0,
        };
        if let Some(identity) = ticket.checked_sub(AUTH_TICKETS) {
            return self.is_next(Told::Auth { identity: identity as usize, err });
        }
        let body = match (result, self.told.front()) {
            (Ok(bytes), _) => Body::Whole(print_of(bytes)),
            (Err(ReplyFailure::TooLarge(size)), _) => {
                marks.hit(Mark::Oversize);
                Body::TooLarge(size.len)
            }
            // What is behind an error is of no interest.
            (Err(_), Some(Told::Reply { body, .. })) => *body,
            (Err(_), _) => Body::Whole(0),
        };
        self.is_next(Told::Reply { ticket, zxid, err, body })?;
        let outcome = if err == 0 { Outcome::Done } else { Outcome::Refused };
        let (kind, path) = self.finish(ticket, outcome)?;
        if err != 0 {
            marks.hit(Mark::Refused);
        }
        let fate = *ensemble.fate(ticket);
        hold!("W5", fate.arrived == 1, "an answer to ticket {ticket}, which arrived {} times", fate.arrived);
        self.forget(kind, path);
        let list = match (kind, err) {
            (Kind::Watch(WatchKind::Data | WatchKind::Exist), 0) => DATA,
            (Kind::Watch(WatchKind::Exist), -101) => EXIST,
            (Kind::Watch(WatchKind::Child), 0) => CHILD,
            (Kind::Watch(WatchKind::Persistent), 0) => PERSISTENT,
            (Kind::Watch(WatchKind::PersistentRecursive), 0) => RECURSIVE,
            _ => return Ok(()),
        };
        self.watches[path][list] = true;
        self.armed[path][list] = fate.found.unwrap_or_default();
        Ok(())
    }

    /// W4: each call ends once.
    fn finish(&mut self, ticket: u32, outcome: Outcome) -> Result<(Kind, usize), Broken> {
        match self.calls.get_mut(ticket as usize) {
            Some(call) if call.outcome.is_none() => {
                call.outcome = Some(outcome);
                Ok((call.kind, call.path))
            }
            call => Err(Broken(format!("W4: ticket {ticket} ends again: {call:?}"))),
        }
    }

    fn interrupted(&mut self, ticket: u32, by: Interruption, outcome: Sending) -> Held {
        if let Some(identity) = ticket.checked_sub(AUTH_TICKETS).map(|identity| identity as usize) {
            let is_first = self.identities.get_mut(identity).map(|is| !std::mem::replace(is, true));
            hold!("W4", is_first == Some(true), "identity {identity} was answered twice");
            let is_sent = identity < self.identities_sent;
            let is_in_doubt = outcome == Sending::Unknown;
            hold!("W5", is_sent == is_in_doubt, "identity {identity} was sent: {is_sent}, and ends as {outcome:?}");
            return Ok(());
        }
        hold!("W6", self.last_interrupted < Some(ticket), "ticket {ticket} ends behind {:?}", self.last_interrupted);
        self.last_interrupted = Some(ticket);
        let is_sent = self.calls.get(ticket as usize).is_some_and(|call| call.is_sent);
        // W12
        let is_lost = by == Interruption::ConnectionLost;
        if outcome == Sending::NotSent {
            hold!("W5", !is_sent, "ticket {ticket} was sent");
            hold!("W5", !is_lost, "ticket {ticket} can wait for the next connection");
            self.finish(ticket, Outcome::NotSent)?;
        } else {
            hold!("W5", is_sent, "ticket {ticket} was never sent, and is in doubt");
            let (kind, path) = self.finish(ticket, Outcome::Unknown)?;
            self.forget(kind, path);
        }
        match by {
            Interruption::ConnectionLost => hold!("W12", !self.is_open, "the connection stands"),
            Interruption::SessionExpired => hold!("W11", !self.expired.is_empty(), "no session expired"),
            Interruption::Closed => hold!("W4", self.is_closing, "nobody closed"),
            Interruption::AuthFailed | _ => hold!("W12", self.must_end.is_some(), "{by:?} for no reason"),
        }
        Ok(())
    }

    fn fired(&mut self, event: EventType, path: usize) {
        let lists: &[usize] = match event {
            EventType::NODE_CREATED | EventType::NODE_DATA_CHANGED => &[DATA, EXIST],
            EventType::NODE_CHILDREN_CHANGED => &[CHILD],
            EventType::NODE_DELETED => &[DATA, EXIST, CHILD],
            _ => &[],
        };
        lists.iter().for_each(|list| self.watches[path][*list] = false);
    }

    /// The machine is drained: its own word for where it stands is the rules'.
    pub(crate) fn settled(&mut self, state: State) -> Held {
        let expected = match (self.end, self.is_open, self.is_up) {
            (Some(_), ..) => State::Ended,
            (None, false, _) => State::Down,
            (None, true, false) => State::Greeting,
            (None, true, true) => State::Up,
        };
        hold!("W8", state == expected, "the machine is {state:?}, the wire says {expected:?}");
        // W11: with an expiry all calls end.
        let calls = std::mem::take(&mut self.calls_expired);
        let open = self.calls.iter().take(calls).position(|call| call.outcome.is_none());
        hold!("W11", open.is_none(), "ticket {open:?} outlives its session");
        Ok(())
    }
}
