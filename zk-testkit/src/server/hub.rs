//! The model behind a lock, and everything that its sockets share: who is to be woken, what is broken on purpose.
//!
//! Must not know how bytes get to a socket. The lock is never held across an await.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{sync::Notify, time::Instant};
use zk_proto::AuthId;

use super::{
    model::{Close, ConnId, Model, Output},
    tap::Tap,
};

/// What is broken on purpose at one member.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// Nothing gets through, in neither direction.
    pub(super) black_hole: bool,
    /// Requests are carried out, and nobody is told.
    pub(super) hold_replies: bool,
    pub(super) delay: Duration,
    /// How much later requests arrive.
    pub(super) delay_in: Duration,
    /// After how many bytes to the client the next connection ends.
    pub(super) cut_next: Option<usize>,
    /// After how many bytes from the client the next connection ends.
    pub(super) cut_next_in: Option<usize>,
    /// To the client go at most this many bytes at a time, and then nothing for so long.
    pub(super) trickle: Option<(usize, Duration)>,
    /// Nothing is read from sockets.
    pub(super) deaf: bool,
    /// The server's side of every connection is shut; it still reads.
    pub(super) half_close: bool,
    /// Connections over this number are closed at once.
    pub(super) connections_max: Option<usize>,
}

/// One front door.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) faults: Faults,
    pub(super) serving: bool,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) model: Model,
    pub(super) members: Vec<Member>,
    links: HashMap<ConnId, Wire>,
}

/// A connection as the hub knows it.
#[derive(Debug)]
struct Wire {
    member: usize,
    wake: Arc<Notify>,
    bytes_in: u64,
    bytes_out: u64,
}

/// A new connection, as its task needs it.
pub(super) struct Link {
    pub(super) id: ConnId,
    pub(super) wake: Arc<Notify>,
    pub(super) cut_after: Option<usize>,
    pub(super) cut_after_in: Option<usize>,
}

/// What a connection's task is to do next.
pub(super) struct Turn {
    pub(super) output: Output,
    pub(super) faults: Faults,
}

/// Shared by all members and all their connections.
#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    started: Instant,
    /// Told after everything that happens; see [`changed`](Self::changed).
    changes: Notify,
    /// Who is told of what passes.
    pub(super) tap: Option<Tap>,
    /// Told when something is due between two ticks.
    pace: Arc<Notify>,
}

