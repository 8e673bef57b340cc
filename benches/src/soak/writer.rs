//! Writes that are due at their times and go on whatever happens to the server: what was not acknowledged when a
//! connection broke is written again on the next. A latency counts from when the write was due.

use super::follower::Follower;
use crate::{
    error::Failure,
    raw::{Inbox, Raw},
    tree,
    value::{Stamp, now_ns},
    wire,
    writer::sleep_until,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How long before the first write is due.
const LEAD_NS: u64 = 200_000_000;
/// Between two attempts to reach the server.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) rate: u32,
    pub(super) keys: u32,
    pub(super) writes: u64,
}

/// A write that was sent and not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// From 1.
    sequence: u64,
    key: u32,
    due_ns: u64,
}

struct Shared {
    addr: String,
    paths: Vec<String>,
    plan: Plan,
    start_ns: u64,
    follower: Arc<Follower>,
    unacknowledged: Mutex<VecDeque<Sent>>,
    acknowledged: AtomicU64,
    /// Nobody waits any more.
    gone: AtomicBool,
}

/// The writer's thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(addr: &str, root: &str, plan: Plan, follower: Arc<Follower>) -> Result<Self, Failure> {
        let first = Raw::connect(addr)?;
        let shared = Arc::new(Shared {
            addr: addr.to_owned(),
            paths: (0..plan.keys).map(|index| tree::key(root, index)).collect(),
            plan,
            start_ns: now_ns() + LEAD_NS,
            follower,
            unacknowledged: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        });
        shared.follower.starts_at(shared.start_ns);
        let on_thread = shared.clone();
        let thread = thread::spawn(move || on_thread.run(first));
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn start_ns(&self) -> u64 {
        self.shared.start_ns
    }

    /// When the last write is due.
    pub(super) fn end_ns(&self) -> u64 {
        self.shared.due_ns(self.shared.plan.writes)
    }

    pub(super) fn all_were_due(&self) -> bool {
        now_ns() >= self.end_ns()
    }

    /// Waits for the last acknowledgement, for so long; how many there were.
    pub(super) fn finish(self, patience: Duration) -> Result<u64, Failure> {
        let until = now_ns() + u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        let count = || self.shared.acknowledged.load(Ordering::Acquire);
        while count() < self.shared.plan.writes && now_ns() < until {
            thread::sleep(RETRY_EVERY);
        }
        Ok(count())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Release);
        if self.shared.acknowledged.load(Ordering::Acquire) == self.shared.plan.writes
            && let Some(thread) = self.thread.take()
        {
            // Broken down, it has said so on stderr.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// When the write with this index is due, from 0.
    fn due_ns(&self, index: u64) -> u64 {
        self.start_ns + index * 1_000_000_000 / u64::from(self.plan.rate)
    }

    fn run(&self, first: Raw) {
        let mut next = Some(first);
        let mut sent = 0;
        while self.acknowledged.load(Ordering::Acquire) < self.plan.writes && !self.gone.load(Ordering::Acquire) {
            let Some(raw) = next.take().or_else(|| Raw::connect(&self.addr).ok()) else {
                thread::sleep(RETRY_EVERY);
                continue;
            };
            // However it ended, the next connection goes on.
            sent = self.connection(raw, sent);
        }
    }

    /// Writes until the connection breaks or all is written; how many writes have been sent once.
    fn connection(&self, raw: Raw, mut sent: u64) -> u64 {
        let Raw { mut inbox, mut outbox } = raw;
        let broken = AtomicBool::new(false);
        thread::scope(|scope| {
            let again: Vec<Sent> = self.unacknowledged().iter().copied().collect();
            let add = |outbox: &mut crate::raw::Outbox, write: Sent| {
                let path = self.paths.get(write.key as usize).map_or("", String::as_str);
                let value = Stamp { sequence: write.sequence, scheduled_ns: write.due_ns }.value();
                outbox.add(|out, xid| wire::set_data(out, xid, path.as_bytes(), &value));
            };
            again.into_iter().for_each(|write| add(&mut outbox, write));
            let mut fine = outbox.flush_if_any().is_ok();
            let receiver = scope.spawn(|| self.receive(&mut inbox, &broken));
            while fine
                && sent < self.plan.writes
                && !broken.load(Ordering::Acquire)
                && !self.gone.load(Ordering::Acquire)
            {
                let due_ns = self.due_ns(sent);
                sleep_until(due_ns);
                let write = Sent { sequence: sent + 1, key: fastrand::u32(..self.plan.keys), due_ns };
                self.unacknowledged().push_back(write);
                sent += 1;
                add(&mut outbox, write);
                fine = outbox.flush().is_ok();
            }
            if !fine || self.gone.load(Ordering::Acquire) {
                outbox.end();
            }
            // Ends when all is acknowledged or the connection is gone.
            let _ = receiver.join();
        });
        sent
    }

    /// Takes acknowledgements, in the order of the writes.
    fn receive(&self, inbox: &mut Inbox, broken: &AtomicBool) {
        while self.acknowledged.load(Ordering::Acquire) < self.plan.writes && inbox.reply("write a value").is_ok() {
            let now = now_ns();
            if let Some(write) = self.unacknowledged().pop_front() {
                self.follower.acknowledged(write.key, write.sequence, write.due_ns, now);
                self.acknowledged.fetch_add(1, Ordering::AcqRel);
            }
        }
        broken.store(true, Ordering::Release);
    }

    fn unacknowledged(&self) -> MutexGuard<'_, VecDeque<Sent>> {
        self.unacknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
