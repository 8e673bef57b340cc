//! The application behind the mirror: it knows only what changes told it. And the books: what was acknowledged, what is
//! held, what is missing.

use super::Second;
use crate::{
    lab::Application,
    stats::us,
    value::{Stamp, now_ns},
};
use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use zk_config::{Changes, Mirror, Snapshot, Update};

/// A minute; what is longer counts as a minute.
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// The application, and what it is measured by.
pub(super) struct Follower {
    same_server: bool,
    books: Mutex<Books>,
}

struct Books {
    start_ns: u64,
    /// By path.
    fold: BTreeMap<Vec<u8>, Vec<u8>>,
    keys: Vec<Key>,
    held: u64,
    gaps: u64,
    told: Told,
    acks: Histogram<u64>,
    helds: Histogram<u64>,
}

/// A znode.
#[derive(Clone, Copy, Default)]
struct Key {
    held: u64,
    /// The newest acknowledged write..
    acknowledged: u64,
    /// ..and since when something acknowledged is missing.
    missing_since_ns: Option<u64>,
}

/// When the application was told last that its copy is stale, and that it is whole again; 0: never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) lost_ns: u64,
    pub(super) live_ns: u64,
}

impl Told {
    pub(super) fn is_live(self) -> bool {
        self.live_ns >= self.lost_ns
    }
}

/// What is acknowledged and not held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missing {
    /// When the oldest of it was acknowledged, and how long ago that is.
    pub(super) since_ns: Option<u64>,
    pub(super) oldest_ns: u64,
    /// Whether the mirror says that it is live.
    pub(super) live: bool,
}

impl Follower {
    /// `same_server`: writer and mirror talk to one server, so that what is acknowledged can be seen.
    pub(super) fn new(keys: u32, same_server: bool) -> Self {
        let books = Books {
            start_ns: 0,
            fold: BTreeMap::new(),
            keys: vec![Key::default(); keys as usize],
            held: 0,
            gaps: 0,
            told: Told::default(),
            acks: histogram(),
            helds: histogram(),
        };
        Self { same_server, books: Mutex::new(books) }
    }

    pub(super) const fn same_server(&self) -> bool {
        self.same_server
    }

    pub(super) fn starts_at(&self, start_ns: u64) {
        self.books().start_ns = start_ns;
    }

    /// What runs beside the mirror.
    pub(super) fn application(self: Arc<Self>, root: &str) -> Application {
        let prefix = format!("{root}/k");
        Box::new(move |mirror: &Mirror| {
            let (snapshot, changes) = mirror.subscribe();
            tokio::spawn(async move { self.apply(&snapshot, changes, &prefix).await })
        })
    }

    async fn apply(&self, snapshot: &Snapshot, mut changes: Changes, prefix: &str) {
        for (path, node) in snapshot.iter() {
            self.books().fold.insert(path.as_bytes().to_vec(), node.data.to_vec());
        }
        while let Some(update) = changes.next().await {
            match update {
                Update::Changes(batch) => {
                    let mut books = self.books();
                    for change in &batch.changes {
                        match &change.new {
                            None => drop(books.fold.remove(change.path.as_bytes())),
                            Some(node) => {
                                books.fold.insert(change.path.as_bytes().to_vec(), node.data.to_vec());
                                let key = change.path.strip_prefix(prefix).and_then(|key| key.parse::<usize>().ok());
                                books.hold(key, &node.data);
                            }
                        }
                    }
                }
                Update::Gap(_) => {
                    let mut books = self.books();
                    books.gaps += 1;
                    books.told.lost_ns = now_ns();
                }
                Update::Resynced { .. } => self.books().told.live_ns = now_ns(),
                _ => {}
            }
        }
    }

    /// The server has it.
    pub(super) fn acknowledged(&self, key: u32, sequence: u64, due_ns: u64, now_ns: u64) {
        let mut books = self.books();
        books.acks.saturating_record(now_ns.saturating_sub(due_ns));
        let Some(key) = books.keys.get_mut(key as usize) else { return };
        key.acknowledged = key.acknowledged.max(sequence);
        if key.held < sequence {
            key.missing_since_ns.get_or_insert(now_ns);
        }
    }

    pub(super) fn missing(&self, now_ns: u64) -> Missing {
        let since_ns = self.books().keys.iter().filter_map(|key| key.missing_since_ns).min();
        Missing { since_ns, oldest_ns: since_ns.map_or(0, |since| now_ns.saturating_sub(since)), live: false }
    }

    /// The latencies since the last call.
    pub(super) fn take_second(&self, second: u64) -> Second {
        let mut books = self.books();
        let at = |histogram: &Histogram<u64>, q| us(histogram.value_at_quantile(q));
        let line = Second {
            second,
            writes: books.acks.len(),
            ack_p50: at(&books.acks, 0.5),
            ack_max: at(&books.acks, 1.0),
            held: books.helds.len(),
            held_p50: at(&books.helds, 0.5),
            held_p99: at(&books.helds, 0.99),
            held_max: at(&books.helds, 1.0),
            ..Second::default()
        };
        books.acks.reset();
        books.helds.reset();
        line
    }

    pub(super) fn fold(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.books().fold.clone()
    }

    /// Values held, gaps told.
    pub(super) fn totals(&self) -> (u64, u64) {
        let books = self.books();
        (books.held, books.gaps)
    }

    pub(super) fn told(&self) -> Told {
        self.books().told
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn hold(&mut self, key: Option<usize>, value: &[u8]) {
        let (Some(key), Some(stamp)) = (key.and_then(|key| self.keys.get_mut(key)), Stamp::read(value)) else { return };
        if stamp.sequence > key.held {
            key.held = stamp.sequence;
            self.held += 1;
            self.helds.saturating_record(now_ns().saturating_sub(stamp.scheduled_ns));
        }
        if key.held >= key.acknowledged {
            key.missing_since_ns = None;
        }
    }
}

#[expect(clippy::expect_used, reason = "the bounds are constants that fit, and a test makes one")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("1 < LATENCY_MAX_NS / 2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_and_not_held_is_missing() {
        let follower = Follower::new(2, true);
        let hold = |key, sequence| {
            let value = Stamp { sequence, scheduled_ns: now_ns() }.value();
            follower.books().hold(Some(key), &value);
        };
        assert!(follower.missing(0).since_ns.is_none());
        follower.acknowledged(0, 1, 5, 10);
        follower.acknowledged(1, 2, 5, 20);
        assert_eq!((follower.missing(50).since_ns, follower.missing(50).oldest_ns), (Some(10), 40));
        hold(0, 1);
        assert_eq!(follower.missing(50).since_ns, Some(20));
        follower.acknowledged(1, 3, 5, 30);
        hold(1, 2);
        assert_eq!(follower.missing(50).since_ns, Some(20), "the newer one is missing still");
        hold(1, 3);
        assert!(follower.missing(50).since_ns.is_none());
        assert_eq!(follower.take_second(7).held, 3);
        assert_eq!((follower.take_second(8).writes, follower.totals().0), (0, 3));
    }

    #[test]
    fn a_value_that_is_held_before_its_acknowledgement_is_not_missing() {
        let follower = Follower::new(1, true);
        follower.books().hold(Some(0), &Stamp { sequence: 4, scheduled_ns: 0 }.value());
        follower.acknowledged(0, 4, 0, 10);
        assert!(follower.missing(50).since_ns.is_none());
    }
}
