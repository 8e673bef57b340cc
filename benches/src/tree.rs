//! The znodes that are measured: made before, removed after. By the raw socket, in transactions.

use crate::{
    error::Failure,
    raw::Raw,
    value::{Stamp, VALUE_LEN, WARM_UP},
};
use zk_proto::{
    create::CreateFlags,
    multi::{MultiOp, MultiRequest},
    ops,
    records::{CreateRequest, OPEN_ACL_UNSAFE, PathVersionRequest},
};

/// Operations in one transaction: with values of 100 bytes far below the megabyte that servers take.
pub(crate) const BATCH: usize = 500;
/// Folders of a tree that is loaded.
const FOLDERS: u32 = 100;

/// What lies below the root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// So many children of the root.
    Flat(u32),
    /// 100 children of the root that share so many children.
    Deep(u32),
}

impl Shape {
    /// How many znodes there are, the root included.
    pub(crate) fn nodes(self) -> u32 {
        match self {
            Self::Flat(keys) => keys + 1,
            Self::Deep(keys) => keys + FOLDERS + 1,
        }
    }

    /// All paths, parents first.
    fn paths(self, root: &str) -> Vec<String> {
        let mut paths = vec![root.to_owned()];
        match self {
            Self::Flat(keys) => paths.extend((0..keys).map(|index| key(root, index))),
            Self::Deep(keys) => {
                paths.extend((0..FOLDERS).map(|folder| format!("{root}/d{folder:02}")));
                let below = |index| key(&format!("{root}/d{:02}", index % FOLDERS), index / FOLDERS);
                paths.extend((0..keys).map(below));
            }
        }
        paths
    }
}

/// The path of a child, as the contract names it.
pub(crate) fn key(root: &str, index: u32) -> String {
    format!("{root}/k{index:04}")
}

/// Znodes that go when this is dropped.
pub(crate) struct Tree {
    addr: String,
    paths: Vec<String>,
    remove: bool,
}

impl Tree {
    /// Makes the znodes. `remove` says whether anybody will miss the removal.
    pub(crate) fn create(addr: &str, root: &str, shape: Shape, remove: bool) -> Result<Self, Failure> {
        let mut raw = Raw::connect(addr)?;
        let mut tree = Self { addr: addr.to_owned(), paths: Vec::new(), remove };
        let paths = shape.paths(root);
        let value: [u8; VALUE_LEN] = Stamp { sequence: WARM_UP, scheduled_ns: 0 }.value();
        for paths in paths.chunks(BATCH) {
            transaction(&mut raw, &format!("create {root}"), paths, |path| {
                let (acl, flags) = (OPEN_ACL_UNSAFE.into(), CreateFlags::PERSISTENT);
                MultiOp::Create(CreateRequest { path: path.into(), data: Some(&value), acl, flags })
            })?;
            tree.paths.extend_from_slice(paths);
        }
        raw.close()?;
        Ok(tree)
    }

    fn delete(&self) -> Result<(), Failure> {
        let mut raw = Raw::connect(&self.addr)?;
        for paths in self.paths.rchunks(BATCH) {
            let children_first: Vec<String> = paths.iter().rev().cloned().collect();
            transaction(&mut raw, "remove the znodes", &children_first, |path| {
                MultiOp::Delete(PathVersionRequest { path: path.into(), version: -1 })
            })?;
        }
        raw.close()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.remove
            && let Err(failure) = self.delete()
        {
            let root = self.paths.first().map_or("", String::as_str);
            crate::report::tell(&format!("{root} stays behind: {}", failure.line()));
        }
    }
}

pub(crate) fn transaction<'a>(
    raw: &mut Raw,
    doing: &str,
    paths: &'a [String],
    op: impl Fn(&'a str) -> MultiOp<'a>,
) -> Result<(), Failure> {
    let ops = paths.iter().map(|path| op(path)).collect();
    let reply = raw.call::<ops::Multi>(doing, &MultiRequest { ops })?;
    match reply.failure() {
        None => Ok(()),
        Some((at, code)) => {
            let path = paths.get(at).map_or("", String::as_str);
            Err(Failure::Refused { doing: format!("{doing} ({path})"), code })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_have_the_size_they_say() {
        for shape in [Shape::Flat(3), Shape::Deep(250)] {
            let paths = shape.paths("/b");
            assert_eq!(paths.len(), shape.nodes() as usize);
            assert_eq!(paths.iter().collect::<std::collections::BTreeSet<_>>().len(), paths.len());
        }
        assert_eq!(Shape::Flat(2).paths("/b"), ["/b", "/b/k0000", "/b/k0001"]);
        assert_eq!(Shape::Deep(101).paths("/b").last().map(String::as_str), Some("/b/d00/k0001"));
    }
}
