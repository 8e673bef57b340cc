//! `zk-bench load`: floor and mirror read the same tree, in rounds.

use crate::{
    args::{LoadArgs, Runtime},
    child::Watcher,
    error::Failure,
    report::{self, Column, Lines, LoadLine},
    rounds::{self, Place, Round},
    server::{self, Server},
    tree::{Shape, Tree},
};
use clap::ValueEnum;
use serde::Serialize;
use std::time::Duration;

/// A tree is loaded after this, or never.
const PATIENCE: Duration = Duration::from_secs(600);

/// Loads before the first round: a server's Java compiles what it does often.
const WARM_UPS: usize = 3;

/// A line of the file.
#[derive(Serialize)]
struct Record<'a> {
    round: u32,
    place: Place,
    kept: bool,
    #[serde(flatten)]
    line: &'a LoadLine,
}

const COLUMNS: [Column<LoadLine>; 4] = [
    ("ms", |line| line.seconds * 1000.0),
    ("CPU ms", |line| line.cpu_s * 1000.0),
    ("resident MB", |line| line.rss_kb as f64 / 1024.0),
    ("peak MB", |line| line.hwm_kb as f64 / 1024.0),
];

pub(crate) fn run(args: &LoadArgs) -> Result<(), Failure> {
    let mut lines = Lines::create(args.run.out.as_deref())?;
    let server = Server::find(&args.run)?;
    for keys in &args.nodes {
        let root = format!("{}-{keys}", server::root(&args.run));
        let shape = Shape::Deep(*keys);
        report::tell(&format!("creating {} znodes", shape.nodes()));
        let _tree = Tree::create(&server.addr, &root, shape, server.is_foreign())?;
        let done = |round: &Round<LoadLine>| record(&mut lines, round);
        let step = |place| step(&server.addr, &root, shape, args.run.runtime, place);
        (0..WARM_UPS).try_for_each(|_| step(Place::FloorBefore).map(drop))?;
        let rounds = rounds::interleave(args.run.rounds, args.run.rounds_max, |line| line.seconds, step, done)?;
        report::print(&format!(
            "load: {} znodes of 100 bytes; {}.\n\n{}\n",
            shape.nodes(),
            server.what,
            rounds::summary(&rounds, &COLUMNS)
        ))?;
    }
    Ok(())
}

fn record(lines: &mut Lines, round: &Round<LoadLine>) -> Result<(), Failure> {
    let Round { number, kept, .. } = *round;
    round.steps().into_iter().try_for_each(|(place, line)| lines.add(&Record { round: number, place, kept, line }))
}

fn step(addr: &str, root: &str, shape: Shape, runtime: Runtime, place: Place) -> Result<LoadLine, Failure> {
    let ours = place == Place::Ours;
    let (command, name) = if ours { ("peer-watcher", "ours") } else { ("floor-watcher", "floor") };
    let nodes = shape.nodes();
    let count = nodes.to_string();
    let mut args: Vec<String> =
        [command, "--bench", "load", "--connect", addr, "--root", root, "--count", &count].map(str::to_owned).into();
    let runtime = runtime.to_possible_value().filter(|_| ours).map(|value| value.get_name().to_owned());
    args.extend(runtime.into_iter().flat_map(|name| ["--runtime".to_owned(), name]));
    let text = Watcher::spawn(name, &args)?.last_line(PATIENCE)?;
    let line: LoadLine = serde_json::from_str(&text).map_err(|error| Failure::io("read a watcher")(error.into()))?;
    if line.nodes == nodes as usize {
        Ok(line)
    } else {
        Err(Failure::Watcher { name: name.to_owned(), what: format!("holds {} of {nodes} znodes", line.nodes) })
    }
}
