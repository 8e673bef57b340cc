//! The servers of one test, and the folder they live in.
//!
//! Must not know where jars come from, or what a server does with its process.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::config::{self, Layout, Member, Settings};
use super::folder::Folder;
use super::jars::Jars;
use super::server::{Parts, SERVING_POLL, START_ATTEMPTS, Server};
use super::{LauncherError, ports};

/// Ports of one server: clients, quorum, election.
const PORTS_PER_SERVER: usize = 3;

/// Real servers that run. Dropping it kills them and removes their folder; where this process is killed, the kernel ends them,
/// and the next ensemble of this user removes the folder.
#[derive(Debug)]
pub struct Ensemble {
    // Before the folder, so that nothing writes into it when it is removed.
    servers: Vec<Server>,
    folder: Folder,
    limit: Duration,
}

impl Ensemble {
    /// Starts that many servers, with other ports if one was taken in the moment between choice and use.
    pub(super) async fn start(
        count: usize,
        settings: &Settings,
        java: &Path,
        jars: &Jars,
        limit: Duration,
    ) -> Result<Self, LauncherError> {
        let mut attempt = 1;
        loop {
            let mut ensemble = Self::prepare(count, settings, java, jars, limit)?;
            for server in &mut ensemble.servers {
                server.spawn().await?;
            }
            match ensemble.wait_until_serving().await {
                Ok(()) => return Ok(ensemble),
                Err(LauncherError::PortTaken { .. }) if attempt < START_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the servers' files; their ports are free again when this returns.
    fn prepare(
        count: usize,
        settings: &Settings,
        java: &Path,
        jars: &Jars,
        limit: Duration,
    ) -> Result<Self, LauncherError> {
        let folder = Folder::new().map_err(LauncherError::io("make a temporary folder"))?;
        let ports = ports::reserve(count * PORTS_PER_SERVER).and_then(|listeners| members(&listeners));
        let members = ports.map_err(LauncherError::io("reserve ports on 127.0.0.1"))?;
        let mut servers = Vec::with_capacity(count);
        for (index, member) in members.iter().enumerate() {
            let layout = Layout::new(folder.path().join(format!("server-{}", config::my_id(index))));
            write_files(&layout, settings, &members, index)
                .map_err(LauncherError::io(format!("write into {}", folder.path().display())))?;
            servers.push(Server::new(Parts {
                index,
                version: jars.version.clone(),
                addr: SocketAddr::from((Ipv4Addr::LOCALHOST, member.client)),
                args: config::java_args(settings, jars, &layout),
                layout,
                java: java.to_owned(),
                limit,
            }));
        }
        Ok(Self { servers, folder, limit })
    }

    /// All client ports, as a client wants them: `127.0.0.1:2181,127.0.0.1:2182`.
    pub fn connect_string(&self) -> String {
        self.servers.iter().map(|server| server.addr().to_string()).collect::<Vec<_>>().join(",")
    }

    /// The servers, in the order of the connect string.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The servers, to end and start them.
    pub fn servers_mut(&mut self) -> &mut [Server] {
        &mut self.servers
    }

    /// One server, counted from 0; its `myid` is one more.
    pub fn server(&self, index: usize) -> Option<&Server> {
        self.servers.get(index)
    }

    /// One server, to end and start it.
    pub fn server_mut(&mut self, index: usize) -> Option<&mut Server> {
        self.servers.get_mut(index)
    }

    /// The folder with the servers' configurations, data and logs; it goes with the ensemble.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until every server serves, and no one in read-only mode.
    ///
    /// # Errors
    /// As [`Server::wait_until_serving`]; also if a server was ended and not started again.
    pub async fn wait_until_serving(&self) -> Result<(), LauncherError> {
        let begin = Instant::now();
        loop {
            let mut missing = None;
            for server in &self.servers {
                // All of them, even if the first does not serve yet: another may have ended.
                if server.probe().await?.is_none_or(|mode| mode == "read-only") {
                    missing = Some(server);
                }
            }
            match missing {
                None => return Ok(()),
                Some(server) if begin.elapsed() > self.limit => return Err(server.not_serving()),
                Some(_) => sleep(SERVING_POLL).await,
            }
        }
    }

    /// Waits until a running server leads, and gives its index. A server alone counts as leader.
    ///
    /// # Errors
    /// [`LauncherError::NoLeader`].
    pub async fn wait_for_leader(&self) -> Result<usize, LauncherError> {
        let begin = Instant::now();
        while begin.elapsed() < self.limit {
            for (index, server) in self.servers.iter().enumerate() {
                // One that has ended, or does not answer, does not lead.
                if let Ok(Some(mode)) = server.probe().await
                    && (mode == "leader" || mode == "standalone")
                {
                    return Ok(index);
                }
            }
            sleep(SERVING_POLL).await;
        }
        Err(LauncherError::NoLeader { waited: self.limit })
    }
}

fn members(listeners: &[TcpListener]) -> io::Result<Vec<Member>> {
    let ports = listeners.iter().map(|one| Ok(one.local_addr()?.port())).collect::<io::Result<Vec<u16>>>()?;
    let (chunks, _) = ports.as_chunks::<PORTS_PER_SERVER>();
    Ok(chunks.iter().map(|&[client, quorum, election]| Member { client, quorum, election }).collect())
}

/// Once, and not at every start: a server with reconfig enabled changes its own `zoo.cfg`.
fn write_files(layout: &Layout, settings: &Settings, members: &[Member], index: usize) -> io::Result<()> {
    fs::create_dir_all(layout.data())?;
    fs::create_dir_all(layout.logging())?;
    fs::write(layout.my_id(), config::my_id(index).to_string())?;
    fs::write(layout.zoo_cfg(), config::zoo_cfg(settings, members, &layout.data()))?;
    fs::write(layout.logging().join("logback.xml"), config::LOGBACK_XML)?;
    fs::write(layout.logging().join("log4j.properties"), config::LOG4J_PROPERTIES)
}
