//! Several servers of one ensemble, and what becomes of them when they lag or lose each other.
//!
//! Must not know how a member applies commits; the model does.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use zk_testkit::server::{Lag, Role, TestEnsemble};
//!
//! let ensemble = TestEnsemble::start(3).await?;
//! let [a, b, _] = ensemble.members() else { panic!("three members") };
//! b.lag(Lag::Held);
//! a.create("/app", b"1").expect("the root is open to all");
//! assert!(a.sees("/app").is_some() && b.sees("/app").is_none());
//! b.apply_commits(1);
//! assert!(b.sees("/app").is_some());
//!
//! b.partition(true);
//! assert_eq!((a.role(), b.role()), (Role::Follower, Role::NotServing));
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;

use bytes::Bytes;
use zk_proto::{Stat, Zxid};

use super::{
    Builder, TestServer,
    model::{Lag, Role},
};

/// Servers of one ensemble. Sessions and what is committed are the ensemble's; each member applies commits when its
/// [`Lag`] says so, and its clients see what it has applied.
///
/// Without more than half of them, stopped and [partitioned](TestServer::partition) ones not counted, nobody serves. When
/// the leader is lost, every client loses its connection, and nobody serves until there is another.
#[derive(Debug)]
pub struct TestEnsemble {
    members: Vec<TestServer>,
}

impl TestEnsemble {
    /// Starts servers like the newest ZooKeeper.
    ///
    /// # Errors
    /// No socket could be had.
    pub async fn start(members: usize) -> io::Result<Self> {
        Self::start_with(TestServer::builder(), members).await
    }

    /// Starts servers as the builder says.
    ///
    /// # Errors
    /// No socket could be had.
    #[expect(clippy::unused_async, reason = "starting spawns tasks: async makes a runtime certain")]
    pub async fn start_with(builder: Builder, members: usize) -> io::Result<Self> {
        Ok(Self { members: builder.start_members(members)? })
    }

    /// All members.
    #[must_use]
    pub fn members(&self) -> &[TestServer] {
        &self.members
    }

    /// A member by its number, from 0.
    #[must_use]
    pub fn member(&self, index: usize) -> Option<&TestServer> {
        self.members.get(index)
    }

    /// The addresses of all members.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.members.iter().map(TestServer::connect_string).collect::<Vec<_>>().join(",")
    }

    /// The member that leads; at first it is the last one.
    #[must_use]
    pub fn leader(&self) -> Option<&TestServer> {
        self.members.iter().find(|member| matches!(member.role(), Role::Leader | Role::Standalone))
    }

    /// Waits until a member leads. Has no limit of time: put one around it.
    pub async fn wait_for_leader(&self) {
        let Some(any) = self.members.first() else { return };
        let leads = |role| matches!(role, Role::Leader | Role::Standalone);
        any.wait_until(|model| (0..self.members.len()).any(|member| leads(model.role(member)))).await;
    }

    /// Makes the members choose a leader anew: every connection is closed, and nobody serves until they have.
    pub fn depose_leader(&self) {
        if let Some(any) = self.members.first() {
            any.hub.act(|state, now| state.model.depose_leader(now));
        }
    }
}

impl TestServer {
    /// What this member is to its clients.
    #[must_use]
    pub fn role(&self) -> Role {
        self.inspect(|model| model.role(self.member))
    }

    /// Makes this member lag from now on. Its clients read what it has applied; their writes, syncs and new sessions are
    /// carried out at once and answered when it has applied them; a client that has seen more is hung up on.
    pub fn lag(&self, lag: Lag) {
        self.hub.act(|state, now| state.model.set_lag(now, self.member, Some(lag)));
    }

    /// Ends the lag: everything committed is applied now.
    pub fn catch_up(&self) {
        self.hub.act(|state, now| state.model.set_lag(now, self.member, None));
    }

    /// Makes this member apply so many commits that it holds back; gives how many there were.
    pub fn apply_commits(&self, commits: usize) -> usize {
        self.hub.act(|state, now| state.model.apply_commits(now, self.member, commits))
    }

    /// How many commits this member has not applied.
    #[must_use]
    pub fn commits_behind(&self) -> usize {
        self.inspect(|model| model.commits_behind(self.member))
    }

    /// The last transaction that this member has applied; [`zxid`](Self::zxid) is what was committed.
    #[must_use]
    pub fn applied(&self) -> Zxid {
        self.inspect(|model| model.applied(self.member))
    }

    /// Data and stat of a znode as this member sees it.
    #[must_use]
    pub fn sees(&self, path: &str) -> Option<(Bytes, Stat)> {
        self.inspect(|model| model.get_at(self.member, path))
    }

    /// The network between this member and the others fails (`true`) or heals; its clients still reach it. A real server
    /// notices after `syncLimit`, this one at once.
    pub fn partition(&self, apart: bool) {
        self.hub.act(|state, now| state.model.set_cut(now, self.member, apart));
    }
}
