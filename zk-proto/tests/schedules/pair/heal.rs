//! The end of a schedule: all faults end, and everything must come to rest.

use super::{
    super::calls::{Ask, Kind},
    Event, Held, Link, Mark, Pair, Site, State, hold, site, trace,
};
use zk_proto::session::Outcome;

/// Rounds of dialing, carrying and answering until everything must be at rest: a few connections, each with a few
/// rounds.
const ROUNDS_MAX: usize = 40;

impl Pair<'_> {
    /// All faults end. The client must come to rest with everything told and every watch set, see bookmarks flow, and
    /// close; and then it takes nothing more.
    pub(super) fn heal(&mut self) -> Held {
        trace!(self, "pair", "heals");
        self.ghost();
        self.is_healthy = true;
        self.plan.piece = 0;
        self.heal_servers();
        self.heal_link()?;
        self.come_to_rest()?;
        if self.client.session.state() != State::Ended {
            self.at_rest()?;
            self.bookmark()?;
            self.close_for_good()?;
        }
        self.nothing_more()?;
        self.rules.at_the_end(&mut self.ensemble, &mut self.marks)
    }

    fn heal_servers(&mut self) {
        for member in 0..self.plan.servers {
            let link = self.link.as_mut().filter(|link| link.host.member == member);
            let is_linked = link.is_some();
            if std::mem::take(&mut self.ensemble.members[member].read_only)
                && let Some(link) = link
            {
                link.host.forget();
            }
            while !is_linked && self.ensemble.replicate(member).is_some() {}
        }
    }

    /// A link with a hole, or with a server that never answers, is given up by and by.
    fn heal_link(&mut self) -> Held {
        let is_dead = |link: &Link| link.hole_up || link.hole_down;
        let is_mute = self.client.session.state() == State::Greeting;
        if self.link.as_ref().is_some_and(is_dead) || is_mute {
            self.flush()?;
            self.pass_until(self.now + self.plan.timeout.min(self.plan.timeout_max) * 2 / 3 + self.plan.patience)?;
        }
        Ok(())
    }

    /// Everything that is on its way arrives, and is answered.
    fn flush(&mut self) -> Held {
        if let Some(mut link) = self.link.take() {
            let bytes = std::mem::take(&mut link.to_server);
            if !link.hole_up {
                self.receive(&mut link, &bytes);
            }
            if link.host.session != 0 && link.host.wire.is_up() {
                link.host.catch_up(site!(self));
            }
            while !link.host.is_idle() {
                self.serve_one(&mut link)?;
            }
            self.link = Some(link);
        }
        self.settle()?;
        let Some(link) = &mut self.link else { return Ok(()) };
        Self::collect(link);
        let len = link.to_client.len();
        self.deliver(len)
    }

    fn come_to_rest(&mut self) -> Held {
        for _ in 0..ROUNDS_MAX {
            self.steps += 1;
            if self.client.session.state() == State::Down {
                self.heal_servers();
                self.dial()?;
            }
            self.flush()?;
            let state = self.client.session.state();
            let is_idle = self.link.as_ref().is_some_and(Link::is_idle);
            if state == State::Ended || state == State::Up && self.client.session.queued() == 0 && is_idle {
                return Ok(());
            }
            self.pass_until(self.now + 10)?;
        }
        let session = &self.client.session;
        hold!("W4", false, "it does not come to rest: {session:?}");
        Ok(())
    }

    fn at_rest(&mut self) -> Held {
        let Some(link) = &self.link else { return Ok(()) };
        let nodes = &self.ensemble.members[link.host.member].nodes;
        self.rules.at_rest(&link.host.watched, &link.host.may_have_more, nodes)?;
        self.marks.hit(Mark::Rest);
        Ok(())
    }

    /// A ping leaves when it should, and its answer is told.
    fn bookmark(&mut self) -> Held {
        let before = self.rules.bookmarks;
        for _ in 0..3 {
            // What is due already goes first: the server has heard nothing since it took the client.
            self.pass_until(self.now)?;
            self.flush()?;
            self.pass_until(self.now + self.plan.timeout.min(self.plan.timeout_max) / 3)?;
            self.flush()?;
        }
        hold!("W10", self.rules.bookmarks > before, "no bookmark in a whole timeout");
        Ok(())
    }

    fn close_for_good(&mut self) -> Held {
        let held = self.rules.held();
        self.close();
        self.settle()?;
        for _ in 0..5 {
            self.flush()?;
        }
        hold!("W4", self.client.session.state() == State::Ended, "close() does not end");
        let is_gone = held.is_some_and(|id| self.ensemble.session(id).is_none());
        hold!("W5", is_gone, "closed, and session {held:x?} lives on");
        Ok(())
    }

    /// Behind the end nothing is taken, nothing is sent, nothing is due.
    fn nothing_more(&mut self) -> Held {
        let (late, ask) = (self.rules.calls() as u32, Ask { kind: Kind::Read, path: 0 });
        self.client.submit(self.now, ask, late, self.paths, &self.plan);
        let event = self.client.event()?;
        let is_refused = matches!(
            event,
            Some(Event::Interrupted { ticket, outcome: Outcome::NotSent, .. }) if ticket == late
        );
        hold!("W4", is_refused, "a late call is answered {event:?}");
        self.client.dialed(self.now, 1000);
        self.client.timeout(self.now + 1_000_000);
        self.client.closed();
        let (event, bytes) = (self.client.event()?, self.client.transmit()?);
        hold!("W4", event.is_none() && bytes.is_none(), "behind the end: {event:?}, {bytes:?}");
        hold!("W4", self.client.session.poll_timeout().is_none(), "something is due behind the end");
        Ok(())
    }
}
