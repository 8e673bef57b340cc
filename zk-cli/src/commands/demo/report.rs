//! What the demo prints.
//!
//! Must not know how it is played.

use super::reader::Held;
use crate::{error::Failure, json::Value, output::Output, text};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Columns of a change, before its times.
const CHANGE_WIDTH: usize = 66;

/// Prints what happens, with the seconds since the start.
pub(super) struct Report<'a> {
    output: &'a mut Output,
    begin: Instant,
}

/// A line of JSON: something that happened.
#[derive(Serialize)]
struct Step<'a> {
    kind: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_us: Option<i64>,
}

/// A line of JSON: a change that the reader holds.
#[derive(Serialize)]
struct Seen<'a> {
    kind: &'static str,
    path: &'a str,
    zxid: i64,
    old: Option<Value<'a>>,
    new: Option<Value<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_call_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ack_us: Option<i64>,
}

/// A line of JSON: how long it took until the reader held a change.
#[derive(Serialize)]
struct Medians {
    kind: &'static str,
    changes: usize,
    after_call_us: i64,
    after_ack_us: i64,
}

/// When the writer made a change, and when it was told that it is done.
#[derive(Clone, Copy)]
pub(super) struct Written {
    pub(super) called: Instant,
    pub(super) acknowledged: Instant,
}

impl<'a> Report<'a> {
    pub(super) fn new(output: &'a mut Output) -> Self {
        Self { output, begin: Instant::now() }
    }

    /// A line between parts.
    pub(super) fn heading(&mut self, text: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(());
        }
        self.output.line(text)?;
        self.output.flush()
    }

    /// Somebody did something; `took` is what it took, for JSON.
    pub(super) fn step(&mut self, who: &str, text: &str, took: Option<Duration>) -> Result<(), Failure> {
        self.event(who, who, text, took)
    }

    /// The same with a kind of its own in JSON.
    pub(super) fn event(&mut self, kind: &str, who: &str, text: &str, took: Option<Duration>) -> Result<(), Failure> {
        if self.output.is_json() {
            self.output.object(&Step { kind, text, took_us: took.map(micros) })?;
        } else {
            self.output.line(&format!("{:>6.3} s  {who:<7} {text}", self.begin.elapsed().as_secs_f64()))?;
        }
        self.output.flush()
    }

    /// When the reader held many changes of one value, in microseconds.
    pub(super) fn medians(&mut self, after_call: &mut [i64], after_ack: &mut [i64]) -> Result<(), Failure> {
        let changes = after_call.len();
        let median = |times: &mut [i64]| {
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        let (call, ack) = (median(after_call), median(after_ack));
        if self.output.is_json() {
            self.output.object(&Medians { kind: "medians", changes, after_call_us: call, after_ack_us: ack })?;
            return self.output.flush();
        }
        let text =
            format!("saw {changes} quick changes, each: median {call} µs after the call, {ack:+} µs after the ack");
        self.step("reader", &text, None)
    }

    /// What the next lines' times mean.
    pub(super) fn columns(&mut self) -> Result<(), Failure> {
        self.heading(&format!("{:10}{:<CHANGE_WIDTH$}{:>11}{:>12}", "", "", "after call", "after ack"))
    }

    /// The reader holds a change; without `written` it was found by a resync.
    pub(super) fn held(&mut self, held: &Held, written: Option<Written>) -> Result<(), Failure> {
        let change = &held.change;
        let kind = match (&change.old, &change.new) {
            (None, _) => "added",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
        };
        let after_call = written.map(|written| signed_micros(written.called, held.at));
        let after_ack = written.map(|written| signed_micros(written.acknowledged, held.at));
        if self.output.is_json() {
            self.output.object(&Seen {
                kind,
                path: &change.path,
                zxid: held.revision.0,
                old: change.old.as_deref().map(|node| Value::new(&node.data, &node.stat)),
                new: change.new.as_deref().map(|node| Value::new(&node.data, &node.stat)),
                after_call_us: after_call,
                after_ack_us: after_ack,
            })?;
            return self.output.flush();
        }
        let values: Vec<String> =
            [&change.old, &change.new].into_iter().flatten().map(|node| text::short(&node.data)).collect();
        let mut text = format!("{kind:<7} {}  {}", change.path, values.join(" → "));
        if let (Some(old), Some(new), true) = (&change.old, &change.new, change.is_recreated()) {
            text += &format!(" (created again; version {} → {})", old.stat.version, new.stat.version);
        }
        let times = match (after_call, after_ack) {
            (Some(call), Some(ack)) => format!("{call:>8} µs{ack:>+9} µs"),
            _ => String::new(),
        };
        self.heading(format!("{:10}{text:<CHANGE_WIDTH$}{times}", "").trim_end())
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// From one moment to another one, which may be earlier.
pub(super) fn signed_micros(from: Instant, to: Instant) -> i64 {
    match to.checked_duration_since(from) {
        Some(later) => micros(later),
        None => -micros(from.duration_since(to)),
    }
}
