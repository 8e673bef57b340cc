//! The pair: the machine and a server, a link between them that fails in every way, and one virtual clock.

use super::{
    calls::Ask,
    chance::{Print, Rng},
    client::{Client, print},
    ensemble::Ensemble,
    host::{Host, Site},
    marks::{Mark, Marks},
    paths::Paths,
    plan::{Plan, Step},
    rules::{AUTH_TICKETS, Broken, Held, Rules, hold},
};
use zk_proto::session::{Event, State};

#[path = "pair/faults.rs"]
mod faults;
#[path = "pair/heal.rs"]
mod heal;

/// Two directions of bytes on their way, and the server at the end.
struct Link {
    host: Host,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// Bytes vanish, and nobody is told.
    hole_up: bool,
    hole_down: bool,
    /// Bytes that the client got.
    delivered: usize,
}

impl Link {
    fn is_idle(&self) -> bool {
        self.to_server.is_empty() && self.to_client.is_empty() && self.host.is_idle() && self.host.wire.is_up()
    }
}

/// A connection that the client has given up, while its last requests are still on their way.
struct Ghost {
    host: Host,
    to_server: Vec<u8>,
}

pub(crate) struct Pair<'p> {
    plan: Plan,
    paths: &'p Paths,
    rng: Rng,
    now: u64,
    client: Client,
    link: Option<Link>,
    ghost: Option<Ghost>,
    ensemble: Ensemble,
    rules: Rules,
    print: Print,
    pub(crate) marks: Marks,
    pub(crate) steps: u64,
    is_healthy: bool,
    is_traced: bool,
    /// The driver is late: timers that are due have not run.
    is_late: bool,
    dribbled: bool,
}

/// Prints a line when one seed is looked at.
macro_rules! trace {
    ($pair:expr, $who:literal, $($what:tt)+) => {
        if $pair.is_traced {
            $crate::say(&format!("{:>8} ms  {:<7} {}", $pair.now, $who, format_args!($($what)+)));
        }
    };
}
use trace;

/// The surroundings of a server, out of a pair whose link is taken.
macro_rules! site {
    ($pair:expr) => {
        &mut Site {
            ensemble: &mut $pair.ensemble,
            plan: &$pair.plan,
            paths: $pair.paths,
            rng: &mut $pair.rng,
            marks: &mut $pair.marks,
            now: $pair.now,
            is_healthy: $pair.is_healthy,
        }
    };
}
use site;

impl<'p> Pair<'p> {
    pub(crate) fn new(seed: u64, paths: &'p [Paths; 2], is_traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::new(&mut rng);
        let pair = Self {
            paths: &paths[usize::from(plan.long_paths)],
            now: 0,
            client: Client::new(&plan),
            link: None,
            ghost: None,
            ensemble: Ensemble::new(&plan),
            rules: Rules::new(&plan),
            print: Print::new(),
            marks: Marks::new(),
            steps: 0,
            is_healthy: false,
            is_traced,
            is_late: false,
            dribbled: false,
            rng,
            plan,
        };
        trace!(pair, "plan", "{:?}", pair.plan);
        pair
    }

    /// Plays the schedule; the fingerprint of everything that happened.
    pub(crate) fn play(&mut self) -> Result<u64, Broken> {
        if self.plan.has_twin {
            self.marks.hit(Mark::Twin);
        }
        for _ in 0..self.plan.steps {
            let step = self.plan.step(&mut self.rng);
            // Rare, so it must not slip by.
            let is_between = self.plan.long_paths && self.rules.rearmed().0 > 1 && !self.rng.one_in(4);
            self.step(if is_between { Step::CutBetweenRearms } else { step })?;
            if self.client.session.state() == State::Ended && self.rng.one_in(4) {
                break;
            }
        }
        self.heal()?;
        Ok(self.print.get())
    }

