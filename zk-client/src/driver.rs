//! The one task of a session: it owns the socket and the protocol machine.
//!
//! The only timer of the crate is here, and it waits in one place (`waiting`). A turn is: wait for anything, hand it to
//! the machine, hand out everything that came of it, write everything in one go.

use crate::{
    connect_string::{HostPort, Servers},
    connector::Settings,
    error::Unreachable,
    session_events::Announcer,
    state::SessionState,
    sweep::Sweep,
};
use bytes::{Buf, BytesMut};
use std::{collections::VecDeque, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use zk_proto::{Session, SessionId, frame::TooLarge, session::Credentials};

mod batching;
mod consumers;
mod deadlines;
mod dispatch;
mod ending;
pub(crate) mod fanout;
pub(crate) mod hosts;
pub(crate) mod identity;
mod inbox;
mod intake;
mod link;
mod others;
mod seeking;
mod servers;
pub(crate) mod ticket;
mod waiting;
mod watching;

use batching::Batching;
use consumers::Consumer;
use deadlines::Deadlines;
use fanout::Fanout;
use hosts::{Attempted, Hosts};
use identity::Identity;
use inbox::Inbox;
use link::Link;
use others::Others;
use seeking::{Found, Seeking};
use ticket::{Command, ConsumerId, Ticket};

/// Requests on their way or waiting in the machine; more wait in the handles' queue.
const IN_FLIGHT_MAX: usize = 16 * 1024;

/// Commands taken in one turn.
const COMMANDS_A_TURN: usize = 256;

/// What the driver tells its handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How often every host has failed since the last connection.
    pub(crate) rounds: u32,
    pub(crate) unreachable: Unreachable,
}

/// What one wait brought.
enum Turn {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Attempted(Attempted),
    /// A server that takes writes, while a read-only one serves us.
    Found(Found),
    Commands(usize),
    /// There is room for commands that were received before.
    Held,
    Time,
    /// A handle has rung.
    Rung,
}

/// Facts of the connection that stands.
#[derive(Clone, Copy, Debug)]
struct Connection {
    server: SocketAddr,
    session: SessionId,
    timeout: Duration,
}

/// In the order in which it lies in memory: first what a turn hardly looks at, then together what every turn does. Other sessions'
/// turns lie between two of this one's, so each line is fetched anew.
#[repr(C)]
pub(crate) struct Driver {
    settings: Settings,
    hosts: Hosts,
    /// Where the transport leads, while there is one.
    peer: Option<(String, SocketAddr)>,
    connection: Option<Connection>,
    /// When servers may give up a session that is suspended: they count from the request that they answered last.
    lives_until: Instant,
    identity: Identity,
    /// Why the transport failed, where it said so.
    transport_error: Option<String>,
    /// The session that expired, until another one stands.
    replaced: Option<SessionId>,
    progress: watch::Sender<Progress>,
    credentials: watch::Sender<Option<Credentials>>,
    /// Consumers there ever were.
    attached: u64,
    batching: Batching,
    /// While a read-only server serves us.
    seeking: Option<Seeking>,
    commands: mpsc::Receiver<Command>,
    batch: Vec<Command>,
    sweep: Arc<Sweep>,

    session: Session<Ticket>,
    fanout: Fanout,
    link: Link,
    inbox: Inbox,
    outbox: BytesMut,
    /// The machine's clock counts from here.
    epoch: Instant,
    /// When this turn began: its time, for everybody.
    turn_at: Instant,
    /// The same by the machine's clock.
    now: Duration,
    /// When something arrived last.
    heard_at: Instant,
    consumers: Vec<Option<Consumer>>,
    /// Consumers that an event is for; kept to allocate nothing.
    meant: Vec<ConsumerId>,
    refused: Vec<(ConsumerId, u64, TooLarge)>,
    /// The servers that a consumer says are to be used.
    followed: Option<Vec<HostPort>>,
    /// Commands that were received and not carried out yet.
    held: VecDeque<Command>,
    state: Announcer,
    deadlines: Deadlines,
    close_by: Option<Instant>,
    /// The server is to be left for another one, by then at the latest.
    moving_by: Option<Instant>,
    /// The longest request that is sent: the settings', for consumers, where a turn finds it.
    request_len_max: usize,
    others: Others,
    /// The last turn was the link's.
    had_link: bool,
    /// The timer has fired since it was set.
    is_time_over: bool,
    /// Once nothing is on its way that somebody called for, the session is left.
    is_leaving: bool,
    ended: bool,
}

/// The driver's ends of everything it shares with handles.
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) sweep: Arc<Sweep>,
    pub(crate) state: Announcer,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) credentials: watch::Sender<Option<Credentials>>,
}

