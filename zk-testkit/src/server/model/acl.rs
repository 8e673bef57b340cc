//! Who is who, and who may do what: identities of connections, ACLs of znodes.
//!
//! Must not know requests or znodes. Source: protocol.md section 6.1.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};
use zk_proto::{Acl, AuthId, ErrorCode, Permissions, jute::Label, records};

use crate::server::Profile;

/// Who acts, and as what: the identities of a connection.
pub(super) type Identities = Arc<[AuthId]>;

fn id(scheme: &'static str, id: &str) -> AuthId {
    AuthId { scheme: Label::from_static(scheme), id: Label::from(id) }
}

/// What every connection is by itself.
pub(super) fn of_peer(peer: IpAddr) -> AuthId {
    id("ip", &peer.to_string())
}

/// Whoever may do everything.
pub(super) fn superuser() -> Identities {
    Arc::new([id("super", "")])
}

/// `user:password` as an ACL names it: `user:BASE64(SHA1("user:password"))`.
pub(crate) fn digest_id(credentials: &str) -> String {
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{user}:{}", STANDARD.encode(Sha1::digest(credentials.as_bytes())))
}

/// The identities that an auth packet adds to a connection.
///
/// # Errors
/// The scheme is none that a client can send.
pub(super) fn authenticate(
    scheme: &str,
    auth: &[u8],
    peer: IpAddr,
    super_digest: Option<&str>,
) -> Result<Vec<AuthId>, ErrorCode> {
    match scheme {
        "ip" => Ok(vec![of_peer(peer)]),
        "digest" => {
            let digest = digest_id(&zk_proto::jute::decode_utf8(auth));
            let superuser = (super_digest == Some(digest.as_str())).then(|| id("super", ""));
            Ok(superuser.into_iter().chain([id("digest", &digest)]).collect())
        }
        _ => Err(ErrorCode::AUTH_FAILED),
    }
}

/// An identity without its secret: `(scheme, user)`.
pub(super) fn public_name(identity: &AuthId) -> (String, String) {
    let user =
        if &*identity.scheme == "digest" { identity.id.split(':').next().unwrap_or_default() } else { &identity.id };
    (identity.scheme.to_string(), user.to_owned())
}

/// Whether any of the identities has any of the permissions.
pub(super) fn allows(acl: &[Acl], wanted: Permissions, identities: &[AuthId]) -> bool {
    acl.is_empty()
        || identities.iter().any(|identity| &*identity.scheme == "super")
        || acl.iter().any(|entry| {
            entry.permissions.0 & wanted.0 != 0
                && (is_anyone(&entry.id) || identities.iter().any(|identity| matches(&entry.id, identity)))
        })
}

fn is_anyone(id: &AuthId) -> bool {
    &*id.scheme == "world" && &*id.id == "anyone"
}

fn matches(entry: &AuthId, identity: &AuthId) -> bool {
    if entry.scheme != identity.scheme {
        return false;
    }
    match &*entry.scheme {
        "ip" => ip_matches(&entry.id, &identity.id),
        "sasl" => entry.id == identity.id || &*identity.id == "super",
        _ => entry.id == identity.id,
    }
}

/// What a client's ACL becomes in the tree: duplicates go, `auth` becomes the creator's own identities.
///
/// # Errors
/// -114: it is empty, or an entry is not valid, or `auth` stands for nobody.
pub(super) fn fix_up(acl: &[Acl], identities: &[AuthId], profile: &Profile) -> Result<Arc<[Acl]>, ErrorCode> {
    if acl == records::OPEN_ACL_UNSAFE {
        return Ok(records::OPEN_ACL_UNSAFE.into());
    }
    let mut fixed: Vec<Acl> = Vec::with_capacity(acl.len());
    for (index, entry) in acl.iter().enumerate() {
        if acl.iter().take(index).any(|earlier| earlier == entry) {
            continue;
        }
        match &*entry.id.scheme {
            "world" if is_anyone(&entry.id) => fixed.push(entry.clone()),
            "auth" => {
                let own = identities.iter().filter(|identity| matches!(&*identity.scheme, "digest" | "sasl" | "x509"));
                let before = fixed.len();
                fixed.extend(own.map(|own| Acl { permissions: entry.permissions, id: own.clone() }));
                if fixed.len() == before {
                    return Err(ErrorCode::INVALID_ACL);
                }
            }
            "digest" if is_digest(&entry.id.id) => fixed.push(entry.clone()),
            "ip" if is_ip_range(&entry.id.id, profile.ipv6_acls()) => fixed.push(entry.clone()),
            "x509" if profile.x509 && entry.id.id.contains('=') => fixed.push(entry.clone()),
            "sasl" if profile.sasl && is_kerberos_name(&entry.id.id) => fixed.push(entry.clone()),
            _ => return Err(ErrorCode::INVALID_ACL),
        }
    }
    if fixed.is_empty() { Err(ErrorCode::INVALID_ACL) } else { Ok(fixed.into()) }
}

