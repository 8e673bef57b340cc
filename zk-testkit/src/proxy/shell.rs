//! The tasks that carry bytes between two sockets as a pipe says, and what they share.
//!
//! Must not know what is wrong with a line. The lock is never held across an await.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    fault::{End, Line, Rule},
    frames::{FrameSeen, Towards},
    pipe::Pipe,
    side::{Side, Wire},
};

/// Frames that the log keeps, the newest.
const LOG_LEN_MAX: usize = 65_536;

/// What went in one direction, over all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames that came to the proxy.
    pub frames: u64,
    /// Bytes that came to the proxy.
    pub bytes: u64,
    /// Bytes that were passed on.
    pub passed: u64,
}

/// What is set for a direction of all connections.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) line: Line,
    pub(super) rules: Vec<Rule>,
    pub(super) traffic: Traffic,
}

#[derive(Debug)]
struct Link {
    pipe: Pipe,
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    to_server: Standing,
    to_client: Standing,
    links: BTreeMap<u64, Link>,
    next_link: u64,
    pub(super) log: VecDeque<FrameSeen>,
}

impl State {
    pub(super) const fn standing(&mut self, towards: Towards) -> &mut Standing {
        match towards {
            Towards::Server => &mut self.to_server,
            Towards::Client => &mut self.to_client,
        }
    }

    /// Does something to every connection.
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut Pipe)) {
        for link in self.links.values_mut() {
            change(&mut link.pipe);
            link.wake.notify_one();
        }
    }

    pub(super) fn links(&self) -> usize {
        self.links.len()
    }
}

/// Shared by the proxy's handle and its connections.
#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    started: Instant,
    seed: u64,
    changes: Notify,
}

impl Hub {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), started: Instant::now(), seed, changes: Notify::new() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until a condition holds that something on a connection makes true.
    pub(super) async fn changed<R>(&self, mut look: impl FnMut(&State) -> Option<R>) -> R {
        loop {
            let change = self.changes.notified();
            tokio::pin!(change);
            change.as_mut().enable();
            if let Some(found) = look(&self.lock()) {
                return found;
            }
            change.await;
        }
    }

    fn open(&self) -> (u64, Arc<Notify>) {
        let (now, wake) = (self.now(), Arc::new(Notify::new()));
        let mut state = self.lock();
        let number = state.next_link;
        state.next_link += 1;
        let mut pipe = Pipe::new(number, self.seed);
        for towards in [Towards::Server, Towards::Client] {
            let standing = state.standing(towards);
            pipe.set_line(towards, standing.line.clone());
            standing.rules.retain(|rule| !rule.is_spent());
            for rule in &standing.rules {
                pipe.add_rule(now, towards, rule.clone());
            }
        }
        state.links.insert(number, Link { pipe, wake: Arc::clone(&wake) });
        drop(state);
        self.changes.notify_waiters();
        (number, wake)
    }

    fn close(&self, number: u64) {
        self.lock().links.remove(&number);
        self.changes.notify_waiters();
    }
}

/// Connects a client that has come to the target, and serves the connection.
pub(super) async fn connect(hub: Arc<Hub>, client: TcpStream, dial: impl Future<Output = io::Result<TcpStream>>) {
    match dial.await {
        Ok(server) => {
            // what fails here fails at the first read too
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            join(hub, client, server).await;
        }
        Err(_) => client.reset_on_drop(),
    }
}

/// Serves one connection until it ends.
pub(super) async fn join(hub: Arc<Hub>, client: impl Wire, server: impl Wire) {
    let (number, wake) = hub.open();
    let (mut client, mut server) = (Side::new(client, Towards::Server), Side::new(server, Towards::Client));
    let how = transfer(&hub, number, &wake, &mut client, &mut server).await;
    if how == End::Reset {
        client.wire.reset_on_drop();
        server.wire.reset_on_drop();
    } else {
        let _ = (client.wire.shutdown().await, server.wire.shutdown().await);
        client.drain().await;
        server.drain().await;
    }
    // the sockets go first: who waits for the connection's end finds them closed
    drop((client, server));
    hub.close(number);
}

async fn transfer<C: Wire, S: Wire>(
    hub: &Hub,
    number: u64,
    wake: &Notify,
    client: &mut Side<C>,
    server: &mut Side<S>,
) -> End {
    let (mut client_done, mut server_done) = (false, false);
    loop {
        let Some(turn) = hub.turn(number, client, server) else { return End::Reset };
        for (end, done) in [(turn.to_client, &mut client_done), (turn.to_server, &mut server_done)] {
            match end {
                Some(how @ (End::Close | End::Reset)) => return how,
                Some(End::HalfClose) => *done = true,
                None => {}
            }
        }
        // a FIN that cannot be sent is one that is not needed
        if turn.to_client.is_some() {
            let _ = client.wire.shutdown().await;
        }
        if turn.to_server.is_some() {
            let _ = server.wire.shutdown().await;
        }
        if (client_done || client.is_deaf) && (server_done || server.is_deaf) {
            return End::Close;
        }
        let due = turn.due.map(|due| hub.started + due);
        let io = std::future::poll_fn(|cx| {
            let from_server = server.poll(cx, turn.reads_server);
            let from_client = client.poll(cx, turn.reads_client);
            if from_server.is_ready() { from_server } else { from_client }
        });
        tokio::select! {
            // what has changed counts before anything more is read
            biased;
            () = wake.notified() => {}
            () = io => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
    }
}

/// What a connection's task is to do next.
struct Turn {
    to_client: Option<End>,
    to_server: Option<End>,
    reads_client: bool,
    reads_server: bool,
    due: Option<Duration>,
}

impl Hub {
    /// Hands over what has come, and takes what is to be written.
    fn turn<C>(&self, number: u64, client: &mut Side<C>, server: &mut Side<impl Wire>) -> Option<Turn>
    where
        C: Wire,
    {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let pipe = &mut state.links.get_mut(&number)?.pipe;
        state.to_server.traffic.bytes += client.hand_over(now, pipe);
        state.to_client.traffic.bytes += server.hand_over(now, pipe);
        while let Some(frame) = pipe.poll_frame() {
            let traffic = match frame.towards {
                Towards::Server => &mut state.to_server.traffic,
                Towards::Client => &mut state.to_client.traffic,
            };
            traffic.frames += 1;
            if state.log.len() == LOG_LEN_MAX {
                state.log.pop_front();
            }
            state.log.push_back(frame);
        }
        if pipe.abandoned().is_some() {
            client.outbox.clear();
            server.outbox.clear();
        }
        let (to_client, to_client_len) = client.take(now, pipe);
        let (to_server, to_server_len) = server.take(now, pipe);
        state.to_client.traffic.passed += to_client_len;
        state.to_server.traffic.passed += to_server_len;
        let (reads_client, reads_server) = (pipe.wants(Towards::Server), pipe.wants(Towards::Client));
        // a side that is being written to has its next turn when that is done
        let to_client_due = pipe.next_due(Towards::Client).filter(|_| client.outbox.is_empty());
        let to_server_due = pipe.next_due(Towards::Server).filter(|_| server.outbox.is_empty());
        let due = [to_client_due, to_server_due].into_iter().flatten().min();
        drop(guard);
        self.changes.notify_waiters();
        Some(Turn { to_client, to_server, reads_client, reads_server, due })
    }
}
