//! What answers do to the copy.

use super::{Fetch, Hidden, Kind, Machine, Phase, known_since};
use crate::snapshot::{Node, prefix_of};
use std::sync::Arc;
use tokio::time::Instant;
use zk_client::{Answer, Bytes, ErrorCode, List, MultiResult, Refusal, Stat, Text, Zxid};

/// What one read found.
enum Found {
    Data(Bytes, Stat),
    Children(List<'static, Text>),
    Refused(Hidden),
}

impl Machine {
    /// A request was answered by a server at `zxid`.
    pub(crate) fn answered(&mut self, now: Instant, token: u64, zxid: Zxid, answer: Answer) {
        let mut fetches = self.wants.answered(token);
        let answered = match answer {
            Answer::Data(data, stat) => self.found_each(&fetches, zxid, Some(Found::Data(data, stat))),
            Answer::Children(names, _) => self.found_each(&fetches, zxid, Some(Found::Children(names))),
            Answer::Many(results) => self.found_each(&fetches, zxid, results.iter().map(Found::from)),
            Answer::Refused(refusal) => return self.refused(now, zxid, fetches, refusal),
            Answer::Watching => return,
        };
        self.wants.larger_batches();
        if answered < fetches.len() {
            // A server that answered fewer reads than were asked for.
            self.wants.again(fetches.drain(answered..));
        }
        self.wants.reuse(fetches);
        self.bookmark(now, zxid);
    }

    /// What each read found; answers how many of them found something.
    fn found_each(&mut self, fetches: &[Fetch], zxid: Zxid, found: impl IntoIterator<Item = Found>) -> usize {
        let mut answered = 0;
        for (fetch, found) in fetches.iter().zip(found) {
            self.found(fetch, zxid, found);
            answered += 1;
        }
        answered
    }

    /// A whole request was refused.
    fn refused(&mut self, now: Instant, zxid: Zxid, fetches: Vec<Fetch>, refusal: Refusal) {
        let why = match refusal {
            // Of the session or of the moment, and no word about the znodes: they are as unread as before.
            Refusal::Server(
                ErrorCode::SESSION_EXPIRED
                | ErrorCode::SESSION_MOVED
                | ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH
                | ErrorCode::THROTTLED_OP,
            ) => return self.wants.again(fetches),
            Refusal::Server(_) | Refusal::Decode(_) if fetches.len() > 1 => {
                // No batched reads here, or one that cannot be read: plain reads tell which znode it is. A server that
                // does not know the operation hangs up now.
                self.wants.batches = false;
                return self.wants.again(fetches);
            }
            Refusal::ReplyTooLarge(_) | Refusal::RequestTooLarge(_) if fetches.len() > 1 => {
                self.wants.smaller_batches(fetches.len());
                return self.wants.again(fetches);
            }
            Refusal::ReplyTooLarge(size) | Refusal::RequestTooLarge(size) => Hidden::TooLarge(size),
            Refusal::Server(code) => Hidden::Refused(code),
            Refusal::Decode(_) | Refusal::WatchConflict => Hidden::Unreadable,
        };
        for fetch in fetches {
            self.found(&fetch, zxid, Found::Refused(why));
        }
        self.bookmark(now, zxid);
    }

    fn found(&mut self, fetch: &Fetch, zxid: Zxid, found: Found) {
        let path = &fetch.path;
        // An answer to what is not wanted any more: it must not be shown at any transaction that was not shown yet.
        let unshown = Zxid(self.snapshot.revision.0.saturating_add(1));
        let since = self.wants.met(fetch, zxid).unwrap_or(unshown);
        match (fetch.kind, found) {
            (Kind::Data, Found::Data(data, stat)) => self.found_data(fetch, since, &data, stat),
            (Kind::Children, Found::Children(names)) => self.found_children(fetch, &names),
            (Kind::Data, Found::Refused(Hidden::Refused(ErrorCode::NO_NODE))) => {
                self.remove(path, since, Some(zxid), false)
            }
            (Kind::Data, Found::Refused(why)) => self.hide(path, since, zxid, why),
            // Deleted since its data was read: the event that says so is on its way, or was here.
            (Kind::Children, Found::Refused(Hidden::Refused(ErrorCode::NO_NODE))) => {}
            (Kind::Children, Found::Refused(why)) => self.hide(path, since, zxid, why),
            (Kind::Data, Found::Children(_)) | (Kind::Children, Found::Data(..)) => {
                self.hide(path, since, zxid, Hidden::Unreadable);
            }
        }
    }

