//! What must be read: which paths, what of them, since when, and what is on its way.
//!
//! Knows nothing of values. Invariant: an entry leaves the list only by an answer on the current connection,
//! or because its znode was deleted.

use foldhash::fast::RandomState;
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};
use zk_client::Zxid;

/// Since always, as far as is known: no transaction is before it.
const ALWAYS: Zxid = Zxid(0);

/// Requests on their way at a time.
const WINDOW: usize = 4;

/// Reads on their way at a time where the server has no batched reads.
const WINDOW_PLAIN: usize = 256;

/// Reads in one request.
const BATCH_MAX: usize = 500;

/// Entries that have left the list and may still be in the order of ages, besides as many as there are entries.
const AGES_SLACK: usize = 1024;

/// Reads for which room is kept.
const SPARE_MAX: usize = 16;

/// Bytes that the answer of one request should not exceed, as far as can be foreseen.
const BATCH_BYTES: usize = 512 * 1024;

/// What a value is taken to weigh before any was seen.
const VALUE_BYTES_GUESS: usize = 8 * 1024;

/// Names that the lists of one request should bring together.
const NAMES_A_REQUEST: usize = 2 * BATCH_MAX;

/// What a list is taken to have before any was seen.
const NAMES_GUESS: usize = NAMES_A_REQUEST / 2;

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
    /// Of the first load, where nothing is known and nothing is shown: wanted by its own being here, and in no table.
    pub(crate) first: bool,
}

/// One request: a plain read, or a batch of several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads<'a> {
    pub(crate) token: u64,
    pub(crate) fetches: &'a [Fetch],
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

#[derive(Clone, Copy, Debug)]
struct Want {
    data: Need,
    children: Need,
    /// The newest event of the path, where events carry a zxid.
    event: Zxid,
    /// From this transaction on the znode is not known; before it, the copy is right.
    since: Zxid,
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
    paths: HashMap<Arc<str>, Want, RandomState>,
    /// Reads of the first load that are not answered yet. Looking each up in a table, three times in its life, was a third of
    /// what a load cost.
    firsts: usize,
    /// Entries by age, the oldest first, those that left the list among them.
    ages: VecDeque<(Zxid, Arc<str>)>,
    /// There is an entry since [`ALWAYS`].
    ageless: bool,
    /// Reads to be sent; an entry counts only while its need is still queued.
    queue: VecDeque<Fetch>,
    /// Lists of children to be read. Each brings reads of its own, so they wait until the others run short: what is wanted
    /// at a time stays small, however large the tree is.
    lists: VecDeque<Fetch>,
    /// How many names a list is taken to have.
    names: usize,
    /// In the order in which they were asked; so are the answers.
    asked: VecDeque<(u64, Vec<Fetch>)>,
    /// Room for the reads of a request; an event of a known znode makes none.
    spare: Vec<Fetch>,
    next_token: u64,
    /// The request whose reads were last given to be prepared for.
    prepared: u64,
    /// The server knows batched reads, as far as we know.
    pub(crate) batches: bool,
    batch_max: usize,
    value_bytes: usize,
    pub(crate) watch_asked: bool,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            paths: HashMap::default(),
            firsts: 0,
            ages: VecDeque::new(),
            ageless: false,
            queue: VecDeque::new(),
            lists: VecDeque::new(),
            names: NAMES_GUESS,
            asked: VecDeque::new(),
            spare: Vec::new(),
            next_token: 1,
            prepared: 0,
            batches: true,
            batch_max: BATCH_MAX,
            value_bytes: VALUE_BYTES_GUESS,
            watch_asked: false,
        }
    }
}

impl Wants {
    /// A path must be read for no event's sake: nothing is known of it that is certain.
    pub(crate) fn want_anew(&mut self, path: Arc<str>, kind: Kind) {
        self.want(path, kind, Zxid::NONE, ALWAYS);
    }

    /// A path must be read: from this transaction on it is not known. A read on its way will do: it is answered behind
    /// the event that made this one necessary, so it shows the change. Where the event has a zxid, that is checked.
    pub(crate) fn want(&mut self, path: Arc<str>, kind: Kind, event: Zxid, since: Zxid) {
        let want = match self.paths.entry(path.clone()) {
            Entry::Occupied(want) => want.into_mut(),
            Entry::Vacant(new) => {
                if since == ALWAYS {
                    self.ageless = true;
                } else {
                    self.ages.push_back((since, path.clone()));
                }
                new.insert(Want { data: Need::Met, children: Need::Met, event: Zxid::NONE, since })
            }
        };
        want.event = want.event.max(event);
        let need = want.need(kind);
        if *need == Need::Met {
            *need = Need::Queued;
            self.enqueue(Fetch { path, kind, first: false });
        }
    }

    /// A path must be read, because what another read brought says so.
    pub(crate) fn want_next(&mut self, cause: &Fetch, path: Arc<str>, kind: Kind) {
        if cause.first {
            self.want_first(path, kind);
        } else {
            self.want_anew(path, kind);
        }
    }

    /// A path must be read in the first load. A path that is wanted twice is read twice.
    pub(crate) fn want_first(&mut self, path: Arc<str>, kind: Kind) {
        self.firsts += 1;
        self.enqueue(Fetch { path, kind, first: true });
    }

    fn enqueue(&mut self, fetch: Fetch) {
        match fetch.kind {
            Kind::Data => self.queue.push_back(fetch),
            Kind::Children => self.lists.push_back(fetch),
        }
    }

    /// A znode is gone, or its value does not matter any more; answers since when it was wanted.
    pub(crate) fn drop(&mut self, path: &str) -> Option<Zxid> {
        Some(self.paths.remove(path)?.since)
    }

