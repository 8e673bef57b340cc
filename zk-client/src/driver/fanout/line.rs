//! Requests about watches on their way to the session machine.
//!
//! Knows nothing of who listens. Paths are the server's; they are far shorter than a frame may be and were checked when
//! they came in, so encoding cannot fail.

use super::oneshots::{Side, Waiter};
use crate::{caller::Caller, driver::ticket::Ticket};
use std::time::Duration;
use zk_proto::{
    Op, Session, WatchMode, ops,
    records::{AddWatchRequest, GetDataRequest, WatchesRequest},
    session::{Change, EncodedRequest, WatchKind},
    watch::WatcherType,
};

/// Who is told that a watch was removed.
pub(crate) type Removed = Option<Caller>;

/// What a removal removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// A persistent watch alone; servers before 3.9 do not know how.
    Mode(WatchMode),
    /// One-shot watches of a table.
    Side(Side),
    /// Everything on the path.
    All,
}

/// The session machine, and what time it is there.
pub(crate) struct Line<'a> {
    pub(crate) session: &'a mut Session<Ticket>,
    pub(crate) now: Duration,
}

impl Line<'_> {
    fn submit<O: Op>(&mut self, request: &O::Request<'_>, change: Change, ticket: Ticket) {
        if let Ok(encoded) = EncodedRequest::new::<O>(request, usize::MAX) {
            self.session.submit(self.now, encoded, Some(change), ticket);
        }
    }

    pub(super) fn add_watch(&mut self, path: &str, mode: WatchMode, asked: u64) {
        let change = Change::Set(WatchKind::from(mode), path.into());
        let ticket = Ticket::Watch { path: path.into(), mode, asked };
        self.submit::<ops::AddWatch>(&AddWatchRequest { path: path.into(), mode }, change, ticket);
    }

    pub(super) fn remove(&mut self, path: &str, what: Removal, told: Removed) {
        let (watcher_type, change) = match what {
            Removal::Mode(mode) => (mode.watcher_type(), Change::Remove(WatchKind::from(mode), path.into())),
            Removal::Side(Side::Data) => (WatcherType::DATA, Change::Remove(WatchKind::Data, path.into())),
            Removal::Side(Side::Child) => (WatcherType::CHILDREN, Change::Remove(WatchKind::Child, path.into())),
            Removal::All => (WatcherType::ANY, Change::RemoveAll(path.into())),
        };
        let ticket = Ticket::Unwatch { path: path.into(), what, told };
        self.submit::<ops::RemoveWatches>(&WatchesRequest { path: path.into(), watcher_type }, change, ticket);
    }

    /// A request of a caller's that leaves a one-shot watch.
    pub(super) fn read_and_watch(&mut self, request: EncodedRequest, kind: WatchKind, path: &str, ticket: Ticket) {
        self.session.submit(self.now, request, Some(Change::Set(kind, path.into())), ticket);
    }

    /// Looks at one side of a znode, and leaves a one-shot watch there.
    pub(super) fn look(&mut self, path: &str, side: Side, waiter: Waiter) {
        let request = GetDataRequest { path: path.into(), watch: true };
        let kind = if side == Side::Data { WatchKind::Exist } else { WatchKind::Child };
        let change = Change::Set(kind, path.into());
        let ticket = Ticket::Oneshot { path: path.into(), kind, waiter, answer: None };
        match side {
            Side::Data => self.submit::<ops::Exists>(&request, change, ticket),
            Side::Child => self.submit::<ops::GetChildren2>(&request, change, ticket),
        }
    }
}
