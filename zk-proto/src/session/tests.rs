//! Scripts against the session machine, in virtual time and without a server.
//!
//! [`script`] is the language they are written in. Millions of random schedules against a model of servers are
//! played by `tests/schedules.rs`, on the public API alone.

mod chunking;
mod ending;
mod expiry;
mod greeting;
mod identities;
mod rearming;
mod replies;
mod sasl;
mod script;
mod timers;
mod watching;
