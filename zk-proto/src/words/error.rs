//! Why an answer to a four-letter word is not what was asked for.

use super::FourLetterWord;
use alloc::{borrow::ToOwned, string::String};
use core::fmt;

/// How much of a bad line an error quotes, in characters: enough to recognise it, and to fit into a log line.
const QUOTE_CHARS_MAX: usize = 80;

/// An answer that has no facts in it. The first three come for every word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WordError {
    /// The server's setting `4lw.commands.whitelist` does not have this word. Add it there, or ask `srvr`.
    NotWhitelisted {
        /// The word, as the server repeats it.
        word: FourLetterWord,
    },
    /// The server runs and has no quorum (or has not loaded its data yet).
    NotServing,
    /// Not one byte: the server does not know the word, or the connection ended too early.
    Empty,
    /// A line that every server sends is not there: cut short, or not the answer of a ZooKeeper.
    Missing {
        /// The line's name, as the server writes it.
        line: &'static str,
    },
    /// A line is there and cannot be read.
    Malformed {
        /// Which one, counted from 1.
        line: usize,
        /// What it should be.
        expected: &'static str,
        /// The line, or its first 80 characters.
        text: String,
    },
}

impl WordError {
    pub(super) fn malformed(line: usize, expected: &'static str, text: &str) -> Self {
        let end = text.char_indices().nth(QUOTE_CHARS_MAX).map_or(text.len(), |(at, _)| at);
        Self::Malformed { line, expected, text: text.get(..end).unwrap_or_default().to_owned() }
    }
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWhitelisted { word } => {
                write!(f, "the server does not allow the word {word}; add it to its setting 4lw.commands.whitelist")
            }
            Self::NotServing => f.write_str("the server runs, but is not serving: it has no quorum"),
            Self::Empty => f.write_str("the server closed the connection without an answer: it does not know the word"),
            Self::Missing { line } => {
                write!(f, "the answer has no line `{line}`: it was cut short, or is not of a ZooKeeper server")
            }
            Self::Malformed { line, expected, text } => write!(f, "line {line}: expected {expected}, got {text:?}"),
        }
    }
}

impl core::error::Error for WordError {}
