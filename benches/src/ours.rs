//! `peer-watcher`: our own clients, measured as an outside harness measures any other; the contract of peers.md.
//!
//! Here: which measurement, on which runtime.

mod ledger;
mod load;
mod notify;
mod sessions;
mod throughput;

use crate::{
    args::{Bench, Runtime, WatcherArgs},
    auth,
    error::Failure,
    report,
};
use std::time::Duration;

/// Longer than anything here is idle.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// What is measured is how one client recovers, not how many of them spare a server.
const RECONNECT_SPREAD: Duration = Duration::from_millis(250);
/// Threads of the multi-thread runtime: the driver's and the application's.
const WORKERS: usize = 2;

pub(crate) fn run(args: &WatcherArgs) -> Result<(), Failure> {
    let runtime = runtime(args.runtime)?;
    let line = runtime.block_on(async {
        match args.bench {
            Bench::Notify => notify::run(args).await.map(|line| report::json(&line)),
            Bench::Load => load::run(args).await.map(|line| report::json(&line)),
            Bench::Sessions => sessions::run(args).await.map(|line| report::json(&line)),
            Bench::Throughput => throughput::run(args).await.map(|line| report::json(&line)),
        }
    });
    runtime.shutdown_background();
    report::print(&line??)
}

fn connector(args: &WatcherArgs) -> Result<zk_client::Connector, Failure> {
    connector_to(&args.connect, SESSION_TIMEOUT, args.runtime)
}

/// A connector to a server, as who we are.
pub(crate) fn connector_to(addr: &str, timeout: Duration, kind: Runtime) -> Result<zk_client::Connector, Failure> {
    let connector = zk_client::Connector::new(addr)?.session_timeout(timeout).reconnect_spread(RECONNECT_SPREAD);
    let connector = if kind == Runtime::Own { connector.own_thread() } else { connector };
    Ok(match auth::find()? {
        Some((scheme, credentials)) => connector.auth(&scheme, credentials.as_slice()),
        None => connector,
    })
}

/// A tokio runtime.
pub(crate) fn runtime(kind: Runtime) -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = match kind {
        Runtime::CurrentThread | Runtime::Own => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        Runtime::MultiThread => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()
        }
    };
    runtime.map_err(Failure::io("start threads"))
}
