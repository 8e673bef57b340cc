//! The server that is measured: the user's own, or one that is started for the run.

use crate::{args::RunArgs, error::Failure, report};
use std::{
    path::Path,
    process,
    time::{Duration, SystemTime},
};
use zk_testkit::launcher::{Ensemble, Launcher, Version};

/// Where data is in memory.
const MEMORY: &str = "/dev/shm";
/// As in production, unlike the launcher's default.
const TICK: Duration = Duration::from_secs(2);

/// A server to measure.
pub(crate) struct Server {
    pub(crate) addr: String,
    /// A line that says what it is.
    pub(crate) what: String,
    /// It ends with this. The runtime is the launcher's, and outlives it.
    started: Option<(Ensemble, tokio::runtime::Runtime)>,
}

impl Server {
    pub(crate) fn find(args: &RunArgs) -> Result<Self, Failure> {
        if let Some(addr) = &args.connect {
            return Ok(Self { addr: addr.clone(), what: format!("the server at {addr}"), started: None });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::io("start the launcher"))?;
        let place = if args.in_memory { in_memory()? } else { "log on disk, with fsync" };
        let what = format!("ZooKeeper {} standalone on loopback, {place}", args.server);
        report::tell(&format!("starting {what}"));
        // The launcher's own settings are those of a test server: short-lived and without fsync.
        let launcher = Launcher::new(Version::new(args.server.clone()))
            .tick_time(TICK)
            .system_property("zookeeper.forceSync", if args.in_memory { "no" } else { "yes" })
            .system_property("zookeeper.preAllocSize", "65536")
            .jvm_arg("-Xmx2g")
            .jvm_arg("-XX:TieredStopAtLevel=4");
        let ensemble = runtime.block_on(launcher.start())?;
        let addr = ensemble.connect_string();
        Ok(Self { addr, what, started: Some((ensemble, runtime)) })
    }

    /// Whether it is somebody else's, who does not want to find our znodes.
    pub(crate) fn is_foreign(&self) -> bool {
        self.started.is_none()
    }
}

/// Lets the launcher put its folder into memory.
fn in_memory() -> Result<&'static str, Failure> {
    if !Path::new(MEMORY).is_dir() {
        return Err(Failure::Usage("--in-memory needs /dev/shm"));
    }
    // Too late only if something asked for a temporary folder before; nothing here does.
    let _ = tempfile::env::override_temp_dir(Path::new(MEMORY));
    Ok("data in memory, without fsync")
}

/// The znode to work below.
pub(crate) fn root(args: &RunArgs) -> String {
    args.root.clone().unwrap_or_else(|| {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("/zk-bench-{}-{}", time.as_secs(), process::id())
    })
}
