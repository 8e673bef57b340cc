//! `zk serve`: the test kit's server from the command line.
//!
//! Here: from arguments to a server that runs until it is told to stop. Must not know frames, nor files of trees.

mod data;
mod ledger;
mod record;

use super::create::no_signals;
use crate::{error::Failure, output::Output, signals, tell};
use clap::ValueEnum;
use ledger::{Ledger, Note};
use serde_json::json;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::lookup_host, sync::mpsc};
use zk_testkit::server::{Profile, TestServer};

/// Run a ZooKeeper for development and tests: one process, in memory, not replicated
///
/// Any ZooKeeper client of any language works against it. It behaves as the version that it is asked to be like, down
/// to single bytes of the protocol. What it holds is gone when it ends (Ctrl-C); it asks nobody for a password that
/// an ACL does not ask for. For production, run ZooKeeper.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  zk serve                                      on 127.0.0.1:2181, where clients look first
  zk serve --listen 127.0.0.1:0                 on any free port; the line READY names it
  zk serve --version-profile 3.6                like a ZooKeeper 3.6, with its defects
  zk tree --json /app > app.jsonl               keep a subtree of some ZooKeeper ...
  zk serve --data app.jsonl                     ... and begin with it
  zk serve --record session.jsonl               every frame in both directions, a JSON object a line

The other format of --data is one object of paths and texts; parents that are missing are created empty:
  {\"/app/limits/rate\": \"100\", \"/app/db/host\": \"db1:5432\"}

With --json the lines are objects: {\"event\":\"ready\",\"address\":\"127.0.0.1:2181\",\"version\":\"3.9.5\"}")]
pub(crate) struct Serve {
    /// Where to listen; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2181")]
    listen: String,
    /// Listen also where other machines can come in: there is no encryption, and no password
    #[arg(long)]
    allow_remote: bool,
    /// The ZooKeeper to be like
    #[arg(long, value_enum, value_name = "VERSION", default_value = "3.9")]
    version_profile: Version,
    /// Begin with this tree: the output of `zk tree --json`, or one JSON object of paths and texts. Data only: all
    /// may do everything with it, ephemeral znodes are left out, and versions and times begin anew
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Send every answer and every event so many milliseconds later: a round trip takes that much longer
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=LATENCY_MS_MAX))]
    latency: u64,
    /// Write every frame in both directions into a new file, as JSON lines {"conn", "dir", "frame"}. The data of
    /// znodes is in there; session passwords, auth data and SASL tokens are zeros
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Record passwords and tokens too
    #[arg(long, requires = "record")]
    record_secrets: bool,
    /// A line for every connection and every session
    #[arg(short, long)]
    verbose: bool,
}

/// No session lives longer than 40 s without an answer.
const LATENCY_MS_MAX: u64 = 40_000;

/// ZooKeeper's own default, and with it timeouts from 4 to 40 s: a client here is as one there.
const TICK: Duration = Duration::from_secs(2);

/// Lines on their way to stdout; when nobody reads that, the server goes on and lines are left out.
const NOTES_MAX: usize = 4096;

/// Release lines, each as its newest release.
#[derive(Clone, Copy, ValueEnum)]
enum Version {
    #[value(name = "3.5")]
    V3_5,
    #[value(name = "3.6")]
    V3_6,
    #[value(name = "3.7")]
    V3_7,
    #[value(name = "3.8")]
    V3_8,
    #[value(name = "3.9")]
    V3_9,
}

impl Version {
    const fn profile(self) -> Profile {
        match self {
            Self::V3_5 => Profile::V3_5,
            Self::V3_6 => Profile::V3_6,
            Self::V3_7 => Profile::V3_7,
            Self::V3_8 => Profile::V3_8,
            Self::V3_9 => Profile::V3_9,
        }
    }
}

