//! To be written.
#[cfg(unix)]
pub mod launcher;
