//! Watches that come and go while answers, events and connections are on their way: every order of a few steps, and many
//! of more. ZOOKEEPER-4466, 4471, 4472; protocol.md section 4.6.

use std::collections::BTreeMap;

use super::LINES;
use crate::stage::{Stage, poll_and_drop, until_connected, within};
use tokio::task::JoinHandle;
use zk_client::{
    Client, Error, EventType, OneshotWatch, Stat, UsageError, WatchItem, WatchKind, WatchMode, WatchStream,
};
use zk_testkit::server::{Profile, WatchedKind};

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Somebody subscribes.
    Watch,
    /// The oldest subscriber goes, ready or not.
    DropStream,
    /// Somebody reads and leaves a one-shot watch.
    Read,
    /// The oldest of those goes.
    DropOneshot,
    /// Somebody else changes the znode.
    Change,
    /// The connection breaks.
    Cut,
}

const STEPS: [Step; 6] = [Step::Watch, Step::DropStream, Step::Read, Step::DropOneshot, Step::Change, Step::Cut];

type Watching = JoinHandle<Result<WatchStream, Error>>;
type Reading = JoinHandle<Result<(Option<Stat>, OneshotWatch), Error>>;

struct Play {
    server: Stage,
    client: Client,
    mode: WatchMode,
    streams: Vec<Watching>,
    oneshots: Vec<Reading>,
}

impl Play {
    async fn start(profile: &Profile, mode: WatchMode) -> Self {
        let server = Stage::like(profile.clone()).await;
        server.create("/a", b"").unwrap();
        let client = server.connect().await;
        Self { server, client, mode, streams: Vec::new(), oneshots: Vec::new() }
    }

    /// One step; whether what the server says afterwards is held back until a step where it is not.
    async fn step(&mut self, step: Step, held: bool) {
        self.server.hold_replies(held);
        match step {
            Step::Watch => {
                let watching = self.client.watch("/a", self.mode);
                self.streams.push(tokio::spawn(watching));
            }
            Step::Read => {
                let reading = self.client.exists_and_watch("/a");
                self.oneshots.push(tokio::spawn(reading));
            }
            Step::DropStream if !self.streams.is_empty() => give_up(self.streams.remove(0)).await,
            Step::DropOneshot if !self.oneshots.is_empty() => give_up(self.oneshots.remove(0)).await,
            Step::DropStream | Step::DropOneshot => {}
            Step::Change => drop(self.server.set("/a", b"").map(|_| ())),
            Step::Cut => self.server.drop_connections(),
        }
        breathe().await;
    }

    /// Everything that was on its way has arrived: whoever still listens has a watch, and nobody else.
    async fn check(&mut self) {
        self.server.hold_replies(false);
        let conflict = Error::Usage(UsageError::WatchConflict { path: "/a".into() });
        let (mut streams, mut oneshots) = (Vec::new(), Vec::new());
        for watching in self.streams.drain(..) {
            match within(watching).await.unwrap() {
                Ok(stream) => streams.push(stream),
                Err(error) => assert_eq!(error, conflict),
            }
        }
        for reading in self.oneshots.drain(..) {
            match within(reading).await.unwrap() {
                Ok((_, watch)) => oneshots.push(watch),
                Err(error) => assert!(error == conflict || matches!(error, Error::Interrupted { .. }), "{error:?}"),
            }
        }
        until_connected(&self.client).await;
        self.rest().await;
        let mut armed = Vec::new();
        for mut watch in oneshots {
            match poll_and_drop(&mut watch, 1).await {
                None => armed.push(watch),
                Some(told) => assert_eq!(told.unwrap().event_type, EventType::NODE_DATA_CHANGED),
            }
        }
        for stream in &mut streams {
            while poll_and_drop(stream.next(), 1).await.is_some() {}
        }
        self.rest().await;
        self.compare(streams.len(), armed.len()).await;

        self.server.set("/a", b"").unwrap();
        for watch in armed {
            assert_eq!(within(watch).await.unwrap().event_type, EventType::NODE_DATA_CHANGED);
        }
        for stream in &mut streams {
            let Some(WatchItem::Event(told)) = within(stream.next()).await else { panic!("no event") };
            assert_eq!(told.event_type, EventType::NODE_DATA_CHANGED);
        }
        drop(streams);
        self.rest().await;
        self.compare(0, 0).await;
    }

