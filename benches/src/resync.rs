//! `zk-bench resync`: the connection goes, some znodes change, the connection comes back; until the mirror is exact.
//!
//! The floor is a load of the whole tree by multiRead over the same wire: what who remembers nothing has to do.

use crate::{
    args::{ResyncArgs, Runtime},
    contenders::{Contender, PATIENCE},
    error::Failure,
    lab::{Lab, Subject},
    machine::Header,
    raw::Raw,
    report::{self, Column, Lines, LoadLine},
    rounds::{self, Place, Round},
    server::{self, Server},
    tree::{self, Shape, Tree},
    usage::Memory,
    value::{Stamp, now_ns},
};
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;
use zk_client::Zxid;
use zk_proto::{multi::MultiOp, records::SetDataRequest};
use zk_testkit::proxy::{Connects, End};

/// The session survives being away.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// What does not come back in this time never does.
const BACK_PATIENCE: Duration = Duration::from_secs(120);

/// One way to know the tree again, in one round.
#[derive(Debug, Serialize)]
struct Step {
    /// From the connection's return until the mirror is live and exact; the floor: from connecting until all is read.
    seconds: f64,
    /// From when the server can be reached again: the client's pause before it tries again is in it.
    since_open_seconds: f64,
    bytes_up: u64,
    bytes_down: u64,
    cpu_s: f64,
    rss_kb: u64,
}

/// What was asked for, as the file says it.
#[derive(Serialize)]
struct Asked {
    nodes: u32,
    changes: u32,
}

const COLUMNS: [Column<Step>; 5] = [
    ("ms", |step| step.seconds * 1000.0),
    ("ms since the server is back", |step| step.since_open_seconds * 1000.0),
    ("KB to the server", |step| step.bytes_up as f64 / 1024.0),
    ("KB from it", |step| step.bytes_down as f64 / 1024.0),
    ("CPU ms", |step| step.cpu_s * 1000.0),
];

/// Everything that stands while it is measured.
struct Stand<'a> {
    lab: Lab,
    subject: Subject,
    /// Writes past the proxy.
    raw: Raw,
    floor: Contender,
    root: &'a str,
    nodes: u32,
    /// The sequence number of the last write.
    sequence: u64,
}

pub(crate) fn run(args: &ResyncArgs) -> Result<(), Failure> {
    let runtime = args.run.runtime.first().copied().unwrap_or(Runtime::CurrentThread);
    let server = Server::find(&args.run.server)?;
    let mut lines = Lines::create(args.run.out.as_deref(), &Header::now("resync", &server.what))?;
    let root = server::root(&args.run.server);
    let shape = Shape::Flat(args.nodes);
    let _tree = Tree::create(&server.writer, &root, shape, server.is_foreign())?;
    let lab = Lab::start(server.addr()?)?;
    let addr = lab.proxy.connect_string();
    let subject = Subject::start(&addr, &root, SESSION_TIMEOUT, runtime, Box::new(|_| tokio::spawn(async {})))?;
    let (raw, floor) = (Raw::connect(&server.writer)?, Contender::floor()?);
    let mut stand = Stand { lab, subject, raw, floor, root: &root, nodes: args.nodes, sequence: 0 };
    let names = ["ours".to_owned()];
    for changes in args.changes.iter().map(|changes| (*changes).min(args.nodes)) {
        let asked = Asked { nodes: args.nodes, changes };
        let done = |round: &Round<Step>| round.write(&mut lines, &names, &asked);
        let step = |place| if place == Place::Contender(0) { stand.resync(changes) } else { stand.load() };
        let often = (args.run.rounds, args.run.rounds_max);
        let rounds = rounds::interleave(&names, often, |step| step.seconds, step, done)?;
        report::print(&format!(
            "resync: {} znodes of 100 bytes, {changes} changed meanwhile; {}. The floor loads the whole tree.\n\n{}\n",
            shape.nodes(),
            server.what,
            rounds::summary(&rounds, &names, &COLUMNS)
        ))?;
    }
    stand.raw.close()
}