    fn found_data(&mut self, fetch: &Fetch, since: Zxid, data: &Bytes, stat: Stat) {
        let path = &fetch.path;
        self.wants.weigh(data.len());
        if self.phase == Phase::Live && self.replace(path, since, data, stat) {
            return;
        }
        // The first read of a znode finds it unknown; where an event was faster, what is read now is no older.
        let old = if fetch.first { None } else { self.nodes.get(&**path) };
        // Children that came before the watch stood, or while it did not: the list says which. Those that
        // went are read like every known znode, and found missing. A load that was broken off has read no list to its end.
        let unlisted = self.is_loading() || old.is_none_or(|old| old.stat.pzxid != stat.pzxid);
        if self.phase == Phase::Syncing && unlisted && stat.num_children > 0 {
            self.wants.want_next(fetch, path.clone(), Kind::Children);
        }
        if old.is_none_or(|old| old.stat != stat) {
            let node = node(old, data, stat);
            self.set(path, since, node);
        }
    }

    /// Takes in the value of a znode that the copy has: looked up once, because nearly always it did change. Whether the copy
    /// has it.
    fn replace(&mut self, path: &Arc<str>, since: Zxid, data: &Bytes, stat: Stat) -> bool {
        let Some(slot) = self.nodes.get_mut(&**path) else { return false };
        if slot.stat != stat {
            let new = Arc::new(node(Some(slot), data, stat));
            let old = std::mem::replace(slot, new.clone());
            self.held.replace(path, Some(&old), Some(&new));
            self.unpublished.touch(path, Some(old), Some(new), since, Some(known_since(&stat)));
        }
        true
    }

    fn found_children(&mut self, fetch: &Fetch, names: &List<'_, Text>) {
        self.wants.count(names.len());
        self.held.list(names.len());
        // By path, as the copy is: neighbours are read, and taken in, one after the other.
        let mut names: Vec<_> = names.strs().collect();
        names.sort_unstable();
        let mut child = prefix_of(&fetch.path);
        let parent_len = child.len();
        for name in names {
            child.truncate(parent_len);
            child.push_str(&name);
            if fetch.first || !self.nodes.contains_key(child.as_str()) {
                self.wants.want_next(fetch, child.as_str().into(), Kind::Data);
            }
        }
    }
}

/// A value as it is kept.
fn node(old: Option<&Arc<Node>>, data: &Bytes, stat: Stat) -> Node {
    let data = match old {
        Some(old) if old.stat.same_value(&stat) => old.data.clone(),
        // Copied: a slice would keep the whole read buffer alive.
        _ => Bytes::copy_from_slice(data),
    };
    Node { data, stat }
}

impl From<MultiResult> for Found {
    fn from(result: MultiResult) -> Self {
        match result {
            MultiResult::GetData(reply) => Self::Data(reply.data.unwrap_or_default(), reply.stat),
            MultiResult::GetChildren(names) => Self::Children(names),
            MultiResult::Error(code) => Self::Refused(Hidden::Refused(code)),
            MultiResult::Create(_)
            | MultiResult::Create2(..)
            | MultiResult::Delete
            | MultiResult::SetData(_)
            | MultiResult::Check => Self::Refused(Hidden::Unreadable),
        }
    }
}
