//! `floor-watcher`: the same measurements on a blocking socket with frames by hand. Nothing can be much faster that
//! reads every value. `--on-tokio`: what no client on tokio can be faster than.

mod load;
mod notify;
mod on_tokio;
mod sessions;
mod throughput;

pub(crate) use load::walk;

use crate::{
    args::{Bench, WatcherArgs},
    error::Failure,
    report,
};

pub(crate) fn run(args: &WatcherArgs) -> Result<(), Failure> {
    let line = match args.bench {
        Bench::Notify if args.on_tokio => report::json(&on_tokio::run(args)?),
        Bench::Notify => report::json(&notify::run(args)?),
        Bench::Load => report::json(&load::run(args)?),
        Bench::Sessions => report::json(&sessions::run(args)?),
        Bench::Throughput => report::json(&throughput::run(args)?),
    };
    report::print(&line?)
}
