//! The one place in which a session's task waits, and for what.
//!
//! By hand instead of a `select!`: where bytes have arrived, which is nearly always what ended the wait, nothing else is looked at.
//! Knows nothing of what a turn does.

use super::{COMMANDS_A_TURN, Driver, Turn, intake::HELD_MAX, link};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{task::coop::has_budget_remaining, time::Sleep};

impl Driver {
    /// The next thing to do. A link that is never empty takes every other turn at most: the rest is asked first then.
    pub(super) async fn wait(&mut self, mut timer: Option<Pin<&mut Sleep>>) -> Turn {
        let is_flooded = std::mem::replace(&mut self.is_flooded, true);
        poll_fn(|cx| {
            if is_flooded && let Poll::Ready(turn) = self.poll_others(cx, timer.as_mut()) {
                return Poll::Ready(turn);
            }
            if let Poll::Ready(turn) = link::poll(&mut self.link, &mut self.inbox, &mut self.outbox, cx) {
                return Poll::Ready(turn);
            }
            self.is_flooded = false;
            self.poll_others(cx, timer.as_mut())
        })
        .await
    }

    fn poll_others(&mut self, cx: &mut Context<'_>, timer: Option<&mut Pin<&mut Sleep>>) -> Poll<Turn> {
        if !self.held.is_empty() && self.has_room() {
            return Poll::Ready(Turn::Held);
        }
        if self.held.len() < HELD_MAX
            && self.close_by.is_none()
            && let Poll::Ready(count) = self.commands.poll_recv_many(cx, &mut self.batch, COMMANDS_A_TURN)
        {
            return Poll::Ready(Turn::Commands(count));
        }
        if self.sweep.bell.poll_heard(cx).is_ready() {
            return Poll::Ready(Turn::Rung);
        }
        if let Some(timer) = timer {
            // It knows the task since it was asked, and is the only one of these that forgets it at no other time than its own.
            if !self.is_timed || timer.is_elapsed() {
                let is_asked = has_budget_remaining();
                if timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Turn::Time);
                }
                self.is_timed = is_asked;
            }
        }
        match &mut self.seeking {
            Some(seeking) => seeking.as_mut().poll(cx).map(Turn::Found),
            None => Poll::Pending,
        }
    }
}
