//! What each kind of run shows: its table, its plots.

use super::{
    plots::{self, Curve, Plot, Span},
    runs::{Run, number, text},
    tables::{Column, Rounds},
};
use crate::{error::Failure, report::figure_text, samples::CURVE};
use serde_json::Value;

const NOTIFY: [Column; 9] = [
    ("ack p50", |line| number(line, "ack_p50")),
    ("event p50", |line| number(line, "event_p50")),
    ("held p50", |line| number(line, "held_p50")),
    ("woken p50", |line| number(line, "p50")),
    ("woken p99", |line| number(line, "p99")),
    ("woken beyond ack", |line| number(line, "beyond_ack")),
    ("reply to held", |line| number(line, "apply_p50")),
    ("CPU us/update", |line| number(line, "cpu_us_per_update")),
    ("switches/update", |line| number(line, "switches_per_update")),
];

const FANOUT: [Column; 6] = [
    ("ack p50", |line| number(line, "ack_p50")),
    ("last one p50", |line| number(line, "p50")),
    ("p90", |line| number(line, "p90")),
    ("p99", |line| number(line, "p99")),
    ("CPU us/update", |line| number(line, "cpu_us_per_update")),
    ("peak MB", |line| number(line, "hwm_kb") / 1024.0),
];

const LOAD: [Column; 4] = [
    ("ms", |line| number(line, "seconds") * 1e3),
    ("CPU ms", |line| number(line, "cpu_s") * 1e3),
    ("peak MB", |line| number(line, "hwm_kb") / 1024.0),
    ("bytes/znode", |line| (number(line, "rss_kb") - number(line, "base_kb")) * 1024.0 / number(line, "nodes")),
];

const THROUGHPUT: [Column; 4] = [
    ("ops/s", |line| number(line, "ops_s")),
    ("CPU us/op", |line| number(line, "cpu_us_per_op")),
    ("one at a time p50", |line| number(line, "seq_p50")),
    ("p99", |line| number(line, "seq_p99")),
];

const SESSIONS: [Column; 5] = [
    ("ms until all are open", |line| number(line, "seconds") * 1e3),
    ("CPU us/session, opening", |line| number(line, "cpu_s") * 1e6 / number(line, "sessions")),
    ("CPU us/session and second, at rest", |line| number(line, "rest_us_per_s")),
    ("KB/session", |line| number(line, "kb_per_session")),
    ("peak MB", |line| number(line, "hwm_kb") / 1024.0),
];

const RESYNC: [Column; 5] = [
    ("ms", |line| number(line, "seconds") * 1e3),
    ("ms since the server is back", |line| number(line, "since_open_seconds") * 1e3),
    ("KB to the server", |line| number(line, "bytes_up") / 1024.0),
    ("KB from it", |line| number(line, "bytes_down") / 1024.0),
    ("CPU ms", |line| number(line, "cpu_s") * 1e3),
];

/// Text and plots of a file.
pub(super) fn section(run: &Run) -> Result<(String, Vec<Plot>), Failure> {
    let head = head(run);
    let (body, plots) = match run.bench() {
        "notify" => curves(run, &NOTIFY, "latency from due to woken, us")?,
        "fanout" => curves(run, &FANOUT, "latency until the last session has the value, us")?,
        "load" => grown(run, "nodes", "znodes", &LOAD, &[(0, "time"), (2, "memory")])?,
        "throughput" => grown(run, "", "", &THROUGHPUT, &[])?,
        "sessions" => grown(run, "sessions", "sessions", &SESSIONS, &[(0, "time"), (4, "memory")])?,
        "resync" => grown(run, "changes", "changes while away", &RESYNC, &[(0, "time"), (3, "bytes")])?,
        "soak" => soak(run)?,
        _ => ("What this is, this version does not know.\n".to_owned(), Vec::new()),
    };
    Ok((format!("{head}\n{body}"), plots))
}

fn head(run: &Run) -> String {
    let header = &run.header;
    let mut lines = vec![format!("### {}\n", run.name)];
    if header.command.is_empty() {
        lines.push("From before files said how they were made.\n".to_owned());
    } else {
        lines.push(format!("`{}`\n", header.command));
        lines.push(format!(
            "{}; {}; {}; {}; load average {} when it began.\n",
            header.date, header.server, header.machine, header.versions, header.load
        ));
    }
    lines.join("\n")
}

/// One table, and the percentiles of everybody.
fn curves(run: &Run, columns: &[Column], unit: &str) -> Result<(String, Vec<Plot>), Failure> {
    let lines: Vec<&Value> = run.lines.iter().collect();
    let rounds = Rounds::new(&lines);
    let mut curves = Vec::new();
    for name in rounds.watchers() {
        let points = match rounds.of(name).any(|line| line.get("curve").is_some()) {
            true => whole_curve(&rounds, name),
            false => known_points(&rounds, name),
        };
        curves.push(Curve { name: name.to_owned(), points });
    }
    let title = format!("{}: percentiles", run.name);
    Ok((rounds.table(columns), vec![plots::percentiles("percentiles", &title, unit, &curves)?]))
}

/// Medians over the rounds at each place of the curve.
fn whole_curve(rounds: &Rounds<'_>, name: &str) -> Vec<(f64, f64)> {
    let at = |at: usize| {
        move |line: &Value| {
            line.get("curve").and_then(|curve| curve.get(at)).and_then(Value::as_f64).unwrap_or(f64::NAN)
        }
    };
    CURVE.iter().enumerate().map(|(place, q)| (*q as f64 / 1e6, rounds.median(name, at(place)))).collect()
}