impl Serve {
    pub(crate) async fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let stop = signals::stop().map_err(no_signals)?;
        let addr = self.addr().await?;
        let (notes, mut told) = mpsc::channel(NOTES_MAX);
        let (server, ledger) = self.start(addr, notes).await?;
        self.ready(&server, output)?;
        tokio::pin!(stop);
        let done = loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                Some(note) = told.recv() => match note {
                    Note::Line(event) => self.note(&event, output)?,
                    Note::RecordFailed(why) => break Err(self.record_failed(&why)),
                },
            }
        };
        server.stop().await;
        let lost = ledger.lock().unwrap_or_else(PoisonError::into_inner).lost;
        if lost > 0 {
            tell(&format!("{lost} lines of --verbose were left out, because nobody read them in time"));
        }
        done
    }

    async fn start(
        &self,
        addr: SocketAddr,
        notes: mpsc::Sender<Note>,
    ) -> Result<(TestServer, Arc<Mutex<Ledger>>), Failure> {
        let mut builder = TestServer::builder().listen(addr).profile(self.version_profile.profile()).tick(TICK);
        builder = builder.latency(Duration::from_millis(self.latency));
        if let Some(path) = &self.data {
            let tree =
                data::load(path).map_err(|error| Failure::says(format!("--data {}: {error}", path.display())))?;
            if tree.ephemerals > 0 {
                tell(&format!("{} ephemeral znodes are left out: their sessions are not here", tree.ephemerals));
            }
            builder = builder.znodes(tree.znodes);
        }
        let file = match &self.record {
            Some(path) => Some(record::create(path).map_err(|error| self.record_failed(&error))?),
            None => None,
        };
        let ledger = Arc::new(Mutex::new(Ledger::new(file, self.record_secrets, self.verbose, notes)));
        if self.record.is_some() || self.verbose {
            let ledger = Arc::clone(&ledger);
            builder =
                builder.tap(move |conn, seen| ledger.lock().unwrap_or_else(PoisonError::into_inner).take(conn.0, seen));
        }
        let server = builder.start().await.map_err(|error| self.not_started(addr, &error))?;
        if let Some(path) = &self.record {
            let secrets =
                if self.record_secrets { "with all passwords" } else { "passwords and tokens are zeros there" };
            tell(&format!("every frame is recorded in {}, data as it is; {secrets}", path.display()));
        }
        Ok((server, ledger))
    }

    /// Where to listen, if that is allowed.
    async fn addr(&self) -> Result<SocketAddr, Failure> {
        let text = &self.listen;
        let found: Vec<SocketAddr> = match lookup_host(text).await {
            Ok(found) => found.collect(),
            Err(error) => {
                return Err(Failure::says(format!(
                    "--listen {text}: {error}; write HOST:PORT, such as 127.0.0.1:2181 or 127.0.0.1:0"
                )));
            }
        };
        // clients try 127.0.0.1 for localhost first, or at least second
        let addr = found.iter().find(|addr| addr.is_ipv4()).or_else(|| found.first());
        let addr = addr.copied().ok_or_else(|| Failure::says(format!("--listen {text}: the name has no address")))?;
        if !addr.ip().is_loopback() && !self.allow_remote {
            return Err(Failure::says(format!(
                "--listen {text}: other machines could come in, and this server has no encryption and asks for no \
                 password; listen on 127.0.0.1, or say --allow-remote if the network is yours"
            )));
        }
        Ok(addr)
    }

    fn not_started(&self, addr: SocketAddr, error: &io::Error) -> Failure {
        let kind = error.kind();
        if kind == io::ErrorKind::AddrInUse {
            return Failure::says(format!(
                "{addr} is taken, perhaps by another ZooKeeper; choose another with --listen, such as 127.0.0.1:0 for \
                 any free port"
            ));
        }
        if kind == io::ErrorKind::InvalidInput && self.data.is_some() {
            return Failure::says(format!("--data: {error}"));
        }
        Failure::says(format!("cannot listen on {addr}: {error}"))
    }

    fn record_failed(&self, error: &io::Error) -> Failure {
        let path = self.record.as_deref().unwrap_or_else(|| Path::new("")).display();
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Failure::says(format!("--record {path}: the file exists; name another, or remove it first"));
        }
        Failure::says(format!("--record {path}: {error}"))
    }

    fn ready(&self, server: &TestServer, output: &mut Output) -> Result<(), Failure> {
        let (addr, version) = (server.addr(), self.version_profile.profile().version());
        if output.is_json() {
            output.object(&json!({"event": "ready", "address": addr, "version": version}))?;
        } else {
            output.line(&format!(
                "READY {addr} like ZooKeeper {version}; for development and tests: one process, in memory, not replicated"
            ))?;
        }
        output.flush()
    }

    fn note(&self, event: &ledger::Event, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            output.object(event)?;
        } else {
            output.line(&event.to_string())?;
        }
        output.flush()
    }
}
