//! What the command line says: the commands, and what several of them share. Must not know what is done about it.

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use std::{ffi::OsString, path::PathBuf};

mod commands;

pub(crate) use commands::{
    FanoutArgs, FaultKind, LoadArgs, NotifyArgs, ReportArgs, ResyncArgs, ScaleArgs, SideBySideArgs, SoakArgs,
    ThroughputArgs, WatcherArgs,
};

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
    /// Many sessions in a process: from a write to the value that the last of them holds
    Fanout(FanoutArgs),
    /// Reads and writes: how many a second, and how long one takes
    Throughput(ThroughputArgs),
    /// From the return of a lost connection to the exact mirror
    Resync(ResyncArgs),
    /// Writes for minutes while faults are injected; the mirror is compared with the server at the end
    Soak(SoakArgs),
    /// How load and memory grow with the tree, and the process with its sessions
    Scale(ScaleArgs),
    /// Other clients in the same rounds: notify, load, fanout and throughput, one after the other, on one server
    SideBySide(SideBySideArgs),
    /// A page with tables and plots, out of JSON lines
    Report(ReportArgs),
    /// One watcher in this process, for this or any other harness
    PeerWatcher(WatcherArgs),
    /// The same with a raw socket and no client library
    #[command(hide = true)]
    FloorWatcher(WatcherArgs),
    /// The in-process server in a process of its own, until stdin ends
    #[command(hide = true)]
    TestServer,
}

/// Where to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArgs {
    /// The servers to measure: writes go to the first that answers, watchers to the last; without it, one is started
    #[arg(long, value_name = "HOST:PORT,..")]
    pub(crate) connect: Option<String>,
    /// Which version to start
    #[arg(long, value_name = "VERSION", default_value = "3.9.5", conflicts_with = "connect")]
    pub(crate) server: String,
    /// Start the server with its data in memory and without fsync
    #[arg(long, conflicts_with = "connect")]
    pub(crate) in_memory: bool,
    /// Start no real server but zk-testkit's, which needs no Java
    #[arg(long, conflicts_with_all = ["connect", "server", "in_memory"])]
    pub(crate) test_server: bool,
    /// The znode to work below; it must not exist and is removed at the end. Default: a new name
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(crate) root: Option<String>,
}

/// How often to measure, and whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Rounds to keep; a round is floor, ours and who else is measured, floor
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Rounds to try at most; those in which the two floors disagree by more than 10 % are discarded
    #[arg(long, default_value_t = 15, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds_max: u32,
    /// Our tokio runtimes; each is a watcher of its own
    #[arg(long, value_enum, value_delimiter = ',', default_value = "current-thread")]
    pub(crate) runtime: Vec<Runtime>,
    /// Other clients in the same rounds, built from benches/peers: all that this machine can build, or those named
    #[arg(long, value_enum, value_delimiter = ',', num_args = 0.., require_equals = true)]
    pub(crate) peers: Option<Vec<Peer>>,
    /// A client of your own in the same rounds: a program, with its first arguments, that does what `peer-watcher` does
    #[arg(long, value_name = "NAME=COMMAND", value_parser = watcher)]
    pub(crate) watcher: Vec<OwnWatcher>,
    /// Seconds of writes before those that are measured. Default: 1, and 5 for a client in Java, which compiles meanwhile
    #[arg(long, value_parser = value_parser!(u32).range(1..=600))]
    pub(crate) warm_up: Option<u32>,
    /// A file for one JSON line per watcher and round
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

impl RunArgs {
    /// The same with nobody else's clients.
    pub(crate) fn without_others(&self) -> Self {
        Self { peers: None, watcher: Vec::new(), ..self.clone() }
    }
}

/// A program of somebody else's, and what it is called in tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnWatcher {
    pub(crate) name: String,
    pub(crate) command: Vec<OsString>,
}

fn watcher(text: &str) -> Result<OwnWatcher, &'static str> {
    let (name, command) = text.split_once('=').unwrap_or_default();
    let command: Vec<OsString> = command.split_whitespace().map(OsString::from).collect();
    if name.is_empty() || command.is_empty() {
        return Err("it takes a name, = and a program: mine=target/release/my-watcher");
    }
    Ok(OwnWatcher { name: name.to_owned(), command })
}

/// What is asked again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ask {
    /// getData
    #[default]
    Read,
    /// getData, 64 in a multiRead
    ReadMany,
    /// setData
    Write,
    /// setData, 64 in a transaction
    WriteMany,
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
    /// Opening sessions, and letting them rest
    Sessions,
}

/// Which tokio runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// Everything on one thread
    #[default]
    CurrentThread,
    /// Two worker threads
    MultiThread,
    /// Everything on one thread, but for the session, which has its own (`Connector::own_thread`)
    #[value(name = "own-thread")]
    Own,
}

/// How a mirror's application is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Told {
    /// It listens: a function is called where the mirror publishes
    #[default]
    Listener,
    /// It is a task that has subscribed, and is woken
    Task,
}

/// Another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// zookeeper-client 0.11, tokio's current-thread runtime
    ZookeeperClient,
    /// zookeeper-client 0.11, two worker threads
    ZookeeperClientMt,
    /// ZooKeeper's own Java client
    Java,
    /// CuratorCache
    Curator,
}

/// A value's name on the command line.
pub(crate) fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn path(text: &str) -> Result<String, String> {
    zk_proto::path::validate(text).map_err(|error| error.to_string())?;
    if text == "/" { Err("must not be the root of everything".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parsed(line: &str) -> Command {
        Cli::try_parse_from(line.split_whitespace()).unwrap().command
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contract_of_peer_watcher_is_understood() {
        let line = "zk-bench peer-watcher --bench notify --connect 127.0.0.1:1 --root /b --count 5 --keys 1000 \
                    --sessions 2 --name x --secs 3";
        let Command::PeerWatcher(args) = parsed(line) else {
            panic!("another command");
        };
        assert_eq!((args.bench, args.count, args.keys, args.sessions, args.secs), (Bench::Notify, 5, 1000, 2, 3));
    }

    #[test]
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other is wrong")]
    fn peers_are_all_some_or_none() {
        let peers = |line| match parsed(line) {
            Command::Notify(args) => args.run.peers,
            _ => panic!("another command"),
        };
        assert_eq!(peers("zk-bench notify"), None);
        assert_eq!(peers("zk-bench notify --peers --rate 5"), Some(Vec::new()));
        assert_eq!(peers("zk-bench notify --peers=java,curator"), Some(vec![Peer::Java, Peer::Curator]));
    }

    #[test]
    fn a_client_of_ones_own_is_a_name_and_a_command() {
        let command = ["./mine", "--fast"].map(OsString::from).to_vec();
        assert_eq!(watcher("mine=./mine --fast"), Ok(OwnWatcher { name: "mine".to_owned(), command }));
        for wrong in ["mine", "=mine", "mine="] {
            assert!(watcher(wrong).unwrap_err().contains("mine="), "{wrong}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "zk-bench notify --keys 0",
            "zk-bench notify --root b",
            "zk-bench load --nodes 0",
            "zk-bench soak --test-server --in-memory",
            "zk-bench resync --changes 5 --nodes 0",
        ] {
            assert!(Cli::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