impl Hub {
    pub(super) fn new(model: Model, members: usize, tap: Option<Tap>) -> Arc<Self> {
        let tick = model.tick().max(Duration::from_millis(1));
        let members = std::iter::repeat_with(Member::default).take(members).collect();
        let hub = Arc::new(Self {
            state: Mutex::new(State { model, members, links: HashMap::new() }),
            started: Instant::now(),
            changes: Notify::new(),
            tap,
            pace: Arc::new(Notify::new()),
        });
        tokio::spawn(keep_pace(Arc::downgrade(&hub), Arc::clone(&hub.pace), hub.started));
        tokio::spawn(keep_time(Arc::downgrade(&hub), hub.started, tick));
        hub
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the start, on the runtime's clock.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Runs something on the model, and wakes whom it concerns.
    pub(super) fn act<R>(&self, run: impl FnOnce(&mut State, Duration) -> R) -> R {
        let now = self.now();
        let mut state = self.lock();
        let result = run(&mut state, now);
        self.settle(state, None);
        self.changes.notify_waiters();
        result
    }

    /// Wakes whom a change concerns.
    fn settle(&self, mut state: MutexGuard<'_, State>, but: Option<ConnId>) {
        state.wake_ready(but);
        if state.model.poll_pace().is_some() {
            self.pace.notify_one();
        }
    }

    /// Waits until a condition holds that something on this server makes true.
    pub(super) async fn changed(&self, mut condition: impl FnMut(&State) -> bool) {
        loop {
            let change = self.changes.notified();
            tokio::pin!(change);
            change.as_mut().enable();
            if condition(&self.lock()) {
                return;
            }
            change.await;
        }
    }

    pub(super) fn open(&self, member: usize, peer: SocketAddr, identity: Option<AuthId>) -> Option<Link> {
        let wake = Arc::new(Notify::new());
        self.act(|state, now| {
            let open = state.links.values().filter(|wire| wire.member == member).count();
            let faults = &mut state.members.get_mut(member).filter(|member| member.serving)?.faults;
            if faults.connections_max.is_some_and(|max| open >= max) {
                return None;
            }
            let (cut_after, cut_after_in) = (faults.cut_next.take(), faults.cut_next_in.take());
            let id = state.model.open(now, member, peer);
            if let Some(identity) = identity {
                state.model.identify(id, identity);
            }
            let wire = Wire { member, wake: Arc::clone(&wake), bytes_in: 0, bytes_out: 0 };
            state.links.insert(id, wire);
            Some(Link { id, wake, cut_after, cut_after_in })
        })
    }

    pub(super) fn close(&self, id: ConnId) {
        self.act(|state, _| {
            state.model.close(id);
            state.links.remove(&id);
        });
    }

    /// Hands over what has arrived, takes what is to be written, and wakes the tasks of other connections, all in one
    /// turn: that keeps every connection's output in the order of the commits.
    pub(super) fn turn(&self, id: ConnId, member: usize, inbox: &mut BytesMut) -> Turn {
        let now = self.now();
        let mut state = self.lock();
        let faults = state.members.get(member).map(|member| member.faults).unwrap_or_default();
        let had_input = !inbox.is_empty();
        if had_input && !faults.black_hole {
            state.model.handle_bytes(now, id, inbox);
        }
        let output = if (faults.black_hole || faults.hold_replies) && !state.model.is_aborted(id) {
            Output::default()
        } else {
            state.model.take_output(id)
        };
        self.settle(state, Some(id));
        if had_input {
            self.changes.notify_waiters();
        }
        Turn { output, faults }
    }

    pub(super) fn count(&self, id: ConnId, bytes_in: usize, bytes_out: usize) {
        let mut state = self.lock();
        let State { members, links, .. } = &mut *state;
        let Some(wire) = links.get_mut(&id) else { return };
        wire.bytes_in += bytes_in as u64;
        wire.bytes_out += bytes_out as u64;
        if let Some(member) = members.get_mut(wire.member) {
            member.bytes_in += bytes_in as u64;
            member.bytes_out += bytes_out as u64;
        }
    }

    /// Bytes from and to the client of a connection that stands.
    pub(super) fn bytes_of(&self, id: ConnId) -> Option<(u64, u64)> {
        self.lock().links.get(&id).map(|wire| (wire.bytes_in, wire.bytes_out))
    }

    /// Changes what is broken at a member; its connections look again.
    pub(super) fn set_faults(&self, member: usize, change: impl FnOnce(&mut Faults)) {
        self.act(|state, _| {
            if let Some(member) = state.members.get_mut(member) {
                change(&mut member.faults);
            }
            for wire in state.links.values().filter(|wire| wire.member == member) {
                wire.wake.notify_one();
            }
        });
    }

    /// Ends every connection of a member.
    pub(super) fn drop_connections(&self, member: usize, how: Close) {
        self.act(|state, _| state.model.hang_up_member(member, how));
    }

    /// Waits until no socket of a member is open.
    pub(super) async fn drained(&self, member: usize) {
        self.changed(|state| state.links.values().all(|wire| wire.member != member)).await;
    }
}

impl State {
    fn wake_ready(&mut self, but: Option<ConnId>) {
        while let Some(id) = self.model.poll_ready() {
            if but != Some(id)
                && let Some(wire) = self.links.get(&id)
            {
                wire.wake.notify_one();
            }
        }
    }
}

/// Wakes the model at every tick: deadlines are multiples of it. Stands still while no member serves.
async fn keep_time(hub: Weak<Hub>, started: Instant, tick: Duration) {
    let mut interval = tokio::time::interval_at(started + tick, tick);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        let Some(hub) = hub.upgrade() else { return };
        hub.act(|state, now| {
            if state.members.iter().any(|member| member.serving) {
                state.model.handle_timeout(now);
            }
        });
    }
}

/// Wakes the model between ticks, when a member that lags by time or an election is due.
async fn keep_pace(hub: Weak<Hub>, pace: Arc<Notify>, started: Instant) {
    loop {
        let due = match hub.upgrade() {
            Some(hub) => hub.lock().model.poll_pace(),
            None => return,
        };
        let Some(due) = due else {
            pace.notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep_until(started + due) => {
                let Some(hub) = hub.upgrade() else { return };
                hub.act(|state, now| state.model.handle_timeout(now));
            }
            () = pace.notified() => {}
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.pace.notify_one();
    }
}
