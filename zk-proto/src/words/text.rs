//! What all answers have in common: three general answers, lines, numbers.
//!
//! Must not know a particular word.

use super::{FourLetterWord, WordError};

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";
const NOT_WHITELISTED: &str = " is not executed because it is not in the whitelist.";

/// Refuses the answers that any word may get. A single newline is not empty: it is a list without entries.
pub(super) fn facts(answer: &str) -> Result<&str, WordError> {
    if answer.is_empty() {
        return Err(WordError::Empty);
    }
    let trimmed = answer.trim();
    if trimmed.starts_with(NOT_SERVING) {
        return Err(WordError::NotServing);
    }
    match trimmed.strip_suffix(NOT_WHITELISTED).and_then(|word| word.as_bytes().as_array()) {
        Some(word) => Err(WordError::NotWhitelisted { word: FourLetterWord(*word) }),
        None => Ok(answer),
    }
}

/// A line and its number, counted from 1.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    number: usize,
    pub(super) text: &'a str,
}

/// The lines of an answer that have something in them, behind [`facts`].
pub(super) fn lines(answer: &str) -> Result<impl Iterator<Item = Line<'_>>, WordError> {
    // All carriage returns at an end go, not one: what is read and written again must read as the same.
    let texts = facts(answer)?.split('\n').map(|text| text.trim_end_matches('\r'));
    let lines = (1..).zip(texts).map(|(number, text)| Line { number, text });
    Ok(lines.filter(|line| !line.text.trim().is_empty()))
}

impl Line<'_> {
    pub(super) fn malformed(self, expected: &'static str) -> WordError {
        WordError::malformed(self.number, expected, self.text)
    }

    /// A part of the line as a decimal number.
    pub(super) fn integer(self, part: &str, expected: &'static str) -> Result<i64, WordError> {
        part.trim().parse().map_err(|_| self.malformed(expected))
    }

    /// A part of the line as `0x1f`: how servers write the 64 bits of ids, which may be negative numbers.
    pub(super) fn hex(self, part: &str, expected: &'static str) -> Result<i64, WordError> {
        let digits = part.trim().strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        digits.map(u64::cast_signed).ok_or_else(|| self.malformed(expected))
    }
}

/// For lists: something must have been recognised, unless the answer is blank.
pub(super) fn some_of(answer: &str, none: bool, line: &'static str) -> Result<(), WordError> {
    if none && !answer.trim().is_empty() { Err(WordError::Missing { line }) } else { Ok(()) }
}
