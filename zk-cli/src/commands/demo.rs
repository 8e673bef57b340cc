//! `zk demo`: a configuration that stays current while its server dies.
//!
//! Here: what is played. Must not know how it looks.

mod gate;
mod reader;
mod report;
mod stage;

use super::create::no_signals;
use crate::{connect::RECONNECT_SPREAD, error::Failure, output::Output, signals, text, walk};
use gate::Gate;
use reader::Reader;
use report::{Report, Written};
use stage::Stage;
use std::time::{Duration, Instant};
use zk_client::{Client, Connector, CreateMode, Error, OPEN_ACL_UNSAFE, Transaction};

/// Start a server, and show what a reader sees while a writer works and the server dies
///
/// The server is the test kit's, in this process, and needs nothing. With --real it is ZooKeeper itself: that
/// needs Java; the server is fetched once, runs in a temporary folder, and is gone at the end. Takes a second
/// or two.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  zk demo
  zk demo --real    on a real ZooKeeper; needs Java, and mvn for the first time
  zk demo --json    a JSON object for each thing that happens")]
pub(crate) struct Demo {
    /// Start a real ZooKeeper
    #[arg(long)]
    real: bool,
}

const ROOT: &str = "/config/app";

/// Long enough that the sessions outlive a server that dies.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// Changes to warm up with; their times are told, too.
const WARM_UP_CHANGES: usize = 500;

/// The configuration at the start, parents first.
const START: [(&str, &str); 10] = [
    ("/config", ""),
    ("/config/app", ""),
    ("/config/app/db", ""),
    ("/config/app/db/host", "db1:5432"),
    ("/config/app/db/pool_max", "10"),
    ("/config/app/feature", ""),
    ("/config/app/feature/dark_mode", "off"),
    ("/config/app/limits", ""),
    ("/config/app/limits/burst", "200"),
    ("/config/app/limits/rate", "100"),
];

/// One thing that the writer does.
enum Write {
    Set(&'static str, &'static str),
    /// Two values in one transaction.
    SetBoth([(&'static str, &'static str); 2]),
    Create(&'static str, &'static str),
    Delete(&'static str),
}

/// While everybody is connected.
const LIVE: [Write; 5] = [
    Write::Set("/config/app/db/pool_max", "50"),
    Write::Set("/config/app/feature/dark_mode", "on"),
    Write::Create("/config/app/feature/beta", "10%"),
    Write::SetBoth([("/config/app/limits/rate", "500"), ("/config/app/limits/burst", "900")]),
    Write::Delete("/config/app/feature/beta"),
];

/// While the reader has no connection. At the end pool_max has the version that it had before.
const MISSED: [Write; 5] = [
    Write::Delete("/config/app/db/pool_max"),
    Write::Create("/config/app/db/pool_max", "60"),
    Write::Set("/config/app/db/pool_max", "75"),
    Write::Set("/config/app/db/host", "db2:5432"),
    Write::Create("/config/app/db/replica", "db3:5432"),
];

/// After everything: does the watch still deliver?
const LAST: Write = Write::Set("/config/app/db/pool_max", "80");

impl Demo {
    pub(crate) async fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let stop = signals::stop().map_err(no_signals)?;
        tokio::select! {
            // What runs is dropped then, the server with it.
            () = stop => Err(Failure::says("the demo was stopped")),
            done = play(self.real, Report::new(output)) => done,
        }
    }
}

async fn play(real: bool, mut report: Report<'_>) -> Result<(), Failure> {
    report.heading("A service holds the subtree /config/app; somebody else changes it; the server dies.\n")?;
    let (begin, mut stage) = (Instant::now(), Stage::start(real).await?);
    report.step("server", &stage.describe()?, Some(begin.elapsed()))?;
    let servers = stage.addr()?.to_string();
    let (writer_gate, reader_gate) = (Gate::open(), Gate::open());
    let writer = connect(&servers, &writer_gate).await?;
    for (path, data) in START {
        Write::Create(path, data).done_by(&writer).await.map_err(Failure::says)?;
    }
    report.step("writer", &format!("created {} znodes from {ROOT} on", START.len() - 1), None)?;

    let client = connect(&servers, &reader_gate).await?;
    let begin = Instant::now();
    let mut reader = Reader::start(&client, ROOT).await?;
    let (took, count) = (begin.elapsed(), reader.mirror.snapshot().len());
    report.step("reader", &format!("holds all {count} of them, {} after it began", text::time(took)), Some(took))?;
    warm_up(&writer, &mut reader, &mut report).await?;
    report.columns()?;
    for write in &LIVE {
        show(write, &writer, &mut reader, &mut report).await?;
    }

    writer_gate.set_open(false);
    reader_gate.set_open(false);
    let lost_at = die(&mut stage, &mut reader, &mut report).await?;
    // The test server is back at once, perhaps before the writer has noticed that it was gone.
    drop(writer.state().wait_for(|state| !state.is_connected()).await);
    writer_gate.set_open(true);
    for write in &MISSED {
        write.done_by(&writer).await.map_err(Failure::says)?;
    }
    let text = format!("made {} changes; the reader is still kept off, it misses them all", MISSED.len());
    report.step("writer", &text, None)?;
    reader_gate.set_open(true);
    resync(lost_at, &mut reader, &mut report).await?;
    show(&LAST, &writer, &mut reader, &mut report).await?;

    check(&writer, &reader, &mut report).await?;
    writer.close().await;
    client.close().await;
    Ok(())
}

