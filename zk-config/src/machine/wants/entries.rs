//! The entries of the list, by number.
//!
//! Numbers are given out one after the other and never again, so one that has left is found by nobody: a late read cannot
//! take another want for its own. Knows nothing of paths.

use super::Kind;
use std::collections::VecDeque;
use zk_client::Zxid;

/// Entries that have left and may still be among the others, besides as many as there are others.
const LEFT_MAX: usize = 1024;

/// What is unread of a path. For each of the two that is, one read waits or is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    number: u64,
    pub(super) data: bool,
    pub(super) children: bool,
    /// The newest event of the path, where events carry a zxid.
    pub(super) event: Zxid,
    /// From this transaction on the znode is not known; before it, the copy is right.
    pub(super) since: Zxid,
}

impl Want {
    pub(super) const fn unread(&mut self, kind: Kind) -> &mut bool {
        match kind {
            Kind::Data => &mut self.data,
            Kind::Children => &mut self.children,
        }
    }

    pub(super) const fn is_met(&self) -> bool {
        !self.data && !self.children
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By number, and so by age. Met ones are among them, but never in front.
    wants: VecDeque<Want>,
    next_number: u64,
    unmet: usize,
}

impl Entries {
    pub(super) const fn unmet(&self) -> usize {
        self.unmet
    }

    /// One that is unread still.
    pub(super) fn get(&mut self, number: u64) -> Option<&mut Want> {
        let behind_front = number.checked_sub(self.wants.front()?.number)?;
        // There, unless some between have left for good.
        let mut at = usize::try_from(behind_front).ok()?;
        if self.wants.get(at).is_none_or(|want| want.number != number) {
            at = self.wants.binary_search_by_key(&number, |want| want.number).ok()?;
        }
        self.wants.get_mut(at).filter(|want| !want.is_met())
    }

    /// The oldest that is unread.
    pub(super) fn front(&self) -> Option<&Want> {
        self.wants.front()
    }

    pub(super) const fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Takes one in, which is to become unread, under the [next number](Self::next_number).
    pub(super) fn push(&mut self, since: Zxid) -> &mut Want {
        let number = self.next_number;
        self.next_number += 1;
        self.unmet += 1;
        self.wants.push_back_mut(Want { number, data: false, children: false, event: Zxid::NONE, since })
    }

    /// One of them was met.
    pub(super) fn left(&mut self) {
        self.unmet -= 1;
        while self.wants.pop_front_if(|want| want.is_met()).is_some() {}
        if self.wants.len() > LEFT_MAX + 2 * self.unmet {
            self.wants.retain(|want| !want.is_met());
        }
    }

    /// None of them is known from this transaction on, whatever events have said.
    pub(super) fn date_all(&mut self, since: Zxid) {
        for want in &mut self.wants {
            (want.event, want.since) = (Zxid::NONE, since);
        }
    }

    pub(super) fn shrink_to(&mut self, len: usize) {
        if self.wants.capacity() > len {
            self.wants.shrink_to(len);
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.wants.len()
    }
}
