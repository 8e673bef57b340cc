//! What a number or a run of bytes means to a reader: names of codes, ids in hexadecimal.
//!
//! Must not know frames. Source: protocol.md sections 3, 4.2 and 7.

use crate::schema::op_of;

const ERRORS: [(i64, &str); 28] = [
    (0, "OK"),
    (-1, "SYSTEM_ERROR"),
    (-2, "RUNTIME_INCONSISTENCY"),
    (-3, "DATA_INCONSISTENCY"),
    (-5, "MARSHALLING_ERROR"),
    (-6, "UNIMPLEMENTED"),
    (-8, "BAD_ARGUMENTS"),
    (-12, "UNKNOWN_SESSION"),
    (-13, "NEW_CONFIG_NO_QUORUM"),
    (-14, "RECONFIG_IN_PROGRESS"),
    (-100, "API_ERROR"),
    (-101, "NO_NODE"),
    (-102, "NO_AUTH"),
    (-103, "BAD_VERSION"),
    (-108, "NO_CHILDREN_FOR_EPHEMERALS"),
    (-110, "NODE_EXISTS"),
    (-111, "NOT_EMPTY"),
    (-112, "SESSION_EXPIRED"),
    (-114, "INVALID_ACL"),
    (-115, "AUTH_FAILED"),
    (-118, "SESSION_MOVED"),
    (-119, "NOT_READ_ONLY"),
    (-120, "EPHEMERAL_ON_LOCAL_SESSION"),
    (-121, "NO_WATCHER"),
    (-123, "RECONFIG_DISABLED"),
    (-124, "SESSION_CLOSED_REQUIRE_SASL_AUTH"),
    (-125, "QUOTA_EXCEEDED"),
    (-127, "THROTTLED_OP"),
];

const EVENTS: [(i64, &str); 4] =
    [(1, "NodeCreated"), (2, "NodeDeleted"), (3, "NodeDataChanged"), (4, "NodeChildrenChanged")];

const MODES: [(i64, &str); 7] = [
    (0, "persistent"),
    (1, "ephemeral"),
    (2, "persistent sequential"),
    (3, "ephemeral sequential"),
    (4, "container"),
    (5, "persistent with TTL"),
    (6, "persistent sequential with TTL"),
];

const WATCHERS: [(i64, &str); 5] =
    [(1, "children"), (2, "data"), (3, "any"), (4, "persistent"), (5, "persistent recursive")];

fn named(value: i64, names: &[(i64, &str)]) -> String {
    let name = names.iter().find(|(known, _)| *known == value);
    name.map_or_else(|| value.to_string(), |(_, name)| format!("{value} {name}"))
}

/// An operation's name.
pub(crate) fn op_text(code: i32) -> String {
    match (code, op_of(code)) {
        (-1, _) => "error".to_owned(),
        (_, Some(op)) => op.name.to_owned(),
        (_, None) => "unknown".to_owned(),
    }
}

/// A number of this field.
pub(crate) fn number(record: &str, field: &str, value: i64) -> String {
    match (record, field) {
        ("WatcherEvent", "type") => named(value, &EVENTS),
        ("WatcherEvent", "state") => named(value, &[(3, "SyncConnected")]),
        (_, "op") => named(value, &[(value, &op_text(i32::try_from(value).unwrap_or_default()))]),
        (_, "err") => named(value, &ERRORS),
        (_, "flags") => named(value, &MODES),
        (_, "watcherType") => named(value, &WATCHERS),
        (_, "mode") => named(value, &[(0, "persistent"), (1, "persistent recursive")]),
        (_, "zxid" | "relativeZxid") if value < 0 => value.to_string(),
        (_, "curConfigId") if value < 0 => value.to_string(),
        (_, "czxid" | "mzxid" | "pzxid" | "zxid" | "relativeZxid" | "lastZxidSeen" | "curConfigId") => {
            format!("{value:#x}")
        }
        (_, "sessionId" | "ephemeralOwner") => format!("{value:#x}"),
        _ => value.to_string(),
    }
}

/// A string or a buffer of this field.
pub(crate) fn text(field: &str, bytes: &[u8], is_text: bool) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if field != "passwd" && text.chars().all(|c| !c.is_control() || c == '\n') => format!("{text:?}"),
        Err(_) if is_text => format!("{} bytes of CESU-8", bytes.len()),
        _ => format!("{} bytes", bytes.len()),
    }
}

/// Whether a field's value differs from run to run. Special values do not: they mean something.
pub(crate) fn is_volatile(field: &str, value: i64) -> bool {
    match field {
        "zxid" | "czxid" | "mzxid" | "pzxid" | "xid" | "relativeZxid" | "lastZxidSeen" | "sessionId"
        | "ephemeralOwner" => !(-8..=0).contains(&value),
        "ctime" | "mtime" | "passwd" | "token" | "curConfigId" => true,
        _ => false,
    }
}
