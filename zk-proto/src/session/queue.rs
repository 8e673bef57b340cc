//! Requests and identities without an answer, looked at from outside: for owners whose patience ends before the server's.
//!
//! Knows nothing of time.

use super::{Change, Identity, Outcome, Session, State, Waiting, inflight::Purpose};

impl<T> Session<T> {
    /// The ticket of each identity and each request without an answer, each oldest first, and how it would end if it ended
    /// now: [`Outcome::Unknown`] once it may have left, [`Outcome::NotSent`] while it waits for a connection. What
    /// [`poll_transmit`](Self::poll_transmit) gives out next is taken to have left.
    pub fn tickets(&mut self) -> impl Iterator<Item = (&mut T, Outcome)> {
        let are_sent = self.identities_are_sent();
        let identities = self.identities.iter_mut().filter_map(move |Identity { ticket, in_doubt, .. }| {
            let outcome = if *in_doubt || are_sent { Outcome::Unknown } else { Outcome::NotSent };
            Some((ticket.as_mut()?, outcome))
        });
        let sent = self.in_flight.iter_mut().filter_map(|pending| match &mut pending.purpose {
            Purpose::Call(ticket) => Some((ticket, Outcome::Unknown)),
            Purpose::Rearm | Purpose::Sasl | Purpose::Close => None,
        });
        let waiting = self.waiting.iter_mut().map(|waiting| (&mut waiting.ticket, Outcome::NotSent));
        identities.chain(sent).chain(waiting)
    }

    /// Takes back what waits for a connection: it is never sent, and its ticket never comes back. A request that would set a
    /// watch sets none. One that removes some stays, because what sets them may wait before it. An identity is forgotten,
    /// unless it has left on a connection before: that one is presented on every other.
    pub fn withdraw(&mut self, mut unwanted: impl FnMut(&T) -> bool) {
        // Without a connection nothing is in `auths`, so that indexes may change.
        if !self.identities_are_sent() {
            self.identities
                .retain(|Identity { ticket, in_doubt, .. }| *in_doubt || !ticket.as_ref().is_some_and(&mut unwanted));
        }
        self.waiting.retain(|Waiting { change, ticket, .. }| {
            matches!(change, Some(Change::Remove(..) | Change::RemoveAll(_))) || !unwanted(ticket)
        });
    }

    /// The scheme of each identity that has something to hide, oldest first.
    pub fn secret_schemes(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.identities.iter().filter(|identity| !identity.auth.is_empty()).map(|identity| &*identity.scheme)
    }

    /// Whether the packet of every identity is on its way or answered on the present connection.
    pub(super) const fn identities_are_sent(&self) -> bool {
        matches!(self.state, State::Authenticating | State::Up)
    }

    /// Whether data of an unknown length is on its way that its owner gets as it was read. A transport that reads the
    /// length of each frame first, meanwhile, and then no more than the frame, never has to move that.
    #[must_use]
    pub fn awaits_data(&self) -> bool {
        self.in_flight.awaits_data() && !self.splitter.is_skipping()
    }
}
