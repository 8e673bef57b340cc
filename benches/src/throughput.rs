//! `zk-bench throughput`: many reads or writes on their way, then one at a time; the floor batches by hand.

use crate::{
    args::{Ask, ThroughputArgs},
    contenders::{Contender, Contenders, PATIENCE},
    error::Failure,
    machine::Header,
    report::{self, Column, Lines, ThroughputLine},
    rounds::{self, Round},
    server::{self, Server},
    tree::{Shape, Tree},
};
use serde::Serialize;

/// What was asked for, as the file says it.
#[derive(Serialize)]
struct Asked {
    writes: bool,
}

const COLUMNS: [Column<ThroughputLine>; 4] = [
    ("ops/s", |line| line.ops_s),
    ("CPU us/op", |line| line.cpu_us_per_op),
    ("one at a time p50", |line| line.seq_p50),
    ("p99", |line| line.seq_p99),
];

pub(crate) fn run(args: &ThroughputArgs) -> Result<(), Failure> {
    on(&Server::find(&args.run.server)?, args)
}

/// The same on a server that stands.
pub(crate) fn on(server: &Server, args: &ThroughputArgs) -> Result<(), Failure> {
    let mut lines = Lines::create(args.run.out.as_deref(), &Header::now("throughput", &server.what))?;
    let contenders = if args.writes {
        let run = args.run.without_others();
        Contenders::asking(&run, Ask::WriteMany, &[("", Ask::Write), (", transactions", Ask::WriteMany)])?
    } else {
        Contenders::asking(&args.run, Ask::ReadMany, &[("", Ask::Read), (", read_many", Ask::ReadMany)])?
    };
    let root = server::root(&args.run.server);
    let _tree = Tree::create(&server.writer, &root, Shape::Flat(1), server.is_foreign())?;
    let names = &contenders.names;
    let asked = Asked { writes: args.writes };
    let done = |round: &Round<ThroughputLine>| round.write(&mut lines, names, &asked);
    // Writes go where writes go.
    let addr = if args.writes { &server.writer } else { &server.watchers };
    let step = |place| step(addr, &root, args, contenders.at(place));
    let rounds = rounds::interleave(names, (args.run.rounds, args.run.rounds_max), |line| line.ops_s, step, done)?;
    report::print(&format!(
        "throughput: {} of one znode of 100 bytes, 256 on their way, then one at a time; {}. \
         The floor puts 64 in a request; microseconds.\n\n{}\n",
        if args.writes { "setData" } else { "getData" },
        server.what,
        rounds::summary(&rounds, names, &COLUMNS)
    ))
}

fn step(addr: &str, root: &str, args: &ThroughputArgs, client: &Contender) -> Result<ThroughputLine, Failure> {
    let [secs, around_ms] = [args.seconds, args.around_ms].map(|number| number.to_string());
    let contract = ["--bench", "throughput", "--connect", addr, "--root", root, "--secs", &secs];
    let more = client.is_ours.then_some(["--around-ms", &around_ms]).into_iter().flatten();
    let args: Vec<String> = contract.into_iter().chain(more).map(str::to_owned).collect();
    client.spawn(&args)?.last_json(PATIENCE)
}
