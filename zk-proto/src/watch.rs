//! Watched events: what the server tells a client that left a watch, and which watches an event is for.
//!
//! Knows nothing of who listens. Source: protocol.md section 4.

use crate::{code::codes, id::Zxid, jute::Text};
use core::fmt;

codes! {
    /// What happened to a znode.
    EventType, "event type" {
        NODE_CREATED = 1 "created";
        NODE_DELETED = 2 "deleted";
        NODE_DATA_CHANGED = 3 "data changed";
        NODE_CHILDREN_CHANGED = 4 "children changed";
    }
}

codes! {
    /// The state that a notification carries; on the wire always [`SYNC_CONNECTED`](Self::SYNC_CONNECTED).
    KeeperState, "keeper state" {
        DISCONNECTED = 0 "disconnected";
        SYNC_CONNECTED = 3 "connected";
        AUTH_FAILED = 4 "authentication failed";
        CONNECTED_READ_ONLY = 5 "connected, read-only";
        SASL_AUTHENTICATED = 6 "authenticated by SASL";
        CLOSED = 7 "closed";
        EXPIRED = -112 "expired";
    }
}

codes! {
    /// Which persistent watch addWatch sets.
    WatchMode, "watch mode" {
        PERSISTENT = 0 "persistent: the znode and the names of its children";
        PERSISTENT_RECURSIVE = 1 "persistent, recursive: the znode and everything below";
    }
}

codes! {
    /// Which watches checkWatches and removeWatches mean.
    WatcherType, "watcher type" {
        CHILDREN = 1 "one-shot child watches";
        DATA = 2 "one-shot data watches";
        ANY = 3 "all watches on the path";
        PERSISTENT = 4 "the persistent watch, since 3.9.0";
        PERSISTENT_RECURSIVE = 5 "the persistent-recursive watch, since 3.9.0";
    }
}

/// One change that a watch was told of.
///
/// An event says that something happened, not what the znode looks like now: read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedEvent {
    /// What happened.
    pub event_type: EventType,
    /// The state the server put in; always `SYNC_CONNECTED` today.
    pub state: KeeperState,
    /// To which znode.
    pub path: Text,
    /// The transaction that did it; [`Zxid::NONE`] from servers before 3.9 and for changes that
    /// setWatches reports after a reconnect.
    pub zxid: Zxid,
}

impl fmt::Display for WatchedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.event_type)
    }
}

/// Whether `path` is `root` or lies below it; `/ab` is not below `/a`.
#[must_use]
pub fn is_at_or_below(path: &str, root: &str) -> bool {
    match path.strip_prefix(root) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || root == "/",
        None => false,
    }
}

impl WatchMode {
    /// Whether a watch of this mode on `root` is meant by an event.
    ///
    /// A server sends one event a path and connection, however many watches match: the client hands it to
    /// all of them. Children-changed events are never for recursive watches (ZOOKEEPER-4475).
    #[must_use]
    pub fn matches(self, root: &str, event_type: EventType, path: &str) -> bool {
        if self == Self::PERSISTENT_RECURSIVE {
            event_type != EventType::NODE_CHILDREN_CHANGED && is_at_or_below(path, root)
        } else {
            path == root
        }
    }

    /// What removeWatches calls it, on servers since 3.9.0.
    #[must_use]
    pub const fn watcher_type(self) -> WatcherType {
        if self.0 == Self::PERSISTENT_RECURSIVE.0 { WatcherType::PERSISTENT_RECURSIVE } else { WatcherType::PERSISTENT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_by_component() {
        assert!(is_at_or_below("/a", "/a"));
        assert!(is_at_or_below("/a/b", "/a"));
        assert!(is_at_or_below("/a", "/"));
        assert!(!is_at_or_below("/ab", "/a"));
        assert!(!is_at_or_below("/", "/a"));
    }

    #[test]
    fn recursive_watches_get_no_children_changed() {
        let recursive = WatchMode::PERSISTENT_RECURSIVE;
        assert!(recursive.matches("/a", EventType::NODE_CREATED, "/a/b/c"));
        assert!(!recursive.matches("/a", EventType::NODE_CHILDREN_CHANGED, "/a"));
        assert!(WatchMode::PERSISTENT.matches("/a", EventType::NODE_CHILDREN_CHANGED, "/a"));
        assert!(!WatchMode::PERSISTENT.matches("/a", EventType::NODE_CREATED, "/a/b"));
    }
}