    /// The first transaction that something unread belongs to; `None` if everything is read.
    pub(crate) fn oldest(&mut self) -> Option<Zxid> {
        if self.firsts > 0 {
            return Some(ALWAYS);
        }
        if self.paths.is_empty() {
            self.ages.clear();
            self.ageless = false;
            return None;
        }
        if self.ageless {
            return Some(ALWAYS);
        }
        let paths = &self.paths;
        let is_wanted = |(since, path): &(Zxid, Arc<str>)| paths.get(path).is_some_and(|want| want.since == *since);
        while self.ages.pop_front_if(|oldest| !is_wanted(oldest)).is_some() {}
        if self.ages.len() > AGES_SLACK + 2 * paths.len() {
            self.ages.retain(is_wanted);
        }
        self.ages.front().map(|(since, _)| *since)
    }

    /// The next request, if one may be sent.
    pub(crate) fn next_reads(&mut self) -> Option<Reads<'_>> {
        let window = if self.batches { WINDOW } else { WINDOW_PLAIN };
        if (self.queue.is_empty() && self.lists.is_empty()) || self.asked.len() >= window {
            return None;
        }
        let most = if self.batches { self.batch_len() } else { 1 };
        let token = self.next_token;
        let mut fetches = std::mem::take(&mut self.spare);
        let paths = &mut self.paths;
        let mut fill = |queue: &mut VecDeque<Fetch>, most: usize| {
            while fetches.len() < most {
                let Some(fetch) = queue.pop_front() else { break };
                if fetch.first {
                    fetches.push(fetch);
                    continue;
                }
                let need = paths.get_mut(&fetch.path).map(|want| want.need(fetch.kind));
                if let Some(need @ Need::Queued) = need {
                    *need = Need::Asked(token);
                    fetches.push(fetch);
                }
            }
            fetches.len()
        };
        let len = fill(&mut self.queue, most);
        fill(&mut self.lists, most.min(len + (NAMES_A_REQUEST / self.names.max(1)).max(1)));
        if fetches.is_empty() {
            self.spare = fetches;
            return None;
        }
        self.next_token += 1;
        let (_, fetches) = self.asked.push_back_mut((token, fetches));
        Some(Reads { token, fetches })
    }

    /// The reads that are answered next, once.
    pub(crate) fn reads_to_prepare(&mut self) -> Option<&[Fetch]> {
        let (token, fetches) = self.asked.front()?;
        (std::mem::replace(&mut self.prepared, *token) != *token).then_some(fetches)
    }

    fn batch_len(&self) -> usize {
        (BATCH_BYTES / (self.value_bytes + STAT_BYTES)).clamp(1, self.batch_max)
    }

    /// The reads of an answered request; none for an answer of an older connection.
    pub(crate) fn answered(&mut self, token: u64) -> Vec<Fetch> {
        let at = self.asked.iter().position(|(asked, _)| *asked == token);
        at.and_then(|at| self.asked.remove(at)).map(|(_, fetches)| fetches).unwrap_or_default()
    }

    /// The reads of an answered request have been looked at.
    pub(crate) fn reuse(&mut self, mut fetches: Vec<Fetch>) {
        if fetches.capacity() <= SPARE_MAX {
            fetches.clear();
            self.spare = fetches;
        }
    }

    /// One read was answered by a server at `zxid`. Answers since when the path was not known, if it is wanted at all.
    pub(crate) fn met(&mut self, token: u64, fetch: &Fetch, zxid: Zxid) -> Option<Zxid> {
        if fetch.first {
            self.firsts = self.firsts.saturating_sub(1);
            return None;
        }
        let Entry::Occupied(mut entry) = self.paths.entry(fetch.path.clone()) else { return None };
        let want = entry.get_mut();
        let since = want.since;
        if *want.need(fetch.kind) != Need::Asked(token) {
            return Some(since);
        }
        if zxid.is_some() && want.event > zxid {
            // The answer is older than an event that came before it: no server does that, but it is checked.
            *want.need(fetch.kind) = Need::Queued;
            self.enqueue(fetch.clone());
            return Some(since);
        }
        *want.need(fetch.kind) = Need::Met;
        if want.is_met() {
            entry.remove();
        }
        Some(since)
    }

    /// A request brought nothing: its reads are to be sent again.
    pub(crate) fn again(&mut self, token: u64, fetches: impl IntoIterator<Item = Fetch>) {
        for fetch in fetches {
            if fetch.first {
                self.enqueue(fetch);
            } else if let Some(want) = self.paths.get_mut(&fetch.path)
                && *want.need(fetch.kind) == Need::Asked(token)
            {
                *want.need(fetch.kind) = Need::Queued;
                self.enqueue(fetch);
            }
        }
    }

    /// The connection is gone, and every request with it. Reads of the first load are given up: the root is wanted anew then,
    /// and every list that is not known to its end.
    pub(crate) fn connection_lost(&mut self) {
        for (token, fetches) in std::mem::take(&mut self.asked) {
            self.again(token, fetches);
        }
        if self.firsts > 0 {
            self.queue.retain(|fetch| !fetch.first);
            self.lists.retain(|fetch| !fetch.first);
            self.firsts = 0;
        }
        for want in self.paths.values_mut() {
            (want.event, want.since) = (Zxid::NONE, ALWAYS);
        }
        self.ages.clear();
        self.ageless = true;
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

    /// Learns how many names a list has.
    pub(crate) const fn count(&mut self, names: usize) {
        self.names = (self.names * 3 + names) / 4;
    }

    /// Learns what a value weighs; large ones count at once, small ones slowly.
    pub(crate) fn weigh(&mut self, bytes: usize) {
        self.value_bytes = if bytes > self.value_bytes { bytes } else { (self.value_bytes * 63 + bytes) / 64 };
    }
}