    fn step(&mut self, step: Step) -> Held {
        self.steps += 1;
        self.print.add(step as u64).add(self.now);
        match step {
            Step::Submit => self.submit(),
            Step::Flow => return self.flow(),
            Step::CarryToServer => self.carry_to_server(),
            Step::CarryToClient => return self.carry_to_client(),
            Step::Serve => return self.serve(),
            Step::Change => self.change(),
            Step::Replicate => self.replicate(),
            Step::Dial => return self.dial(),
            Step::Pass => return self.pass(8),
            Step::PassLong => return self.pass(100),
            Step::AddAuth => self.add_auth(),
            Step::Cut => return self.cut(),
            Step::HoleUp | Step::HoleDown => self.hole(step),
            Step::Expire => self.expire(),
            Step::Close => self.close(),
            Step::HangUp | Step::Move => self.hang_up(step),
            Step::Garbage => self.garbage(),
            Step::Dribble => return self.dribble(),
            Step::Trickle => return self.trickle(),
            Step::Late => return self.late(),
            Step::Ghost => self.ghost(),
            Step::CutBetweenRearms => return self.cut_between_rearms(),
            Step::SwitchReadOnly => self.switch_read_only(),
        }
        self.settle()
    }

    fn submit(&mut self) {
        let ask = Ask::new(&mut self.rng, &self.plan);
        let ticket = self.rules.calls() as u32;
        trace!(self, "client", "submits {ticket}: {ask:?}");
        self.rules.submitted(ask.kind, ask.path);
        self.client.submit(self.now, ask, ticket, self.paths, &self.plan);
    }

    fn add_auth(&mut self) {
        let identity = self.rules.identities();
        if identity == 5 {
            return;
        }
        trace!(self, "client", "adds identity {identity}");
        self.rules.auth_added();
        self.client.add_auth(self.now, identity as u8, AUTH_TICKETS + identity as u32);
    }

    fn close(&mut self) {
        let state = self.client.session.state();
        if self.rules.is_closing || state == State::Ended {
            return;
        }
        trace!(self, "client", "closes");
        match state {
            State::Down => self.marks.hit(Mark::CloseDown),
            State::Greeting => self.marks.hit(Mark::CloseGreeting),
            State::Up if self.rules.is_rearming() => self.marks.hit(Mark::CloseWhileRearming),
            State::Authenticating | State::Up | State::Ended => {}
        }
        self.rules.closes();
        self.client.close(self.now);
    }

    fn dial(&mut self) -> Held {
        if self.client.session.state() != State::Down {
            return Ok(());
        }
        let member = self.rng.below(self.plan.servers);
        trace!(self, "link", "a transport to server {member} stands");
        self.link = Some(Link {
            host: Host::new(member, &self.plan),
            to_server: Vec::new(),
            to_client: Vec::new(),
            hole_up: false,
            hole_down: false,
            delivered: 0,
        });
        self.dribbled = false;
        self.rules.dialed(self.now);
        self.client.dialed(self.now, self.plan.patience);
        self.settle()
    }

    /// Some bytes arrive at the server.
    fn carry_to_server(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        let len = self.rng.some_of(link.to_server.len());
        if len > 0 && link.hole_up {
            trace!(self, "link", "{len} bytes to the server vanish");
            link.to_server.drain(..len);
        } else if len > 0 {
            trace!(self, "link", "{len} bytes arrive at the server");
            let bytes: Vec<u8> = link.to_server.drain(..len).collect();
            self.receive(&mut link, &bytes);
        }
        self.link = Some(link);
    }

    fn serve(&mut self) -> Held {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        let held = self.serve_one(&mut link);
        self.link = Some(link);
        held
    }

    fn serve_one(&mut self, link: &mut Link) -> Held {
        if let Some((xid, op)) = link.host.next() {
            trace!(self, "server", "answers {xid} {}", op.name().unwrap_or("?"));
        }
        link.host.serve(site!(self));
        for (list, path, node) in link.host.rearmed.drain(..) {
            self.rules.rearmed_silently(list, path, node)?;
        }
        for (list, path, node) in link.host.told.drain(..) {
            self.rules.rearmed_loudly(list, path, node)?;
        }
        Ok(())
    }

