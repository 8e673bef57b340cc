//! The client's end as a handle wants it: with its session, or without, so that somebody else goes on with that.
//!
//! What was called before goes out first, either way. Then a close is one more request. A leave is none: the driver waits until
//! what was called is answered, and hangs up.

use super::{Driver, ticket::Ticket};
use crate::{bell::Farewell, call::Outcomes, session_export::SessionExport};
use std::time::Duration;
use tokio::time::Instant;
use zk_proto::{
    SessionId,
    session::{Outcome, State},
};

/// How long the end waits for the server's word.
const PATIENCE: Duration = Duration::from_secs(2);

impl Driver {
    /// Begins the end, as whoever came first wants it; the last handle that is dropped closes.
    pub(super) fn begin_end(&mut self) {
        if self.close_by.is_some() {
            return;
        }
        self.close_by = Some(Instant::now() + PATIENCE);
        // What was called before goes out before it.
        while let Ok(command) = self.commands.try_recv() {
            self.batch.push(command);
        }
        self.take_commands();
        self.run_commands(usize::MAX);
        match self.sweep.bell.farewell() {
            Some(Farewell::Leave) => {
                self.is_leaving = true;
                // There is no other server to go to.
                self.moving_by = None;
            }
            Some(Farewell::Close) | None => self.session.close(self.now),
        }
    }

    /// Hangs up on the server that is to be left, once everything that was called is answered, or cannot be any more; answers
    /// whether it did. The session knows nothing of it, and its servers no more than of any connection that ends.
    pub(super) fn hang_up(&mut self) -> bool {
        if self.ended {
            // Something else has ended it first.
            return false;
        }
        let is_up = self.session.state() == State::Up;
        if is_up && self.session.tickets().any(|(ticket, _)| ticket.is_called_for()) {
            return false;
        }
        let credentials = self.session.credentials();
        if credentials.id != SessionId::NONE {
            tracing::info!(session = %credentials.id, "leaving the session, which lives on");
            self.state.leave(SessionExport::new(credentials.clone(), self.session.last_zxid()));
        }
        // Without a connection, a close sends nothing.
        self.session.handle_closed();
        self.session.close(self.now);
        true
    }

    /// Nobody reads the queue any more: what is left there was never sent.
    pub(super) fn abandon_commands(&mut self) {
        self.commands.close();
        let (by, outcome) = (self.state.borrow().interruption(), Outcome::NotSent);
        while let Some(mut command) = self.held.pop_front().or_else(|| self.commands.try_recv().ok()) {
            if let Some(caller) = command.caller() {
                caller.give_up(Outcomes::Interrupted { by, outcome });
            }
        }
    }
}

impl Ticket {
    /// Whether somebody has called for it, whose call is to be answered before the client leaves.
    const fn is_called_for(&self) -> bool {
        match self {
            Self::Call(_)
            | Self::Batch(_)
            | Self::Again(_)
            | Self::Watch { .. }
            | Self::Unwatch { told: Some(_), .. }
            | Self::Oneshot { answer: Some(_), .. } => true,
            // The connector's, the fan-out's, or a consumer's, which may always have one on its way.
            Self::Nobody
            | Self::Inline { .. }
            | Self::Unwatch { told: None, .. }
            | Self::Oneshot { answer: None, .. } => false,
        }
    }
}
