//! What ACLs are made of, and the three that everybody uses.
//!
//! Source: protocol.md sections 1.4 and 6.1.

use super::{Acl, AuthId};
use crate::jute::Label;

/// What an ACL entry allows, as a sum of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions(pub i32);

impl Permissions {
    /// Read data and list children.
    pub const READ: Self = Self(1);
    /// Set data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Set the ACL.
    pub const ADMIN: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every bit of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// An ACL that lets everybody do everything: `world:anyone`, all permissions.
///
/// "Unsafe" in the sense of ZooKeeper's own name for it: anyone who reaches the server may change or
/// delete the znode.
pub const OPEN_ACL_UNSAFE: &[Acl] = &[Acl {
    permissions: Permissions::ALL,
    id: AuthId { scheme: Label::from_static("world"), id: Label::from_static("anyone") },
}];

/// An ACL that gives everything to whoever creates the znode; the server refuses it
/// ([`INVALID_ACL`](crate::ErrorCode::INVALID_ACL)) on a connection that has not authenticated.
pub const CREATOR_ALL_ACL: &[Acl] = &[Acl {
    permissions: Permissions::ALL,
    id: AuthId { scheme: Label::from_static("auth"), id: Label::from_static("") },
}];

/// An ACL that lets everybody read and nobody write.
pub const READ_ACL_UNSAFE: &[Acl] = &[Acl {
    permissions: Permissions::READ,
    id: AuthId { scheme: Label::from_static("world"), id: Label::from_static("anyone") },
}];