    fn flow(&mut self) -> Held {
        if let Some(mut link) = self.link.take() {
            if !link.hole_up {
                let bytes = std::mem::take(&mut link.to_server);
                self.receive(&mut link, &bytes);
            }
            while !link.host.is_idle() {
                self.serve_one(&mut link)?;
            }
            Self::collect(&mut link);
            let len = link.to_client.len();
            self.link = Some(link);
            self.deliver(len)?;
        }
        Ok(())
    }

    fn receive(&mut self, link: &mut Link, bytes: &[u8]) {
        let before = link.host.session;
        link.host.receive(bytes, site!(self));
        if link.host.wire.is_closing() {
            trace!(self, "server", "hangs up");
        }
        if before != link.host.session {
            trace!(self, "server", "{} takes the client into session {:#x}", link.host.member, link.host.session);
            // The server closes the old connection of a session that is taken up again.
            self.ghost = self.ghost.take().filter(|ghost| ghost.host.session != link.host.session);
        }
    }

    /// What the server has to say goes on its way.
    fn collect(link: &mut Link) {
        if let Some(bytes) = link.host.wire.poll_transmit()
            && !link.hole_down
        {
            link.to_client.extend_from_slice(&bytes);
        }
    }

    /// Some bytes arrive at the client, or the end of the server's.
    fn carry_to_client(&mut self) -> Held {
        let Some(link) = &mut self.link else { return Ok(()) };
        Self::collect(link);
        let len = self.rng.some_of(link.to_client.len());
        self.deliver(len)
    }

    fn deliver(&mut self, len: usize) -> Held {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        if len == 0 {
            let is_end = link.host.wire.is_closing() && link.to_client.is_empty() && !link.hole_down;
            self.link = Some(link);
            return if is_end { self.cut() } else { Ok(()) };
        }
        trace!(self, "link", "{len} bytes arrive at the client");
        let part = &link.to_client[..len];
        self.print.add_bytes(part);
        self.rules.delivered(part, self.now, &mut self.marks);
        self.client.receive(self.now, part, self.plan.piece, &mut self.rng);
        link.to_client.drain(..len);
        link.delivered += len;
        self.link = Some(link);
        self.settle()?;
        self.rules.all_told()
    }

    /// The link breaks, or the server has hung up: the client is told so, and nothing more arrives. What was on its
    /// way to the server may still get there.
    fn cut(&mut self) -> Held {
        let Some(link) = self.link.take() else { return Ok(()) };
        trace!(self, "link", "breaks");
        let (rearms, answered) = self.rules.rearmed();
        if rearms > answered && answered > 0 {
            self.marks.hit(Mark::CutBetweenRearmFrames);
        }
        let is_greeting = self.client.session.state() == State::Greeting;
        if is_greeting && link.delivered > 0 {
            self.marks.hit(Mark::CutInConnectAnswer);
        }
        let late = link.to_client.clone();
        self.link = Some(link);
        self.rules.cut();
        self.client.closed();
        self.settle()?;
        hold!("W12", self.link.is_none(), "the client does not believe that the connection is closed");
        self.client.receive_late(self.now, &late)
    }

    /// Other clients write; the servers come to know of it one by one.
    fn change(&mut self) {
        trace!(self, "server", "another client writes");
        self.ensemble.change(&mut self.rng, self.plan.paths);
        if self.rng.one_in(2) {
            self.replicate();
        }
    }

    fn replicate(&mut self) {
        let member = self.rng.below(self.plan.servers);
        let Some((txn, zxid)) = self.ensemble.replicate(member) else { return };
        trace!(self, "server", "{member} applies {zxid:#x}: {txn:?}");
        let Some(mut link) = self.link.take() else { return };
        if link.host.member == member {
            link.host.applied(txn, zxid, site!(self));
        }
        self.link = Some(link);
    }

