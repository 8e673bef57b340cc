//! The machine under test, and sometimes its twin: the same machine, which gets the same bytes split in another way and
//! must say the same (W13).

use super::{
    calls::Ask,
    chance::{Print, Rng},
    paths::Paths,
    plan::Plan,
    rules::{Broken, Held, hold},
};
use bytes::BytesMut;
use std::time::Duration;
use zk_proto::{
    Session,
    session::{Event, ReplyFailure},
};

pub(crate) struct Client {
    pub(crate) session: Session<u32>,
    twin: Option<Session<u32>>,
    inbox: BytesMut,
    inbox_of_twin: BytesMut,
}

pub(crate) const fn at(now: u64) -> Duration {
    Duration::from_millis(now)
}

impl Client {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            session: Session::new(plan.config()),
            twin: plan.has_twin.then(|| Session::new(plan.config())),
            inbox: BytesMut::new(),
            inbox_of_twin: BytesMut::new(),
        }
    }

    fn both(&mut self, mut call: impl FnMut(&mut Session<u32>)) {
        call(&mut self.session);
        self.twin.as_mut().into_iter().for_each(call);
    }

    /// The twin in one of the two ways, the session in either.
    pub(crate) fn submit(&mut self, now: u64, ask: Ask, ticket: u32, paths: &Paths, plan: &Plan) {
        let now = at(now);
        let encoded = |session: &mut Session<u32>| {
            let (request, change) = ask.encode(ticket, paths, plan);
            session.submit(now, request, change, ticket);
        };
        self.twin.as_mut().into_iter().for_each(encoded);
        if !(ticket.is_multiple_of(2) && ask.submit_op(&mut self.session, now, ticket, paths, plan)) {
            encoded(&mut self.session);
        }
    }

    pub(crate) fn add_auth(&mut self, now: u64, identity: u8, ticket: u32) {
        self.both(|session| session.add_auth(at(now), "digest", &[b'a', b':', identity], ticket));
    }

    pub(crate) fn close(&mut self, now: u64) {
        self.both(|session| session.close(at(now)));
    }

    pub(crate) fn dialed(&mut self, now: u64, patience: u64) {
        self.inbox.clear();
        self.inbox_of_twin.clear();
        self.both(|session| session.handle_dialed(at(now), at(patience)));
    }

    pub(crate) fn closed(&mut self) {
        self.both(Session::handle_closed);
    }

    pub(crate) fn timeout(&mut self, now: u64) {
        self.both(|session| session.handle_timeout(at(now)));
    }

    /// Bytes arrive, in pieces of at most `piece` bytes; 0 for all at once.
    pub(crate) fn receive(&mut self, now: u64, bytes: &[u8], piece: usize, rng: &mut Rng) {
        for part in bytes.chunks(if piece == 0 { bytes.len().max(1) } else { piece }) {
            self.inbox.extend_from_slice(part);
            self.session.handle_bytes(at(now), &mut self.inbox);
        }
        let Some(twin) = &mut self.twin else { return };
        let (mut rest, is_whole) = (bytes, rng.one_in(3));
        while !rest.is_empty() {
            let len = if is_whole { rest.len() } else { 1 + rng.below(rest.len().min(60)) };
            self.inbox_of_twin.extend_from_slice(&rest[..len]);
            twin.handle_bytes(at(now), &mut self.inbox_of_twin);
            rest = &rest[len..];
        }
    }

    /// W8: what is left of an old connection is not listened to.
    pub(crate) fn receive_late(&mut self, now: u64, bytes: &[u8]) -> Held {
        self.inbox.extend_from_slice(bytes);
        self.session.handle_bytes(at(now), &mut self.inbox);
        hold!("W8", !self.session.has_events(), "bytes of an old connection were used");
        hold!("W8", self.inbox.is_empty(), "bytes of an old connection were kept");
        self.inbox_of_twin.clear();
        Ok(())
    }

    pub(crate) fn event(&mut self) -> Result<Option<Event<u32>>, Broken> {
        let event = self.session.poll_event();
        if let Some(twin) = &mut self.twin {
            let other = twin.poll_event();
            if event.as_ref().map(print) != other.as_ref().map(print) {
                return Err(Broken(format!("W13: {event:?}, split in another way {other:?}")));
            }
        }
        Ok(event)
    }

    pub(crate) fn transmit(&mut self) -> Result<Option<BytesMut>, Broken> {
        let bytes = self.session.poll_transmit();
        if let Some(twin) = &mut self.twin {
            let other = twin.poll_transmit();
            if bytes != other {
                return Err(Broken("W13: split in another way, it sends something else".into()));
            }
            let (one, two) = (self.session.poll_timeout(), twin.poll_timeout());
            if one != two {
                return Err(Broken(format!("W13: due at {one:?}, split in another way at {two:?}")));
            }
        }
        Ok(bytes)
    }
}

/// The fingerprint of an event, all of it.
pub(crate) fn print(event: &Event<u32>) -> u64 {
    let mut print = Print::new();
    match event {
        Event::Established(e) => {
            print.add(1).add(e.id.0 as u64).add(e.timeout.as_millis() as u64);
            print.add(u64::from(e.read_only)).add(u64::from(e.resumed));
        }
        Event::Lost { why, was_up } => {
            // Rare, so it may cost something.
            print.add(2).add_bytes(format!("{why:?}").as_bytes()).add(u64::from(*was_up));
        }
        Event::Expired { id } => drop(print.add(3).add(id.0 as u64)),
        Event::Reply { ticket, zxid, result } => {
            print.add(4).add(u64::from(*ticket)).add(zxid.0 as u64);
            match result {
                Ok(body) => print.add_bytes(body),
                Err(ReplyFailure::Refused(code)) => print.add(5).add(code.0 as u64),
                Err(ReplyFailure::TooLarge(size)) => print.add(6).add(size.len as u64),
            };
        }
        Event::Interrupted { ticket, by, outcome } => {
            print.add(7).add(u64::from(*ticket)).add_bytes(format!("{by:?}{outcome:?}").as_bytes());
        }
        Event::Watch(event) => {
            print.add(8).add(event.event_type.0 as u64).add(event.zxid.0 as u64).add_bytes(event.path.as_bytes());
        }
        Event::Bookmark(zxid) => drop(print.add(9).add(zxid.0 as u64)),
        Event::SaslWanted | Event::SaslToken(_) => drop(print.add(11)),
        Event::Ended(end) => drop(print.add(10).add_bytes(format!("{end:?}").as_bytes())),
    }
    print.get()
}
