//! What ACLs are made of, and the three that everybody uses.
//!
//! Source: protocol.md sections 1.4 and 6.1.

use super::{Stat, Str};
use crate::jute::{Decode, DecodeError, Encode, Label, List, Reader};
use bytes::BytesMut;

records! {
    /// Who: an authentication scheme and an identity in it (`Id` in `zookeeper.jute`).
    AuthId {
        /// `world`, `ip`, `digest`, `auth`, `x509` or `sasl`.
        scheme: Label,
        /// The identity in the scheme's own form.
        id: Label,
    }
    /// One entry of an access control list, in create (opcodes 1, 15, 19, 21), setACL (7) and getACL's reply (6).
    Acl {
        /// What is allowed.
        permissions: Permissions,
        /// To whom.
        id: AuthId,
    }
    /// Reply of **getACL** (opcode 6, since 3.0).
    GetAclResponse {
        /// The entries; without ADMIN permission digests are masked (`joe:x`).
        acl: List<'static, Acl>,
        /// The znode's metadata.
        stat: Stat,
    }
    /// Body of **setACL** (opcode 7, since 3.0). Fires no watch and changes only `aversion`.
    ///
    /// Errors: [`NO_NODE`](crate::ErrorCode::NO_NODE), [`BAD_VERSION`](crate::ErrorCode::BAD_VERSION) (of the ACL),
    /// [`INVALID_ACL`](crate::ErrorCode::INVALID_ACL), [`NO_AUTH`](crate::ErrorCode::NO_AUTH) without ADMIN,
    /// [`BAD_ARGUMENTS`](crate::ErrorCode::BAD_ARGUMENTS) (the path).
    SetAclRequest<'a> {
        /// The znode.
        path: Str<'a>,
        /// At least one entry; null and empty are refused.
        acl: List<'a, Acl>,
        /// The `aversion` it must have, or -1 for any.
        version: i32,
    }
}

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
