//! The answers of one word: `ruok` and `isro`.

use super::{WordError, text::facts};
use core::fmt;

/// The answer to `ruok`: the server's process runs and listens. Nothing more: it may well have no quorum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imok;

impl Imok {
    /// Reads the answer; a newline at its end does not matter.
    ///
    /// # Errors
    /// A refusal, or a text that is not `imok`; see [`WordError`].
    pub fn parse(text: &str) -> Result<Self, WordError> {
        match facts(text)?.trim() {
            "imok" => Ok(Self),
            other => Err(WordError::malformed(1, "`imok`", other)),
        }
    }
}

impl fmt::Display for Imok {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("imok")
    }
}

/// The answer to `isro`: `true` for `ro`, a server without a quorum that serves those who only read; `false` for
/// `rw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsReadOnly(pub bool);

impl IsReadOnly {
    /// Reads the answer; a newline at its end does not matter.
    ///
    /// # Errors
    /// A refusal, or a text that is neither `rw` nor `ro`; see [`WordError`]. `null`, which a server without a quorum
    /// says, is [`WordError::NotServing`].
    pub fn parse(text: &str) -> Result<Self, WordError> {
        match facts(text)?.trim() {
            "rw" => Ok(Self(false)),
            "ro" => Ok(Self(true)),
            "null" => Err(WordError::NotServing),
            other => Err(WordError::malformed(1, "`rw` or `ro`", other)),
        }
    }
}

impl fmt::Display for IsReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "ro" } else { "rw" })
    }
}
