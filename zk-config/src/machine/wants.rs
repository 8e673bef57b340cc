//! What must be read: which paths, what of them, and what is on its way.
//!
//! Knows nothing of values. Invariant: an entry leaves the list only by an answer on the current connection,
//! or because its znode was deleted.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
    sync::Arc,
};
use zk_client::Zxid;

/// Requests on their way at a time.
const WINDOW: usize = 4;

/// Reads on their way at a time where the server has no batched reads.
const WINDOW_PLAIN: usize = 256;

/// Reads in one request.
const BATCH_MAX: usize = 500;

/// Bytes that the answer of one request should not exceed, as far as can be foreseen.
const BATCH_BYTES: usize = 512 * 1024;

/// What a value is taken to weigh before any was seen.
const VALUE_BYTES_GUESS: usize = 8 * 1024;

/// What the rest of an answer weighs: header, stat, lengths.
const STAT_BYTES: usize = 100;

/// What is read of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Data and stat.
    Data,
    /// Names of the children.
    Children,
}

/// One read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) path: Arc<str>,
    pub(crate) kind: Kind,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) enum Reads {
    /// A plain read.
    One(u64, Fetch),
    /// A batch of them.
    Many(u64, Vec<Fetch>),
}

impl Reads {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Many(_, fetches) => fetches.len(),
        }
    }
}

/// How one read stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Need {
    #[default]
    Met,
    Queued,
    /// In the request with this token.
    Asked(u64),
}

#[derive(Clone, Copy, Debug, Default)]
struct Want {
    data: Need,
    children: Need,
    /// The newest event of the path, where events carry a zxid.
    event: Zxid,
}

impl Want {
    fn need(&mut self, kind: Kind) -> &mut Need {
        match kind {
            Kind::Data => &mut self.data,
            Kind::Children => &mut self.children,
        }
    }

    fn is_met(&self) -> bool {
        self.data == Need::Met && self.children == Need::Met
    }
}

/// The list.
#[derive(Debug)]
pub(crate) struct Wants {
    paths: BTreeMap<Arc<str>, Want>,
    /// Reads to be sent; an entry counts only while its need is still queued.
    queue: VecDeque<Fetch>,
    asked: BTreeMap<u64, Vec<Fetch>>,
    next_token: u64,
    /// The server knows batched reads, as far as we know.
    pub(crate) batches: bool,
    batch_max: usize,
    value_bytes: usize,
    pub(crate) watch_asked: bool,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            paths: BTreeMap::new(),
            queue: VecDeque::new(),
            asked: BTreeMap::new(),
            next_token: 1,
            batches: true,
            batch_max: BATCH_MAX,
            value_bytes: VALUE_BYTES_GUESS,
            watch_asked: false,
        }
    }
}

impl Wants {
    /// Whether everything is read.
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// A path must be read. A read on its way will do: it is answered behind the event that made this one
    /// necessary, so it shows the change. Where the event has a zxid, that is checked.
    pub(crate) fn want(&mut self, path: Arc<str>, kind: Kind, event: Zxid) {
        let want = self.paths.entry(path.clone()).or_default();
        want.event = want.event.max(event);
        let need = want.need(kind);
        if *need == Need::Met {
            *need = Need::Queued;
            self.queue.push_back(Fetch { path, kind });
        }
    }

    /// A path and all below it are gone; answers those that were wanted.
    pub(crate) fn drop_below(&mut self, path: &str, prefix: &str) -> BTreeSet<Arc<str>> {
        let below = (Bound::Excluded(prefix), Bound::Unbounded);
        let paths = self.paths.range::<str, _>(below).map(|(path, _)| path.clone());
        let mut gone: BTreeSet<Arc<str>> = paths.take_while(|path| path.starts_with(prefix)).collect();
        gone.extend(self.paths.get_key_value(path).map(|(path, _)| path.clone()));
        for path in &gone {
            self.paths.remove(path);
        }
        gone
    }

    /// The next request, if one may be sent.
    pub(crate) fn next_reads(&mut self) -> Option<Reads> {
        let window = if self.batches { WINDOW } else { WINDOW_PLAIN };
        if self.asked.len() >= window {
            return None;
        }
        let most = if self.batches { self.batch_len() } else { 1 };
        let token = self.next_token;
        let mut fetches = Vec::new();
        while fetches.len() < most {
            let Some(fetch) = self.queue.pop_front() else { break };
            let need = self.paths.get_mut(&fetch.path).map(|want| want.need(fetch.kind));
            if let Some(need @ Need::Queued) = need {
                *need = Need::Asked(token);
                fetches.push(fetch);
            }
        }
        let first = fetches.first()?.clone();
        let single = fetches.len() == 1;
        self.next_token += 1;
        self.asked.insert(token, fetches.clone());
        Some(if single { Reads::One(token, first) } else { Reads::Many(token, fetches) })
    }

    fn batch_len(&self) -> usize {
        (BATCH_BYTES / (self.value_bytes + STAT_BYTES)).clamp(1, self.batch_max)
    }

    /// The reads of an answered request; none for an answer of an older connection.
    pub(crate) fn answered(&mut self, token: u64) -> Vec<Fetch> {
        self.asked.remove(&token).unwrap_or_default()
    }

    /// One read was answered by a server at `zxid`.
    pub(crate) fn met(&mut self, token: u64, fetch: &Fetch, zxid: Zxid) {
        let Some(want) = self.paths.get_mut(&fetch.path) else { return };
        if *want.need(fetch.kind) != Need::Asked(token) {
            return;
        }
        if zxid.is_some() && want.event > zxid {
            // The answer is older than an event that came before it: no server does that, but it is checked.
            *want.need(fetch.kind) = Need::Queued;
            self.queue.push_back(fetch.clone());
            return;
        }
        *want.need(fetch.kind) = Need::Met;
        if want.is_met() {
            self.paths.remove(&fetch.path);
        }
    }

    /// A request brought nothing: its reads are to be sent again.
    pub(crate) fn again(&mut self, token: u64, fetches: Vec<Fetch>) {
        for fetch in fetches {
            if let Some(want) = self.paths.get_mut(&fetch.path)
                && *want.need(fetch.kind) == Need::Asked(token)
            {
                *want.need(fetch.kind) = Need::Queued;
                self.queue.push_back(fetch);
            }
        }
    }

    /// The connection is gone, and every request with it.
    pub(crate) fn connection_lost(&mut self) {
        for (token, fetches) in std::mem::take(&mut self.asked) {
            self.again(token, fetches);
        }
        for want in self.paths.values_mut() {
            want.event = Zxid::NONE;
        }
    }

    /// Answers were larger than the client takes: ask for less at a time.
    pub(crate) fn smaller_batches(&mut self, len: usize) {
        self.batch_max = (len / 2).max(1);
    }

    /// Answers fit: ask for more at a time again. Each answer that fits leaves less to read, so that asking for too much
    /// now and then comes to an end.
    pub(crate) fn larger_batches(&mut self) {
        self.batch_max = (self.batch_max * 2).min(BATCH_MAX);
    }

    /// Learns what a value weighs; large ones count at once, small ones slowly.
    pub(crate) fn weigh(&mut self, bytes: usize) {
        self.value_bytes = if bytes > self.value_bytes { bytes } else { (self.value_bytes * 63 + bytes) / 64 };
    }
}
