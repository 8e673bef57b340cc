//! `zk-bench notify` and `fanout`: a writer and watchers on one server, in rounds.

use crate::{
    args::{FanoutArgs, NotifyArgs, RunArgs},
    contenders::{Contender, Contenders, WARM_UP_SECONDS},
    error::Failure,
    machine::Header,
    report::{self, Column, Lines},
    rounds::{self, Round},
    samples::{NotifyLine, Split},
    server::{self, Server},
    stats::{tenths, us},
    tree::{Shape, Tree},
    value::now_ns,
    writer::{self, Plan},
};
use serde::Serialize;
use std::time::Duration;

/// A watcher is ready after this, or never.
const READY_PATIENCE: Duration = Duration::from_secs(120);
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

/// What was asked for, as the file says it.
#[derive(Serialize)]
struct Asked {
    rate: u32,
    burst: u32,
    keys: u32,
    sessions: u32,
}

/// What is to be measured.
struct Job<'a> {
    bench: &'static str,
    run: &'a RunArgs,
    /// A watcher that needs a longer warm-up has it.
    plan: Plan,
    sessions: u32,
    columns: &'a [Column<Step>],
    figure: fn(&Step) -> f64,
}

const COLUMNS: [Column<Step>; 11] = [
    ("ack p50", |step| step.ack_p50),
    ("event p50", |step| split(step, |split| split.event_p50)),
    ("held p50", |step| split(step, |split| split.held_p50)),
    ("woken p50", |step| step.line.p50),
    ("woken p99", |step| step.line.p99),
    ("held beyond ack", |step| split(step, |split| split.held_p50) - step.ack_p50),
    ("woken beyond ack", |step| step.beyond_ack),
    ("reply to held", |step| split(step, |split| split.apply_p50)),
    ("CPU us/update", |step| step.line.cpu_us_per_update),
    ("switches/update", |step| split(step, |split| Some(split.switches_per_update))),
    ("peak MB", |step| step.line.hwm_kb as f64 / 1024.0),
];

const FANOUT_COLUMNS: [Column<Step>; 7] = [
    ("ack p50", |step| step.ack_p50),
    ("last one p50", |step| step.line.p50),
    ("p90", |step| step.line.p90),
    ("p99", |step| step.line.p99),
    ("max", |step| step.line.max),
    ("CPU us/update", |step| step.line.cpu_us_per_update),
    ("peak MB", |step| step.line.hwm_kb as f64 / 1024.0),
];

fn split(step: &Step, figure: fn(&Split) -> Option<f64>) -> f64 {
    step.line.split.as_ref().and_then(figure).unwrap_or(f64::NAN)
}

pub(crate) fn run(args: &NotifyArgs) -> Result<(), Failure> {
    let found = Contenders::find(&args.run)?;
    on(&Server::find(&args.run.server)?, found, args)
}

/// The same on a server that stands, of who was found.
pub(crate) fn on(server: &Server, found: Contenders, args: &NotifyArgs) -> Result<(), Failure> {
    let contenders = found.with_task().with_floor_on_tokio(args.floor_on_tokio, args.burst > 1)?.with_parts();
    let NotifyArgs { keys, rate, burst, seconds, .. } = *args;
    let plan = Plan { keys, rate, burst, seconds, warm_up_seconds: WARM_UP_SECONDS };
    let figure = |step: &Step| step.beyond_ack;
    let job = Job { bench: "notify", run: &args.run, plan, sessions: 1, columns: &COLUMNS, figure };
    let each = if burst == 1 { "one at a time".to_owned() } else { format!("in bursts of {burst}") };
    let what =
        format!("notify: {keys} znodes of 100 bytes, {each}, {rate}/s, {seconds} s for each watcher in each round");
    report::print(&format!("{what}; {}. Microseconds.\n\n{}", server.what, measure(server, &contenders, &job)?))
}

pub(crate) fn fanout(args: &FanoutArgs) -> Result<(), Failure> {
    let found = Contenders::find(&args.run)?;
    fanout_on(&Server::find(&args.run.server)?, found, args)
}

/// The same on a server that stands, of who was found.
pub(crate) fn fanout_on(server: &Server, found: Contenders, args: &FanoutArgs) -> Result<(), Failure> {
    let contenders = found.with_task().with_floor_on_tokio(args.floor_on_tokio, false)?;
    let FanoutArgs { sessions, keys, rate, seconds, .. } = *args;
    let plan = Plan { keys, rate, burst: 1, seconds, warm_up_seconds: WARM_UP_SECONDS };
    let figure = |step: &Step| step.line.p50;
    let job = Job { bench: "fanout", run: &args.run, plan, sessions, columns: &FANOUT_COLUMNS, figure };
    let what = format!("fanout: {sessions} sessions in a process, {keys} znodes of 100 bytes, {rate}/s, {seconds} s");
    let table = measure(server, &contenders, &job)?;
    report::print(&format!("{what}; {}. Until the last session has the value; microseconds.\n\n{table}", server.what))
}

fn measure(server: &Server, contenders: &Contenders, job: &Job<'_>) -> Result<String, Failure> {
    let mut lines = Lines::create(job.run.out.as_deref(), &Header::now(job.bench, &server.what))?;
    let root = server::root(&job.run.server);
    let _tree = Tree::create(&server.writer, &root, Shape::Flat(job.plan.keys), server.is_foreign())?;
    let names = &contenders.names;
    let Plan { rate, burst, keys, .. } = job.plan;
    let asked = Asked { rate, burst, keys, sessions: job.sessions };
    let done = |round: &Round<Step>| round.write(&mut lines, names, &asked);
    let step = |place| step(server, &root, job, contenders.at(place));
    let rounds = rounds::interleave(names, (job.run.rounds, job.run.rounds_max), job.figure, step, done)?;
    Ok(rounds::summary(&rounds, names, job.columns))
}

fn step(server: &Server, root: &str, job: &Job<'_>, watcher: &Contender) -> Result<Step, Failure> {
    let numbers = [job.plan.measured(), job.plan.keys, job.sessions].map(|number| number.to_string());
    let [count, keys, sessions] = &numbers;
    let contract =
        ["--bench", "notify", "--connect", &server.watchers, "--root", root, "--count", count, "--keys", keys];
    let mut args: Vec<String> = contract.into_iter().chain(["--sessions", sessions]).map(str::to_owned).collect();
    if watcher.is_ours {
        args.push("--split".to_owned());
        args.extend((job.plan.burst > 1).then(|| "--many".to_owned()));
    }
    let name = watcher.name.clone();
    let plan = Plan { warm_up_seconds: watcher.warm_up_seconds(job.run), ..job.plan };
    let watcher = watcher.spawn(&args)?;
    watcher.ready(READY_PATIENCE)?;
    let begin_ns = now_ns();
    let written = writer::write(&server.writer, root, plan)?;
    let line: NotifyLine = watcher.last_json(END_PATIENCE)?;
    if line.max > us(now_ns() - begin_ns) {
        // It took what its first load found, from the step before.
        return Err(Failure::Watcher { name, what: "counts values that were there before".to_owned() });
    }
    let [ack_p50, ack_p99] = [0.5, 0.99].map(|q| us(written.acks.value_at_quantile(q)));
    let [late_p50, late_p99] = [0.5, 0.99].map(|q| us(written.late.value_at_quantile(q)));
    Ok(Step { ack_p50, ack_p99, late_p50, late_p99, beyond_ack: tenths(line.p50 - ack_p50), line })
}
