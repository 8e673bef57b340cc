//! The server that is measured: the user's own, or one that is started for the run.

use crate::{args::ServerArgs, child::Watcher, error::Failure, raw::Raw, report};
use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::Path,
    process,
    time::{Duration, SystemTime},
};
use zk_client::{ConnectString, HostPort};
use zk_testkit::{
    launcher::{Ensemble, Launcher, Version},
    server::TestServer,
};

/// Where data is in memory.
const MEMORY: &str = "/dev/shm";
/// As in production, unlike the launcher's default.
const TICK: Duration = Duration::from_secs(2);
/// The in-process server starts at once.
const TEST_SERVER_PATIENCE: Duration = Duration::from_secs(30);

/// A server to measure.
pub(crate) struct Server {
    /// Where writes go.
    pub(crate) writer: String,
    /// Where all watchers are, the floor too.
    pub(crate) watchers: String,
    /// A line that says what it is.
    pub(crate) what: String,
    host: Host,
}

/// Who runs it; ours end with this.
enum Host {
    Foreign,
    /// The runtime is the launcher's.
    Real(Box<Ensemble>, tokio::runtime::Runtime),
    Test(#[expect(dead_code, reason = "it is killed when it is dropped")] Watcher),
}

impl Server {
    pub(crate) fn find(args: &ServerArgs) -> Result<Self, Failure> {
        match &args.connect {
            Some(list) => Self::theirs(list),
            None if args.test_server => Self::test(),
            None => Self::real(args),
        }
    }

    /// Writes go to the first that answers, watchers to the last: so a list shows what following costs.
    fn theirs(list: &str) -> Result<Self, Failure> {
        let hosts = hosts(list)?;
        let answers: Vec<String> = hosts
            .into_iter()
            .filter(|host| match Raw::connect(host).and_then(Raw::close) {
                Ok(()) => true,
                Err(failure) => {
                    report::tell(&format!("left out: {}", failure.line()));
                    false
                }
            })
            .collect();
        let (Some(writer), Some(watchers)) = (answers.first(), answers.last()) else {
            return Err(Failure::Usage("no server of the list answers"));
        };
        let what = match answers.as_slice() {
            [one] => format!("the server at {one}"),
            _ => format!("writes to {writer}, watchers at {watchers}"),
        };
        Ok(Self { writer: writer.clone(), watchers: watchers.clone(), what, host: Host::Foreign })
    }

    fn test() -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("find this program"))?;
        let server = Watcher::start("test server", &[program.into(), "test-server".into()], [])?;
        let addr = server.line(TEST_SERVER_PATIENCE)?;
        let what = "zk-testkit's server in a process of its own, data in memory".to_owned();
        Ok(Self { writer: addr.clone(), watchers: addr, what, host: Host::Test(server) })
    }

    fn real(args: &ServerArgs) -> Result<Self, Failure> {
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
        Ok(Self { writer: addr.clone(), watchers: addr, what, host: Host::Real(Box::new(ensemble), runtime) })
    }

    /// Whether it is somebody else's, who does not want to find our znodes.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.host, Host::Foreign)
    }

    /// Whether [`restart`](Self::restart) can do it.
    pub(crate) fn can_restart(&self) -> bool {
        matches!(self.host, Host::Real(..))
    }

    /// Kills it and starts it again, if it is ours and keeps its data.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        let Host::Real(ensemble, runtime) = &mut self.host else { return Ok(()) };
        let Some(server) = ensemble.server_mut(0) else { return Ok(()) };
        runtime.block_on(async {
            server.kill_9().await?;
            server.start().await
        })?;
        Ok(())
    }

    /// The address of the watchers' server.
    pub(crate) fn addr(&self) -> Result<SocketAddr, Failure> {
        let failed = || Failure::io(format!("resolve {}", self.watchers));
        let mut found = self.watchers.to_socket_addrs().map_err(failed())?;
        found.next().ok_or(Failure::Usage("the server's name has no address"))
    }
}

/// The hosts of a list, each with its port.
fn hosts(list: &str) -> Result<Vec<String>, Failure> {
    let list: ConnectString = list.parse().map_err(zk_client::Error::from)?;
    if list.chroot() != "/" {
        return Err(Failure::Usage("--connect takes no path; say --root where to work"));
    }
    Ok(list.hosts().iter().map(HostPort::to_string).collect())
}

/// Runs the in-process server until stdin ends.
pub(crate) fn run_test_server() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(Failure::io("start the server"))?;
    // Real servers have ticks of seconds.
    let server = runtime.block_on(TestServer::builder().tick(TICK).start()).map_err(Failure::io("start the server"))?;
    report::print(&server.connect_string())?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).map_err(Failure::io("wait"))?;
    drop(server);
    Ok(())
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
pub(crate) fn root(args: &ServerArgs) -> String {
    args.root.clone().unwrap_or_else(|| {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("/zk-bench-{}-{}", time.as_secs(), process::id())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_hosts_is_read_as_clients_read_it() {
        assert_eq!(hosts("a, b:2182,[::1]:2183").unwrap(), ["a:2181", "b:2182", "[::1]:2183"]);
        assert!(hosts("a/chroot").is_err() && hosts("").is_err());
    }
}
