//! `zk-bench`: how fast a change reaches an application, measured against a raw socket on the same server.
//!
//! Here: arguments in, exit code out. Must not know what a measurement does. The method is in `README.md`.

mod args;
mod auth;
mod child;
mod contenders;
mod error;
mod floor;
mod lab;
mod load;
mod machine;
mod notify;
mod ours;
mod page;
mod parent;
mod peers;
mod raw;
mod report;
mod resync;
mod rounds;
mod samples;
mod scale;
mod server;
mod side_by_side;
mod soak;
mod stats;
mod throughput;
mod tree;
mod usage;
mod value;
mod wire;
mod writer;

use args::{Cli, Command};
use clap::Parser;
use error::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::tell(&failure.line());
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Notify(args) => notify::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Fanout(args) => notify::fanout(&args),
        Command::Throughput(args) => throughput::run(&args),
        Command::Resync(args) => resync::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Report(args) => page::run(&args),
        Command::Scale(args) => scale::run(&args),
        Command::SideBySide(args) => side_by_side::run(&args),
        Command::PeerWatcher(args) => {
            parent::end_with_it();
            ours::run(&args)
        }
        Command::FloorWatcher(args) => {
            parent::end_with_it();
            floor::run(&args)
        }
        Command::TestServer => server::run_test_server(),
    }
}
