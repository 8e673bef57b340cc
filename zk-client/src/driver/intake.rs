//! Commands of handles, in the order in which they were called.

use super::{
    COMMANDS_A_TURN, Driver, IN_FLIGHT_MAX,
    fanout::Line,
    ticket::{Command, Ticket},
};

/// Commands that are kept here while too many requests are on their way; more wait in the handles' queue.
pub(super) const HELD_MAX: usize = 16 * 1024;

impl Driver {
    /// Whether another request may be put on its way.
    pub(super) fn has_room(&self) -> bool {
        self.session.queued() < IN_FLIGHT_MAX && self.close_by.is_none() && self.moving_by.is_none()
    }

    /// Takes over what was just received. Everything is looked at, so that a deadline is kept however long the queue is.
    pub(super) fn take_commands(&mut self) {
        for mut command in self.batch.drain(..) {
            if let Some(at) = command.caller().and_then(|caller| caller.deadline()) {
                self.deadlines.add(at);
            }
            self.held.push_back(command);
        }
        self.run_commands(COMMANDS_A_TURN);
    }

    /// Carries commands out, while there is room for what they send.
    pub(super) fn run_commands(&mut self, most: usize) {
        let now = self.now;
        for _ in 0..most {
            if self.close_by.is_none() && !self.has_room() {
                break;
            }
            let Some(mut command) = self.held.pop_front() else { break };
            if command.is_too_late(self.turn_at) {
                continue;
            }
            // A fenced request that has to wait for a connection ends with its session: the machine sees to that.
            let Some(command) = command.pass(self.session.credentials().id) else { continue };
            let command = match command {
                Command::Submit(request, caller) if self.batching.takes(&request, self.connection.is_some()) => {
                    self.batching.push(&mut self.session, now, (request, caller));
                    continue;
                }
                other @ (Command::Submit(..)
                | Command::AddAuth { .. }
                | Command::Watch(_)
                | Command::Attach(..)
                | Command::Fenced(..)
                | Command::AcceptRebuilt(_)
                | Command::UpdateServers(_)) => other,
            };
            self.batching.flush(&mut self.session, now);
            self.run_command(command);
        }
        self.batching.flush(&mut self.session, now);
    }

    fn run_command(&mut self, command: Command) {
        let now = self.now;
        match command {
            Command::Submit(request, caller) => self.session.submit(now, request, None, Ticket::Call(caller)),
            Command::AddAuth { scheme, auth, answer } => {
                self.add_auth(&scheme, &auth, answer);
            }
            Command::Attach(inline, chroot) => self.attach(inline, chroot),
            Command::Watch(command) => self.watch_command(command),
            Command::AcceptRebuilt(answer) => drop(answer.send(self.session.accept_rebuilt())),
            Command::UpdateServers(servers) => self.update_servers(servers),
            // It was passed before, and holds no other.
            Command::Fenced(..) => {}
        }
    }

    /// Tells callers whose time is over. What has not left never does.
    pub(super) fn expire_calls(&mut self) {
        if !self.deadlines.have_come(self.turn_at) {
            return;
        }
        let now = self.turn_at;
        for (ticket, outcome) in self.session.tickets() {
            ticket.expire(now, outcome);
        }
        self.withdraw();
        self.held.retain_mut(|command| !command.is_too_late(now));
    }

    /// Takes back what waits for a connection and whose callers were told. A read that would have left a watch leaves none:
    /// whoever was told has no watch, and others on the path keep theirs.
    pub(super) fn withdraw(&mut self) {
        let (now, mut reads) = (self.now, Vec::new());
        self.session.withdraw(|ticket| {
            let is_given_up = ticket.is_given_up();
            if let (true, Ticket::Oneshot { path, kind, .. }) = (is_given_up, ticket) {
                reads.push((path.clone(), *kind));
            }
            is_given_up
        });
        let line = &mut Line { session: &mut self.session, now };
        for (path, kind) in reads {
            self.fanout.read_interrupted(line, &path, kind);
        }
    }
}
