//! The `zk` command: look at, change and watch ZooKeeper.
//!
//! Here: arguments in, exit code out. Must not know what a command does, nor how it prints.

mod args;
mod commands;
mod connect;
mod error;
mod json;
mod output;
mod security;
mod signals;
mod text;
mod walk;

use args::Cli;
use clap::Parser;
use error::Failure;
use output::Output;
use std::{io::Write, process::ExitCode};

/// One for the session's driver, one for signals; the command itself has the main thread.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        // Who reads our output has seen enough: `zk watch / | head`.
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Says(why)) => {
            tell(&why);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::says(format!("cannot start threads: {error}")))?;
    let mut output = Output::new(cli.options.json);
    let done = runtime.block_on(commands::run(cli.command, &cli.options, &mut output));
    // A name that does not resolve keeps a thread for longer than anybody wants to wait.
    runtime.shutdown_background();
    // What was printed before an error is still to be seen.
    done.and(output.flush())
}

/// A line for people, on stderr. If nobody can see it, nobody can be told so.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "zk: {}", text::safe(text));
}