    /// The servers end the sessions that nothing was heard of, and hang up on them.
    fn expire_silent(&mut self) {
        self.ensemble.expire_silent(self.now);
        if let Some(link) = &mut self.link
            && link.host.session != 0
            && !self.ensemble.members[link.host.member].read_only
            && self.ensemble.session(link.host.session).is_none()
        {
            link.host.forget();
        }
    }

    /// Time passes: up to so many sixtieths of the timeout.
    fn pass(&mut self, most: usize) -> Held {
        let sixtieths = self.rng.below(most) as u64;
        self.pass_until(self.now + self.plan.timeout / 60 * sixtieths)
    }

    fn pass_until(&mut self, until: u64) -> Held {
        for turn in 0.. {
            hold!("W10", turn < 50, "the timers do not move: {:?}", self.client.session.poll_timeout());
            let Some(due) = self.client.session.poll_timeout().map(|due| due.as_millis() as u64) else { break };
            if due > until {
                break;
            }
            self.now = self.now.max(due);
            trace!(self, "client", "timer");
            self.client.timeout(self.now);
            self.settle()?;
        }
        self.now = until;
        self.expire_silent();
        self.rules.timers_ran(self.now, self.client.session.state())
    }

    /// Drains the machine, as its rule demands, and holds everything against the rules.
    fn settle(&mut self) -> Held {
        self.rules.settles();
        let mut events = 0;
        while let Some(event) = self.client.event()? {
            trace!(self, "client", "is told {event:?}");
            self.print.add(print(&event));
            events += 1;
            hold!("W4", events < 1000, "events without end");
            self.note(&event);
            self.rules.event(&event, self.now, (&mut self.ensemble, self.paths), &mut self.marks)?;
            if matches!(event, Event::Lost { .. } | Event::Ended(_)) {
                self.drop_link();
            }
        }
        while let Some(bytes) = self.client.transmit()? {
            self.print.add_bytes(&bytes);
            trace!(self, "client", "sends {} bytes: {}", bytes.len(), super::wire::sketch(&bytes));
            self.rules.transmitted(&bytes, self.now, self.paths, &mut self.marks)?;
            let Some(link) = &mut self.link else { return Err(Broken("W8: bytes without a connection".into())) };
            link.to_server.extend_from_slice(&bytes);
        }
        self.rules.settled(self.client.session.state())?;
        let (paths, known) = (self.client.session.watched_paths(), self.rules.watched_paths());
        hold!("E5", paths == known, "{paths} paths are watched, replies and events say {known}");
        let zxid = self.client.session.last_zxid().0;
        hold!(
            "W7",
            zxid == self.rules.seen_zxid(),
            "the last zxid is {zxid:#x}, {:#x} was shown",
            self.rules.seen_zxid()
        );
        Ok(())
    }

    /// Marks that only the pair can see.
    fn note(&mut self, event: &Event<u32>) {
        let Event::Lost { why, was_up } = event else { return };
        if *why == zk_proto::session::Loss::Silent {
            let is_hole = self.link.as_ref().is_some_and(|link| link.hole_up || link.hole_down);
            self.marks.hit(match (was_up, self.is_late, is_hole, self.dribbled) {
                (_, true, ..) => Mark::Late,
                (true, _, _, true) => Mark::Dribble,
                (false, ..) => Mark::HoleInGreeting,
                (true, _, true, _) => Mark::Hole,
                _ => return,
            });
        }
    }

    /// The client has given the transport up. The server does not know yet, and may still read.
    fn drop_link(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        if self.rng.one_in(4) {
            // The host closes its transport, and says so: that is no second loss.
            self.client.closed();
        }
        link.host.wire.poll_transmit();
        if link.host.wire.is_up() && !link.hole_up && !self.is_healthy {
            let len = self.rng.some_of(link.to_server.len());
            link.to_server.truncate(len);
            self.ghost = Some(Ghost { host: link.host, to_server: link.to_server });
        }
    }
}
