//! `zk-bench`: how fast a change reaches an application, measured against a raw socket on the same server.
//!
//! Here: arguments in, exit code out. Must not know what a measurement does. The method is in `README.md`.

mod args;
mod child;
mod error;
mod floor;
mod load;
mod notify;
mod ours;
mod raw;
mod report;
mod rounds;
mod samples;
mod server;
mod stats;
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
        Command::PeerWatcher(args) => ours::run(&args),
        Command::FloorWatcher(args) => floor::run(&args),
    }
}
