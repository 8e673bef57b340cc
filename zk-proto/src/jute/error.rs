//! Why bytes could not be read: in which record, in which field, and what is wrong there.

use core::fmt;

/// Why bytes could not be read: which record, which field, what was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The record's name in `zookeeper.jute`; empty when a bare value was read.
    pub record: &'static str,
    /// The field's name; empty when a bare value was read.
    pub field: &'static str,
    /// What was wrong.
    pub fault: Fault,
}

/// What can be wrong with a peer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The frame ended inside the value.
    Short {
        /// Bytes that the value needs.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A buffer or string has a negative length other than -1 (null).
    NegativeLength(i32),
    /// A field that cannot be null is null.
    Null,
    /// A list of operations or results holds a type that cannot stand there.
    UnexpectedType(i32),
}

impl DecodeError {
    const fn bare(fault: Fault) -> Self {
        Self { record: "", field: "", fault }
    }

    /// Adds where the fault was found; the innermost place wins.
    #[must_use]
    pub const fn at(mut self, record: &'static str, field: &'static str) -> Self {
        if self.record.is_empty() {
            self.record = record;
            self.field = field;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.record.is_empty() {
            write!(f, "{}.{}: ", self.record, self.field)?;
        }
        match self.fault {
            Fault::Short { needed, left } => write!(f, "needs {needed} bytes, {left} are left"),
            Fault::NegativeLength(len) => write!(f, "negative length {len}"),
            Fault::Null => f.write_str("null where a value is needed"),
            Fault::UnexpectedType(op) => write!(f, "type {op} cannot stand here"),
        }
    }
}

impl core::error::Error for DecodeError {}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        Self::bare(fault)
    }
}