    async fn rest(&self) {
        for _ in 0..2 {
            breathe().await;
            within(self.client.sync("/")).await.unwrap();
        }
    }

    /// The tables of both sides hold what listeners want, and nothing else.
    async fn compare(&self, streams: usize, oneshots: usize) {
        let ours: BTreeMap<_, _> = within(self.client.watches())
            .await
            .unwrap()
            .into_iter()
            .map(|info| (format!("{:?}", info.kind), (info.listeners, info.is_set)))
            .collect();
        let mut expected = BTreeMap::new();
        let is_emulated = ours.contains_key("Child");
        let kind = WatchKind::from(self.mode);
        if streams > 0 && is_emulated {
            expected.insert("Child".to_owned(), (1, true));
            expected.insert("Data".to_owned(), (1 + oneshots, true));
        }
        if streams > 0 {
            expected.insert(format!("{kind:?}"), (streams, true));
        }
        if oneshots > 0 && !is_emulated {
            expected.insert("Data".to_owned(), (oneshots, true));
        }
        assert_eq!(ours, expected);
        let mut theirs: Vec<_> = self.server.watches().into_values().flatten().map(|info| info.kind).collect();
        if oneshots > 0 && streams == 0 {
            // Half of a persistent one may be left on servers before 3.9, which cannot remove it without the one-shot one.
            theirs.retain(|kind| !matches!(kind, WatchedKind::Persistent | WatchedKind::Recursive));
        }
        let mut wanted = Vec::new();
        for name in expected.keys().filter(|name| !is_emulated || !name.starts_with("Persistent")) {
            wanted.push(match name.as_str() {
                "Child" => WatchedKind::Child,
                "Data" => WatchedKind::Data,
                "Persistent" => WatchedKind::Persistent,
                _ => WatchedKind::Recursive,
            });
        }
        assert_eq!(sorted(&theirs), sorted(&wanted));
    }
}

fn sorted(kinds: &[WatchedKind]) -> Vec<String> {
    let mut names: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    names.sort_unstable();
    names
}

/// Drops what a task has brought, or the task.
async fn give_up<T>(task: JoinHandle<T>) {
    if task.is_finished() {
        drop(task.await);
    } else {
        task.abort();
        drop(task.await.map_err(|_| ()));
    }
}

/// Time for a frame there, and one back.
async fn breathe() {
    for _ in 0..40 {
        tokio::task::yield_now().await;
    }
}

/// The steps and holds of a number.
fn script(mut number: usize, len: usize) -> Vec<(Step, bool)> {
    let mut script = Vec::new();
    for _ in 0..len {
        script.push((STEPS[number % 6], number / 6 % 2 == 1));
        number /= 12;
    }
    script
}

async fn all_of(profile: &Profile, mode: WatchMode, scripts: impl Iterator<Item = Vec<(Step, bool)>>) {
    let mut play = Play::start(profile, mode).await;
    for script in scripts {
        // Shown when the test fails.
        println!("{} {mode:?} {script:?}", profile.version());
        for (step, held) in script {
            play.step(step, held).await;
        }
        play.check().await;
    }
}

/// `ZK_RACES=4` plays every script of four steps, of both modes: half a minute with `--release`.
// goal: W2
#[tokio::test(start_paused = true)]
async fn every_order_of_three_steps_leaves_what_is_wanted() {
    let asked: Option<u32> = std::env::var("ZK_RACES").ok().map(|len| len.parse().unwrap());
    let (len, modes) = (asked.unwrap_or(3), if asked.is_some() { 2 } else { 1 });
    for profile in [Profile::V3_5, Profile::V3_8, Profile::V3_9] {
        for mode in super::MODES.into_iter().take(modes) {
            all_of(&profile, mode, (0..12_usize.pow(len)).map(|number| script(number, len as usize))).await;
        }
    }
}

// goal: W2
#[tokio::test(start_paused = true)]
async fn many_orders_of_twelve_steps_leave_what_is_wanted() {
    for profile in LINES {
        for mode in super::MODES {
            let numbers = (0..60_usize).map(|seed| seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8);
            all_of(&profile, mode, numbers.map(|number| script(number, 12))).await;
        }
    }
}
