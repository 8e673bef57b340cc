//! The session machine proven in virtual time: the machine, a model of servers on `zk_proto::server`, a seeded link
//! between them that fails in every way, and the rules of reliability.md section 2a after every step.
//!
//! Everything follows from the seed. `ZK_SCHEDULES=n` says how many are played, `ZK_FIRST=n` from which seed on, and
//! `ZK_SEED=n` prints one step by step:
//!
//! ```text
//! ZK_SEED=4711 cargo test --release -p zk-proto --test schedules -- --nocapture
//! ```
//!
//! A failure is one line, `schedule N failed: <rule>: <detail>`. Runs of 20,000 and more also fail when they never
//! come to one of the states in `marks.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test: a panic fails the schedule and names its seed"
)]

#[path = "schedules/calls.rs"]
mod calls;
#[path = "schedules/chance.rs"]
mod chance;
#[path = "schedules/client.rs"]
mod client;
#[path = "schedules/ensemble.rs"]
mod ensemble;
#[path = "schedules/greet.rs"]
mod greet;
#[path = "schedules/host.rs"]
mod host;
#[path = "schedules/marks.rs"]
mod marks;
#[path = "schedules/pair.rs"]
mod pair;
#[path = "schedules/paths.rs"]
mod paths;
#[path = "schedules/plan.rs"]
mod plan;
#[path = "schedules/rules.rs"]
mod rules;
#[path = "schedules/wire.rs"]
mod wire;

use marks::Marks;
use pair::Pair;
use paths::Paths;
use std::{
    any::Any,
    io::Write,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// So many seeds at a time: the machines that this is for have two cores. `ZK_THREADS=1` plays them in their order.
const THREADS: usize = 2;
const SCHEDULES: u64 = if cfg!(debug_assertions) { 2_000 } else { 200_000 };
/// From so many on, every mark must be hit.
const SCHEDULES_FOR_MARKS: u64 = 20_000;
/// Every so often a seed is played twice, and must go the same way.
const TWICE_EVERY: u64 = 1_000;

/// Past the test harness, which holds back what a test that passes prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

struct Played {
    print: u64,
    marks: Marks,
    steps: u64,
}

/// Plays one seed. A panic, of the machine or of the model, is a rule broken too.
fn play(seed: u64, paths: &[Paths; 2], is_traced: bool) -> Result<Played, String> {
    let play = || {
        let mut pair = Pair::new(seed, paths, is_traced);
        let print = pair.play();
        (print, pair.marks, pair.steps)
    };
    match catch_unwind(AssertUnwindSafe(play)) {
        Ok((Ok(print), marks, steps)) => Ok(Played { print, marks, steps }),
        Ok((Err(broken), ..)) => Err(broken.0),
        Err(panic) => Err(said(&*panic)),
    }
}

/// What a panic said; ours begin with their rule.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    let text = text.unwrap_or("no text");
    let rule = text.split_once(':').is_some_and(|(rule, _)| rule.len() <= 4);
    if rule { text.to_owned() } else { format!("panic: {text}") }
}

/// A schedule takes a few microseconds, or milliseconds where paths are long: this one will not end.
const HANG: Duration = Duration::from_secs(15);

/// Ends the process when a machine turns in circles, which no rule could notice.
fn watch(playing: &[AtomicU64], all_ended: &Receiver<()>) {
    let mut before = vec![0; playing.len()];
    while all_ended.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
        for (playing, before) in playing.iter().zip(&mut before) {
            let seed = playing.load(Ordering::Relaxed);
            if seed != 0 && seed == *before {
                say(&format!("schedule {seed} failed: hang: no end in {HANG:?}"));
                std::process::exit(101);
            }
            *before = seed;
        }
    }
}

fn play_many(
    seeds: impl Iterator<Item = u64>,
    paths: &[Paths; 2],
    failed: &AtomicBool,
    playing: &AtomicU64,
) -> Result<(Marks, u64), String> {
    let (mut marks, mut steps) = (Marks::new(), 0);
    for seed in seeds {
        let fail = |why: String| {
            failed.store(true, Ordering::Relaxed);
            let line = format!("schedule {seed} failed: {why}");
            say(&line);
            say(&format!("ZK_SEED={seed} cargo test --release -p zk-proto --test schedules -- --nocapture"));
            line
        };
        playing.store(seed, Ordering::Relaxed);
        let played = play(seed, paths, false).map_err(fail)?;
        marks.add(&played.marks);
        steps += played.steps;
        if seed.is_multiple_of(TWICE_EVERY) {
            let again = play(seed, paths, false).map_err(fail)?;
            if again.print != played.print {
                return Err(fail("determinism: played twice, it went two ways".into()));
            }
        }
        if failed.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok((marks, steps))
}

/// Threads share the seeds; the first failure stops all.
fn play_all(seeds: Range<u64>, paths: &[Paths; 2]) -> Vec<Result<(Marks, u64), String>> {
    let count = number("ZK_THREADS").map_or(THREADS, |threads| threads as usize);
    let (failed, playing) = (AtomicBool::new(false), Vec::from_iter((0..count).map(|_| AtomicU64::new(0))));
    let (ended, all_ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (failed, seeds, playing) = (&failed, &seeds, &playing);
        let threads: Vec<_> = playing
            .iter()
            .enumerate()
            .map(|(thread, playing)| {
                let mine = seeds.clone().filter(move |seed| seed % count as u64 == thread as u64);
                scope.spawn(move || {
                    let result = play_many(mine, paths, failed, playing);
                    playing.store(0, Ordering::Relaxed);
                    result
                })
            })
            .collect();
        scope.spawn(move || watch(playing, &all_ended));
        let results = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        drop(ended);
        results
    })
}

// goal: N1, N2, N4, N6, P5
#[test]
fn schedules_keep_the_rules() {
    let paths = [Paths::new(false), Paths::new(true)];
    if let Some(seed) = number("ZK_SEED") {
        let played = play(seed, &paths, true);
        let failure = played.map(|played| say(&format!("schedule {seed} passed, print {:016x}", played.print)));
        return failure.unwrap_or_else(|why| panic!("schedule {seed} failed: {why}"));
    }
    let (schedules, first) = (number("ZK_SCHEDULES").unwrap_or(SCHEDULES), number("ZK_FIRST").unwrap_or(1));
    let start = Instant::now();
    // A failure is told in one line; where it was thrown is of no interest.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let results = play_all(first..first + schedules, &paths);
    std::panic::set_hook(hook);
    let seconds = start.elapsed().as_secs_f64();
    let (mut marks, mut steps) = (Marks::new(), 0);
    for result in results {
        let (part, some) = result.unwrap_or_else(|line| panic!("{line}"));
        marks.add(&part);
        steps += some;
    }
    say(&marks.table());
    let a_minute = schedules as f64 / seconds * 60.0;
    say(&format!("{schedules} schedules in {seconds:.1} s: {a_minute:.0} a minute, {steps} steps"));
    let missed = marks.missed();
    assert!(schedules < SCHEDULES_FOR_MARKS || missed.is_empty(), "never reached: {missed:?}");
}
