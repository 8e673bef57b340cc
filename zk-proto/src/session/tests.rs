//! Scripts against the session machine, in virtual time and without a server.
//!
//! [`script`] is the language they are written in; [`random`] lets a model server, a seeded link and the
//! machine play thousands of schedules and checks the rules after every step.

mod chunking;
mod ending;
mod expiry;
mod greeting;
mod random;
mod rearming;
mod replies;
mod script;
mod timers;
mod watching;