impl Driver {
    pub(crate) fn new(settings: Settings, servers: Servers, ends: Ends) -> Self {
        let epoch = Instant::now();
        Self {
            session: Session::new(settings.session.clone()),
            hosts: Hosts::new(servers, settings.reconnect_spread),
            link: Link::Down(None),
            peer: None,
            connection: None,
            heard_at: epoch,
            lives_until: epoch,
            identity: Identity::default(),
            transport_error: None,
            replaced: None,
            inbox: Inbox::default(),
            outbox: BytesMut::new(),
            fanout: Fanout::new(ends.sweep.clone()),
            consumers: Vec::new(),
            attached: 0,
            meant: Vec::new(),
            refused: Vec::new(),
            followed: None,
            commands: ends.commands,
            batch: Vec::with_capacity(COMMANDS_A_TURN),
            held: VecDeque::new(),
            batching: Batching::new(settings.batch_reads, settings.request_len_max),
            deadlines: Deadlines::new(epoch),
            sweep: ends.sweep,
            close_by: None,
            moving_by: None,
            seeking: None,
            state: ends.state,
            progress: ends.progress,
            credentials: ends.credentials,
            is_leaving: false,
            ended: false,
            others: Others::unasked(),
            had_link: false,
            is_time_over: true,
            request_len_max: settings.request_len_max,
            epoch,
            turn_at: epoch,
            now: Duration::ZERO,
            settings,
        }
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "its future would hold the driver twice: as it was given, and where it moved"
    )]
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            let mut timer = pin!(tokio::time::sleep_until(Instant::now()));
            while !self.ended {
                if matches!(self.link, Link::Down(None)) {
                    let (dial, left) = (self.settings.dial.clone(), self.session_left());
                    self.link = Link::Down(Some(self.hosts.attempt(dial, self.settings.session.timeout, left)));
                }
                // A deadline that moved away, as a ping's does with every request, is left to fire for nothing:
                // that is cheaper than moving the timer each time.
                if let Some(deadline) = self.deadline()
                    && (self.is_time_over || deadline < timer.deadline())
                {
                    timer.as_mut().reset(deadline);
                    self.is_time_over = false;
                    self.others.ask_again();
                }
                let turn = self.wait(timer.as_mut()).await;
                self.turn_at = Instant::now();
                self.now = self.turn_at.saturating_duration_since(self.epoch);
                self.take(turn);
                self.settle();
                let has_parted = if self.is_leaving { self.hang_up() } else { self.move_on() };
                if has_parted {
                    self.settle();
                }
                self.state.saw(self.session.last_zxid());
                link::write_now(&mut self.link, &mut self.outbox).await;
            }
            self.abandon_commands();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let machine = self.session.poll_timeout().map(|at| self.epoch + at);
        let mut earliest = machine;
        let mut consider = |at: Option<Instant>| {
            if let Some(at) = at
                && earliest.is_none_or(|earliest| at < earliest)
            {
                earliest = Some(at);
            }
        };
        self.consumers.iter().flatten().for_each(|consumer| consider(consumer.inline.poll_timeout()));
        consider(self.deadlines.next());
        consider(self.close_by);
        consider(self.moving_by);
        earliest
    }

    fn take(&mut self, turn: Turn) {
        let now = self.now;
        match turn {
            Turn::Read(Ok(0)) | Turn::Wrote(Ok(0)) => self.session.handle_closed(),
            Turn::Read(Ok(_)) => {
                self.heard_at = self.turn_at;
                self.inbox.hand_to(&mut self.session, now);
            }
            Turn::Wrote(Ok(written)) => self.outbox.advance(written),
            Turn::Read(Err(error)) | Turn::Wrote(Err(error)) => {
                tracing::debug!(%error, "transport failed");
                self.transport_error = Some(error.to_string());
                self.session.handle_closed();
            }
            Turn::Attempted(attempted) => self.attempted(attempted),
            Turn::Found(found) => self.found(found),
            Turn::Commands(0) => self.begin_end(),
            Turn::Commands(_) => self.take_commands(),
            Turn::Held => self.run_commands(COMMANDS_A_TURN),
            Turn::Time => {
                self.session.handle_timeout(now);
                self.expire_calls();
                if self.close_by.is_some_and(|by| by <= Instant::now()) {
                    self.session.handle_closed();
                }
            }
            Turn::Rung => {
                self.sweep();
                if self.sweep.bell.farewell().is_some() {
                    self.begin_end();
                }
            }
        }
    }

    fn attempted(&mut self, mut attempted: Attempted) {
        self.hosts.dialed(&mut attempted);
        let Some((server, addr, transport)) = attempted.stands else {
            self.link = Link::Down(None);
            return self.attempt_failed();
        };
        if let Some(error) = self.overheard(addr) {
            self.link = Link::Down(None);
            self.hosts.note(server, error.to_string());
            return self.attempt_failed();
        }
        self.outbox.clear();
        self.link = Link::Up(transport);
        self.peer = Some((server, addr));
        let patience = self.hosts.patience(self.settings.session.timeout, self.session_left());
        let now = self.now;
        self.session.handle_dialed(now, patience);
    }

    /// What a session that waits for a server has to live at least.
    fn session_left(&self) -> Option<Duration> {
        let is_suspended = matches!(*self.state.borrow(), SessionState::Suspended { .. });
        is_suspended.then(|| self.lives_until.saturating_duration_since(Instant::now()))
    }

    fn attempt_failed(&mut self) {
        self.hosts.failed();
        self.tell_progress();
        if self.hosts.is_stuck() && self.session.credentials().id == SessionId::NONE {
            self.give_up_waiting();
        }
    }

    fn tell_progress(&self) {
        self.progress.send_replace(Progress { rounds: self.hosts.rounds, unreachable: self.hosts.unreachable() });
    }
}
