//! The writer: an open loop of setData on a raw socket.
//!
//! Every write has a time at which it is due. It is sent then, whether or not earlier ones were answered, and its
//! latency counts from then, so that a stall is seen by every write that it delays.

use crate::{
    error::Failure,
    raw::{Inbox, Outbox, Raw},
    tree,
    value::{END, Stamp, WARM_UP, now_ns},
    wire,
};
use hdrhistogram::Histogram;
use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::Timespec;
use std::{num::NonZeroU64, thread};

/// How long before the first write is due.
const LEAD_NS: u64 = 20_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) keys: u32,
    pub(crate) rate: u32,
    pub(crate) burst: u32,
    pub(crate) seconds: u32,
    /// Seconds of writes before the first that is measured.
    pub(crate) warm_up_seconds: u32,
}

impl Plan {
    fn warm_up(self) -> u64 {
        u64::from(self.rate) * u64::from(self.warm_up_seconds)
    }

    /// How many writes are measured: sequence numbers 1 to this.
    pub(crate) fn measured(self) -> u32 {
        self.rate.saturating_mul(self.seconds)
    }

    fn total(self) -> u64 {
        self.warm_up() + u64::from(self.measured())
    }

    /// The sequence number of a write.
    fn sequence(self, index: u64) -> u64 {
        (index + 1).checked_sub(self.warm_up()).unwrap_or(WARM_UP)
    }

    /// When a write is due, from the first one on.
    fn due_ns(self, index: u64) -> u64 {
        let burst = u64::from(self.burst);
        index / burst * burst * SECOND_NS / u64::from(self.rate)
    }
}

/// How it went, in nanoseconds, the warm-up left out.
pub(crate) struct Written {
    /// From due to acknowledged.
    pub(crate) acks: Histogram<u64>,
    /// From due to sent: the writer's own fault.
    pub(crate) late: Histogram<u64>,
}

/// Writes what was planned, waits for all answers, then writes the last value.
pub(crate) fn write(addr: &str, root: &str, plan: Plan) -> Result<Written, Failure> {
    let mut raw = Raw::connect(addr)?;
    let start = now_ns() + LEAD_NS;
    let paths: Vec<String> = (0..plan.keys).map(|index| tree::key(root, index)).collect();
    let Raw { inbox, outbox } = &mut raw;
    let (late, acks) = thread::scope(|scope| {
        let acks = scope.spawn(|| receive(inbox, plan, start));
        let late = send(outbox, &paths, plan, start);
        let acks = acks.join().unwrap_or(Err(Failure::Usage("the writer's receiver broke down")));
        (late, acks)
    });
    let written = Written { late: late?, acks: acks? };
    let first = paths.first().map_or("", String::as_str);
    add_write(&mut raw.outbox, first, Stamp { sequence: END, scheduled_ns: now_ns() });
    raw.outbox.flush()?;
    raw.inbox.reply("write the last value")?;
    raw.close()?;
    Ok(written)
}

fn send(outbox: &mut Outbox, paths: &[String], plan: Plan, start: u64) -> Result<Histogram<u64>, Failure> {
    // The kernel would otherwise let us sleep 50 us too long. If it refuses, lateness shows it.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    let mut late = histogram()?;
    let mut index = 0;
    while index < plan.total() {
        let due = start + plan.due_ns(index);
        sleep_until(due);
        let first = fastrand::usize(..paths.len());
        for place in 0..plan.burst as usize {
            let path = paths.get((first + place) % paths.len()).map_or("", String::as_str);
            if index < plan.total() {
                add_write(outbox, path, Stamp { sequence: plan.sequence(index), scheduled_ns: due });
                index += 1;
            }
        }
        if plan.sequence(index) > 1 {
            late.saturating_record(now_ns().saturating_sub(due));
        }
        outbox.flush()?;
    }
    Ok(late)
}

fn add_write(outbox: &mut Outbox, path: &str, stamp: Stamp) {
    outbox.add(|out, xid| wire::set_data(out, xid, path.as_bytes(), &stamp.value()));
}

fn receive(inbox: &mut Inbox, plan: Plan, start: u64) -> Result<Histogram<u64>, Failure> {
    let mut acks = histogram()?;
    for index in 0..plan.total() {
        inbox.reply("write a value")?;
        if plan.sequence(index) != WARM_UP {
            acks.saturating_record(now_ns().saturating_sub(start + plan.due_ns(index)));
        }
    }
    Ok(acks)
}

/// Three digits, up to a minute; what is longer counts as a minute.
fn histogram() -> Result<Histogram<u64>, Failure> {
    Histogram::new_with_bounds(1, 60 * SECOND_NS, 3).map_err(|_| Failure::Usage("no histogram has these bounds"))
}

pub(crate) fn sleep_until(ns: u64) {
    let seconds = i64::try_from(ns / SECOND_NS).unwrap_or(i64::MAX);
    let rest = i64::try_from(ns % SECOND_NS).unwrap_or(0);
    let until = Timespec { tv_sec: seconds, tv_nsec: rest };
    while now_ns() < ns && clock_nanosleep_absolute(ClockId::Monotonic, &until).is_err() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_due_in_bursts_at_the_rate() {
        let plan = Plan { keys: 10, rate: 1000, burst: 50, seconds: 2, warm_up_seconds: 1 };
        assert_eq!((plan.warm_up(), plan.measured(), plan.total()), (1000, 2000, 3000));
        assert_eq!([0, 49, 50, 99, 100].map(|index| plan.due_ns(index)), [0, 0, 50_000_000, 50_000_000, 100_000_000]);
        assert_eq!([0, 999, 1000, 2999].map(|index| plan.sequence(index)), [0, 0, 1, 2000]);
        let single = Plan { burst: 1, ..plan };
        assert_eq!(single.due_ns(3), 3_000_000);
    }
}
