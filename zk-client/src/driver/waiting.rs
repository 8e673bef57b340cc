//! The one place in which a session's task waits, and for what.
//!
//! By hand instead of a `select!`: where bytes have arrived, which is nearly always what ended the wait, nothing else is looked at,
//! and before the next wait nobody who has not called. Knows nothing of what a turn does.

use super::{COMMANDS_A_TURN, Driver, Turn, intake::HELD_MAX, link};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::Sleep;

impl Driver {
    /// The next thing to do. The link and the others take turns where both always have something: whoever had the last one
    /// is asked behind the other. After a wait it is the link that is asked first.
    pub(super) async fn wait(&mut self, mut timer: Pin<&mut Sleep>) -> Turn {
        self.inbox.expect_data(self.session.awaits_data());
        let mut others_first = std::mem::take(&mut self.had_link);
        poll_fn(|cx| {
            self.others.wake(cx.waker());
            let others_were = std::mem::take(&mut others_first);
            if others_were && let Poll::Ready(turn) = self.poll_others(timer.as_mut()) {
                return Poll::Ready(turn);
            }
            if let Poll::Ready(turn) = link::poll(&mut self.link, &mut self.inbox, &mut self.outbox, cx) {
                self.had_link = true;
                return Poll::Ready(turn);
            }
            if others_were { Poll::Pending } else { self.poll_others(timer.as_mut()) }
        })
        .await
    }

    fn poll_others(&mut self, timer: Pin<&mut Sleep>) -> Poll<Turn> {
        let Some(waker) = self.others.called() else {
            return if self.can_go_on() { Poll::Ready(Turn::Held) } else { Poll::Pending };
        };
        let turn = self.ask_others(&mut Context::from_waker(&waker), timer);
        if turn.is_ready() {
            // Those behind it were not asked.
            self.others.ask_again();
        }
        turn
    }

    /// What is seldom ready comes first: handles can keep the rest ready for as long as they like.
    fn ask_others(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) -> Poll<Turn> {
        if !self.is_time_over && timer.poll(cx).is_ready() {
            self.is_time_over = true;
            return Poll::Ready(Turn::Time);
        }
        if self.sweep.bell.poll_heard(cx).is_ready() {
            return Poll::Ready(Turn::Rung);
        }
        if let Some(seeking) = &mut self.seeking
            && let Poll::Ready(found) = seeking.as_mut().poll(cx)
        {
            return Poll::Ready(Turn::Found(found));
        }
        if self.can_go_on() {
            return Poll::Ready(Turn::Held);
        }
        if self.held.len() < HELD_MAX && self.close_by.is_none() {
            return self.commands.poll_recv_many(cx, &mut self.batch, COMMANDS_A_TURN).map(Turn::Commands);
        }
        self.others.ask_again();
        Poll::Pending
    }

    /// There is room for commands that wait here.
    fn can_go_on(&self) -> bool {
        !self.held.is_empty() && self.has_room()
    }
}
