//! What a notify watcher saw, and the JSON line that says it; the contract of peers.md.

use crate::{
    stats::{self, percentile, tenths, us},
    usage::{Memory, Usage},
    value::{END, Stamp, WARM_UP, now_ns},
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The line of a notify watcher; times in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NotifyLine {
    pub(crate) bench: Cow<'static, str>,
    pub(crate) watcher: String,
    /// Values that were held, the warm-up left out.
    pub(crate) n: u64,
    /// Sequence numbers among them.
    pub(crate) distinct: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    pub(crate) cpu_us_per_update: f64,
    pub(crate) rss_kb: u64,
    pub(crate) hwm_kb: u64,
    #[serde(flatten)]
    pub(crate) split: Option<Split>,
}

/// More than the contract asks for, with `--split`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Split {
    /// The event's bytes were read from the socket. Times are of one session, and unknown for several.
    pub(crate) event_p50: Option<f64>,
    /// The value can be read: from the mirror's snapshot, or from the floor's buffer.
    pub(crate) held_p50: Option<f64>,
    /// The reply's bytes were read from the socket, until the value can be read; the floor has no such time.
    pub(crate) apply_p50: Option<f64>,
    pub(crate) switches_per_update: f64,
    /// The latencies at [`CURVE`].
    #[serde(default)]
    pub(crate) curve: Vec<f64>,
}

/// Where a curve of percentiles is drawn, in millionths.
pub(crate) const CURVE: [usize; 15] = [
    1, 100_000, 250_000, 500_000, 750_000, 900_000, 950_000, 975_000, 990_000, 995_000, 997_500, 999_000, 999_500,
    999_900, 1_000_000,
];

/// When the parts of an update were over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) event_ns: u64,
    pub(crate) reply_ns: Option<u64>,
    pub(crate) held_ns: u64,
}

/// One sequence number.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Sessions that held it.
    sessions: u32,
    latency_ns: u64,
}

/// Everything that was seen.
pub(crate) struct Samples {
    sessions: u32,
    slots: Vec<Slot>,
    n: u64,
    begin: Option<Usage>,
    events: Vec<u64>,
    helds: Vec<u64>,
    applies: Vec<u64>,
}

impl Samples {
    /// For sequence numbers 1 to `count`, each counted when the last of the sessions holds it.
    pub(crate) fn new(count: u32, sessions: u32) -> Self {
        let slots = vec![Slot::default(); count as usize + 1];
        Self { sessions, slots, n: 0, begin: None, events: Vec::new(), helds: Vec::new(), applies: Vec::new() }
    }

    /// A session's application holds a value now. Answers whether it was the last one.
    pub(crate) fn hold(&mut self, value: &[u8], parts: Option<Parts>) -> bool {
        let Some(stamp) = Stamp::read(value) else { return false };
        match stamp.sequence {
            END => return true,
            WARM_UP => return false,
            _ => {}
        }
        let now = now_ns();
        let slot = usize::try_from(stamp.sequence).ok().and_then(|sequence| self.slots.get_mut(sequence));
        let Some(slot) = slot else { return false };
        self.n += 1;
        slot.sessions += 1;
        if slot.sessions == self.sessions {
            slot.latency_ns = now.saturating_sub(stamp.scheduled_ns);
            self.begin.get_or_insert_with(Usage::now);
            if let Some(parts) = parts {
                self.events.push(parts.event_ns.saturating_sub(stamp.scheduled_ns));
                self.helds.push(parts.held_ns.saturating_sub(stamp.scheduled_ns));
                self.applies.extend(parts.reply_ns.map(|reply_ns| parts.held_ns.saturating_sub(reply_ns)));
            }
        }
        false
    }

    /// The line; to be asked for at once after the last value.
    pub(crate) fn line(&mut self, watcher: &str, split: bool) -> NotifyLine {
        let used = Usage::now().since(self.begin.unwrap_or_default());
        let done = self.slots.iter().filter(|slot| slot.sessions >= self.sessions);
        let mut latencies: Vec<u64> = done.map(|slot| slot.latency_ns).collect();
        latencies.sort_unstable();
        let distinct = latencies.len() as u64;
        let updates = distinct.max(1) as f64;
        let at = |q| us(percentile(&latencies, q));
        let Memory { rss_kb, hwm_kb } = Memory::now();
        NotifyLine {
            bench: "notify".into(),
            watcher: watcher.to_owned(),
            n: self.n,
            distinct,
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p999: at(999),
            max: at(1000),
            cpu_us_per_update: tenths(used.cpu_ns as f64 / 1000.0 / updates),
            rss_kb,
            hwm_kb,
            split: split.then(|| Split {
                event_p50: median_us(&mut self.events),
                held_p50: median_us(&mut self.helds),
                apply_p50: median_us(&mut self.applies),
                switches_per_update: (used.switches as f64 / updates * 100.0).round() / 100.0,
                curve: CURVE.map(|q| us(stats::at_millionths(&latencies, q))).into(),
            }),
        }
    }
}

fn median_us(numbers: &mut [u64]) -> Option<f64> {
    numbers.sort_unstable();
    (!numbers.is_empty()).then(|| us(percentile(numbers, 500)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(sequence: u64) -> [u8; 100] {
        Stamp { sequence, scheduled_ns: now_ns() }.value()
    }

    #[test]
    fn a_sequence_counts_once_and_the_warm_up_does_not() {
        let mut samples = Samples::new(3, 1);
        for sequence in [0, 1, 1, 2, 99] {
            assert!(!samples.hold(&value(sequence), None));
        }
        assert!(samples.hold(&value(END), None));
        let line = samples.line("x", false);
        assert_eq!((line.n, line.distinct), (3, 2));
        assert!(line.p50 <= line.max && line.hwm_kb > 0);
        let text = serde_json::to_string(&line).unwrap();
        assert!(text.starts_with("{\"bench\":\"notify\",\"watcher\":\"x\",\"n\":3,\"distinct\":2,\"p50\":"), "{text}");
        assert!(text.contains("\"cpu_us_per_update\":") && !text.contains("held_p50"), "{text}");
    }

    #[test]
    fn the_last_session_counts() {
        let mut samples = Samples::new(1, 2);
        samples.hold(&value(1), None);
        assert_eq!(samples.line("x", false).distinct, 0);
        samples.hold(&value(1), None);
        assert_eq!(samples.line("x", false).distinct, 1);
    }

    #[test]
    fn the_curve_goes_up_to_the_maximum() {
        let mut samples = Samples::new(100, 1);
        (1..=100).for_each(|sequence| assert!(!samples.hold(&value(sequence), None)));
        let line = samples.line("x", true);
        let split = line.split.unwrap();
        assert!(split.curve.is_sorted() && split.curve.len() == CURVE.len() && split.event_p50.is_none());
        assert_eq!(split.curve.last(), Some(&line.max));
    }
}
