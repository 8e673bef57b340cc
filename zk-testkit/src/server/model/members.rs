//! The members of an ensemble: what each has applied of what was committed, and the watches of its connections.
//!
//! Must not know what a transaction means. A member that keeps up has no tree of its own: it sees the ensemble's. One
//! that lags has a copy, and a queue of commits that it has not applied.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use zk_proto::{SessionId, Zxid};

use super::{
    super::Profile,
    Close, ConnId, Model,
    conn::Phase,
    delta::Delta,
    tree::{Node, Tree},
    txn::Change,
    watches::Watches,
};

/// How far a member stays behind what is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// It applies nothing until it is told to; see [`Model::apply_commits`].
    Held,
    /// It always leaves this many commits unapplied.
    Commits(usize),
    /// It applies each commit this long after it was made.
    Time(Duration),
}

/// What one zxid stands for, as every member is told it. Failed writes and new sessions are commits without changes.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) zxid: Zxid,
    /// When it was committed.
    pub(super) at: Duration,
    pub(super) changes: Vec<Change>,
    pub(super) deltas: Vec<Delta>,
    /// The session that it ends.
    pub(super) ended: Option<SessionId>,
}

/// A member's own tree.
#[derive(Debug)]
struct Replica {
    tree: Tree,
    zxid: Zxid,
    queue: VecDeque<Arc<Commit>>,
}

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) watches: Watches,
    lag: Option<Lag>,
    replica: Option<Replica>,
    /// It runs.
    pub(super) is_up: bool,
    /// The others do not hear it; its clients do.
    pub(super) is_cut: bool,
}

impl Default for Member {
    fn default() -> Self {
        Self { watches: Watches::default(), lag: None, replica: None, is_up: true, is_cut: false }
    }
}

impl Member {
    const fn is_behind(&self) -> bool {
        self.lag.is_some() || self.is_cut
    }

    fn is_next_due(&self, now: Duration) -> bool {
        let Some(queue) = self.replica.as_ref().map(|replica| &replica.queue) else { return false };
        let Some(next) = queue.front() else { return false };
        !self.is_cut
            && match self.lag {
                None => true,
                Some(Lag::Held) => false,
                Some(Lag::Commits(behind)) => queue.len() > behind,
                Some(Lag::Time(behind)) => next.at + behind <= now,
            }
    }
}

impl Model {
    pub(super) fn member(&mut self, member: usize) -> &mut Member {
        self.members.entry(member).or_default()
    }

    fn replica(&self, member: usize) -> Option<&Replica> {
        self.members.get(&member)?.replica.as_ref()
    }

    /// The tree as a member sees it.
    pub(super) fn tree_of(&self, member: usize) -> &Tree {
        self.replica(member).map_or(&self.tree, |replica| &replica.tree)
    }

    /// The znode at a path, as the member sees it that a connection is on.
    pub(super) fn node(&self, conn: ConnId, path: &str) -> Option<&Node> {
        self.tree_of(self.member_of(conn)).get(path)
    }

    /// The last transaction that a member has applied.
    #[must_use]
    pub fn applied(&self, member: usize) -> Zxid {
        self.replica(member).map_or(self.zxid, |replica| replica.zxid)
    }

    /// Whether a member applies commits in the moment they are made.
    pub(super) fn keeps_up(&self, member: usize) -> bool {
        self.replica(member).is_none()
    }

    /// How many commits a member has not applied.
    #[must_use]
    pub fn commits_behind(&self, member: usize) -> usize {
        self.replica(member).map_or(0, |replica| replica.queue.len())
    }

    pub(super) fn member_of(&self, conn: ConnId) -> usize {
        self.conns.get(&conn).map_or(0, |conn| conn.member)
    }

    /// The watches of a connection's member, and how they behave.
    pub(super) fn watching(&mut self, conn: ConnId) -> (&Profile, &mut Watches) {
        let member = self.member_of(conn);
        (&self.config.profile, &mut self.members.entry(member).or_default().watches)
    }

    /// Tells every member what was committed: who keeps up applies it now.
    pub(super) fn publish(&mut self, commit: Commit) {
        let (now, commit) = (commit.at, Arc::new(commit));
        let members: Vec<usize> = self.members.keys().copied().collect();
        for member in members {
            match self.members.get_mut(&member).and_then(|member| member.replica.as_mut()) {
                Some(replica) => {
                    replica.queue.push_back(Arc::clone(&commit));
                    self.follow(now, member);
                }
                None => self.tell_watchers(member, &commit),
            }
        }
    }

