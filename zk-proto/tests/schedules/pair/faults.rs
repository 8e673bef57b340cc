//! What goes wrong, one step a fault.

use super::{super::greet::garbage, Held, Mark, Pair, Site, Step, site, trace};

/// The longest part in which a slow link gives a long reply: enough for one sign of life, and sometimes for two.
const PART_MAX: usize = 6_000;

impl Pair<'_> {
    pub(super) fn cut_between_rearms(&mut self) -> Held {
        let (sent, answered) = self.rules.rearmed();
        let Some(link) = &mut self.link else { return Ok(()) };
        if sent < 2 || answered > 0 || link.hole_up || link.hole_down {
            return Ok(());
        }
        let Some(mut link) = self.link.take() else { return Ok(()) };
        // What changed while nobody watched is what the second frame is for.
        self.ensemble.change(&mut self.rng, self.plan.paths);
        self.ensemble.change(&mut self.rng, self.plan.paths);
        let bytes = std::mem::take(&mut link.to_server);
        self.receive(&mut link, &bytes);
        link.host.catch_up(site!(self));
        let held = self.serve_one(&mut link);
        Self::collect(&mut link);
        self.link = Some(link);
        held?;
        let Some(link) = &mut self.link else { return Ok(()) };
        let len = link.to_client.len();
        self.deliver(len)?;
        self.cut()
    }

    pub(super) fn hole(&mut self, step: Step) {
        let Some(link) = &mut self.link else { return };
        if step == Step::HoleUp {
            link.hole_up = true;
        } else {
            link.hole_down = true;
            link.to_client.clear();
        }
        trace!(self, "link", "{step:?}");
    }

    /// The servers end the session, for whatever reason.
    pub(super) fn expire(&mut self) {
        let Some(id) = self.rules.held() else { return };
        if self.ensemble.end_session(id) {
            trace!(self, "server", "ends session {id:#x}");
            if self.rules.is_rearming() {
                self.marks.hit(Mark::ExpiryWhileRearming);
            }
            if let Some(link) = &mut self.link
                && link.host.session == id
            {
                link.host.forget();
            }
        }
    }

    /// The server hangs up: it goes down, or the session was taken up somewhere else.
    pub(super) fn hang_up(&mut self, step: Step) {
        let Some(link) = &mut self.link else { return };
        trace!(self, "server", "{step:?}");
        if step == Step::Move && link.host.session != 0 {
            self.marks.hit(Mark::SessionMoved);
        }
        link.host.forget();
    }

    pub(super) fn garbage(&mut self) {
        let Some(link) = &mut self.link else { return };
        if !link.host.wire.is_up() || link.hole_down {
            return;
        }
        let (bytes, mark) = garbage(&mut self.rng, self.rules.auth_is_asked());
        trace!(self, "server", "{mark:?}");
        self.marks.hit(mark);
        link.host.wire.transmit_raw(bytes);
    }

    pub(super) fn switch_read_only(&mut self) {
        let member = self.rng.below(self.plan.servers);
        let read_only = !self.ensemble.members[member].read_only;
        trace!(self, "server", "{member} is read-only: {read_only}");
        self.ensemble.members[member].read_only = read_only;
        if let Some(link) = &mut self.link
            && link.host.member == member
        {
            link.host.forget();
        }
        self.ghost = self.ghost.take().filter(|ghost| ghost.host.member != member);
    }

    /// The last requests of a connection that the client has given up arrive after all.
    pub(super) fn ghost(&mut self) {
        let Some(mut ghost) = self.ghost.take() else { return };
        trace!(self, "server", "gets {} bytes of a connection that is gone", ghost.to_server.len());
        let before: u32 = self.ensemble.fates.iter().map(|fate| fate.applied).sum();
        ghost.host.caught_up.clear();
        if ghost.host.wire.is_up() {
            ghost.host.receive(&ghost.to_server, site!(self));
            while !ghost.host.is_idle() {
                ghost.host.serve(site!(self));
            }
        }
        if self.ensemble.fates.iter().map(|fate| fate.applied).sum::<u32>() > before {
            self.marks.hit(Mark::AppliedAfterLoss);
        }
        let Some(mut link) = self.link.take() else { return };
        if link.host.member == ghost.host.member {
            for (txn, zxid) in ghost.host.caught_up {
                link.host.applied(txn, zxid, site!(self));
            }
        }
        self.link = Some(link);
    }

    /// A byte now and then is no sign of life.
    pub(super) fn dribble(&mut self) -> Held {
        for _ in 0..3 {
            let Some(link) = &mut self.link else { return Ok(()) };
            Self::collect(link);
            // Never the last byte of a frame, if the frame is all there is.
            let len = usize::from(link.to_client.len() > 1);
            if len == 0 {
                return Ok(());
            }
            self.dribbled = true;
            self.deliver(len)?;
            self.pass_until(self.now + self.plan.timeout / 4)?;
        }
        Ok(())
    }

    /// A slow link: long replies come in parts.
    pub(super) fn trickle(&mut self) -> Held {
        for _ in 0..2 + self.rng.below(4) {
            let Some(link) = &mut self.link else { return Ok(()) };
            Self::collect(link);
            let len = link.to_client.len();
            let part = if len > 1 { 1 + self.rng.below(len.min(PART_MAX)) } else { len };
            self.deliver(part)?;
            self.pass(24)?;
        }
        Ok(())
    }

    /// The driver sleeps over all its timers: a process that was stopped.
    pub(super) fn late(&mut self) -> Held {
        self.now += self.plan.timeout / 6 * self.rng.below(14) as u64;
        trace!(self, "client", "wakes up late");
        self.is_late = true;
        self.expire_silent();
        let held = if self.rng.one_in(2) { self.carry_to_client() } else { Ok(()) };
        held?;
        self.client.timeout(self.now);
        self.settle()?;
        self.is_late = false;
        self.rules.timers_ran(self.now, self.client.session.state())
    }
}
