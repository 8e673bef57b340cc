//! `floor-watcher`: the same measurements on a blocking socket with frames by hand. Nothing can be much faster that
//! reads every value.

mod load;
mod notify;

use crate::{
    args::{Bench, WatcherArgs},
    error::Failure,
    report,
};

pub(crate) fn run(args: &WatcherArgs) -> Result<(), Failure> {
    let line = match args.bench {
        Bench::Notify => report::json(&notify::run(args)?),
        Bench::Load => report::json(&load::run(args)?),
        Bench::Throughput => return Err(Failure::Usage("the floor measures notify and load only")),
    };
    report::print(&line?)
}
