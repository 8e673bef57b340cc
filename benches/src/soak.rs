//! `zk-bench soak`: an open loop of writes for minutes, a mirror behind a wire that breaks at known times, and at the end
//! the question whether everything that the mirror told is what the server holds.
//!
//! Checked: an application that only folds changes holds what a walk over the server finds, and so does the snapshot;
//! every write was acknowledged; whenever a write was missing that the mirror's word covered, that is a violation; a
//! fault that had to make the mirror stale was told as that.

mod faults;
mod follower;
mod writer;

use crate::{
    args::SoakArgs,
    error::Failure,
    floor,
    lab::{Lab, Subject},
    machine::Header,
    raw::Raw,
    report::{self, Lines},
    server::{self, Server},
    stats::us,
    tree::{Shape, Tree},
    usage::Memory,
    value::now_ns,
};
use faults::{Faults, Outcome};
use follower::{Follower, Missing};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, thread, time::Duration};
use writer::{Plan, Writer};

/// How often the mirror is asked how it stands.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Between the mirror's word and the application's hand on a busy machine.
const SLACK: Duration = Duration::from_secs(1);
/// After the last fault, everything is well again in this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of progress on stderr.
const TELL_EVERY_S: u64 = 10;

/// A second of the series; times in microseconds.
#[derive(Debug, Default, Serialize)]
struct Second {
    second: u64,
    writes: u64,
    ack_p50: f64,
    ack_max: f64,
    held: u64,
    held_p50: f64,
    held_p99: f64,
    held_max: f64,
    /// Looks at which the mirror said that it was live, of all.
    live: f64,
    /// The oldest write that was acknowledged and not held, in milliseconds.
    missing_ms: u64,
    cpu_us_per_update: f64,
    rss_kb: u64,
}

/// What was found wrong, and how much was right.
#[derive(Debug, Default, Serialize)]
struct Verdict {
    writes: u64,
    acknowledged: u64,
    held: u64,
    faults: usize,
    gaps: u64,
    /// The mirror said that all was known up to a time, and it was not.
    violations: u64,
    /// What went wrong, in words; empty is good.
    wrong: Vec<String>,
}

pub(crate) fn run(args: &SoakArgs) -> Result<(), Failure> {
    let mut server = Server::find(&args.server)?;
    let mut lines = Lines::create(args.out.as_deref(), &Header::now("soak", &server.what))?;
    let root = server::root(&args.server);
    let _tree = Tree::create(&server.writer, &root, Shape::Flat(args.keys), server.is_foreign())?;
    let lab = Lab::start(server.addr()?)?;
    let follower = Arc::new(Follower::new(args.keys, server.writer == server.watchers));
    let timeout = Duration::from_millis(args.session_timeout_ms.into());
    let application = follower.clone().application(&root);
    let subject = Subject::start(&lab.proxy.connect_string(), &root, timeout, args.runtime, application)?;
    let seconds = Duration::from_secs_f64(args.minutes * 60.0).as_secs();
    let plan = Plan { rate: args.rate, keys: args.keys, writes: seconds * u64::from(args.rate) };
    let writer = Writer::start(&server.writer, &root, plan, follower.clone())?;
    let mut faults = Faults::new(args, timeout, server.can_restart(), [writer.start_ns(), writer.end_ns()]);
    let mut verdict = Verdict::default();
    watch(&mut server, &lab, &subject, &follower, &writer, &mut faults, &mut lines, &mut verdict)?;
    let until = now_ns() + u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX);
    while !faults.is_calm() && now_ns() < until {
        thread::sleep(LOOK_EVERY);
        look(&subject, &follower, &mut verdict);
        faults.turn(&mut server, &lab, follower.told())?;
    }
    faults.end(&lab)?;
    settle(&lab, &subject, &follower, writer, plan, &mut verdict)?;
    judge(&server.writer, &root, &subject, &follower, &mut verdict)?;
    let outcomes = faults.outcomes();
    verdict.faults = outcomes.len();
    verdict.wrong.extend(outcomes.iter().filter_map(Outcome::wrong));
    outcomes.iter().try_for_each(|outcome| lines.add(outcome))?;
    lines.add(&serde_json::json!({ "verdict": &verdict }))?;
    report::print(&text(args, &server, &outcomes, &verdict))?;
    if verdict.wrong.is_empty() { Ok(()) } else { Err(Failure::Tree { root, what: verdict.wrong.join("; ") }) }
}

/// Until the last write is due: looks at the mirror, plays the faults, writes the series.
#[expect(clippy::too_many_arguments, reason = "everything that takes part meets here, and only here")]
fn watch(
    server: &mut Server,
    lab: &Lab,
    subject: &Subject,
    follower: &Follower,
    writer: &Writer,
    faults: &mut Faults,
    lines: &mut Lines,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    let start = writer.start_ns();
    let (mut second, mut looks, mut live, mut cpu) = (0, 0_u32, 0_u32, subject.cpu_ns());
    let mut missing_ms = 0;
    while !writer.all_were_due() {
        thread::sleep(LOOK_EVERY);
        let seen = look(subject, follower, verdict);
        looks += 1;
        live += u32::from(seen.live);
        missing_ms = missing_ms.max(seen.oldest_ns / 1_000_000);
        faults.turn(server, lab, follower.told())?;
        let now_s = now_ns().saturating_sub(start) / 1_000_000_000;
        if now_s > second {
            let used = subject.cpu_ns();
            let mut line = follower.take_second(second);
            line.live = f64::from(live) / f64::from(looks.max(1));
            line.missing_ms = missing_ms;
            line.cpu_us_per_update = us(used.saturating_sub(cpu)) / line.held.max(1) as f64;
            line.rss_kb = Memory::now().rss_kb;
            lines.add(&line)?;
            if second % TELL_EVERY_S == 0 {
                tell(&line, faults);
            }
            (second, looks, live, cpu, missing_ms) = (now_s, 0, 0, used, 0);
        }
    }
    Ok(())
}

