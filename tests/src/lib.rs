//! What tests of several crates share: walking a tree, and folding a stream of changes.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};
use tokio::sync::watch;
use zk_client::{Client, Error, ErrorCode, Stat};
use zk_config::{Changes, GapReason, Snapshot, Update};

pub mod certificates;
pub mod mutants;

/// A subtree: path to data and metadata.
pub type Tree = BTreeMap<String, (Vec<u8>, Stat)>;

/// Reads a subtree znode by znode, behind a sync. Nothing may change meanwhile.
pub async fn walk(client: &Client, root: &str) -> Result<Tree, Error> {
    client.sync(root).await?;
    let mut tree = Tree::new();
    let mut paths = vec![root.to_owned()];
    while let Some(path) = paths.pop() {
        let (data, children) = (client.get_data(&path), client.get_children(&path));
        let (data, stat) = match data.await {
            Ok(found) => found,
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => continue,
            Err(error) => return Err(error),
        };
        let (names, _) = children.await?;
        paths.extend(names.iter().map(|name| zk_client::path::join(&path, name)));
        tree.insert(path, (data.to_vec(), stat));
    }
    Ok(tree)
}

/// A snapshot in the form of a walk.
pub fn tree_of(snapshot: &Snapshot) -> Tree {
    snapshot.iter().map(|(path, node)| (path.to_string(), (node.data.to_vec(), node.stat))).collect()
}

/// The first differences of two trees, for a message; empty when they are equal.
pub fn differences(left: &Tree, right: &Tree) -> String {
    let mut text = String::new();
    let paths: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for path in paths.into_iter().filter(|path| left.get(*path) != right.get(*path)).take(5) {
        let _ = writeln!(text, "{path}:\n  {:?}\n  {:?}", left.get(path), right.get(path));
    }
    text
}

/// What a subscriber has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    /// The changes folded over the first snapshot.
    pub tree: Tree,
    /// Gaps announced, without those of a slow subscriber.
    pub gaps: usize,
    /// Gaps closed.
    pub resynced: usize,
    /// Whether a gap is open.
    pub in_gap: bool,
    /// Changes seen.
    pub changes: usize,
    /// A change whose old value is not what was there: something was left out in silence.
    pub silent: Option<String>,
}

/// Folds a mirror's changes in a task of its own.
pub fn fold(snapshot: &Snapshot, mut changes: Changes) -> watch::Receiver<Folded> {
    let (sender, receiver) = watch::channel(Folded { tree: tree_of(snapshot), ..Folded::default() });
    tokio::spawn(async move {
        while let Some(update) = changes.next().await {
            sender.send_modify(|folded| folded.take(&update));
        }
    });
    receiver
}

impl Folded {
    /// Takes one update in.
    pub fn take(&mut self, update: &Update) {
        match update {
            Update::Changes(batch) => {
                for change in &batch.changes {
                    self.changes += 1;
                    let value =
                        |node: &Option<Arc<zk_config::Node>>| node.as_ref().map(|node| (node.data.to_vec(), node.stat));
                    let before = match value(&change.new) {
                        Some(new) => self.tree.insert(change.path.to_string(), new),
                        None => self.tree.remove(&*change.path),
                    };
                    if before != value(&change.old) && self.silent.is_none() {
                        self.silent = Some(format!("{}: held {before:?}, told {:?}", change.path, change.old));
                    }
                }
            }
            Update::Gap(GapReason::Overflow) => self.in_gap = true,
            Update::Gap(_) => {
                self.gaps += usize::from(!self.in_gap);
                self.in_gap = true;
            }
            Update::Resynced { .. } => {
                self.resynced += 1;
                self.in_gap = false;
            }
            _ => {}
        }
    }
}

/// Whether the live tests take any ZooKeeper that is here, because Maven Central is out of reach.
#[must_use]
pub fn any_version() -> bool {
    std::env::var_os("ZK_LIVE_ANY").is_some()
}

/// A launcher of real servers of a version, or of any that is here.
#[cfg(unix)]
pub fn real(version: zk_testkit::launcher::Version) -> zk_testkit::launcher::Launcher {
    use zk_testkit::launcher::{Launcher, Version};
    Launcher::new(if any_version() { Version::any() } else { version })
}