/// Exactly two parts, counted as Java's `split` does: empty parts at the end do not count.
fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// Either without `@`, or `service@realm`, or `service/host@realm`.
fn is_kerberos_name(id: &str) -> bool {
    let Some((name, realm)) = id.split_once('@') else { return true };
    name.matches('/').count() <= 1 && !realm.contains(['/', '@'])
}

/// An address and how many of its bits count.
fn ip_range(range: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match range.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (range, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some((address, bits))
}

fn is_ip_range(id: &str, ipv6: bool) -> bool {
    ip_range(id).is_some_and(|(address, _)| ipv6 || address.is_ipv4())
}

fn ip_matches(range: &str, address: &str) -> bool {
    let (Some((range, bits)), Ok(address)) = (ip_range(range), address.parse::<IpAddr>()) else { return false };
    match (range, address) {
        (IpAddr::V4(range), IpAddr::V4(address)) => {
            (range.to_bits() ^ address.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(range), IpAddr::V6(address)) => {
            (range.to_bits() ^ address.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// An ACL for eyes without ADMIN permission: digests lose their hash.
pub(super) fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mask = |entry: &Acl| match entry.id.id.split_once(':') {
        Some((user, _)) if &*entry.id.scheme == "digest" => {
            Acl { permissions: entry.permissions, id: id("digest", &format!("{user}:x")) }
        }
        _ => entry.clone(),
    };
    acl.iter().map(mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bits: i32, scheme: &'static str, name: &str) -> Acl {
        Acl { permissions: Permissions(bits), id: id(scheme, name) }
    }

    #[test]
    fn digests_are_zookeepers() {
        assert_eq!(digest_id("bob:secret"), "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=");
        assert!(digest_id("nocolon").starts_with("nocolon:"));
    }

    #[test]
    fn an_acl_is_checked_entry_by_entry() {
        let me = [of_peer(IpAddr::from([10, 1, 2, 3])), id("digest", "bob:h")];
        let fix = |acl: &[Acl]| fix_up(acl, &me, &Profile::V3_8).map(|acl| acl.to_vec());
        assert_eq!(fix(&[]), Err(ErrorCode::INVALID_ACL));
        assert_eq!(fix(&[entry(31, "world", "me")]), Err(ErrorCode::INVALID_ACL));
        assert_eq!(fix(&[entry(31, "digest", "bob")]), Err(ErrorCode::INVALID_ACL));
        assert_eq!(fix(&[entry(31, "ip", "::1")]), Err(ErrorCode::INVALID_ACL));
        assert_eq!(fix(&[entry(31, "ip", "10.0.0.0/33")]), Err(ErrorCode::INVALID_ACL));
        assert_eq!(fix(&[entry(31, "auth", "")]), Ok(vec![entry(31, "digest", "bob:h")]));
        assert_eq!(
            fix(&[entry(1, "ip", "10.0.0.0/8"), entry(1, "ip", "10.0.0.0/8")]),
            Ok(vec![entry(1, "ip", "10.0.0.0/8")])
        );
    }

    #[test]
    fn any_identity_with_any_permission_will_do() {
        let me = [of_peer(IpAddr::from([10, 1, 2, 3]))];
        let wanted = Permissions::READ.and(Permissions::ADMIN);
        assert!(allows(&[entry(16, "ip", "10.0.0.0/8")], wanted, &me));
        assert!(allows(&[entry(1, "ip", "0.0.0.0/0")], wanted, &me));
        assert!(!allows(&[entry(2, "world", "anyone")], wanted, &me));
        assert!(!allows(&[entry(31, "ip", "10.1.2.4")], wanted, &me));
        assert!(allows(&[entry(31, "ip", "10.1.2.4")], wanted, &superuser()));
    }
}
