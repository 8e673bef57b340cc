//! `zk-bench load`: floor, mirror and others read the same tree, in rounds.

use crate::{
    args::LoadArgs,
    contenders::{Contender, Contenders, PATIENCE},
    error::Failure,
    machine::Header,
    report::{self, Column, Lines, LoadLine},
    rounds::{self, Place, Round},
    server::{self, Server},
    tree::{Shape, Tree},
};

/// Loads before the first round: a server's Java compiles what it does often.
const WARM_UPS: usize = 3;

const COLUMNS: [Column<LoadLine>; 5] = [
    ("ms", |line| line.seconds * 1000.0),
    ("CPU ms", |line| line.cpu_s * 1000.0),
    ("resident MB", |line| line.rss_kb as f64 / 1024.0),
    ("peak MB", |line| line.hwm_kb as f64 / 1024.0),
    ("bytes/znode", bytes_per_znode),
];

/// Resident memory that came with the tree.
fn bytes_per_znode(line: &LoadLine) -> f64 {
    let grown = |base_kb| line.rss_kb.saturating_sub(base_kb) as f64 * 1024.0 / line.nodes.max(1) as f64;
    line.base_kb.map_or(f64::NAN, grown)
}

pub(crate) fn run(args: &LoadArgs) -> Result<(), Failure> {
    on(&Server::find(&args.run.server)?, &Contenders::find(&args.run)?, args)
}

/// The same on a server that stands.
pub(crate) fn on(server: &Server, contenders: &Contenders, args: &LoadArgs) -> Result<(), Failure> {
    let mut lines = Lines::create(args.run.out.as_deref(), &Header::now("load", &server.what))?;
    let names = &contenders.names;
    for keys in &args.nodes {
        let root = format!("{}-{keys}", server::root(&args.run.server));
        let shape = Shape::Deep(*keys);
        report::tell(&format!("creating {} znodes", shape.nodes()));
        let _tree = Tree::create(&server.writer, &root, shape, server.is_foreign())?;
        let done = |round: &Round<LoadLine>| round.write(&mut lines, names, &());
        let step = |place| step(server, &root, shape, contenders.at(place));
        (0..WARM_UPS).try_for_each(|_| step(Place::FloorBefore).map(drop))?;
        let often = (args.run.rounds, args.run.rounds_max);
        let rounds = rounds::interleave(names, often, |line| line.seconds, step, done)?;
        report::print(&format!(
            "load: {} znodes of 100 bytes; {}.\n\n{}\n",
            shape.nodes(),
            server.what,
            rounds::summary(&rounds, names, &COLUMNS)
        ))?;
    }
    Ok(())
}

fn step(server: &Server, root: &str, shape: Shape, watcher: &Contender) -> Result<LoadLine, Failure> {
    let nodes = shape.nodes();
    let count = nodes.to_string();
    let contract = ["--bench", "load", "--connect", &server.watchers, "--root", root, "--count", &count];
    let split = watcher.is_ours.then_some("--split");
    let args: Vec<String> = contract.into_iter().chain(split).map(str::to_owned).collect();
    let line: LoadLine = watcher.spawn(&args)?.last_json(PATIENCE)?;
    if line.nodes == nodes as usize {
        Ok(line)
    } else {
        let what = format!("holds {} of {nodes} znodes", line.nodes);
        Err(Failure::Watcher { name: watcher.name.clone(), what })
    }
}
