//! `zk-bench side-by-side`: every measurement that other clients can take part in, one after the other, on one server.

use crate::{
    args::{FanoutArgs, LoadArgs, NotifyArgs, RunArgs, SideBySideArgs, ThroughputArgs},
    contenders::Contenders,
    error::Failure,
    load, notify, report,
    server::{self, Server},
    throughput,
};
use std::path::PathBuf;

/// The keys of the notify runs.
const KEYS: u32 = 1000;
/// The fan-out: few keys, so that every session mirrors little.
const FANOUT_KEYS: u32 = 10;
const FANOUT_RATE: u32 = 20;
/// The contract's.
const AROUND_MS: u32 = 3000;
/// Rates and bursts of the notify runs.
const NOTIFY: [(&str, u32, u32); 3] = [("notify-1000", 1000, 1), ("notify-200", 200, 1), ("notify-burst50", 1000, 50)];

pub(crate) fn run(args: &SideBySideArgs) -> Result<(), Failure> {
    let SideBySideArgs { seconds, sessions, floor_on_tokio, .. } = *args;
    let server = Server::find(&args.run.server)?;
    let wanted = RunArgs { peers: Some(args.run.peers.clone().unwrap_or_default()), ..args.run.clone() };
    let contenders = Contenders::find(&wanted)?;
    if let Some(folder) = &args.out_dir {
        std::fs::create_dir_all(folder).map_err(Failure::io(format!("create {}", folder.display())))?;
    }
    let run = |name: &str| {
        report::tell(&format!("side by side: {name}"));
        let mut run = args.run.clone();
        run.out = args.out_dir.as_ref().map(|folder: &PathBuf| folder.join(format!("peers-{name}.jsonl")));
        run.server.root = Some(format!("{}-{name}", server::root(&args.run.server)));
        run
    };
    for (name, rate, burst) in NOTIFY {
        let job = NotifyArgs { run: run(name), keys: KEYS, rate, seconds, burst, floor_on_tokio };
        notify::on(&server, contenders.clone(), &job)?;
        report::print("")?;
    }
    load::on(&server, &contenders, &LoadArgs { run: run("load"), nodes: args.nodes.clone() })?;
    let job =
        FanoutArgs { run: run("fanout"), sessions, keys: FANOUT_KEYS, rate: FANOUT_RATE, seconds, floor_on_tokio };
    notify::fanout_on(&server, contenders, &job)?;
    let run = RunArgs { peers: wanted.peers.clone(), ..run("throughput") };
    throughput::on(&server, &ThroughputArgs { run, seconds, around_ms: AROUND_MS, writes: false })
}
