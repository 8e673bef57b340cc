//! From a transaction to whoever is to know: the reply of the author, the events of the watchers.
//!
//! Must not know how a change is checked; that is `txn`.

use std::{sync::Arc, time::Duration};

use zk_proto::{Acl, EventType, Permissions, WatchedEvent, Zxid, jute::Text, watch::KeeperState};

use super::{
    ConnId, Model, acl,
    members::Commit,
    tree::{self, Kind},
    txn::{Author, Change, Txn},
    watches::Side,
};

impl Model {
    /// Runs a transaction under a new zxid, which it uses up even when it fails, and tells the watchers.
    pub(super) fn transact<T>(&mut self, now: Duration, author: &Author, run: impl FnOnce(&mut Txn<'_>) -> T) -> T {
        let zxid = self.next_zxid();
        let time_ms = self.wall_ms(now);
        let mut txn = Txn::new(&mut self.tree, &self.config.profile, author, zxid, time_ms);
        txn.enforces_quota = self.config.enforce_quota && self.config.profile.has_hard_quotas();
        let result = run(&mut txn);
        let (changes, deltas) = (std::mem::take(&mut txn.changes), std::mem::take(&mut txn.deltas));
        let ended = txn.ended;
        self.publish(Commit { zxid, at: now, changes, deltas, ended });
        result
    }

    /// Deletes containers that have lost their last child, and childless znodes that have outlived their time.
    pub(super) fn check_containers(&mut self, now: Duration) {
        let wall_ms = self.wall_ms(now);
        let is_due = |node: &tree::Node| {
            node.children.is_empty()
                && match node.kind {
                    Kind::Container => node.creates > 0,
                    Kind::Ttl(ttl_ms) => wall_ms.saturating_sub(node.mtime) > ttl_ms,
                    Kind::Persistent | Kind::Ephemeral(_) => false,
                }
        };
        let due: Vec<String> =
            self.tree.mortals().filter(|(_, node)| is_due(node)).map(|(path, _)| path.to_owned()).collect();
        for path in due {
            let author = Author { session: zk_proto::SessionId::NONE, identities: acl::superuser() };
            // it was childless a moment ago and still is
            let _ = self.transact(now, &author, |txn| txn.delete_container(&path));
        }
    }

    /// Who gets what: protocol.md section 4.3.
    pub(super) fn fire(&mut self, member: usize, zxid: Zxid, change: &Change) {
        if self.member(member).watches.len() == 0 {
            return;
        }
        let Change { event, path, acl, parent_acl } = change;
        let told = self.member(member).watches.trigger(Side::Data, path, *event);
        self.tell(&told, zxid, *event, path, acl);
        if *event == EventType::NODE_DELETED {
            let more = self.member(member).watches.trigger(Side::Child, path, *event);
            self.tell(more.difference(&told), zxid, *event, path, acl);
        }
        if let Some(acl) = parent_acl {
            let parent = match tree::split(path).0 {
                "" => "/",
                parent => parent,
            };
            let told = self.member(member).watches.trigger(Side::Child, parent, EventType::NODE_CHILDREN_CHANGED);
            self.tell(&told, zxid, EventType::NODE_CHILDREN_CHANGED, parent, acl);
        }
    }

    fn tell<'a>(
        &mut self,
        conns: impl IntoIterator<Item = &'a ConnId>,
        zxid: Zxid,
        event: EventType,
        path: &str,
        acl: &Arc<[Acl]>,
    ) {
        let mut conns = conns.into_iter().peekable();
        if conns.peek().is_none() {
            return;
        }
        let zxid = if self.config.profile.event_zxid() { zxid } else { Zxid::NONE };
        let event = watched_event(zxid, event, path);
        for id in conns {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            let hidden = self.config.profile.read_filter && !acl::allows(acl, Permissions::READ, &conn.identities);
            if !hidden {
                conn.say().notify(&event);
                self.list(*id);
            }
        }
    }
}

/// What a connection is told.
pub(super) fn watched_event(zxid: Zxid, event_type: EventType, path: &str) -> WatchedEvent {
    WatchedEvent { event_type, state: KeeperState::SYNC_CONNECTED, path: Text::from(path), zxid }
}
