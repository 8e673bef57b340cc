//! A new list of servers while the session goes on, and the move to another one.
//!
//! A move loses nothing: what is on its way is waited for, what is called meanwhile goes out on the next connection.

use super::{Driver, link::Link, ticket::Ticket};
use crate::{call::Outcomes, connect_string::HostPort, tracking::Tracker};
use std::{sync::Arc, time::Duration};
use zk_proto::session::{Interruption, Outcome};

/// How long a move waits for what is on its way; after that it is a lost connection like any other.
pub(super) const MOVE_PATIENCE: Duration = Duration::from_secs(2);

impl Driver {
    pub(super) fn update_servers(&mut self, servers: Vec<HostPort>) {
        self.hosts.named(&servers);
        let moves = self.hosts.update(servers, self.connection.is_some());
        self.servers_changed(moves);
    }

    /// Reads the ensemble's configuration, and uses the servers that it names.
    pub(crate) fn track_config(&mut self, port: Option<u16>) {
        self.attach(Box::new(Tracker::new(port)), Arc::default());
    }

    /// A consumer may have said which servers are to be used.
    fn follow(&mut self) {
        let Some(servers) = self.followed.take() else { return };
        match self.hosts.follow(servers, self.connection.map(|connection| connection.server)) {
            Some(moves) => self.servers_changed(moves),
            None => self.seek(self.seeking.is_some()),
        }
    }

    fn servers_changed(&mut self, moves: bool) {
        tracing::info!(moves, "the list of servers was changed");
        if self.connection.is_some() {
            self.moving_by = moves.then_some(self.turn_at + MOVE_PATIENCE);
            self.seek(self.seeking.is_some());
            return;
        }
        // An attempt under way is on a server of the old list.
        match self.link {
            Link::Down(_) => self.link = Link::Down(None),
            Link::Up(_) => self.session.handle_closed(),
        }
    }

    /// There is no session and, it seems, never will be one: who waits for it is told, instead of waiting for ever. An identity
    /// may wait here that has left on a connection before, and a read that has left with others to a read-only server.
    pub(super) fn give_up_waiting(&mut self) {
        let unreachable = self.hosts.unreachable();
        let lost = || Outcomes::Interrupted { by: Interruption::ConnectionLost, outcome: Outcome::Unknown };
        for (ticket, outcome) in self.session.tickets() {
            if let Ticket::Again(read) = ticket {
                read.1.give_up(lost());
            } else if let Ticket::Call(caller) | Ticket::Oneshot { answer: Some(caller), .. } = ticket {
                caller.give_up(match outcome {
                    Outcome::NotSent => Outcomes::Unreachable(unreachable.clone()),
                    Outcome::Unknown => lost(),
                });
            }
        }
        self.withdraw();
    }

    /// Leaves the server once nothing is on its way; answers whether it did.
    pub(super) fn move_on(&mut self) -> bool {
        self.follow();
        let is_time = self.moving_by.is_some_and(|by| self.session.queued() == 0 || by <= self.turn_at);
        if is_time {
            self.moving_by = None;
            self.session.handle_closed();
        }
        is_time
    }
}
