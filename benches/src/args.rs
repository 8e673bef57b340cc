//! What the command line says. Must not know what is done about it.

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use std::path::PathBuf;

/// Measures a ZooKeeper ensemble and the zk crates on it; the floor is a raw socket in the same rounds.
#[derive(Debug, Parser)]
#[command(name = "zk-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// From a write to the value that the application holds, open loop
    Notify(NotifyArgs),
    /// From connecting to the complete mirror
    Load(LoadArgs),
    /// One watcher in this process, for this or any other harness
    PeerWatcher(WatcherArgs),
    /// The same with a raw socket and no client library
    #[command(hide = true)]
    FloorWatcher(WatcherArgs),
}

/// Where to measure, and how often.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The server to measure; without it, a real one is started
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) connect: Option<String>,
    /// Which version to start
    #[arg(long, value_name = "VERSION", default_value = "3.9.5", conflicts_with = "connect")]
    pub(crate) server: String,
    /// Start the server with its data in memory and without fsync
    #[arg(long, conflicts_with = "connect")]
    pub(crate) in_memory: bool,
    /// Rounds to keep; a round is floor, ours, floor
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Rounds to try at most; those in which the two floors disagree by more than 10 % are discarded
    #[arg(long, default_value_t = 15, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds_max: u32,
    /// The mirror's tokio runtime
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// A file for one JSON line per watcher and round
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The znode to work below; it must not exist and is removed at the end. Default: a new name
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(crate) root: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NotifyArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Znodes of 100 bytes; each write takes a random one
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) keys: u32,
    /// Writes a second
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Seconds that are measured, for each watcher in each round; a second of warm-up precedes them
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// Writes that are due at the same moment; the floor reads them by multiRead if there are several
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) burst: u32,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Sizes of the tree, in znodes of 100 bytes
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000], value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub(crate) nodes: Vec<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct WatcherArgs {
    /// What to measure
    #[arg(long, value_enum)]
    pub(crate) bench: Bench,
    /// The server
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) connect: String,
    /// The znode to mirror
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(crate) root: String,
    /// notify: the highest sequence number; load: the number of znodes
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub(crate) count: u32,
    /// Children `k0000`.. of the root
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    pub(crate) keys: u32,
    /// Sessions in this process; the last one to hold a value counts
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) sessions: u32,
    /// The watcher's name in the JSON line
    #[arg(long, default_value = "zk-config")]
    pub(crate) name: String,
    /// throughput: how long with 256 in flight
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) secs: u32,
    /// The tokio runtime
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// notify: also tell when the event came, when the value was published, and context switches
    #[arg(long)]
    pub(crate) split: bool,
    /// The floor reads events that came together by multiRead
    #[arg(long, hide = true)]
    pub(crate) many: bool,
}

/// What a watcher measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// From a write to the value that the application holds
    Notify,
    /// From connecting to the complete mirror
    Load,
    /// getData of one znode
    Throughput,
}

/// Which tokio runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// Everything on one thread
    #[default]
    CurrentThread,
    /// Two worker threads
    MultiThread,
}

fn path(text: &str) -> Result<String, String> {
    zk_proto::path::validate(text).map_err(|error| error.to_string())?;
    if text == "/" { Err("must not be the root of everything".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contract_of_peer_watcher_is_understood() {
        let line = "zk-bench peer-watcher --bench notify --connect 127.0.0.1:1 --root /b --count 5 --keys 1000 \
                    --sessions 2 --name x --secs 3";
        let Command::PeerWatcher(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!("another command");
        };
        assert_eq!((args.bench, args.count, args.keys, args.sessions, args.secs), (Bench::Notify, 5, 1000, 2, 3));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["zk-bench notify --keys 0", "zk-bench notify --root b", "zk-bench load --nodes 0"] {
            assert!(Cli::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