/// A server is slow in its first second, Java above all. Every change is waited for, so none is missing from the times.
async fn warm_up(writer: &Client, reader: &mut Reader, report: &mut Report<'_>) -> Result<(), Failure> {
    let write = Write::Set("/config/app/limits/rate", "100");
    let (mut after_call, mut after_ack) = (Vec::new(), Vec::new());
    for _ in 0..WARM_UP_CHANGES {
        let called = Instant::now();
        write.done_by(writer).await.map_err(Failure::says)?;
        let acknowledged = Instant::now();
        let held = reader.changes_of(&write.paths()).await?;
        let at = held.last().map_or(acknowledged, |held| held.at);
        after_call.push(report::signed_micros(called, at));
        after_ack.push(report::signed_micros(acknowledged, at));
    }
    report.medians(&mut after_call, &mut after_ack)
}

async fn connect(servers: &str, gate: &Gate) -> Result<Client, Failure> {
    let connector = Connector::new(servers).map_err(Failure::says)?;
    let connector = connector.session_timeout(SESSION_TIMEOUT).reconnect_spread(RECONNECT_SPREAD);
    connector.dial(gate.dial()).connect().await.map_err(Failure::says)
}

/// Writes, and tells when the reader held it.
async fn show(write: &Write, writer: &Client, reader: &mut Reader, report: &mut Report<'_>) -> Result<(), Failure> {
    let called = Instant::now();
    write.done_by(writer).await.map_err(Failure::says)?;
    let written = Written { called, acknowledged: Instant::now() };
    for held in reader.changes_of(&write.paths()).await? {
        report.held(&held, Some(written))?;
    }
    Ok(())
}

/// Kills the server and starts it again; answers since when the reader has no connection.
async fn die(stage: &mut Stage, reader: &mut Reader, report: &mut Report<'_>) -> Result<Instant, Failure> {
    let killed_at = Instant::now();
    let killed = stage.kill().await?;
    let (lost_at, _) = reader.gap().await?;
    let took = lost_at.saturating_duration_since(killed_at);
    report.step("server", killed, None)?;
    let text = format!("GAP: knows after {} that it may miss changes, and says so", text::time(took));
    report.event("gap", "reader", &text, Some(took))?;
    let (snapshot, live) = (reader.mirror.snapshot(), reader.mirror.is_live());
    if let Some(node) = snapshot.get("/config/app/db/pool_max") {
        let text = format!("still answers: pool_max = {}, live: {live}", text::short(&node.data));
        report.step("reader", &text, None)?;
    }
    let begin = Instant::now();
    let what = stage.start_again().await?;
    let text = format!("is back after {}{what}", text::time(begin.elapsed()));
    report.step("server", &text, Some(begin.elapsed()))?;
    Ok(lost_at)
}

async fn resync(lost_at: Instant, reader: &mut Reader, report: &mut Report<'_>) -> Result<(), Failure> {
    let resync = reader.resync().await?;
    let took = resync.resynced.saturating_duration_since(resync.connected);
    let gap = resync.resynced.saturating_duration_since(lost_at);
    let text = format!(
        "RESYNCED: exact again {} after it was connected; the gap was {}; it missed:",
        text::time(took),
        text::time(gap)
    );
    report.event("resynced", "reader", &text, Some(took))?;
    resync.found.iter().try_for_each(|held| report.held(held, None))
}

/// Compares what the reader holds with what is there.
async fn check(writer: &Client, reader: &Reader, report: &mut Report<'_>) -> Result<(), Failure> {
    let snapshot = reader.mirror.barrier().await.map_err(Failure::says)?;
    let walk = walk::subtree(writer, ROOT).await.map_err(Failure::says)?;
    let held = snapshot.iter().map(|(path, node)| (&**path, &node.data, &node.stat));
    let there = walk.nodes.iter().map(|(path, (data, stat))| (path.as_str(), data, stat));
    if !held.eq(there) {
        return Err(Failure::says("the mirror is not what is at the server: a defect, please report it"));
    }
    let text = format!("the mirror equals a fresh walk: {} znodes, all data and all metadata", walk.nodes.len());
    report.step("check", &text, None)
}

impl Write {
    async fn done_by(&self, client: &Client) -> Result<(), Error> {
        match *self {
            Self::Set(path, data) => client.set_data(path, data.as_bytes(), None).await.map(drop),
            Self::SetBoth([(a, a_data), (b, b_data)]) => {
                let both = Transaction::new().set_data(a, a_data.as_bytes(), None).set_data(b, b_data.as_bytes(), None);
                client.commit(&both).await.map(drop)
            }
            Self::Create(path, data) => {
                client.create(path, data.as_bytes(), CreateMode::Persistent, OPEN_ACL_UNSAFE).await.map(drop)
            }
            Self::Delete(path) => client.delete(path, None).await,
        }
    }

    fn paths(&self) -> Vec<&'static str> {
        match *self {
            Self::Set(path, _) | Self::Create(path, _) | Self::Delete(path) => vec![path],
            Self::SetBoth(both) => both.map(|(path, _)| path).into(),
        }
    }
}
