//! The whole tree by multiRead, level by level.

use crate::{
    args::WatcherArgs,
    error::Failure,
    raw::{Raw, garbage},
    report::LoadLine,
    usage::Memory,
    value::{cpu_ns, now_ns},
    wire::{self, Found},
};
use zk_proto::OpCode;

/// Reads in one request, and requests on their way: what the baseline used.
const BATCH: usize = 500;
const IN_FLIGHT: usize = 4;

pub(super) fn run(args: &WatcherArgs) -> Result<LoadLine, Failure> {
    let base = Memory::now().rss_kb;
    let (begin_ns, begin_cpu_ns) = (now_ns(), cpu_ns());
    let mut raw = Raw::connect(&args.connect)?;
    raw.watch(&args.root)?;
    let copy = walk(&mut raw, &args.root)?;
    let line = LoadLine::new(&args.name, copy.len(), now_ns() - begin_ns, cpu_ns() - begin_cpu_ns);
    Ok(LoadLine { base_kb: args.split.then_some(base), ..line })
}

/// Paths and data.
pub(crate) type Tree = Vec<(Vec<u8>, Vec<u8>)>;

/// Every znode at and below a path, with its data: what a mirror is compared with.
pub(crate) fn walk(raw: &mut Raw, root: &str) -> Result<Tree, Failure> {
    let mut copy = Tree::new();
    let mut level = vec![root.as_bytes().to_vec()];
    while !level.is_empty() {
        let mut parents = Vec::new();
        read(raw, OpCode::GET_DATA, &level, |path, found| {
            if let Found::Data(data, children) = found {
                if children > 0 {
                    parents.push(path.to_vec());
                }
                copy.push((path.to_vec(), data.to_vec()));
            }
        })?;
        let mut below = Vec::new();
        read(raw, OpCode::GET_CHILDREN, &parents, |parent, found| {
            if let Found::Names(names) = found {
                below.extend(names.into_iter().map(|name| [parent, b"/", name].concat()));
            }
        })?;
        level = below;
    }
    Ok(copy)
}

/// Reads all paths, with a few requests on their way.
fn read(raw: &mut Raw, op: OpCode, paths: &[Vec<u8>], mut each: impl FnMut(&[u8], Found<'_>)) -> Result<(), Failure> {
    let mut batches = paths.chunks(BATCH);
    let mut asked = std::collections::VecDeque::new();
    loop {
        while asked.len() < IN_FLIGHT
            && let Some(batch) = batches.next()
        {
            raw.outbox.add(|out, xid| wire::read_many(out, xid, op, batch.iter().map(Vec::as_slice)));
            asked.push_back(batch);
        }
        raw.outbox.flush_if_any()?;
        let Some(batch) = asked.pop_front() else { return Ok(()) };
        let body = raw.inbox.reply("read the tree")?;
        let mut paths = batch.iter();
        let found = |found| {
            if let Some(path) = paths.next() {
                each(path, found);
            }
        };
        wire::many(body, found).ok_or_else(|| garbage("read the tree"))?;
    }
}
