//! `zk-bench scale`: the same tree in many sizes, and the same process with many sessions.

use crate::{
    args::{LoadArgs, RunArgs, ScaleArgs},
    contenders::{Contender, Contenders, PATIENCE},
    error::Failure,
    load,
    machine::Header,
    report::{self, Column, Lines, SessionsLine},
    rounds::{self, Round},
    server::{self, Server},
    tree::{Shape, Tree},
};
use std::path::Path;

/// Znodes that each session mirrors.
const KEYS: u32 = 10;

const COLUMNS: [Column<SessionsLine>; 5] = [
    ("ms until all are open", |line| line.seconds * 1000.0),
    ("CPU us/session, opening", |line| line.cpu_s * 1e6 / f64::from(line.sessions.max(1))),
    ("CPU us/session and second, at rest", |line| line.rest_us_per_s),
    ("KB/session", |line| line.kb_per_session),
    ("peak MB", |line| line.hwm_kb as f64 / 1024.0),
];

pub(crate) fn run(args: &ScaleArgs) -> Result<(), Failure> {
    let server = Server::find(&args.run.server)?;
    // Other clients know nothing of sessions that rest.
    let contenders = Contenders::find(&args.run.without_others())?;
    if !args.sessions.is_empty() {
        sessions(&server, &contenders, args)?;
    }
    let out = args.run.out.as_deref().map(|path| beside(path, "load"));
    let run = RunArgs { out, ..args.run.clone() };
    load::on(&server, &contenders, &LoadArgs { run, nodes: args.nodes.clone() })
}

/// The name of a second file: `scale.jsonl` has `scale-load.jsonl` beside it.
fn beside(path: &Path, what: &str) -> std::path::PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{what}.jsonl"))
}

fn sessions(server: &Server, contenders: &Contenders, args: &ScaleArgs) -> Result<(), Failure> {
    let mut lines = Lines::create(args.run.out.as_deref(), &Header::now("sessions", &server.what))?;
    let root = server::root(&args.run.server);
    let _tree = Tree::create(&server.writer, &root, Shape::Flat(KEYS), server.is_foreign())?;
    let names = &contenders.names;
    for count in &args.sessions {
        let done = |round: &Round<SessionsLine>| round.write(&mut lines, names, &());
        let step = |place| step(server, &root, *count, args.rest, contenders.at(place));
        let often = (args.run.rounds, args.run.rounds_max);
        // What grows is memory; how long opening takes is short, and differs.
        let rounds = rounds::interleave(names, often, |line| line.hwm_kb as f64, step, done)?;
        report::print(&format!(
            "sessions: {count} in a process, each with a mirror of {KEYS} znodes; {}.\n\n{}\n",
            server.what,
            rounds::summary(&rounds, names, &COLUMNS)
        ))?;
    }
    Ok(())
}

fn step(server: &Server, root: &str, count: u32, rest: u32, watcher: &Contender) -> Result<SessionsLine, Failure> {
    let [sessions, secs, keys] = [count, rest, KEYS].map(|number| number.to_string());
    let contract = ["--bench", "sessions", "--connect", &server.watchers, "--root", root];
    let counts = ["--sessions", &sessions, "--secs", &secs, "--keys", &keys];
    let args: Vec<String> = contract.into_iter().chain(counts).map(str::to_owned).collect();
    watcher.spawn(&args)?.last_json(PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_file_is_beside_the_first() {
        assert_eq!(beside(Path::new("a/scale.jsonl"), "load"), Path::new("a/scale-load.jsonl"));
    }
}
