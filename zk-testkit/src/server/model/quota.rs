//! Quotas: how much is below a path, and what is too much.
//!
//! Must not know requests. As in `DataTree`, the limits are the data of `/zookeeper/quota<path>/zookeeper_limits`, the
//! server keeps what is used in `zookeeper_stats` beside it if there is such a znode, and only the nearest path with
//! limits counts. Source: protocol.md section 8.4.

use bytes::Bytes;
use zk_proto::ErrorCode;

use super::tree::{Node, Tree};

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// Znodes and bytes, as limits or as what is used; -1 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Track {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Track {
    /// Reads `count=5,bytes=-1=;byteHardLimit=..;countHardLimit=..`; what is not there is no limit.
    fn parse(data: &[u8]) -> Self {
        let mut track = Self { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };
        let text = String::from_utf8_lossy(data);
        for (key, value) in text.split([',', ';']).filter_map(|part| part.split_once('=')) {
            let Ok(value) = value.trim_end_matches('=').parse() else { continue };
            match key {
                "count" => track.count = value,
                "bytes" => track.bytes = value,
                "countHardLimit" => track.count_hard = value,
                "byteHardLimit" => track.bytes_hard = value,
                _ => {}
            }
        }
        track
    }

    fn used(count: i64, bytes: i64) -> Bytes {
        format!("count={count},bytes={bytes}").into()
    }
}

/// The path that a znode of quotas is for, if it has this name.
fn subject<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    path.strip_prefix(ROOT)?.strip_suffix(name)?.strip_suffix('/').filter(|subject| !subject.is_empty())
}

fn bytes(node: &Node) -> i64 {
    node.data.as_ref().map_or(0, |data| i64::try_from(data.len()).unwrap_or(i64::MAX))
}

impl Tree {
    /// The nearest path with limits at or above another.
    fn nearest_quota(&self, path: &str) -> Option<&str> {
        let is_at_or_above =
            |quota: &&str| path.strip_prefix(quota).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.quotas.iter().map(AsRef::as_ref).filter(is_at_or_above).max_by_key(|quota| quota.len())
    }

    /// A znode has come or gone (`count` 1 or -1), or its data has.
    pub(super) fn use_quota(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(quota) = self.nearest_quota(path) else { return };
        let stats = format!("{ROOT}{quota}/{STATS}");
        if let Some(node) = self.get_mut(&stats) {
            let used = Track::parse(node.data.as_deref().unwrap_or_default());
            node.data = Some(Track::used(used.count.saturating_add(count), used.bytes.saturating_add(bytes)));
        }
    }

    /// A znode was put in.
    pub(super) fn quota_inserted(&mut self, path: &str) {
        if let Some(subject) = subject(path, LIMITS) {
            self.quotas.insert(subject.into());
        }
        if let Some(subject) = subject(path, STATS) {
            let (count, bytes) = self.usage(subject);
            if let Some(stats) = self.get_mut(path) {
                stats.data = Some(Track::used(count, bytes));
            }
        }
        if !self.quotas.is_empty() {
            let bytes = self.get(path).map_or(0, bytes);
            self.use_quota(path, 1, bytes);
        }
    }

    /// A znode was taken out.
    pub(super) fn quota_removed(&mut self, path: &str, node: &Node) {
        if let Some(subject) = subject(path, LIMITS) {
            self.quotas.remove(subject);
        }
        if !self.quotas.is_empty() {
            self.use_quota(path, -1, -bytes(node));
        }
    }

    /// Znodes and bytes at and below a path.
    fn usage(&self, path: &str) -> (i64, i64) {
        let Some(node) = self.get(path) else { return (0, 0) };
        let (mut total, mut pending) = ((0, 0), vec![(path.to_owned(), node)]);
        while let Some((path, node)) = pending.pop() {
            total = (total.0 + 1, total.1 + bytes(node));
            let below = node.children.iter().map(|name| format!("{path}/{name}"));
            pending.extend(below.filter_map(|path| Some((path.clone(), self.get(&path)?))));
        }
        total
    }

    /// Whether this much more is allowed at a path: -125 if it goes over a hard limit.
    pub(super) fn check_quota(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        let Some(quota) = self.nearest_quota(path) else { return Ok(()) };
        let read = |name: &str| {
            let node = self.get(&format!("{ROOT}{quota}/{name}"))?;
            Some(Track::parse(node.data.as_deref().unwrap_or_default()))
        };
        let (Some(limits), Some(used)) = (read(LIMITS), read(STATS)) else { return Ok(()) };
        let is_over = |more: i64, used: i64, limit: i64| more > 0 && limit > -1 && used.saturating_add(more) > limit;
        if is_over(count, used.count, limits.count_hard) || is_over(bytes, used.bytes, limits.bytes_hard) {
            return Err(ErrorCode::QUOTA_EXCEEDED);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_zookeeper_writes_them() {
        let track = Track::parse(b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=5");
        assert_eq!(track, Track { count: -1, bytes: -1, count_hard: 5, bytes_hard: 10 });
        assert_eq!(Track::parse(b"count=3,bytes=7"), Track { count: 3, bytes: 7, count_hard: -1, bytes_hard: -1 });
        assert_eq!(Track::parse(b"\xff=,=;,count=x").count, -1);
        assert_eq!(subject("/zookeeper/quota/a/b/zookeeper_limits", LIMITS), Some("/a/b"));
        assert_eq!(subject("/zookeeper/quota/zookeeper_limits", LIMITS), None);
    }
}
