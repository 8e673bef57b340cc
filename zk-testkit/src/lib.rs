//! ZooKeeper for tests.
//!
//! | module | what lives there |
//! |---|---|
//! | [`server`] | a ZooKeeper in the test's own process, with faults on demand |
//! | `launcher` | real ZooKeeper servers, on Unix |
//!
//! Must not know `zk-client`: a client's bug must not hide in its own test server.

#[cfg(unix)]
pub mod launcher;
pub mod server;
