//! The arguments of each command.

use super::{Ask, Bench, RunArgs, Runtime, ServerArgs, Told, path};
use clap::{Args, ValueEnum, value_parser};
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub(crate) struct NotifyArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Znodes of 100 bytes; each write takes a random one
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) keys: u32,
    /// Writes a second
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Seconds that are measured, for each watcher in each round; a warm-up precedes them
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// Writes that are due at the same moment; the floor reads them by multiRead if there are several
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) burst: u32,
    /// Measure the floor's own code on tokio, too: what every client on tokio needs at least
    #[arg(long)]
    pub(crate) floor_on_tokio: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Sizes of the tree, in znodes of 100 bytes
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000], value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub(crate) nodes: Vec<u32>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct FanoutArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Sessions in the watcher's process; each mirrors all keys
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) sessions: u32,
    /// Znodes of 100 bytes; each write takes a random one
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) keys: u32,
    /// Writes a second
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Seconds that are measured, for each watcher in each round; a warm-up precedes them
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// Measure the floor's own code on tokio, too: what every client on tokio needs at least
    #[arg(long)]
    pub(crate) floor_on_tokio: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ThroughputArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Seconds with 256 operations on their way, for each client in each round
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// Milliseconds of warm-up before, and of one operation at a time behind; other clients take 3000
    #[arg(long, default_value_t = 3000, value_parser = value_parser!(u32).range(1..=60_000))]
    pub(crate) around_ms: u32,
    /// Writes; other clients do not take part in them
    #[arg(long)]
    pub(crate) writes: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ResyncArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Znodes of 100 bytes that are mirrored
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) nodes: u32,
    /// How many of them change while the connection is away, at most all; each is a table of its own
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1000], value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) changes: Vec<u32>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SoakArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// How long
    #[arg(long, default_value_t = 10.0, value_parser = minutes)]
    pub(crate) minutes: f64,
    /// Writes a second
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Znodes of 100 bytes; each write takes a random one
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) keys: u32,
    /// Seconds from the beginning of a fault to the beginning of the next
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u32).range(2..=3600))]
    pub(crate) fault_every: u32,
    /// The faults, one after the other, again and again
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = FaultKind::value_variants().iter().copied())]
    pub(crate) faults: Vec<FaultKind>,
    /// The mirror's session timeout, in milliseconds; the server may clamp it
    #[arg(long, default_value_t = 6000, value_parser = value_parser!(u32).range(300..=60_000))]
    pub(crate) session_timeout_ms: u32,
    /// The mirror's tokio runtime
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// A file for one JSON line per second and fault
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What is done to the mirror's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultKind {
    /// It is reset
    Reset,
    /// It is cut inside a reply
    Cut,
    /// Everything takes 100 ms longer each way, for a third of the session timeout
    Delay,
    /// It is closed, and new ones are refused for half the session timeout
    Refuse,
    /// Nothing passes for as long as the session timeout
    BlackHole,
    /// Nothing passes for twice the session timeout: the session expires
    Expire,
    /// The server is killed and started again, if it is ours
    Restart,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ScaleArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Sizes of the tree, in znodes of 100 bytes
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000, 100_000, 1_000_000], value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub(crate) nodes: Vec<u32>,
    /// Sessions in a process, each with a mirror of ten znodes
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1000], value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) sessions: Vec<u32>,
    /// Seconds in which the sessions rest, to see what that costs
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) rest: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SideBySideArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// A folder for the JSON lines, a file for each measurement
    #[arg(long, value_name = "FOLDER", conflicts_with = "out")]
    pub(crate) out_dir: Option<PathBuf>,
    /// Seconds that are measured, for each watcher in each round
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// Sizes of the tree that is loaded
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000], value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub(crate) nodes: Vec<u32>,
    /// Sessions of the fan-out
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) sessions: u32,
    /// Measure the floor's own code on tokio, too, in notify and fanout: what every client on tokio needs at least
    #[arg(long)]
    pub(crate) floor_on_tokio: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ReportArgs {
    /// The folder with the JSON lines; plots are put there too
    #[arg(long, value_name = "FOLDER", default_value = "benches/results")]
    pub(crate) results: PathBuf,
    /// The page; what stands between its two marks is replaced, all else is kept
    #[arg(long, value_name = "FILE", default_value = "benches/RESULTS.md")]
    pub(crate) page: PathBuf,
}

#[derive(Clone, Debug, Args)]
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
    /// throughput: how long with 256 in flight; sessions: how long they rest
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) secs: u32,
    /// throughput: what is asked
    #[arg(long, value_enum, default_value_t)]
    pub(crate) ask: Ask,
    /// throughput: milliseconds of warm-up, and of one operation at a time
    #[arg(long, default_value_t = 3000, value_parser = value_parser!(u32).range(1..=60_000))]
    pub(crate) around_ms: u32,
    /// The tokio runtime
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// notify: also tell context switches and the whole curve; load: the memory before it
    #[arg(long)]
    pub(crate) split: bool,
    /// notify: also tell when the event came and when the value was published, which costs ours some of its time
    #[arg(long, requires = "split")]
    pub(crate) parts: bool,
    /// notify: how the application is told
    #[arg(long, value_enum, default_value_t)]
    pub(crate) told: Told,
    /// notify by the floor: its sockets are waited for by tokio's current-thread runtime, a task each
    #[arg(long)]
    pub(crate) on_tokio: bool,
    /// The floor reads events that came together by multiRead
    #[arg(long, hide = true)]
    pub(crate) many: bool,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "must be a number of minutes".to_owned())?;
    if (0.05..=100_000.0).contains(&minutes) { Ok(minutes) } else { Err("must be between 0.05 and 100000".to_owned()) }
}
