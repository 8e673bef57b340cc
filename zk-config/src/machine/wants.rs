//! What must be read: which paths, what of them, since when, and what is on its way.
//!
//! Knows nothing of values. Invariant: an entry leaves the list only by an answer on the current connection,
//! or because its znode was deleted.

use std::{collections::VecDeque, sync::Arc};
use zk_client::Zxid;

mod entries;
mod numbers;

use entries::Entries;
use numbers::Numbers;

/// Since always, as far as is known: no transaction is before it.
const ALWAYS: Zxid = Zxid(0);

/// Requests on their way at a time.
const WINDOW: usize = 4;

/// Reads on their way at a time where the server has no batched reads.
const WINDOW_PLAIN: usize = 256;

/// Reads in one request.
const BATCH_MAX: usize = 500;

/// Paths that are not wanted any more and may still have their number, besides as many as there are entries.
const NUMBERS_SLACK: usize = 1024;

/// Entries and reads for which room is kept while nothing is unread.
const KEPT_MAX: usize = 256;

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
    /// The entry that it is for; once that has left the list, nobody wants the read.
    number: u64,
}

/// One request: a plain read, or a batch of several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads<'a> {
    pub(crate) token: u64,
    pub(crate) fetches: &'a [Fetch],
}

/// The list.
#[derive(Debug)]
pub(crate) struct Wants {
    entries: Entries,
    /// Which entry is a path's; it may have left the list.
    numbers: Numbers,
    /// Reads of the first load that are not answered yet. Looking each up in a table, three times in its life, was a third of
    /// what a load cost.
    firsts: usize,
    /// There is an entry since [`ALWAYS`].
    ageless: bool,
    /// Reads to be sent, those that nobody wants any more among them.
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
    /// The server knows batched reads, as far as we know.
    pub(crate) batches: bool,
    batch_max: usize,
    value_bytes: usize,
    pub(crate) watch_asked: bool,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            entries: Entries::default(),
            numbers: Numbers::default(),
            firsts: 0,
            ageless: false,
            queue: VecDeque::new(),
            lists: VecDeque::new(),
            names: NAMES_GUESS,
            asked: VecDeque::new(),
            spare: Vec::new(),
            next_token: 1,
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
        let next = self.entries.next_number();
        let number = self.numbers.get_or_insert(&path, next);
        let want = match self.entries.get(*number) {
            Some(want) => want,
            None => {
                *number = next;
                self.ageless |= since == ALWAYS;
                self.entries.push(since)
            }
        };
        want.event = want.event.max(event);
        if !std::mem::replace(want.unread(kind), true) {
            let number = *number;
            self.enqueue(Fetch { path, kind, first: false, number });
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
        self.enqueue(Fetch { path, kind, first: true, number: 0 });
    }

    fn enqueue(&mut self, fetch: Fetch) {
        match fetch.kind {
            Kind::Data => self.queue.push_back(fetch),
            Kind::Children => self.lists.push_back(fetch),
        }
    }

    /// A znode is gone, or its value does not matter any more; answers since when it was wanted.
    pub(crate) fn drop(&mut self, path: &str) -> Option<Zxid> {
        let want = self.entries.get(self.numbers.remove(path)?)?;
        let since = want.since;
        (want.data, want.children) = (false, false);
        self.entries.left();
        Some(since)
    }

    /// The first transaction that something unread belongs to; `None` if everything is read.
    pub(crate) fn oldest(&mut self) -> Option<Zxid> {
        if self.firsts > 0 {
            return Some(ALWAYS);
        }
        if self.entries.unmet() == 0 {
            self.rest();
            return None;
        }
        if self.numbers.len() > NUMBERS_SLACK + 2 * self.entries.unmet() {
            self.numbers.retain(|number| self.entries.get(number).is_some());
        }
        if self.ageless {
            return Some(ALWAYS);
        }
        self.entries.front().map(|want| want.since)
    }

    /// Everything is read.
    fn rest(&mut self) {
        self.ageless = false;
        self.numbers.clear(KEPT_MAX);
        self.entries.shrink_to(KEPT_MAX);
        for queue in [&mut self.queue, &mut self.lists] {
            if queue.capacity() > KEPT_MAX {
                queue.shrink_to(KEPT_MAX);
            }
        }
    }

