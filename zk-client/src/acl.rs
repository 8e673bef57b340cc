//! Entries of access control lists, by scheme, and the identities in them.
//!
//! There is no default list anywhere in this crate: who creates a znode says who may do what. Must not know sessions.
//! Source: protocol.md section 6.1.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};
use zk_proto::{
    jute::Label,
    records::{Acl, AuthId, Permissions},
};

/// Everybody who reaches the server. Use another scheme wherever you can: [`OPEN_ACL_UNSAFE`](crate::OPEN_ACL_UNSAFE)
/// says `UNSAFE` in its name, and means this with all permissions.
#[must_use]
pub fn world_unsafe(permissions: Permissions) -> Acl {
    entry(permissions, "world", "anyone")
}

/// Every identity that the connection has proven when the ACL is set: the server writes one entry for each. On a
/// connection without one it refuses with [`INVALID_ACL`](crate::ErrorCode::INVALID_ACL).
/// [`CREATOR_ALL_ACL`](crate::CREATOR_ALL_ACL) is this with all permissions.
#[must_use]
pub fn auth(permissions: Permissions) -> Acl {
    entry(permissions, "auth", "")
}

/// Whoever presents this user and password with the scheme `digest`. What is stored at the server is
/// [`digest_id`], an unsalted SHA-1: whoever reads it can guess a weak password.
///
/// ```
/// use zk_client::{Permissions, acl};
///
/// let entry = acl::digest(Permissions::READ.and(Permissions::WRITE), "bob", "secret");
/// assert_eq!(&*entry.id.id, "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=");
/// ```
#[must_use]
pub fn digest(permissions: Permissions, user: &str, password: &str) -> Acl {
    entry(permissions, "digest", &digest_id(user, password))
}

/// Whoever has this digest identity, as [`digest_id`] gives it: the password need not be known here.
#[must_use]
pub fn digest_of(permissions: Permissions, id: &str) -> Acl {
    entry(permissions, "digest", id)
}

/// An address, or a network as `10.0.0.0/8`. An address can be forged, and changes behind a proxy. IPv6 since 3.9.4.
#[must_use]
pub fn ip(permissions: Permissions, addresses: &str) -> Acl {
    entry(permissions, "ip", addresses)
}

/// Whoever shows a certificate with this subject, in the order of RFC 2253, the last part first:
/// `CN=worker,O=Example,C=DE`.
#[must_use]
pub fn x509(permissions: Permissions, subject: &str) -> Acl {
    entry(permissions, "x509", subject)
}

/// Whoever has proven this identity by SASL: `bob`, or for Kerberos `user/host@REALM`.
#[must_use]
pub fn sasl(permissions: Permissions, id: &str) -> Acl {
    entry(permissions, "sasl", id)
}

/// An entry of a scheme that a plug-in of the server knows.
#[must_use]
pub fn other(permissions: Permissions, scheme: &str, id: &str) -> Acl {
    entry(permissions, scheme, id)
}

/// The identity that the server makes of `user:password`: `user:BASE64(SHA1("user:password"))`. A server with another
/// `zookeeper.DigestAuthenticationProvider.digestAlg` than SHA1 makes another one.
///
/// ```
/// assert_eq!(zk_client::acl::digest_id("super", "test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
/// ```
#[must_use]
pub fn digest_id(user: &str, password: &str) -> String {
    let hash = Sha1::new().chain_update(user).chain_update(":").chain_update(password).finalize();
    format!("{user}:{}", STANDARD.encode(hash))
}

fn entry(permissions: Permissions, scheme: &str, id: &str) -> Acl {
    Acl { permissions, id: AuthId { scheme: Label::from(scheme), id: Label::from(id) } }
}
