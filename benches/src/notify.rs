//! `zk-bench notify`: writer, floor and mirror on one server, in rounds.

use crate::{
    args::{NotifyArgs, Runtime},
    child::Watcher,
    error::Failure,
    report::{self, Column, Lines},
    rounds::{self, Place, Round},
    samples::NotifyLine,
    server::{self, Server},
    stats::{tenths, us},
    tree::{Shape, Tree},
    writer::{self, Plan},
};
use clap::ValueEnum;
use serde::Serialize;
use std::time::Duration;

/// A watcher is ready after this, or never.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// The last value is with the watcher after this, or never.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// One watcher in one round.
#[derive(Debug, Serialize)]
struct Step {
    ack_p50: f64,
    ack_p99: f64,
    /// How late the writer itself was.
    late_p50: f64,
    late_p99: f64,
    /// The watcher's p50 minus the writer's.
    beyond_ack: f64,
    #[serde(flatten)]
    line: NotifyLine,
}

/// A line of the file.
#[derive(Serialize)]
struct Record<'a> {
    round: u32,
    place: Place,
    kept: bool,
    rate: u32,
    burst: u32,
    keys: u32,
    #[serde(flatten)]
    step: &'a Step,
}

const COLUMNS: [Column<Step>; 11] = [
    ("ack p50", |step| step.ack_p50),
    ("event p50", |step| split(step, |split| split.event_p50)),
    ("held p50", |step| split(step, |split| split.held_p50)),
    ("woken p50", |step| step.line.p50),
    ("woken p99", |step| step.line.p99),
    ("held beyond ack", |step| split(step, |split| split.held_p50) - step.ack_p50),
    ("woken beyond ack", |step| step.beyond_ack),
    ("reply to held", |step| split(step, |split| split.apply_p50.unwrap_or(f64::NAN))),
    ("CPU us/update", |step| step.line.cpu_us_per_update),
    ("switches/update", |step| split(step, |split| split.switches_per_update)),
    ("peak MB", |step| step.line.hwm_kb as f64 / 1024.0),
];

fn split(step: &Step, figure: fn(&crate::samples::Split) -> f64) -> f64 {
    step.line.split.as_ref().map_or(f64::NAN, figure)
}

pub(crate) fn run(args: &NotifyArgs) -> Result<(), Failure> {
    let mut lines = Lines::create(args.run.out.as_deref())?;
    let server = Server::find(&args.run)?;
    let root = server::root(&args.run);
    let _tree = Tree::create(&server.addr, &root, Shape::Flat(args.keys), server.is_foreign())?;
    let plan = Plan { keys: args.keys, rate: args.rate, burst: args.burst, seconds: args.seconds };
    let done = |round: &Round<Step>| record(&mut lines, args, round);
    let step = |place| step(&server.addr, &root, plan, args.run.runtime, place);
    let rounds = rounds::interleave(args.run.rounds, args.run.rounds_max, |step| step.beyond_ack, step, done)?;
    let each = if args.burst == 1 { "one at a time".to_owned() } else { format!("in bursts of {}", args.burst) };
    report::print(&format!(
        "notify: {} znodes of 100 bytes, {each}, {}/s, {} s for each watcher in each round; {}. Microseconds.\n\n{}",
        args.keys,
        args.rate,
        args.seconds,
        server.what,
        rounds::summary(&rounds, &COLUMNS)
    ))
}

fn record(lines: &mut Lines, args: &NotifyArgs, round: &Round<Step>) -> Result<(), Failure> {
    let NotifyArgs { rate, burst, keys, .. } = *args;
    let Round { number, kept, .. } = *round;
    let records = round.steps().map(|(place, step)| Record { round: number, place, kept, rate, burst, keys, step });
    records.iter().try_for_each(|record| lines.add(record))
}

fn step(addr: &str, root: &str, plan: Plan, runtime: Runtime, place: Place) -> Result<Step, Failure> {
    let command = if place == Place::Ours { "peer-watcher" } else { "floor-watcher" };
    let (count, keys) = (plan.measured().to_string(), plan.keys.to_string());
    let mut args: Vec<String> = [
        command,
        "--bench",
        "notify",
        "--connect",
        addr,
        "--root",
        root,
        "--count",
        &count,
        "--keys",
        &keys,
        "--split",
    ]
    .map(str::to_owned)
    .into();
    if place == Place::Ours {
        let runtime = runtime.to_possible_value().map(|value| value.get_name().to_owned());
        args.extend(runtime.into_iter().flat_map(|name| ["--runtime".to_owned(), name]));
    } else if plan.burst > 1 {
        args.push("--many".to_owned());
    }
    let watcher = Watcher::spawn(if place == Place::Ours { "ours" } else { "floor" }, &args)?;
    watcher.line(READY_PATIENCE)?;
    let written = writer::write(addr, root, plan)?;
    let text = watcher.last_line(END_PATIENCE)?;
    let line: NotifyLine = serde_json::from_str(&text).map_err(|error| Failure::io("read a watcher")(error.into()))?;
    let [ack_p50, ack_p99] = [0.5, 0.99].map(|q| us(written.acks.value_at_quantile(q)));
    let [late_p50, late_p99] = [0.5, 0.99].map(|q| us(written.late.value_at_quantile(q)));
    Ok(Step { ack_p50, ack_p99, late_p50, late_p99, beyond_ack: tenths(line.p50 - ack_p50), line })
}
