//! ZooKeeper for tests.
//!
//! | module | what lives there |
//! |---|---|
//! | [`server`] | a ZooKeeper in the test's own process, with faults on demand |
//! | [`proxy`] | a wire between a client and any server, that can be broken in every way |
//! | `launcher` | real ZooKeeper servers, on Unix |
//!
//! Must not know `zk-client`: a client's bug must not hide in its own test server.

mod door;
#[cfg(unix)]
pub mod launcher;
pub mod proxy;
pub mod server;
