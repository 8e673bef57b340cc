//! Starts real ZooKeeper servers for tests: what to start ([`Launcher`]), and what is then running ([`Ensemble`],
//! [`Server`]).
//!
//! Must not know a ZooKeeper client: it speaks four-letter words and signals only, so that a client's bug cannot
//! hide in the tool that tests it.
//!
//! ```no_run
//! # async fn example() -> Result<(), zk_testkit::launcher::LauncherError> {
//! use zk_testkit::launcher::{Launcher, Version};
//!
//! let mut ensemble = Launcher::new(Version::V3_9).servers(3).start().await?;
//! let leader = ensemble.wait_for_leader().await?;
//! if let Some(server) = ensemble.server_mut(leader) {
//!     server.kill_9().await?;     // another server takes over
//!     server.start().await?;      // same ports, same data
//! }
//! # Ok(()) }
//! ```
//!
//! The servers end with the [`Ensemble`]: on drop, on a panic, and also when the test process itself is killed. Their folder goes
//! with them; what a killed process leaves of it is removed by the next ensemble of the same user.

mod config;
mod ensemble;
mod error;
mod folder;
mod jars;
mod java;
mod maven;
mod ports;
mod process;
mod server;
mod version;

use std::time::Duration;

pub use ensemble::Ensemble;
pub use error::{FetchFailure, LauncherError};
pub use server::Server;
pub use version::Version;

/// How long the first download of a version may take: some 7 MB, on a slow line.
const FETCH_LIMIT: Duration = Duration::from_secs(300);

/// How long servers may take until they serve. A server alone needs about a second; this is for a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What to start; [`Launcher::start`] starts it.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct Launcher {
    version: Version,
    servers: usize,
    settings: config::Settings,
    fetch_limit: Duration,
    start_limit: Duration,
}

impl Launcher {
    /// One standalone server of this version, with settings that suit tests: a tick of 200 ms, client ports on the
    /// loopback interface only, all four-letter words, no admin server, no limit of connections, session timeouts
    /// from 2 ticks to 60 s.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            servers: 1,
            settings: config::Settings::default(),
            fetch_limit: FETCH_LIMIT,
            start_limit: START_LIMIT,
        }
    }

    /// How many servers: 1 is a standalone server, more are a quorum. 0 counts as 1.
    pub fn servers(mut self, count: usize) -> Self {
        self.servers = count.max(1);
        self
    }

    /// ZooKeeper's unit of time; 2 ticks are the shortest session timeout.
    pub fn tick_time(mut self, tick: Duration) -> Self {
        self.settings.tick = tick;
        self
    }

    /// A line `key=value` in `zoo.cfg`; it wins over the launcher's own line of this key.
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.properties.push((key.into(), value.into()));
        self
    }

    /// A Java system property, `-Dkey=value`; it wins over the launcher's own.
    pub fn system_property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.system_properties.push((key.into(), value.into()));
        self
    }

    /// An argument of the Java virtual machine, such as `-Xmx1g`; it comes after the launcher's own and wins.
    pub fn jvm_arg(mut self, arg: impl Into<String>) -> Self {
        self.settings.jvm_args.push(arg.into());
        self
    }

    /// How long the download of the server's jars may take, if they are not here yet (300 s).
    pub fn fetch_limit(mut self, limit: Duration) -> Self {
        self.fetch_limit = limit;
        self
    }

    /// How long [`Launcher::start`], [`Server::start`] and [`Ensemble::wait_for_leader`] wait (60 s).
    pub fn start_limit(mut self, limit: Duration) -> Self {
        self.start_limit = limit;
        self
    }

    /// Starts the servers and waits until each of them serves.
    ///
    /// The jars come from the first of these that has them: the cache (`$ZK_TESTKIT_CACHE`, or `zk-testkit` in the
    /// user's cache folder), `$ZK_HOME` if it is of the same release line, `mvn`, Debian's package (for 3.8).
    ///
    /// # Cancel safety
    /// Dropping the future ends the servers that already run.
    ///
    /// # Errors
    /// [`LauncherError::NoJava`] and [`LauncherError::NoServer`] say what to install;
    /// [`LauncherError::Exited`] and [`LauncherError::NotServing`] quote the server's log.
    pub async fn start(self) -> Result<Ensemble, LauncherError> {
        let java = java::find()?;
        let jars = jars::find(&self.version, self.fetch_limit).await?;
        Ensemble::start(self.servers, &self.settings, &java, &jars, self.start_limit).await
    }
}

/// Gets the jars of these versions, so that tests need not download them (for CI; see [`Launcher::start`]).
///
/// # Errors
/// [`LauncherError::NoServer`] for the first version that cannot be had.
pub async fn prefetch(versions: &[Version]) -> Result<(), LauncherError> {
    for version in versions {
        jars::find(version, FETCH_LIMIT).await?;
    }
    Ok(())
}
