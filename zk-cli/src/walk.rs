//! A subtree, read znode by znode: many reads on their way at once, level by level.
//!
//! Not a cut: what changes meanwhile is seen before or after the change. A mirror does better.

use std::collections::BTreeMap;
use zk_client::{Bytes, Call, Client, Error, ErrorCode, Stat, path};

/// Reads on their way at once.
const IN_FLIGHT_MAX: usize = 256;

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Subtree {
    /// Data and metadata by path.
    pub(crate) nodes: BTreeMap<String, (Bytes, Stat)>,
    /// What we may not read, and so do not know.
    pub(crate) hidden: Vec<String>,
}

/// Names of children and metadata by path; what is hidden comes without.
pub(crate) type Names = BTreeMap<String, Option<(Vec<String>, Stat)>>;

/// Everything at and below a path. The path itself must be there and readable.
pub(crate) async fn subtree(client: &Client, root: &str) -> Result<Subtree, Error> {
    let mut found = Subtree::default();
    let mut level = vec![root.to_owned()];
    while !level.is_empty() {
        let mut parents = Vec::new();
        for (path, read) in read_all(root, level, |path| client.get_data(path)).await? {
            let Some((data, stat)) = read else {
                found.hidden.push(path);
                continue;
            };
            if stat.num_children > 0 {
                parents.push(path.clone());
            }
            found.nodes.insert(path, (data, stat));
        }
        level = Vec::new();
        for (path, read) in read_all(root, parents, |path| client.get_children(path)).await? {
            level.extend(read.into_iter().flat_map(|(names, _)| names).map(|name| path::join(&path, &name)));
        }
    }
    Ok(found)
}

/// The names at and below a path. The path itself must be there and readable.
pub(crate) async fn names(client: &Client, root: &str) -> Result<Names, Error> {
    let mut found = Names::new();
    let mut level = vec![root.to_owned()];
    while !level.is_empty() {
        let read = read_all(root, level, |path| client.get_children(path)).await?;
        level = Vec::new();
        for (path, mut read) in read {
            if let Some((names, _)) = &mut read {
                names.sort_unstable();
                level.extend(names.iter().map(|name| path::join(&path, name)));
            }
            found.insert(path, read);
        }
    }
    Ok(found)
}

/// Reads paths of one level. What is gone meanwhile is left out; what we may not read is `None`, but for
/// the root both are errors.
async fn read_all<R>(
    root: &str,
    paths: Vec<String>,
    read: impl Fn(&str) -> Call<R>,
) -> Result<Vec<(String, Option<R>)>, Error> {
    let mut found = Vec::with_capacity(paths.len());
    for chunk in paths.chunks(IN_FLIGHT_MAX) {
        let calls: Vec<_> = chunk.iter().map(|path| (path, read(path))).collect();
        for (path, call) in calls {
            match call.await {
                Ok(read) => found.push((path.clone(), Some(read))),
                Err(error) if path == root => return Err(error),
                Err(Error::Refused { code: ErrorCode::NO_NODE, .. }) => {}
                Err(Error::Refused { code: ErrorCode::NO_AUTH, .. }) => found.push((path.clone(), None)),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}
