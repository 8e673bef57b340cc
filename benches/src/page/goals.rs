//! What was to be reached, and what was: ratios of ours, by the runs on the page that measure it.
//!
//! A run of which rounds were kept is preferred, and then one with other clients in its rounds. Must not know where a run's lines come from.

use super::{
    runs::{Run, number},
    tables::{FLOOR, Rounds},
};
use crate::{
    args::{Peer, Runtime},
    contenders::{FLOOR_ON_TOKIO, ours},
    peers,
    report::figure_text,
};
use serde_json::Value;

const OURS: &str = ours(Runtime::CurrentThread);
/// The same program, on tokio's runtime of two worker threads.
const TWO_WORKERS: &str = ours(Runtime::MultiThread);
/// The same program, with `Connector::own_thread`.
const OWN_THREAD: &str = ours(Runtime::Own);
/// The same code, built by `benches/profiled`.
const PROFILED: &str = "ours, with a profile";
/// Both: a thread of its own, in the build with a profile.
const OWN_AND_PROFILED: &str = "ours (own thread), with a profile";

/// A bound on a ratio: ours by theirs.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

impl Bound {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(most) => ratio <= most,
            Self::AtLeast(least) => ratio >= least,
            Self::Below(bound) => ratio < bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {}", figure_text(most)),
            Self::AtLeast(least) => format!(">= {}", figure_text(least)),
            Self::Below(bound) => format!("< {}", figure_text(bound)),
        }
    }

    /// A ratio beside this bound: with more digits where fewer would make it look as if it held.
    fn beside(self, ratio: f64) -> String {
        let (Self::AtMost(bound) | Self::AtLeast(bound) | Self::Below(bound)) = self;
        let short = figure_text(ratio);
        let is_at_it = !ratio.is_nan() && !self.holds(ratio) && short == figure_text(bound);
        if is_at_it { format!("{ratio:.5}") } else { short }
    }

    /// Of several ratios the one that is hardest on us.
    fn worst(self, ratios: impl Iterator<Item = f64>) -> f64 {
        let worse = |a: f64, b: f64| if matches!(self, Self::AtLeast(_)) { a.min(b) } else { a.max(b) };
        ratios.filter(|ratio| ratio.is_finite()).reduce(worse).unwrap_or(f64::NAN)
    }
}

/// A figure, where it is measured, and what it is to be against whom.
struct Goal {
    what: &'static str,
    bench: &'static str,
    /// Values that the lines must have.
    at: &'static [(&'static str, f64)],
    figure: fn(&Value) -> f64,
    bounds: &'static [(&'static [&'static str], Bound)],
}

const FLOORS: &[&str] = &[FLOOR];
const CLIENT: &str = peers::name(Peer::ZookeeperClient);
const CLIENTS: &[&str] = &[CLIENT, peers::name(Peer::ZookeeperClientMt)];
const CURATOR: &[&str] = &[peers::name(Peer::Curator)];
const ALL: &[&str] =
    &[CLIENT, peers::name(Peer::ZookeeperClientMt), peers::name(Peer::Java), peers::name(Peer::Curator)];

const GOALS: [Goal; 9] = [
    Goal {
        what: "notify at 200/s, woken beyond ack, p50",
        bench: "notify",
        at: &[("rate", 200.0), ("burst", 1.0)],
        figure: |line| number(line, "beyond_ack"),
        bounds: &[(FLOORS, Bound::AtMost(1.15)), (CLIENTS, Bound::AtMost(0.85)), (CURATOR, Bound::AtMost(0.6))],
    },
    Goal {
        what: "notify at 1000/s, woken beyond ack, p50",
        bench: "notify",
        at: &[("rate", 1000.0), ("burst", 1.0)],
        figure: |line| number(line, "beyond_ack"),
        bounds: &[(FLOORS, Bound::AtMost(1.15)), (CLIENTS, Bound::AtMost(0.85)), (CURATOR, Bound::AtMost(0.6))],
    },
    Goal {
        what: "notify in bursts of 50 at 1000/s, woken beyond ack, p50",
        bench: "notify",
        at: &[("rate", 1000.0), ("burst", 50.0)],
        figure: |line| number(line, "beyond_ack"),
        bounds: &[(FLOORS, Bound::AtMost(1.2)), (CLIENTS, Bound::AtMost(0.5))],
    },
    Goal {
        what: "notify at 1000/s, woken, p99",
        bench: "notify",
        at: &[("rate", 1000.0), ("burst", 1.0)],
        figure: |line| number(line, "p99"),
        bounds: &[(FLOORS, Bound::AtMost(1.3)), (ALL, Bound::Below(1.0))],
    },
    Goal {
        what: "notify at 1000/s, CPU per update",
        bench: "notify",
        at: &[("rate", 1000.0), ("burst", 1.0)],
        figure: |line| number(line, "cpu_us_per_update"),
        bounds: &[(FLOORS, Bound::AtMost(1.5)), (&[CLIENT], Bound::AtMost(0.6))],
    },
    Goal {
        what: "load of 100,101 znodes, seconds",
        bench: "load",
        at: &[("nodes", 100_101.0)],
        figure: |line| number(line, "seconds"),
        bounds: &[(FLOORS, Bound::AtMost(1.3)), (CURATOR, Bound::AtMost(0.05)), (CLIENTS, Bound::AtMost(0.125))],
    },
    Goal {
        what: "256 getData on their way, ops/s",
        bench: "throughput",
        at: &[],
        figure: |line| if line.get("writes") == Some(&Value::Bool(true)) { f64::NAN } else { number(line, "ops_s") },
        bounds: &[(FLOORS, Bound::AtLeast(0.6)), (ALL, Bound::AtLeast(10.0))],
    },
    Goal {
        what: "one getData at a time, p50",
        bench: "throughput",
        at: &[],
        figure: |line| if line.get("writes") == Some(&Value::Bool(true)) { f64::NAN } else { number(line, "seq_p50") },
        bounds: &[(FLOORS, Bound::AtMost(1.1)), (ALL, Bound::Below(1.0))],
    },
    Goal {
        what: "100 sessions, the last one served, p50",
        bench: "fanout",
        at: &[("sessions", 100.0)],
        figure: |line| number(line, "p50"),
        bounds: &[(FLOORS, Bound::AtMost(1.1)), (CLIENTS, Bound::Below(1.0))],
    },
];

