//! The in-process server against real ones: the same scripts, frame by frame, and nothing may differ but what is in
//! `differences.txt`. How it is done stands in `DIFFERENTIAL.md`.
//!
//! | variable | meaning |
//! |---|---|
//! | `ZK_DIFF_SEQUENCES` | how many scripts, instead of each test's own number |
//! | `ZK_DIFF_SEED` | the first seed; without `ZK_DIFF_SEQUENCES` the only one |
//! | `ZK_DIFF_SCRIPT` | a file with a script to run instead |
//! | `ZK_DIFF_FAILURES` | how many scripts may fail before it ends; 1 |
//! | `ZK_DIFF_ALL` | also the versions that are not in every run: 3.5 and 3.7 |

#[path = "differential/differences.rs"]
mod differences;
#[path = "differential/encode.rs"]
mod encode;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/play.rs"]
mod play;
#[path = "differential/script.rs"]
mod script;
#[path = "differential/show.rs"]
mod show;
#[path = "differential/shrink.rs"]
mod shrink;
#[path = "differential/wire.rs"]
pub mod wire;

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};
use zk_testkit::{
    launcher::{Ensemble, Version},
    server::{Profile, TestServer},
};
use zk_tests::real;

use differences::Known;
use play::{Player, SUPER_CREDENTIALS, SUPER_DIGEST, Trace};
use script::Step;

/// The unit of deadlines of both servers.
const TICK: Duration = Duration::from_millis(200);

/// Never, as an interval: containers and outlived znodes go when the clock says so, and that is not in a script.
const NEVER: Duration = Duration::from_secs(86_400);

// goal: Q2
#[test]
fn our_3_9_is_the_real_one() {
    Pair::start(&Version::V3_9, Profile::V3_9, true).compare(500);
}

#[test]
fn our_3_8_is_the_real_one() {
    Pair::start(&Version::V3_8, Profile::V3_8, false).compare(50);
}

#[test]
fn our_3_6_is_the_real_one() {
    Pair::start(&Version::V3_6, Profile::V3_6, false).compare(50);
}

#[test]
fn our_3_7_is_the_real_one() {
    if is_asked_for() {
        Pair::start(&Version::V3_7, Profile::V3_7, true).compare(50);
    }
}

#[test]
fn our_3_5_is_the_real_one() {
    if is_asked_for() {
        Pair::start(&Version::V3_5, Profile::V3_5, true).compare(50);
    }
}

