//! Requests without an answer, looked at from outside: for owners whose patience ends before the server's.
//!
//! Knows nothing of time.

use super::{Change, Outcome, Session, Waiting, inflight::Purpose};

impl<T> Session<T> {
    /// The ticket of each request without an answer, oldest first, and how the request would end if it ended now:
    /// [`Outcome::Unknown`] once it may have left, [`Outcome::NotSent`] while it waits for a connection. What
    /// [`poll_transmit`](Self::poll_transmit) gives out next is taken to have left. Identities are not among them.
    pub fn tickets(&mut self) -> impl Iterator<Item = (&mut T, Outcome)> {
        let sent = self.in_flight.iter_mut().filter_map(|pending| match &mut pending.purpose {
            Purpose::Call(ticket) => Some((ticket, Outcome::Unknown)),
            Purpose::Rearm | Purpose::Sasl | Purpose::Close => None,
        });
        sent.chain(self.waiting.iter_mut().map(|waiting| (&mut waiting.ticket, Outcome::NotSent)))
    }

    /// Takes back requests that wait for a connection: they are never sent, and their tickets never come back. One that
    /// would set a watch sets none. One that removes some stays, because what sets them may wait before it.
    pub fn withdraw(&mut self, mut unwanted: impl FnMut(&T) -> bool) {
        self.waiting.retain(|Waiting { change, ticket, .. }| {
            matches!(change, Some(Change::Remove(..) | Change::RemoveAll(_))) || !unwanted(ticket)
        });
    }

    /// Whether data of an unknown length is on its way that its owner gets as it was read. A transport that reads the
    /// length of each frame first, meanwhile, and then no more than the frame, never has to move that.
    #[must_use]
    pub fn awaits_data(&self) -> bool {
        self.in_flight.awaits_data() && !self.splitter.is_skipping()
    }
}