    /// Uses up a zxid for something that changes no znode.
    pub(super) fn commit_nothing(&mut self, now: Duration) {
        let zxid = self.next_zxid();
        self.publish(Commit { zxid, at: now, changes: Vec::new(), deltas: Vec::new(), ended: None });
    }

    /// Makes a member lag, or catch up for good.
    pub fn set_lag(&mut self, now: Duration, member: usize, lag: Option<Lag>) {
        self.member(member).lag = lag;
        self.part(member);
        self.follow(now, member);
    }

    /// Applies commits that a member holds back; gives how many it had.
    pub fn apply_commits(&mut self, now: Duration, member: usize, commits: usize) -> usize {
        (0..commits).take_while(|_| self.apply_next(now, member)).count()
    }

    /// Gives a member that is to stay behind a tree of its own.
    pub(super) fn part(&mut self, member: usize) {
        let Some(member) = self.members.get_mut(&member).filter(|member| member.is_behind()) else { return };
        if member.replica.is_none() {
            member.replica = Some(Replica { tree: self.tree.clone(), zxid: self.zxid, queue: VecDeque::new() });
        }
    }

    /// Applies what is due at a member; one that keeps up from now on goes back to the ensemble's tree.
    pub(super) fn follow(&mut self, now: Duration, member: usize) {
        while self.members.get(&member).is_some_and(|member| member.is_next_due(now)) {
            self.apply_next(now, member);
        }
        if let Some(member) = self.members.get_mut(&member).filter(|member| !member.is_behind()) {
            member.replica = None;
        }
    }

    /// A member reads everything from the leader before it serves, however much it lags later.
    pub(super) fn catch_up_with_leader(&mut self, now: Duration, member: usize) {
        while self.apply_next(now, member) {}
        self.follow(now, member);
    }

    /// Every member at whatever is due by time.
    pub(super) fn follow_all(&mut self, now: Duration) {
        let members: Vec<usize> = self.members.keys().copied().collect();
        for member in members {
            self.follow(now, member);
        }
    }

    /// When a commit is due that a member holds back by time.
    pub(super) fn next_apply(&self) -> Option<Duration> {
        let due = |member: &Member| match member.lag {
            Some(Lag::Time(behind)) if !member.is_cut => {
                member.replica.as_ref()?.queue.front().map(|next| next.at + behind)
            }
            _ => None,
        };
        self.members.values().filter_map(due).min()
    }

    fn apply_next(&mut self, now: Duration, member: usize) -> bool {
        let Some(replica) = self.members.get_mut(&member).and_then(|member| member.replica.as_mut()) else {
            return false;
        };
        let Some(commit) = replica.queue.pop_front() else { return false };
        for delta in &commit.deltas {
            delta.apply(&mut replica.tree, commit.zxid);
        }
        replica.zxid = commit.zxid;
        self.tell_watchers(member, &commit);
        self.resume_waiting(now, member);
        if let Some(session) = commit.ended {
            self.hang_up_session(member, session, None);
        }
        true
    }

    fn tell_watchers(&mut self, member: usize, commit: &Commit) {
        for change in &commit.changes {
            self.fire(member, commit.zxid, change);
        }
    }

    /// A session has ended: so have the connections that it once moved away from, but where it is not known yet.
    pub(super) fn hang_up_moved(&mut self, session: SessionId, but: Option<ConnId>) {
        let members: Vec<usize> = self.members.keys().copied().filter(|at| self.keeps_up(*at)).collect();
        for member in members {
            self.hang_up_session(member, session, but);
        }
    }

    /// A session has ended, and a member has learned of it.
    fn hang_up_session(&mut self, member: usize, session: SessionId, but: Option<ConnId>) {
        let is_its = |conn: &super::Conn| conn.member == member && conn.phase == Phase::Up(session);
        let ids: Vec<ConnId> =
            self.conns.iter().filter(|(id, conn)| is_its(conn) && but != Some(**id)).map(|(id, _)| *id).collect();
        for id in ids {
            self.hang_up(id, Close::Gently);
        }
    }

    /// Everything is lost: nobody is behind any more.
    pub(super) fn forget_replicas(&mut self) {
        let members: Vec<usize> = self.members.keys().copied().collect();
        for member in members {
            self.member(member).replica = None;
            self.part(member);
        }
    }

    /// All watches, of all members.
    pub(super) fn all_watches(&self) -> impl Iterator<Item = &Watches> {
        self.members.values().map(|member| &member.watches)
    }
}

/// Members by their number; one that nobody has asked for yet runs and keeps up.
pub(super) fn members(count: usize) -> BTreeMap<usize, Member> {
    (0..count).map(|member| (member, Member::default())).collect()
}
