//! Who leads, who follows, who serves: what becomes of an ensemble when its members stop or lose each other.
//!
//! Must not know requests. A server alone has none of this: it serves while it runs. Source: protocol.md sections 2.3
//! and 5.

use std::time::Duration;

use zk_proto::Zxid;

use super::{Close, Model};

/// What a member is to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is alone.
    Standalone,
    /// It orders the transactions.
    Leader,
    /// It has a leader.
    Follower,
    /// It has none, and serves readers with what it knows (`readonlymode.enabled`).
    ReadOnly,
    /// It has none, and hangs up on everybody; or it does not run.
    NotServing,
}

/// Who leads.
#[derive(Debug)]
pub(super) struct Quorum {
    size: usize,
    leader: Option<usize>,
    /// When the members that hear each other will have chosen.
    elected_at: Option<Duration>,
}

impl Quorum {
    /// In a new ensemble the member with the highest number leads.
    pub(super) fn new(size: usize) -> Self {
        Self { size, leader: size.checked_sub(1), elected_at: None }
    }

    pub(super) const fn elected_at(&self) -> Option<Duration> {
        self.elected_at
    }
}

impl Model {
    /// What a member is now.
    #[must_use]
    pub fn role(&self, member: usize) -> Role {
        let (is_up, is_cut) = self.members.get(&member).map_or((true, false), |member| (member.is_up, member.is_cut));
        if self.quorum.size <= 1 {
            return if is_cut { Role::NotServing } else { Role::Standalone };
        }
        let has_quorum = !is_cut && self.has_quorum();
        match self.quorum.leader {
            _ if !is_up => Role::NotServing,
            _ if !has_quorum && self.config.read_only_mode => Role::ReadOnly,
            Some(leader) if has_quorum && leader == member => Role::Leader,
            Some(_) if has_quorum => Role::Follower,
            _ => Role::NotServing,
        }
    }

    /// Whether writes are possible somewhere.
    pub(super) fn is_led(&self) -> bool {
        self.quorum.size <= 1 || self.quorum.leader.is_some()
    }

    fn in_touch(&self) -> impl Iterator<Item = usize> {
        let hears = |member: &usize| self.members.get(member).is_none_or(|member| member.is_up && !member.is_cut);
        (0..self.quorum.size).filter(hears)
    }

    fn has_quorum(&self) -> bool {
        self.in_touch().count() * 2 > self.quorum.size
    }

    /// A member stops or starts again. Who starts reads everything from the leader.
    pub fn set_up(&mut self, now: Duration, member: usize, is_up: bool) {
        self.rearrange(now, |model| model.member(member).is_up = is_up);
    }

    /// A member loses the others, or finds them again; its clients still reach it.
    pub fn set_cut(&mut self, now: Duration, member: usize, is_cut: bool) {
        self.rearrange(now, |model| {
            model.member(member).is_cut = is_cut;
            model.part(member);
        });
    }

    /// Makes the members choose a leader anew, as when it fails: all clients lose their connections.
    pub fn depose_leader(&mut self, now: Duration) {
        self.rearrange(now, |model| model.quorum.leader = None);
    }

    /// Whoever has applied most leads, and of those the one with the highest number, in a new epoch.
    fn elect(&mut self, now: Duration) {
        self.rearrange(now, |model| {
            model.quorum.elected_at = None;
            let best = model.in_touch().max_by_key(|member| (model.applied(*member), *member));
            model.quorum.leader = best;
            let epoch = (model.zxid.0 >> 32).wrapping_add(1);
            model.advance_zxid(now, Zxid(epoch << 32));
            model.sessions.restart(now);
        });
    }

    /// Elects if it is time to.
    pub(super) fn elect_if_due(&mut self, now: Duration) {
        if self.quorum.elected_at.is_some_and(|at| at <= now) {
            self.elect(now);
        }
    }

    /// Changes who hears whom, and hangs up on the clients of every member that is something else afterwards.
    fn rearrange(&mut self, now: Duration, change: impl FnOnce(&mut Self)) {
        let all = |model: &Self| -> Vec<(usize, Role)> {
            model.members.keys().map(|member| (*member, model.role(*member))).collect()
        };
        let before = all(self);
        change(self);
        self.look_for_leader(now);
        for (member, was) in before {
            let is = self.role(member);
            if was != is {
                self.sessions.forget_local(member);
                self.hang_up_member(member, Close::Gently);
                if matches!(is, Role::Leader | Role::Follower | Role::Standalone) {
                    self.catch_up_with_leader(now, member);
                }
            }
        }
    }

    fn look_for_leader(&mut self, now: Duration) {
        if self.quorum.size <= 1 {
            return;
        }
        if !self.has_quorum() {
            self.quorum.leader = None;
            self.quorum.elected_at = None;
            return;
        }
        let stands = self.quorum.leader.is_some_and(|leader| self.in_touch().any(|member| member == leader));
        if !stands {
            self.quorum.leader = None;
            self.quorum.elected_at = self.quorum.elected_at.or(Some(now + self.config.election));
        }
    }
}
