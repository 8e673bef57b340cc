//! What is told: lines on stdout, progress on stderr, JSON lines in a file.

use crate::{
    error::Failure,
    machine::Header,
    stats::{median, percentile, tenths, us},
    usage::Memory,
    value::{cpu_ns, now_ns},
};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    fs::File,
    io::{Write, stderr, stdout},
    path::Path,
};

/// A line for people, on stderr. If nobody can see it, nobody can be told so.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(stderr(), "zk-bench: {text}");
}

/// A line of output, at once.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Failure::io("write the output"))
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::io("write JSON")(error.into()))
}

/// The line of a load watcher; the contract of peers.md.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoadLine {
    pub(crate) bench: Cow<'static, str>,
    pub(crate) watcher: String,
    pub(crate) nodes: usize,
    pub(crate) seconds: f64,
    pub(crate) cpu_s: f64,
    pub(crate) rss_kb: u64,
    pub(crate) hwm_kb: u64,
    /// Resident before anything was done; more than the contract asks for, with `--split`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base_kb: Option<u64>,
}

impl LoadLine {
    /// To be made while the copy is still in memory.
    pub(crate) fn new(watcher: &str, nodes: usize, elapsed_ns: u64, cpu_ns: u64) -> Self {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let Memory { rss_kb, hwm_kb } = Memory::now();
        let (seconds, cpu_s) = (seconds(elapsed_ns), seconds(cpu_ns));
        Self { bench: "load".into(), watcher: watcher.to_owned(), nodes, seconds, cpu_s, rss_kb, hwm_kb, base_kb: None }
    }
}

/// Operations on their way in a throughput measurement, and those in one request of a batched one.
pub(crate) const IN_FLIGHT: usize = 256;
pub(crate) const BATCH: usize = 64;

/// The line of a throughput measurement; the contract of peers.md. Times in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ThroughputLine {
    pub(crate) bench: Cow<'static, str>,
    pub(crate) watcher: String,
    pub(crate) ops: u64,
    pub(crate) ops_s: f64,
    pub(crate) cpu_us_per_op: f64,
    pub(crate) seq_p50: f64,
    pub(crate) seq_p99: f64,
}

/// Clocks before the first operation that counts.
pub(crate) struct ThroughputBegin {
    at_ns: u64,
    cpu_ns: u64,
}

impl ThroughputBegin {
    pub(crate) fn now() -> Self {
        Self { at_ns: now_ns(), cpu_ns: cpu_ns() }
    }

    /// When so many are done.
    pub(crate) fn end(&self, ops: u64) -> ThroughputLine {
        let (elapsed, cpu) = (now_ns() - self.at_ns, cpu_ns() - self.cpu_ns);
        ThroughputLine {
            bench: "throughput".into(),
            watcher: String::new(),
            ops,
            ops_s: tenths(ops as f64 * 1e9 / elapsed.max(1) as f64),
            cpu_us_per_op: (cpu as f64 / 10.0 / ops.max(1) as f64).round() / 100.0,
            seq_p50: 0.0,
            seq_p99: 0.0,
        }
    }
}

impl ThroughputLine {
    /// With the latencies of one at a time.
    pub(crate) fn line(self, watcher: &str, mut single: Vec<u64>) -> Self {
        single.sort_unstable();
        let [seq_p50, seq_p99] = [500, 990].map(|q| us(percentile(&single, q)));
        Self { watcher: watcher.to_owned(), seq_p50, seq_p99, ..self }
    }
}

/// The line of a watcher that holds many sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SessionsLine {
    pub(crate) bench: Cow<'static, str>,
    pub(crate) watcher: String,
    pub(crate) sessions: u32,
    /// Until all were open and knew their znodes.
    pub(crate) seconds: f64,
    pub(crate) cpu_s: f64,
    /// CPU of a session that rests, in microseconds a second.
    pub(crate) rest_us_per_s: f64,
    /// Resident memory of a session.
    pub(crate) kb_per_session: f64,
    pub(crate) rss_kb: u64,
    pub(crate) hwm_kb: u64,
}