    /// The next request, if one may be sent.
    pub(crate) fn next_reads(&mut self) -> Option<Reads<'_>> {
        let window = if self.batches { WINDOW } else { WINDOW_PLAIN };
        let queued = self.queue.len() + self.lists.len();
        if queued == 0 || self.asked.len() >= window {
            return None;
        }
        let most = if queued > 1 && self.batches { self.batch_len() } else { 1 };
        let token = self.next_token;
        let mut fetches = std::mem::take(&mut self.spare);
        let entries = &mut self.entries;
        let mut fill = |queue: &mut VecDeque<Fetch>, most: usize| {
            while fetches.len() < most {
                let Some(fetch) = queue.pop_front() else { break };
                if fetch.first || entries.get(fetch.number).is_some() {
                    fetches.push(fetch);
                }
            }
            fetches.len()
        };
        let len = fill(&mut self.queue, most);
        if len < most && !self.lists.is_empty() {
            fill(&mut self.lists, most.min(len + (NAMES_A_REQUEST / self.names.max(1)).max(1)));
        }
        if fetches.is_empty() {
            self.spare = fetches;
            return None;
        }
        self.next_token += 1;
        let (_, fetches) = self.asked.push_back_mut((token, fetches));
        Some(Reads { token, fetches })
    }

    fn batch_len(&self) -> usize {
        (BATCH_BYTES / (self.value_bytes + STAT_BYTES)).clamp(1, self.batch_max)
    }

    /// The reads of an answered request; none for an answer of an older connection.
    pub(crate) fn answered(&mut self, token: u64) -> Vec<Fetch> {
        if let Some((_, fetches)) = self.asked.pop_front_if(|(asked, _)| *asked == token) {
            return fetches;
        }
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
    pub(crate) fn met(&mut self, fetch: &Fetch, zxid: Zxid) -> Option<Zxid> {
        if fetch.first {
            self.firsts = self.firsts.saturating_sub(1);
            return None;
        }
        let want = self.entries.get(fetch.number)?;
        let since = want.since;
        if zxid.is_some() && want.event > zxid {
            // The answer is older than an event that came before it: no server does that, but it is checked.
            self.enqueue(fetch.clone());
            return Some(since);
        }
        *want.unread(fetch.kind) = false;
        if want.is_met() {
            self.entries.left();
        }
        Some(since)
    }

    /// A request brought nothing: its reads are to be sent again.
    pub(crate) fn again(&mut self, fetches: impl IntoIterator<Item = Fetch>) {
        for fetch in fetches {
            self.enqueue(fetch);
        }
    }

    /// The connection is gone, and every request with it. Reads of the first load are given up: the root is wanted anew then,
    /// and every list that is not known to its end.
    pub(crate) fn connection_lost(&mut self) {
        for (_, fetches) in std::mem::take(&mut self.asked) {
            self.again(fetches);
        }
        if self.firsts > 0 {
            self.queue.retain(|fetch| !fetch.first);
            self.lists.retain(|fetch| !fetch.first);
            self.firsts = 0;
        }
        self.entries.date_all(ALWAYS);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn path(number: i64) -> Arc<str> {
        format!("/{number}").into()
    }

    /// The reads of the next request, and that they were answered.
    fn round(wants: &mut Wants) -> Vec<Fetch> {
        let token = wants.next_reads().map_or(0, |reads| reads.token);
        let fetches = wants.answered(token);
        for fetch in &fetches {
            wants.met(fetch, Zxid::NONE);
        }
        fetches
    }

    #[test]
    fn what_was_read_leaves_nothing_behind_while_something_stays_unread() {
        let mut wants = Wants::default();
        let first = path(0);
        wants.want(first.clone(), Kind::Data, Zxid::NONE, Zxid(1));
        let token = wants.next_reads().unwrap().token;
        let last = 10 * i64::try_from(NUMBERS_SLACK).unwrap();
        for at in 2..=last {
            wants.want(path(at), Kind::Data, Zxid::NONE, Zxid(at));
            assert_eq!((wants.oldest(), round(&mut wants).len()), (Some(Zxid(1)), 1), "{at}");
        }
        assert!(wants.numbers.len() <= NUMBERS_SLACK + 3, "{}", wants.numbers.len());
        assert!(wants.entries.held() <= NUMBERS_SLACK + 3, "{}", wants.entries.held());
        // What is wanted now is found behind those that have left for good.
        wants.want(path(-1), Kind::Data, Zxid::NONE, Zxid(last));
        assert_eq!((round(&mut wants).len(), wants.entries.unmet()), (1, 1));
        wants.want(first.clone(), Kind::Data, Zxid::NONE, Zxid(last));
        assert_eq!(wants.next_reads().map(|reads| reads.token), None, "a read is on its way");
        let fetches = wants.answered(token);
        assert_eq!(wants.met(&fetches[0], Zxid::NONE), Some(Zxid(1)));
        assert_eq!((wants.oldest(), wants.numbers.len(), wants.entries.unmet()), (None, 0, 0));
        assert!(wants.numbers.capacity() <= 2 * KEPT_MAX);
    }

    #[test]
    fn a_read_is_for_one_want_and_no_later_one_of_its_path() {
        let mut wants = Wants::default();
        for since in [1, 2] {
            wants.want(path(0), Kind::Data, Zxid::NONE, Zxid(since));
            assert_eq!(wants.drop(&path(0)), Some(Zxid(since)));
        }
        wants.want(path(0), Kind::Data, Zxid::NONE, Zxid(3));
        let reads = wants.next_reads().unwrap().fetches.to_vec();
        assert_eq!(reads.len(), 1, "nobody wants the two others: {reads:?}");
        wants.drop(&path(0));
        wants.want(path(0), Kind::Data, Zxid::NONE, Zxid(4));
        assert_eq!(wants.met(&reads[0], Zxid::NONE), None);
        assert_eq!((wants.oldest(), round(&mut wants).len(), wants.oldest()), (Some(Zxid(4)), 1, None));
    }
}
