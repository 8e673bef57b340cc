//! The consumers that run inside of the driver's task: who they are, and how one is let act.
//!
//! Knows nothing of what they are told, and when.

use super::{Connection, Driver, fanout::Line, ticket::ConsumerId};
use crate::inline::{Inline, InlineState, Input, Requests};
use std::sync::Arc;
use zk_proto::path::Chroot;

/// A consumer in this task, and its root.
pub(super) struct Consumer {
    id: ConsumerId,
    chroot: Arc<Chroot>,
    pub(super) inline: Box<dyn Inline>,
}

impl Driver {
    pub(super) fn attach(&mut self, inline: Box<dyn Inline>, chroot: Arc<Chroot>) {
        let id = ConsumerId(self.attached);
        self.attached += 1;
        let consumer = Some(Consumer { id, chroot, inline });
        match self.consumers.iter_mut().find(|slot| slot.is_none()) {
            Some(free) => *free = consumer,
            None => self.consumers.push(consumer),
        }
        if let Some(Connection { server, session, timeout }) = self.connection {
            let state = InlineState::Connected { server, session, timeout, new_session: true };
            self.tell(id, Input::State(state));
        }
    }

    /// Lets one consumer act.
    pub(super) fn with_consumer(&mut self, id: ConsumerId, act: impl FnOnce(&mut dyn Inline, &mut Requests<'_>)) {
        let is_meant = |slot: &Option<Consumer>| slot.as_ref().is_some_and(|consumer| consumer.id == id);
        if let Some(at) = self.consumers.iter().position(is_meant) {
            self.with_consumer_at(at, act);
        }
    }

    /// The same by its place; nobody acts where there is none.
    fn with_consumer_at(&mut self, at: usize, act: impl FnOnce(&mut dyn Inline, &mut Requests<'_>)) {
        let now = self.now;
        let Some(mut consumer) = self.consumers.get_mut(at).and_then(Option::take) else { return };
        let mut requests = Requests {
            turn_at: self.turn_at,
            session: &mut self.session,
            fanout: &mut self.fanout,
            chroot: &consumer.chroot,
            request_len_max: self.request_len_max,
            consumer: consumer.id,
            now,
            refused: &mut self.refused,
            followed: &mut self.followed,
        };
        act(&mut *consumer.inline, &mut requests);
        if consumer.inline.is_done() {
            self.fanout.drop_consumer(&mut Line { session: &mut self.session, now }, consumer.id);
        } else if let Some(slot) = self.consumers.get_mut(at) {
            *slot = Some(consumer);
        }
    }

    /// Lets all of them act, one after the other.
    pub(super) fn with_each_consumer(&mut self, act: impl Fn(&mut dyn Inline, &mut Requests<'_>)) {
        for at in 0..self.consumers.len() {
            self.with_consumer_at(at, &act);
        }
    }

    pub(super) fn tell(&mut self, id: ConsumerId, input: Input<'_>) {
        self.with_consumer(id, |consumer, requests| consumer.handle(input, requests));
    }

    pub(super) fn tell_all(&mut self, state: InlineState) {
        self.with_each_consumer(|consumer, requests| consumer.handle(Input::State(state), requests));
    }
}
