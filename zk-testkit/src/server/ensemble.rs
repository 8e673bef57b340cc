//! Several front doors to one tree.
//!
//! Must not know more of a member than its [`TestServer`].

use std::io;

use super::{Builder, TestServer};

/// Servers that share one tree and never lag. Any of them can be stopped and started again; those that are left serve
/// on, whatever their number.
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

    /// A member by its number, from 0; what is seen and changed in the tree is the same at all of them.
    #[must_use]
    pub fn member(&self, index: usize) -> Option<&TestServer> {
        self.members.get(index)
    }

    /// The addresses of all members.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.members.iter().map(TestServer::connect_string).collect::<Vec<_>>().join(",")
    }
}
