//! The requests that wait for an answer, oldest first.
//!
//! Knows nothing of sockets, time or what a ticket is. Invariant: requests enter in the order in which
//! they leave for the server, because ZooKeeper answers in order.

use super::watches::Change;
use crate::code::ErrorCode;
use alloc::collections::VecDeque;

/// What to do when the answer is there.
#[derive(Debug)]
pub(super) enum Purpose<T> {
    /// Hand it to the owner.
    Call(T),
    /// A step of the SASL exchange.
    Sasl,
    /// Part of setting the watches again.
    Rearm,
    /// The session's end.
    Close,
}

/// One request on its way.
#[derive(Debug)]
pub(super) struct Pending<T> {
    pub(super) xid: i32,
    pub(super) purpose: Purpose<T>,
    pub(super) change: Option<Change>,
}

/// The queue of requests on their way.
#[derive(Debug)]
pub(super) struct InFlight<T> {
    queue: VecDeque<Pending<T>>,
    /// The last one whose answer is data that its owner gets as it was read.
    last_data: Option<i32>,
}

impl<T> InFlight<T> {
    pub(super) const fn new() -> Self {
        Self { queue: VecDeque::new(), last_data: None }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, pending: Pending<T>) {
        self.queue.push_back(pending);
    }

    /// Says that the answer to the request that was put last is data that its owner gets as it was read.
    pub(super) const fn brings_data(&mut self, xid: i32) {
        self.last_data = Some(xid);
    }

    /// Whether any such answer is still to come. Numbers are given in the order of the queue.
    pub(super) fn awaits_data(&self) -> bool {
        let (Some(oldest), Some(newest), Some(data)) = (self.queue.front(), self.queue.back(), self.last_data) else {
            return false;
        };
        behind(oldest.xid, data) <= behind(oldest.xid, newest.xid)
    }

    /// The request that a reply is for. Normally the front; only a refusal may overtake (a write on a read-only server
    /// overtakes earlier reads), so for one the rest is searched. A success that overtakes says that a reply was lost,
    /// and whoever waits for that one would wait for ever.
    pub(super) fn take(&mut self, xid: i32, err: ErrorCode) -> Option<Pending<T>> {
        if self.queue.front()?.xid == xid {
            return self.queue.pop_front();
        }
        if err == ErrorCode::OK {
            return None;
        }
        let index = self.queue.iter().position(|pending| pending.xid == xid)?;
        self.queue.remove(index)
    }

    /// The request that was put last, if it is this one.
    pub(super) fn take_newest(&mut self, xid: i32) -> Option<Pending<T>> {
        self.queue.pop_back_if(|pending| pending.xid == xid)
    }

    /// Whether the server has not yet set all watches again: those frames precede all requests.
    pub(super) fn is_rearming(&self) -> bool {
        self.queue.front().is_some_and(|pending| matches!(pending.purpose, Purpose::Rearm))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pending<T>> {
        self.queue.iter_mut()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Pending<T>> {
        self.queue.drain(..)
    }
}

/// How many numbers after `xid` another one is given.
const fn behind(xid: i32, other: i32) -> i32 {
    (other - xid).rem_euclid(i32::MAX)
}

/// The number behind `xid`: 1 to `i32::MAX` and around again; zero and negatives are special.
pub(super) const fn next_xid(xid: i32) -> i32 {
    if xid == i32::MAX { 1 } else { xid + 1 }
}
