//! Against real ZooKeeper servers; needs Java, and `mvn` for the first run.
#![cfg(unix)]

#[path = "live/launcher.rs"]
mod launcher;
