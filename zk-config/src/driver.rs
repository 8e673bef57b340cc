//! The mirror inside the client's driver: the only file here that asks the client for anything.

use crate::{
    changes::{Batch, Item, Told, Update},
    machine::{Fetch, Kind, Machine, Output, Reads},
    mirror::Shared,
    status::MirrorError,
};
use std::sync::{Arc, OnceLock, atomic::Ordering};
use tokio::time::Instant;
use zk_client::{Answer, Inline, InlineState, Input, Read, Refusal, Requests, Token, WatchMode};

/// The watch's token; reads count from 1.
const WATCH: Token = 0;

/// A mirror as the client's driver sees it.
pub(crate) struct Driven {
    machine: Machine,
    shared: Arc<Shared>,
    /// Subscribers were told that nothing more will come.
    told_end: bool,
}

impl Driven {
    pub(crate) const fn new(machine: Machine, shared: Arc<Shared>) -> Self {
        Self { machine, shared, told_end: false }
    }

    /// Hands new snapshots and marks to readers: first the snapshot, then what is told of it.
    fn publish(&mut self) {
        while let Some(output) = self.machine.next_output() {
            let snapshot = match &output {
                Output::Snapshot { snapshot, .. } => snapshot,
                Output::Gap(snapshot, reason) => {
                    tracing::info!(root = %snapshot.root, revision = %snapshot.revision, ?reason, "mirror is stale");
                    snapshot
                }
                Output::Resynced(snapshot) => {
                    let (revision, nodes) = (snapshot.revision, snapshot.len());
                    tracing::info!(root = %snapshot.root, %revision, nodes, "mirror is live");
                    snapshot
                }
            };
            let replaced = self.shared.snapshot.swap(snapshot.clone());
            self.shared.updates.send(|| item(output));
            // What only it held is freed now, or written to next: whoever is told need not wait for that.
            self.machine.retired(replaced);
        }
        let status = &self.shared.status;
        status.send_if_modified(|told| {
            let changed = told != self.machine.status();
            if changed {
                told.clone_from(self.machine.status());
            }
            // Who begins to watch the status later than this sees it: it is locked.
            changed && status.receiver_count() > 0
        });
        // Behind the status: see `Mirror::subscribe`.
        if self.machine.status().is_over() && !std::mem::replace(&mut self.told_end, true) {
            let snapshot = self.shared.snapshot.load_full();
            self.shared.updates.send(|| Item { told: Told::End, snapshot });
        }
    }

    fn state(&mut self, state: InlineState, requests: &mut Requests<'_>) {
        match state {
            InlineState::Connected { .. } if self.machine.connected(requests.now()) => {
                requests.watch(WATCH, &self.shared.root, WatchMode::PERSISTENT_RECURSIVE);
            }
            InlineState::Connected { .. } => {}
            InlineState::Disconnected => self.machine.disconnected(),
            InlineState::Expired => self.machine.expired(),
            InlineState::Ended(end) => self.machine.ended(end),
        }
    }
}

/// Nobody publishes any more, for whatever reason. Readers may keep what is shared.
impl Drop for Driven {
    fn drop(&mut self) {
        self.shared.updates.end();
    }
}

impl Inline for Driven {
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>) {
        match input {
            Input::State(state) => self.state(state, requests),
            Input::Event(event) => return self.machine.event(requests.now(), event),
            Input::Answer { token: WATCH, answer, .. } => {
                let result = match answer {
                    Answer::Refused(Refusal::WatchConflict) => Err(MirrorError::WatchConflict),
                    Answer::Refused(Refusal::Server(code)) => Err(MirrorError::Watch(code)),
                    Answer::Refused(_)
                    | Answer::Watching
                    | Answer::Data(..)
                    | Answer::Children(..)
                    | Answer::Many(_) => Ok(()),
                };
                self.machine.watch_answered(requests.now(), result);
            }
            Input::Answer { token, zxid, answer } => self.machine.answered(requests.now(), token, zxid, answer),
            Input::Bookmark(zxid) => self.machine.bookmark(requests.now(), zxid),
            // The machine takes all its requests back when the connection is lost.
            Input::Interrupted { .. } => return,
        }
        self.publish();
    }

    fn flush(&mut self, requests: &mut Requests<'_>) {
        while let Some(Reads { token, fetches }) = self.machine.next_reads() {
            match fetches {
                [Fetch { path, kind: Kind::Data, .. }] => requests.get_data(token, path),
                [Fetch { path, kind: Kind::Children, .. }] => requests.get_children(token, path),
                several => requests.read_many(token, several.iter().map(read)),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn is_done(&self) -> bool {
        self.shared.dropped.load(Ordering::Acquire) || self.machine.status().is_over()
    }
}

/// What subscribers are told of it.
fn item(output: Output) -> Item {
    let (snapshot, told) = match output {
        Output::Snapshot { snapshot, changes: None } => (snapshot, Told::First(Arc::new(OnceLock::new()))),
        Output::Snapshot { snapshot, changes: Some(changes) } => {
            let (revision, exact) = (snapshot.revision, snapshot.exact);
            (snapshot, Told::Update(Update::Changes(Arc::new(Batch { revision, exact, changes }))))
        }
        Output::Gap(snapshot, reason) => (snapshot, Told::Update(Update::Gap(reason))),
        Output::Resynced(snapshot) => {
            let revision = snapshot.revision;
            (snapshot, Told::Update(Update::Resynced { revision }))
        }
    };
    Item { told, snapshot }
}

fn read(fetch: &Fetch) -> Read<'_> {
    match fetch.kind {
        Kind::Data => Read::Data(&fetch.path),
        Kind::Children => Read::Children(&fetch.path),
    }
}