fn tell(line: &Second, faults: &Faults) {
    let Second { second, writes, held_p50, held_max, .. } = line;
    let state = if line.live > 0.5 { "live" } else { "STALE" };
    let faults = faults.outcomes().len();
    report::tell(&format!(
        "{second} s: {writes}/s, held p50 {held_p50:.0} us, max {held_max:.0} us, {state}, {faults} faults so far"
    ));
}

/// What the mirror says, against what it should know.
fn look(subject: &Subject, follower: &Follower, verdict: &mut Verdict) -> Missing {
    let now = now_ns();
    let status = subject.mirror.status();
    let confirmed_ns =
        status.staleness().map(|age| now.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)));
    let covered_ns = confirmed_ns.unwrap_or(0).saturating_sub(u64::try_from(SLACK.as_nanos()).unwrap_or(0));
    let mut missing = follower.missing(now);
    missing.live = status.live;
    if missing.since_ns.is_some_and(|since| since < covered_ns) && follower.same_server() {
        verdict.violations += 1;
    }
    missing
}

/// All writes are acknowledged, and the mirror knows the last of them.
fn settle(
    lab: &Lab,
    subject: &Subject,
    follower: &Follower,
    writer: Writer,
    plan: Plan,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    report::tell("the last write was due; waiting for everything to be well");
    verdict.acknowledged = writer.finish(PATIENCE)?;
    verdict.writes = plan.writes;
    if verdict.acknowledged != plan.writes {
        verdict.wrong.push(format!("{} of {} writes were acknowledged", verdict.acknowledged, plan.writes));
    }
    let barrier = async { tokio::time::timeout(PATIENCE, subject.mirror.barrier()).await };
    match lab.runtime.block_on(barrier) {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => verdict.wrong.push(format!("the mirror's barrier failed: {error}")),
        Err(_) => verdict.wrong.push("the mirror is not live again".to_owned()),
    }
    let until = now_ns() + u64::try_from(SLACK.as_nanos()).unwrap_or(0) * 10;
    while follower.missing(now_ns()).since_ns.is_some() && now_ns() < until {
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Fold, snapshot and server must be the same.
fn judge(addr: &str, root: &str, subject: &Subject, follower: &Follower, verdict: &mut Verdict) -> Result<(), Failure> {
    let mut raw = Raw::connect(addr)?;
    let walked: BTreeMap<Vec<u8>, Vec<u8>> = floor::walk(&mut raw, root)?.into_iter().collect();
    raw.close()?;
    let snapshot = subject.mirror.snapshot();
    let copied = snapshot.iter().map(|(path, node)| (path.as_bytes().to_vec(), node.data.to_vec())).collect();
    verdict.wrong.extend(difference("the snapshot", &copied, &walked));
    verdict.wrong.extend(difference("the fold of all changes", &follower.fold(), &walked));
    (verdict.held, verdict.gaps) = follower.totals();
    if verdict.violations > 0 {
        verdict.wrong.push(format!("{} times a write was missing that the mirror said to know", verdict.violations));
    }
    Ok(())
}

type Copy = BTreeMap<Vec<u8>, Vec<u8>>;

fn difference(what: &str, copy: &Copy, walked: &Copy) -> Option<String> {
    let differ = walked.iter().filter(|(path, data)| copy.get(*path) != Some(*data)).count();
    let more = copy.keys().filter(|path| !walked.contains_key(*path)).count();
    (differ + more > 0).then(|| format!("{what} differs from the server in {differ} znodes and has {more} more"))
}

fn text(args: &SoakArgs, server: &Server, outcomes: &[Outcome], verdict: &Verdict) -> String {
    let mut lines = vec![
        format!(
            "soak: {} minutes, {} writes a second to {} znodes; {}.",
            args.minutes, args.rate, args.keys, server.what
        ),
        String::new(),
        "| at s | fault | for s | told as stale after ms | live again, ms after its end |".to_owned(),
        "|---:|---|---:|---:|---:|".to_owned(),
    ];
    lines.extend(outcomes.iter().map(Outcome::row));
    let Verdict { writes, acknowledged, held, gaps, violations, wrong, .. } = verdict;
    lines.push(format!(
        "\n{writes} writes, {acknowledged} acknowledged, {held} values held, {gaps} gaps told, {violations} violations. {}",
        if wrong.is_empty() { "Fold, snapshot and server are equal.".to_owned() } else { format!("WRONG: {}", wrong.join("; ")) }
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_differs_is_told() {
        let copy = |pairs: &[(&str, &str)]| -> Copy {
            pairs.iter().map(|(path, data)| (path.as_bytes().to_vec(), data.as_bytes().to_vec())).collect()
        };
        let server = copy(&[("/a", "1"), ("/b", "2")]);
        assert_eq!(difference("x", &server, &server), None);
        let said = difference("x", &copy(&[("/a", "0"), ("/b", "2"), ("/c", "3")]), &server).unwrap();
        assert_eq!(said, "x differs from the server in 1 znodes and has 1 more");
        assert!(difference("x", &copy(&[]), &server).is_some());
    }
}