/// The contract's percentiles.
fn known_points(rounds: &Rounds<'_>, name: &str) -> Vec<(f64, f64)> {
    let points = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p999"), (1.0, "max")];
    points.map(|(q, key)| (q, rounds.median(name, |line| number(line, key)))).into()
}

/// A table for each size, and how some columns grow with it.
fn grown(
    run: &Run,
    key: &str,
    what: &str,
    columns: &[Column],
    plotted: &[(usize, &str)],
) -> Result<(String, Vec<Plot>), Failure> {
    let mut sizes: Vec<f64> = run.lines.iter().map(|line| number(line, key)).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup_by(|a, b| a.total_cmp(b).is_eq());
    let mut text = Vec::new();
    let mut curves: Vec<Vec<Curve>> = plotted.iter().map(|_| Vec::new()).collect();
    for size in &sizes {
        let lines: Vec<&Value> = run.lines.iter().filter(|line| number(line, key).total_cmp(size).is_eq()).collect();
        let rounds = Rounds::new(&lines);
        if !size.is_nan() {
            text.push(format!("{size} {what}:\n"));
        }
        text.push(rounds.table(columns));
        for (curves, (column, _)) in
            curves.iter_mut().zip(plotted.iter().filter_map(|(at, file)| Some((columns.get(*at)?, file))))
        {
            for name in rounds.watchers() {
                let point = (*size, rounds.median(name, column.1));
                match curves.iter_mut().find(|curve| curve.name == name) {
                    Some(curve) => curve.points.push(point),
                    None => curves.push(Curve { name: name.to_owned(), points: vec![point] }),
                }
            }
        }
    }
    let mut plots = Vec::new();
    for (curves, ((unit, _), file)) in
        curves.iter().zip(plotted.iter().filter_map(|(at, file)| Some((columns.get(*at)?, file))))
    {
        if sizes.len() > 1 {
            plots.push(plots::growth(file, &format!("{}: {unit}", run.name), what, unit, curves)?);
        }
    }
    Ok((text.join("\n"), plots))
}

/// The series with its faults, and the verdict.
fn soak(run: &Run) -> Result<(String, Vec<Plot>), Failure> {
    let seconds: Vec<&Value> = run.lines.iter().filter(|line| line.get("second").is_some()).collect();
    let faults: Vec<&Value> = run.lines.iter().filter(|line| line.get("fault").is_some()).collect();
    let verdict = run.lines.iter().find_map(|line| line.get("verdict"));
    let mut text = vec![
        "| at s | fault | for s | told as stale after ms | live again, ms after its end |".to_owned(),
        "|---:|---|---:|---:|---:|".to_owned(),
    ];
    let spans: Vec<Span> = faults.iter().map(|fault| span(fault)).collect();
    text.extend(faults.iter().zip(&spans).map(|(fault, span)| {
        let cells = [number(fault, "told_after_ms"), number(fault, "live_after_ms")].map(figure_text);
        format!("| {:.0} | {} | {:.1} | {} |", span.from, span.name, span.to - span.from, cells.join(" | "))
    }));
    text.push(verdict.map_or("\n**It did not come to its end.**\n".to_owned(), verdict_text));
    let curve = |name: &str, key: &'static str, factor: f64| {
        let points = seconds.iter().map(|line| (number(line, "second"), number(line, key) * factor));
        Curve { name: name.to_owned(), points: points.collect() }
    };
    let curves = [
        curve("ack p50", "ack_p50", 1.0),
        curve("held p50", "held_p50", 1.0),
        curve("held p99", "held_p99", 1.0),
        curve("held max", "held_max", 1.0),
        curve("oldest write missing", "missing_ms", 1e3),
    ];
    let title = format!("{}: latency by second, faults shaded", run.name);
    Ok((text.join("\n"), vec![plots::series("series", &title, "us", &curves, &spans)?]))
}

fn span(fault: &Value) -> Span {
    let from = number(fault, "at_ms") / 1e3;
    Span { name: text(fault, "fault").to_owned(), from, to: from + number(fault, "for_ms") / 1e3 }
}

fn verdict_text(verdict: &Value) -> String {
    let count = |key| number(verdict, key);
    let wrong: Vec<&str> =
        verdict.get("wrong").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let judged = if wrong.is_empty() {
        "Fold, snapshot and server were equal.".to_owned()
    } else {
        format!("**WRONG: {}**", wrong.join("; "))
    };
    format!(
        "\n{} writes, {} acknowledged, {} values held, {} gaps told, {} violations. {judged}\n",
        count("writes"),
        count("acknowledged"),
        count("held"),
        count("gaps"),
        count("violations")
    )
}

#[cfg(test)]
mod tests {
    use super::super::tables::FLOOR;
    use super::*;

    #[test]
    fn the_floor_is_a_watcher_like_others() {
        let lines = [serde_json::json!({ "round": 1, "place": "floor-before", "p50": 4.0 })];
        let rounds = Rounds::new(&lines.iter().collect::<Vec<_>>());
        assert_eq!(known_points(&rounds, FLOOR).first(), Some(&(0.5, 4.0)));
        assert!(known_points(&rounds, "ours")[0].1.is_nan());
    }
}
