//! What each fuzz target does with its bytes. A target panics when a promise is broken, and does nothing else.
//!
//! Knows nothing of a fuzzer: the same functions are replayed over the committed corpora by a plain `cargo test`
//! (`tests/tests/hermetic/corpora.rs`).

mod codec;
mod machines;
mod memory;
mod texts;

/// A target's name and function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("frames", codec::frames),
    ("connect", codec::connect),
    ("header", codec::header),
    ("replies", codec::replies),
    ("requests", codec::requests),
    ("event", codec::event),
    ("multi", codec::multi),
    ("round_trip", codec::round_trip),
    ("session", machines::session),
    ("server", machines::server),
    ("pair", machines::pair),
    ("texts", texts::texts),
    ("words", texts::words),
];

/// Runs a target by its name.
///
/// # Panics
/// When a promise is broken, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of the list");
    target(data);
}
