//! Locks, leader election, memberships, and ephemeral znodes that come back: Curator's recipes, on Curator's znode names,
//! so that programs in Java and in Rust share them.
//!
//! | here | Curator |
//! |---|---|
//! | [`Lock`] | `InterProcessMutex`, without re-entrance |
//! | [`ReadWriteLock`] | `InterProcessReadWriteLock`, without re-entrance and downgrading |
//! | [`LeaderLatch`] | `LeaderLatch` |
//! | [`Group`] | `GroupMember` |
//! | [`PersistentNode`] | `PersistentNode`, of ephemeral modes |
//!
//! # What a lock is worth
//!
//! A lock lives as long as the session of its holder. When the connection is lost the holder cannot know whether the
//! session, and the lock with it, lives on: [`LockGuard::state`] says [`LockState::Suspended`] then, and
//! [`LockState::Lost`] when it is certain. Between the loss of a lock and the moment the old holder learns of it somebody
//! else may hold it. So a holder writes to ZooKeeper with [`LockGuard::client`], whose requests are carried out in the
//! lock's session or not at all, and shows other systems the [`LockGuard::fencing_token`], which grows from holder to
//! holder.
//!
//! # Lost replies
//!
//! A create whose reply is lost is not repeated blindly: the znode's name begins with `_c_`, an id of its own and `-`, as
//! Curator's protected creates have it, and is looked for first. A future that is dropped, and a guard that is dropped,
//! removes its znode in the background, whatever had become of it, in the tokio runtime in which waiting began; when that is gone the znode
//! goes with the session.
//!
//! # Waiting
//!
//! Whoever waits watches the one znode before its own, so that a release wakes one and not all. Locks are fair: they are
//! given in the order in which the znodes were created.
//!
//! This module is built on the public API of the crate only.

mod entry;
mod group;
mod guard;
mod latch;
mod lock;
mod names;
mod parents;
mod persistent_node;
mod place;
mod read_write;
mod session;

pub use group::{Group, Members};
pub use guard::{LockGuard, LockState};
pub use latch::{LeaderLatch, Participant};
pub use lock::Lock;
pub use persistent_node::{NodeStatus, PersistentNode};
pub use read_write::ReadWriteLock;
