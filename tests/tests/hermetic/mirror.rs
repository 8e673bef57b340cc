//! The mirror over the in-process server.

#[path = "mirror/allocations.rs"]
mod allocations;
#[path = "mirror/faults.rs"]
mod faults;
#[path = "mirror/given_up.rs"]
mod given_up;
#[path = "mirror/lifetimes.rs"]
mod lifetimes;
#[path = "mirror/limits.rs"]
mod limits;
#[path = "mirror/listening.rs"]
mod listening;
#[path = "mirror/live.rs"]
mod live;
#[path = "mirror/loading.rs"]
mod loading;
#[path = "mirror/pairs.rs"]
mod pairs;

use std::sync::Arc;

use crate::stage::{Stage, within};
use zk_config::{Batch, Changes, Mirror, Snapshot, Update};
use zk_testkit::server::TestServer;
use zk_tests::{Tree, differences, tree_of};

/// The server's subtree.
fn truth(server: &TestServer, root: &str) -> Tree {
    let mut tree = Tree::new();
    let mut paths = vec![root.to_owned()];
    while let Some(path) = paths.pop() {
        let Some((data, stat)) = server.get(&path) else { continue };
        let names = server.children(&path).unwrap_or_default();
        paths.extend(names.iter().map(|name| zk_client::path::join(&path, name)));
        tree.insert(path, (data.to_vec(), stat));
    }
    tree
}

/// Equal in data and in every field of every stat.
#[track_caller]
fn assert_exact(server: &TestServer, snapshot: &Snapshot) {
    assert!(snapshot.is_exact() && snapshot.is_live());
    let (left, right) = (truth(server, snapshot.root()), tree_of(snapshot));
    assert!(left == right, "server and mirror differ:\n{}", differences(&left, &right));
}

/// The mirror as of now.
pub(crate) async fn caught_up(server: &TestServer, mirror: &Mirror) -> Arc<Snapshot> {
    let snapshot = within(mirror.barrier()).await.unwrap();
    assert_exact(server, &snapshot);
    snapshot
}

/// The next update, which must be one of changes.
async fn batch(changes: &mut Changes) -> Arc<Batch> {
    match within(changes.next()).await {
        Some(Update::Changes(batch)) => batch,
        other => panic!("{other:?}"),
    }
}

/// What happened, in short: `+/a`, `-/a`, `~/a`; stats that changed by others' doing are left out.
fn summary(batch: &Arc<Batch>) -> Vec<String> {
    let told = batch.changes.iter().filter(|change| !change.is_stat_only());
    let kind = |change: &zk_config::Change| match (&change.old, &change.new) {
        (None, _) => '+',
        (_, None) => '-',
        _ if change.is_recreated() => '!',
        _ => '~',
    };
    told.map(|change| format!("{}{}", kind(change), change.path)).collect()
}

/// A root with this many children.
fn fill(server: &Stage, root: &str, children: usize) {
    server.create(root, b"root").unwrap();
    for child in 0..children {
        server.create(&format!("{root}/n{child:05}"), format!("value {child}").as_bytes()).unwrap();
    }
}
