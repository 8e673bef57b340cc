//! Ids of the protocol as types that print as ZooKeeper's own logs print them.
//!
//! Knows nothing of records or sessions.

use core::fmt;

/// The number of a transaction: the order in which the ensemble committed it.
///
/// The high 32 bits are the leader's epoch, the low 32 bits a counter. Compared as a signed number,
/// as ZooKeeper does. Prints as `0x100000001`, so that one grep finds client and server logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub i64);

impl Zxid {
    /// What servers before 3.9 put into the header of a watched event: "not told".
    pub const NONE: Self = Self(-1);

    /// Whether this is the number of a real transaction.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// The public number of a session; `0` asks for a new one.
///
/// It is no secret: every ephemeral znode shows it as `ephemeral_owner`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl SessionId {
    /// "No session yet".
    pub const NONE: Self = Self(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}