fn is_asked_for() -> bool {
    env::var_os("ZK_DIFF_ALL").is_some()
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Both servers, and what they are allowed to differ in.
struct Pair {
    /// What the real one is, which is not what was asked for where `ZK_LIVE_ANY` takes what is here.
    version: Version,
    is_asked_for: bool,
    known: Vec<Known>,
    ours: Player,
    theirs: Player,
    /// Scripts played so far; each has a root of its own.
    roots: u64,
    /// How often the real server said what: events by their type, replies by their error.
    said: BTreeMap<String, u64>,
    _ours: TestServer,
    _theirs: Ensemble,
    _runtime: Runtime,
}

/// The first step that differs.
struct Difference {
    /// Behind the last step come the end of the sessions and the tree that is left.
    step: usize,
    ours: Vec<String>,
    theirs: Vec<String>,
}

impl Pair {
    fn start(version: &Version, profile: Profile, ttl: bool) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let launcher = real(version.clone())
            .tick_time(TICK)
            .system_property("zookeeper.extendedTypesEnabled", ttl.to_string())
            .system_property("znode.container.checkIntervalMs", NEVER.as_millis().to_string())
            .system_property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER_DIGEST);
        let theirs = runtime.block_on(launcher.start()).unwrap_or_else(|error| panic!("{error}"));
        let server = &theirs.servers()[0];
        let profile = if ttl { profile.with_ttl() } else { profile };
        let ours = TestServer::builder()
            .profile(profile)
            .tick(TICK)
            .timeout_bounds(TICK * 2, Duration::from_secs(60))
            .super_user(SUPER_CREDENTIALS)
            .container_interval(NEVER);
        let ours = runtime.block_on(ours.start()).unwrap();
        Self {
            version: server.version().clone(),
            is_asked_for: server.version() == version,
            known: differences::read(),
            ours: Player::new(ours.addr()),
            theirs: Player::new(server.addr()),
            roots: 0,
            said: BTreeMap::new(),
            _ours: ours,
            _theirs: theirs,
            _runtime: runtime,
        }
    }

    fn minor(&self) -> u32 {
        self.version.line().rsplit('.').next().and_then(|minor| minor.parse().ok()).expect("3.x")
    }

    /// Runs the scripts that have failed once, then those of so many seeds.
    fn compare(mut self, sequences: u64) {
        if !self.is_asked_for {
            println!("not compared: {} is here, and there is no profile of just that", self.version);
            return;
        }
        let begun = Instant::now();
        let failures = number("ZK_DIFF_FAILURES").map_or(1, |failures| usize::try_from(failures).unwrap());
        let (mut scripts, mut steps, mut reports) = (0, 0, Vec::new());
        for (name, script) in self.scripts(sequences) {
            let is_file = !name.contains('=');
            scripts += 1;
            steps += script.len();
            let found = self.differences(&script);
            match found.first() {
                Some(first) if !is_file => reports.push(self.report(&name, &script, first)),
                _ => reports.extend(self.all(&name, &script, &found)),
            }
            if reports.len() == failures {
                break;
            }
        }
        assert!(reports.is_empty(), "{}", reports.concat());
        let seconds = begun.elapsed().as_secs_f64();
        println!("{}: {scripts} scripts, {steps} steps, {seconds:.1} s, no difference", self.version);
        println!("{}", self.said.iter().map(|(what, times)| format!("{what}: {times}\n")).collect::<String>());
    }

    /// Names, and scripts.
    fn scripts(&self, sequences: u64) -> impl Iterator<Item = (String, Vec<Step>)> + use<> {
        let minor = self.minor();
        let files = match env::var("ZK_DIFF_SCRIPT") {
            Ok(path) => vec![path.into()],
            Err(_) if number("ZK_DIFF_SEED").is_some() => Vec::new(),
            Err(_) => pinned(),
        };
        let only = number("ZK_DIFF_SEED").map(|_| 1);
        let sequences = match env::var_os("ZK_DIFF_SCRIPT") {
            Some(_) => 0,
            None => number("ZK_DIFF_SEQUENCES").or(only).unwrap_or(sequences),
        };
        let first = number("ZK_DIFF_SEED").unwrap_or(1);
        let read = |path: std::path::PathBuf| {
            (path.display().to_string(), script::parse(&std::fs::read_to_string(&path).unwrap()))
        };
        let seeded = move |seed: u64| (format!("ZK_DIFF_SEED={seed}"), generate::script(seed, minor));
        files.into_iter().map(read).chain((first..first + sequences).map(seeded))
    }

    fn play(&mut self, script: &[Step]) -> (Trace, Trace) {
        self.roots += 1;
        let root = format!("/d{}", self.roots);
        (self.ours.play(&root, script), self.theirs.play(&root, script))
    }

    fn difference(&mut self, script: &[Step]) -> Option<Difference> {
        self.differences(script).into_iter().next()
    }

    fn differences(&mut self, script: &[Step]) -> Vec<Difference> {
        let (ours, theirs) = self.play(script);
        for line in theirs[..script.len()].iter().flatten().filter(|line| !line.contains("xid=-2 ")) {
            let words: Vec<&str> = line.split(' ').collect();
            let what = match words.get(1) {
                Some(&"event") => words[1..3].join(" "),
                Some(&"reply") => words.iter().find(|word| word.starts_with("err=")).unwrap_or(&"").to_string(),
                word => word.unwrap_or(&"nothing").to_string(),
            };
            *self.said.entry(what).or_default() += 1;
        }
        let verb = |step: usize| script.get(step).map_or("end", Step::verb);
        let version = self.version.as_str();
        let agree = |step: usize| differences::agree(&self.known, version, verb(step), &ours[step], &theirs[step]);
        let differ = (0..ours.len()).filter(|step| !agree(*step));
        differ.map(|step| Difference { step, ours: ours[step].clone(), theirs: theirs[step].clone() }).collect()
    }

    /// A script that somebody wrote is not shrunk: every step that differs is shown.
    fn all(&self, name: &str, script: &[Step], found: &[Difference]) -> Option<String> {
        let mut text = format!("\n{} differs in {name}\n", self.version);
        found.iter().for_each(|difference| show_difference(&mut text, script, difference));
        (!found.is_empty()).then(|| text + &self.command(&format!("ZK_DIFF_SCRIPT={name}")))
    }

    /// What runs this again.
    fn command(&self, variable: &str) -> String {
        let line = self.version.line().replace('.', "_");
        format!("\n{variable} ZK_DIFF_ALL=1 cargo test -p zk-tests --test live our_{line}_is_the_real_one\n")
    }

    /// What differs, and the shortest script that still shows it.
    fn report(&mut self, name: &str, script: &[Step], first: &Difference) -> String {
        let mut text = format!("\n{} differs at step {} of {name}\n", self.version, first.step);
        show_difference(&mut text, script, first);
        // of the same verb, so that no other difference comes in the way
        let verb = |script: &[Step], step: usize| script.get(step).map(|step| step.verb().to_owned());
        let wanted = verb(script, first.step);
        let short = shrink::shrink(script, |candidate| {
            self.difference(candidate).is_some_and(|difference| verb(candidate, difference.step) == wanted)
        });
        match self.difference(&short) {
            None => text.push_str("\nit does not come again: chance is at work\n"),
            Some(again) => {
                let _ = write!(text, "\n{} steps are enough:\n{}", short.len(), script::text(&short));
                show_difference(&mut text, &short, &again);
            }
        }
        text + &self.command(name)
    }
}

fn show_difference(text: &mut String, script: &[Step], difference: &Difference) {
    let step = script.get(difference.step).map_or_else(|| "the end".to_owned(), ToString::to_string);
    let _ = writeln!(text, "  {step}");
    for (who, lines, others) in
        [("ours", &difference.ours, &difference.theirs), ("real", &difference.theirs, &difference.ours)]
    {
        for line in lines {
            let mark = if others.contains(line) { ' ' } else { '!' };
            let _ = writeln!(text, "  {who} {mark} {line}");
        }
    }
}

/// Scripts that have found something once.
fn pinned() -> Vec<std::path::PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/differential/pinned");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