impl Stand<'_> {
    /// The floor: everything is read again, by who has never seen it.
    fn load(&self) -> Result<Step, Failure> {
        let before = self.lab.bytes();
        let addr = self.lab.proxy.connect_string();
        let args = ["--bench", "load", "--connect", &addr, "--root", self.root].map(str::to_owned);
        let LoadLine { seconds, cpu_s, rss_kb, .. } = self.floor.spawn(&args)?.last_json(PATIENCE)?;
        let [bytes_up, bytes_down] = self.bytes_since(before);
        Ok(Step { seconds, since_open_seconds: seconds, bytes_up, bytes_down, cpu_s, rss_kb })
    }

    fn resync(&mut self, changes: u32) -> Result<Step, Failure> {
        self.cut()?;
        let (keys, zxid) = self.change(changes)?;
        let (before, cpu) = (self.lab.bytes(), self.subject.cpu_ns());
        self.connects(Connects::Accept)?;
        let open_ns = now_ns();
        let live_ns = self.wait("is not live again", |mirror| {
            let status = mirror.status();
            status.live && status.confirmed >= zxid
        })?;
        let [bytes_up, bytes_down] = self.bytes_since(before);
        self.check(&keys)?;
        let seconds = |from: u64| live_ns.saturating_sub(from) as f64 / 1e9;
        // The mirror's thread says every 20 ms what it used.
        std::thread::sleep(Duration::from_millis(50));
        Ok(Step {
            seconds: seconds(self.subject.connected.at_ns().max(open_ns)),
            since_open_seconds: seconds(open_ns),
            bytes_up,
            bytes_down,
            cpu_s: self.subject.cpu_ns().saturating_sub(cpu) as f64 / 1e9,
            rss_kb: Memory::now().rss_kb,
        })
    }

    fn cut(&self) -> Result<(), Failure> {
        self.connects(Connects::Refuse)?;
        self.lab.proxy.end_all(End::Reset);
        self.wait("does not notice that its connection is gone", |mirror| !mirror.is_live()).map(drop)
    }

    fn connects(&self, connects: Connects) -> Result<(), Failure> {
        let set = self.lab.proxy.set_connects(connects);
        self.lab.runtime.block_on(set).map_err(Failure::io("open or shut the proxy's door"))
    }

    /// Sets so many znodes, by chance which; they, and the last transaction.
    fn change(&mut self, changes: u32) -> Result<(Vec<String>, Zxid), Failure> {
        self.sequence += 1;
        let value = Stamp { sequence: self.sequence, scheduled_ns: now_ns() }.value();
        let mut chosen = BTreeSet::new();
        while chosen.len() < changes as usize {
            chosen.insert(fastrand::u32(..self.nodes));
        }
        let keys: Vec<String> = chosen.into_iter().map(|index| tree::key(self.root, index)).collect();
        for keys in keys.chunks(tree::BATCH) {
            tree::transaction(&mut self.raw, "change znodes", keys, |path| {
                MultiOp::SetData(SetDataRequest { path: path.into(), data: Some(&value), version: -1 })
            })?;
        }
        let last = keys.last().map_or(self.root, String::as_str);
        let request = zk_proto::records::GetDataRequest { path: last.into(), watch: false };
        let stat = self.raw.call::<zk_proto::ops::Exists>("look at a znode", &request)?.stat;
        Ok((keys, stat.mzxid))
    }

    /// When the mirror came to be as it should.
    fn wait(&self, or_else: &str, mut done: impl FnMut(&zk_config::Mirror) -> bool) -> Result<u64, Failure> {
        let mirror = &self.subject.mirror;
        let mut status = mirror.status_channel();
        let changes = async {
            while !done(mirror) {
                if status.changed().await.is_err() {
                    break;
                }
            }
            now_ns()
        };
        let waited = self.lab.runtime.block_on(async { timeout(BACK_PATIENCE, changes).await });
        waited.map_err(|_| Failure::Watcher { name: "ours".to_owned(), what: or_else.to_owned() })
    }

    /// The copy has every change, and says that it is exact.
    fn check(&self, keys: &[String]) -> Result<(), Failure> {
        let snapshot = self.subject.mirror.snapshot();
        let sequence =
            |key: &String| snapshot.get(key).and_then(|node| Stamp::read(&node.data)).map(|stamp| stamp.sequence);
        let wrong = keys.iter().find(|key| sequence(key) != Some(self.sequence));
        let what = match wrong {
            Some(key) => format!("is live and does not know that {key} changed"),
            None if !snapshot.is_exact() => "is live and not exact".to_owned(),
            None => return Ok(()),
        };
        Err(Failure::Watcher { name: "ours".to_owned(), what })
    }

    fn bytes_since(&self, before: [u64; 2]) -> [u64; 2] {
        let [up, down] = self.lab.bytes();
        let [up_before, down_before] = before;
        [up - up_before, down - down_before]
    }
}