/// Clocks and memory before the first session..
pub(crate) struct SessionsBegin {
    at_ns: u64,
    cpu_ns: u64,
    rss_kb: u64,
}

/// ..and when all are open.
pub(crate) struct SessionsRest {
    seconds: f64,
    cpu_s: f64,
    kb: u64,
    at_ns: u64,
    cpu_ns: u64,
}

impl SessionsBegin {
    pub(crate) fn now() -> Self {
        Self { rss_kb: Memory::now().rss_kb, at_ns: now_ns(), cpu_ns: cpu_ns() }
    }

    pub(crate) fn all_are_open(&self) -> SessionsRest {
        let (at_ns, cpu_ns) = (now_ns(), cpu_ns());
        let seconds = |from, to: u64| to.saturating_sub(from) as f64 / 1e9;
        let kb = Memory::now().rss_kb.saturating_sub(self.rss_kb);
        SessionsRest { seconds: seconds(self.at_ns, at_ns), cpu_s: seconds(self.cpu_ns, cpu_ns), kb, at_ns, cpu_ns }
    }
}

impl SessionsRest {
    /// To be made while the sessions are still open.
    pub(crate) fn line(&self, watcher: &str, sessions: u32) -> SessionsLine {
        let each = f64::from(sessions.max(1));
        let rested_s = now_ns().saturating_sub(self.at_ns) as f64 / 1e9;
        let used_us = cpu_ns().saturating_sub(self.cpu_ns) as f64 / 1e3;
        let Memory { rss_kb, hwm_kb } = Memory::now();
        SessionsLine {
            bench: "sessions".into(),
            watcher: watcher.to_owned(),
            sessions,
            seconds: self.seconds,
            cpu_s: self.cpu_s,
            rest_us_per_s: used_us / rested_s.max(f64::MIN_POSITIVE) / each,
            kb_per_session: self.kb as f64 / each,
            rss_kb,
            hwm_kb,
        }
    }
}

/// The file for one JSON line per watcher and round, if one is wanted. Its first line says what the others are.
pub(crate) struct Lines(Option<File>);

impl Lines {
    pub(crate) fn create(path: Option<&Path>, header: &Header) -> Result<Self, Failure> {
        let create = |path: &Path| File::create(path).map_err(Failure::io(format!("create {}", path.display())));
        let mut lines = Self(path.map(create).transpose()?);
        lines.add(&serde_json::json!({ "header": header }))?;
        Ok(lines)
    }

    pub(crate) fn add(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        writeln!(file, "{}", json(value)?).map_err(Failure::io("write the JSON lines"))
    }
}

/// A column of a table: its heading, and the figure of one watcher in one round.
pub(crate) type Column<T> = (&'static str, fn(&T) -> f64);

/// One line of a Markdown table: medians.
pub(crate) fn row<T>(name: &str, columns: &[Column<T>], steps: &[&T]) -> String {
    let cell = |(_, figure): &Column<T>| figure_text(median(steps.iter().map(|step| figure(step))));
    format!("| {name} | {} |", columns.iter().map(cell).collect::<Vec<_>>().join(" | "))
}

/// The head of a Markdown table.
pub(crate) fn head<T>(columns: &[Column<T>]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    format!("| watcher | {} |\n|---|{}", names.join(" | "), "---:|".repeat(columns.len()))
}

/// Three digits that matter.
pub(crate) fn figure_text(figure: f64) -> String {
    match figure.abs() {
        _ if figure.is_nan() => "-".to_owned(),
        large if large >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{}", tenths(figure)),
        small if small >= 1.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown() {
        let columns: [Column<f64>; 2] = [("a", |x| *x), ("b", |x| x * 100.0)];
        assert_eq!(head(&columns), "| watcher | a | b |\n|---|---:|---:|");
        assert_eq!(row("x", &columns, &[&1.0, &3.0, &2.0]), "| x | 2.00 | 200 |");
        assert_eq!(row("x", &columns, &[]), "| x | - | - |");
    }
}