/// A table for each kind of processor, the last that was measured on first: the same program's ratios differ by theirs.
pub(super) fn tables(runs: &[Run]) -> String {
    let mut processors: Vec<(&str, &str)> = Vec::new();
    for run in runs {
        match processors.iter_mut().find(|(processor, _)| *processor == run.processor()) {
            Some((_, last)) => *last = (*last).max(&run.header.date),
            None => processors.push((run.processor(), &run.header.date)),
        }
    }
    processors.sort_by_key(|(processor, last)| (std::cmp::Reverse(*last), *processor));
    let tables: Vec<String> = processors
        .iter()
        .map(|(processor, _)| {
            let on: Vec<&Run> = runs.iter().filter(|run| run.processor() == *processor).collect();
            table(processor, &on)
        })
        .collect();
    tables.join("\n")
}

/// The table of one; a goal that nothing on the page measures is said to be that.
fn table(processor: &str, runs: &[&Run]) -> String {
    let on = if processor.is_empty() { String::new() } else { format!(", on {processor}") };
    let what = "Ratios of ours; medians over rounds, each of the same round, on tokio's current-thread runtime.\n*two workers*: on its other one, with two threads; *own thread*: with `Connector::own_thread`; *with a profile*: as `benches/profiled` builds it; *both*: that build, with `Connector::own_thread`.";
    let mut lines = vec![
        format!("### What was to be reached{on}\n\n{what}\n"),
        "| what | from | against | wanted | is | two workers | own thread | with a profile | both | |\n|---|---|---|---:|---:|---:|---:|---:|---:|---|".to_owned(),
    ];
    for goal in &GOALS {
        for (others, bound) in goal.bounds {
            lines.push(row(runs, goal, others, *bound));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn row(runs: &[&Run], goal: &Goal, others: &[&str], bound: Bound) -> String {
    let whom = if others.len() == ALL.len() { "each peer".to_owned() } else { others.join(", ") };
    let start = |from: &str| format!("| {} | {from} | {whom} | {} |", goal.what, bound.text());
    let found = runs.iter().filter(|run| run.bench() == goal.bench).filter_map(|run| {
        let is_meant = |line: &&Value| goal.at.iter().all(|(key, value)| number(line, key).total_cmp(value).is_eq());
        let lines: Vec<&Value> = run.lines.iter().filter(is_meant).collect();
        let rounds = Rounds::new(&lines);
        let ratio_of = |ours| bound.worst(others.iter().map(|other| rounds.ratio_to(ours, other, goal.figure)));
        let ratios = [OURS, TWO_WORKERS, OWN_THREAD, PROFILED, OWN_AND_PROFILED].map(ratio_of);
        let compared = rounds.watchers().iter().filter(|name| **name != FLOOR_ON_TOKIO).count();
        let floor = ratio_of(FLOOR);
        ratios[0].is_finite().then_some((compared, run, rounds.none_kept, ratios, floor))
    });
    match found.max_by_key(|(compared, _, none_kept, ..)| (!none_kept, *compared)) {
        None => format!("{} - | - | - | - | - | not measured |", start("-")),
        Some((_, run, none_kept, ratios, floor)) => {
            let verdict = match ratios.map(|ratio| bound.holds(ratio)) {
                _ if none_kept => "no round was kept".to_owned(),
                [true, ..] => "reached".to_owned(),
                [_, true, ..] => "reached with two workers".to_owned(),
                [_, _, true, ..] => "reached with a thread of its own".to_owned(),
                [.., true, _] => "reached with a profile".to_owned(),
                [.., true] => "reached with both".to_owned(),
                _ if bound.holds(floor) => "**not reached**".to_owned(),
                _ => format!("**not reached**, nor by the floor, which has {}", figure_text(floor)),
            };
            format!("{} {} | {verdict} |", start(&run.name), ratios.map(|ratio| bound.beside(ratio)).join(" | "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, figures: &[(&str, f64)]) -> Run {
        let line = |(place, x): &(&str, f64)| serde_json::json!({ "bench": "notify", "round": 1, "place": place, "kept": true, "rate": 200, "burst": 1, "beyond_ack": x });
        Run {
            name: name.to_owned(),
            header: crate::machine::Header::default(),
            lines: figures.iter().map(line).collect(),
        }
    }

    #[test]
    fn the_better_of_two_peers_counts_and_the_run_that_has_them() {
        let alone = run("alone", &[("floor-before", 1.0), (OURS, 1.0), ("floor-after", 1.0)]);
        let [client, multi] = [CLIENTS[0], CLIENTS[1]];
        let figures = [
            ("floor-before", 10.0),
            (OURS, 11.0),
            (client, 20.0),
            (multi, 12.5),
            (TWO_WORKERS, 10.8),
            (OWN_THREAD, 10.5),
            (PROFILED, 9.0),
            (OWN_AND_PROFILED, 8.0),
            ("floor-after", 10.0),
        ];
        let explains = [("floor-before", 1.0), (OURS, 3.0), (client, 1.0), (FLOOR_ON_TOKIO, 2.0), ("floor-after", 1.0)];
        let text = tables(&[alone, run("together", &figures), run("why", &explains)]);
        let what = "| notify at 200/s, woken beyond ack, p50 | together |";
        assert!(
            text.contains(&format!("{what} floor | <= 1.15 | 1.10 | 1.08 | 1.05 | 0.900 | 0.800 | reached |")),
            "{text}"
        );
        let with_a_thread = "<= 0.850 | 0.880 | 0.864 | 0.840 | 0.720 | 0.640 | reached with a thread of its own |";
        assert!(text.contains(&format!("{what} {client}, {multi} | {with_a_thread}")), "{text}");
        assert!(text.contains("| - | CuratorCache | <= 0.600 | - | - | - | - | - | not measured |"), "{text}");
        let figures =
            [("floor-before", 10.0), (OURS, 12.0), (CURATOR[0], 15.0), (PROFILED, 11.0), ("floor-after", 10.0)];
        let text = tables(&[run("together", &figures)]);
        assert!(
            text.contains(&format!("{what} floor | <= 1.15 | 1.20 | - | - | 1.10 | - | reached with a profile |")),
            "{text}"
        );
        let figures = [("floor-before", 10.0), (OURS, 12.0), (TWO_WORKERS, 11.0), ("floor-after", 10.0)];
        let by_two = tables(&[run("by two", &figures)]);
        assert!(by_two.contains("<= 1.15 | 1.20 | 1.10 | - | - | - | reached with two workers |"), "{by_two}");
        let figures = [("floor-before", 10.0), (OURS, 11.504), (OWN_AND_PROFILED, 9.0), ("floor-after", 10.0)];
        let at_the_bound = tables(&[run("at the bound", &figures)]);
        assert!(at_the_bound.contains("<= 1.15 | 1.15040 | - | - | - | 0.900 | reached with both |"), "{at_the_bound}");
        let nor_by_the_floor =
            "<= 0.600 | 0.800 | - | - | 0.733 | - | **not reached**, nor by the floor, which has 0.667 |";
        assert!(text.contains(&format!("{what} CuratorCache | {nor_by_the_floor}")), "{text}");
    }

    #[test]
    fn each_processor_has_a_table_the_last_one_first() {
        let on = |processor: &str, date: &str, ours| {
            let mut run = run(processor, &[("floor-before", 10.0), (OURS, ours), ("floor-after", 10.0)]);
            run.header.machine = format!("{processor}, 2 cores");
            run.header.date = date.to_owned();
            run
        };
        let text = tables(&[on("old", "2026-11-01", 11.0), on("new", "2026-11-02", 12.0)]);
        let parts: Vec<&str> = text.split("### What was to be reached, on ").collect();
        assert_eq!(parts.len(), 3);
        assert!(
            parts[1].starts_with("new\n") && parts[1].contains("| 1.20 | - | - | - | - | **not reached** |"),
            "{text}"
        );
        assert!(parts[2].starts_with("old\n") && parts[2].contains("| 1.10 | - | - | - | - | reached |"), "{text}");
    }

    #[test]
    fn bounds_take_what_is_hardest() {
        assert_eq!(Bound::AtLeast(1.0).worst([3.0, f64::NAN, 2.0].into_iter()), 2.0);
        assert_eq!(Bound::AtMost(1.0).worst([3.0, 2.0].into_iter()), 3.0);
        assert!(Bound::Below(1.0).worst([].into_iter()).is_nan() && !Bound::Below(1.0).holds(1.0));
    }
}
