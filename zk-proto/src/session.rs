//! The connection-and-session machine of a client, sans-IO.
//!
//! # Rule
//! After **every** call of a method that takes `now`, drain [`poll_event`](Session::poll_event),
//! [`poll_transmit`](Session::poll_transmit) and [`poll_timeout`](Session::poll_timeout), in any order.
//!
//! `T` is the caller's ticket: it goes in with a request and comes back with the reply. Replies match a
//! queue in the order of the requests, because ZooKeeper answers in order.
//!
//! # On a new connection
//! The ConnectRequest, and nothing else until it is answered; then auth packets; then, if wanted, SASL's tokens until the
//! owner says that they did; then the frames that set watches again, then requests (protocol.md sections 2.4 and 6.3).

use crate::{
    code::OpCode,
    frame::{self, Splitter},
    id::{SessionId, Zxid},
    watch::WatchMode,
};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use bytes::BytesMut;
use core::{fmt, time::Duration};
use zeroize::Zeroizing;

mod ending;
mod event;
mod greeting;
mod inbound;
mod inflight;
mod outbound;
mod queue;
mod request;
mod sasl;
mod state;
mod timers;
mod watches;

pub use event::{End, Established, Event, Interruption, Looks, Loss, Outcome, ReplyFailure};
pub use greeting::Credentials;
pub use request::{EncodedRequest, xid};
pub use sasl::SaslFailure;
pub use state::{State, Step};
pub use watches::{Change, REARM_FRAME_BYTES_MAX, WatchKind};

use inflight::{InFlight, Pending, Purpose};
use timers::{Due, Timers};
use watches::Watches;

/// What a session wants and allows.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The wanted session timeout; the server clamps it to its own bounds.
    pub timeout: Duration,
    /// Whether a read-only server will do.
    pub read_only: bool,
    /// After an expiry: make a new session and set all watches again, or end.
    pub renew: bool,
    /// The longest reply that is kept, in bytes.
    pub reply_len_max: usize,
    /// A session to go on with. It counts as heard of at time zero of the owner's clock: start the clock with it.
    pub resume: Option<Credentials>,
    /// The highest zxid seen before: a server behind it is not used. Zero for none.
    pub last_zxid: Zxid,
    /// Whether every connection begins with a SASL exchange; see [`Event::SaslWanted`].
    pub sasl: bool,
    /// The number of the first request; anything but 1 is for tests.
    pub first_xid: i32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            read_only: false,
            renew: true,
            reply_len_max: frame::REPLY_LEN_MAX,
            resume: None,
            last_zxid: Zxid(0),
            sasl: false,
            first_xid: 1,
        }
    }
}

/// Something the server must be told on every connection before requests.
struct Identity<T> {
    scheme: Box<str>,
    auth: Zeroizing<Box<[u8]>>,
    /// Who waits for the first answer.
    ticket: Option<T>,
    /// It was given out on a connection that is gone, and not answered there.
    in_doubt: bool,
}

/// A request that waits for a connection.
struct Waiting<T> {
    request: EncodedRequest,
    change: Option<Change>,
    ticket: T,
}

/// One client session over any number of connections; see the module's rule.
pub struct Session<T> {
    config: SessionConfig,
    state: State,
    credentials: Credentials,
    last_zxid: Zxid,
    /// Every watch was told of what happened up to here; stays behind while watches are being set again.
    watched_zxid: Zxid,
    next_xid: i32,
    splitter: Splitter,
    in_flight: InFlight<T>,
    waiting: VecDeque<Waiting<T>>,
    watches: Watches,
    identities: Vec<Identity<T>>,
    /// Indexes of identities whose auth packet is unanswered, oldest first.
    auths: VecDeque<usize>,
    /// What is told when the SASL exchange is over.
    established: Option<Established>,
    timers: Timers,
    closing: bool,
    ended: Option<End>,
    outbox: BytesMut,
    events: VecDeque<Event<T>>,
}

impl<T> Session<T> {
    /// A session that has no connection yet.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        Self {
            state: State::Down,
            credentials: config.resume.clone().unwrap_or(Credentials::NEW),
            last_zxid: config.last_zxid,
            watched_zxid: config.last_zxid,
            next_xid: config.first_xid,
            splitter: Splitter::new(config.reply_len_max),
            in_flight: InFlight::new(),
            waiting: VecDeque::new(),
            watches: Watches::default(),
            identities: Vec::new(),
            auths: VecDeque::new(),
            established: None,
            timers: Timers::new(config.timeout),
            closing: false,
            ended: None,
            outbox: BytesMut::new(),
            events: VecDeque::new(),
            config,
        }
    }

    /// Where the connection stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// What another process needs to resume this session.
    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The highest zxid seen in a reply.
    #[must_use]
    pub const fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Requests sent and unanswered, and requests that wait for a connection.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.in_flight.len() + self.waiting.len()
    }

    /// Paths on which a watch is set, or will be on the next connection.
    #[must_use]
    pub fn watched_paths(&self) -> usize {
        self.watches.len()
    }

    /// Every watch that is set, or will be on the next connection, by path; a watch of exists on a znode that is there
    /// counts as one of its data. Paths are the server's.
    pub fn watches(&self) -> impl Iterator<Item = (&str, WatchKind)> {
        self.watches.iter()
    }

    /// Whether a persistent watch is set, or will be on the next connection. The path is the server's.
    #[must_use]
    pub fn is_watched(&self, path: &str, mode: WatchMode) -> bool {
        self.watches.has(path, mode)
    }

    /// Sends a request, or keeps it until a server has taken us. `change` says what it does to watches.
    ///
    /// The ticket comes back once, in [`Event::Reply`] or [`Event::Interrupted`].
    pub fn submit(&mut self, now: Duration, request: EncodedRequest, change: Option<Change>, ticket: T) {
        if let Some(by) = self.refuses() {
            self.events.push_back(Event::Interrupted { ticket, by, outcome: Outcome::NotSent });
            return;
        }
        if let Some(change) = &change {
            self.watches.submitted(change);
        }
        if self.state == State::Up {
            self.send(now, request, change, ticket);
        } else {
            self.waiting.push_back(Waiting { request, change, ticket });
        }
    }

    /// Adds an identity to this and every later connection. The ticket comes back with the first answer. Until it has left,
    /// [`withdraw`](Self::withdraw) takes it back.
    ///
    /// The time does not count as the last sending: servers do not take auth packets for a sign of life,
    /// so they must not put off a ping.
    pub fn add_auth(&mut self, _now: Duration, scheme: &str, auth: &[u8], ticket: T) {
        if let Some(by) = self.refuses() {
            self.events.push_back(Event::Interrupted { ticket, by, outcome: Outcome::NotSent });
            return;
        }
        let index = self.identities.len();
        let auth = Zeroizing::new(auth.into());
        self.identities.push(Identity { scheme: scheme.into(), auth, ticket: Some(ticket), in_doubt: false });
        if self.identities_are_sent() {
            self.send_auth(index);
        }
    }

    /// Ends the session at the server, behind all requests submitted so far; [`Event::Ended`] follows, at
    /// the latest with the end of the connection. Without a connection it follows at once.
    pub fn close(&mut self, now: Duration) {
        if self.closing || self.state == State::Ended {
            return;
        }
        self.closing = true;
        if self.state == State::Up {
            let xid = self.put_frame(now, OpCode::CLOSE_SESSION, 0, |_| {});
            self.in_flight.push(Pending { xid, purpose: Purpose::Close, change: None });
        } else {
            self.end(End::Closed);
        }
    }

    /// A transport to a server stands; the greeting must be answered within `patience`.
    pub fn handle_dialed(&mut self, now: Duration, patience: Duration) {
        if !self.step(Step::Dialed) {
            return;
        }
        self.splitter = Splitter::new(self.config.reply_len_max);
        self.timers.greeting_until = now.saturating_add(patience);
        self.timers.sent = now;
        self.ask_for_session();
    }

    /// Bytes arrived; what is left in `inbox` belongs to a frame that is not whole yet.
    pub fn handle_bytes(&mut self, now: Duration, inbox: &mut BytesMut) {
        loop {
            if self.state == State::Greeting
                && let Err(why) = greeting::check_prefix(inbox)
            {
                self.lose(why);
            }
            if !matches!(self.state, State::Greeting | State::Authenticating | State::Up) {
                inbox.clear();
                return;
            }
            let was_skipping = self.splitter.is_skipping();
            let next = self.splitter.next_frame(inbox);
            if was_skipping && !self.splitter.is_skipping() {
                // The end of a frame that is thrown away is as good as any other's.
                self.timers.hear(now);
            }
            match next {
                Ok(Some(frame)) => self.handle_frame(now, frame),
                Ok(None) => {
                    self.timers.hear_part(now, self.splitter.unfinished(inbox));
                    return;
                }
                Err(error) => self.lose(Loss::Frame(error)),
            }
        }
    }

    /// How many bytes are missing behind `inbox` to the end of the frame that it begins with: room for them spares
    /// moving what is here. At most the longest reply that is kept; zero while the length is not known.
    #[must_use]
    pub fn missing(&self, inbox: &BytesMut) -> usize {
        self.splitter.missing(inbox)
    }

    /// The transport is gone.
    pub fn handle_closed(&mut self) {
        match self.state {
            State::Greeting => self.lose(Loss::NoAnswer { last_zxid: self.last_zxid }),
            State::Authenticating => self.lose(Loss::SaslUnanswered),
            State::Up => self.lose(Loss::Transport),
            State::Down | State::Ended => {}
        }
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come, or any other time.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some((at, due)) = self.next_due() {
            if now < at {
                return;
            }
            match due {
                Due::Ping => {
                    self.put_header(xid::PING, OpCode::PING, 0);
                    self.timers.sent = now;
                }
                Due::Silent => self.lose(Loss::Silent),
                Due::Expiry => {
                    if self.state != State::Down {
                        self.lose(Loss::Silent);
                    }
                    self.expire();
                }
            }
        }
    }

    /// Bytes for the transport, everything there is. A request counts as sent once it was given out here, whatever becomes
    /// of the bytes; until then, a lost connection makes it wait for the next one, and a reply to it ends the connection.
    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        (!self.outbox.is_empty()).then(|| self.outbox.split())
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called although nothing arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.next_due().map(|(at, _)| at)
    }

    /// The earliest deadline of this state.
    fn next_due(&self) -> Option<(Duration, Due)> {
        let timers = &self.timers;
        match self.state {
            State::Up => {
                let (ping, silent) = (timers.ping_at(), timers.silent_at());
                Some(if ping < silent { (ping, Due::Ping) } else { (silent, Due::Silent) })
            }
            State::Greeting | State::Authenticating => {
                let silent = (timers.greeting_until, Due::Silent);
                Some(self.expiry().filter(|expiry| expiry.0 <= silent.0).unwrap_or(silent))
            }
            State::Down => self.expiry(),
            State::Ended => None,
        }
    }

    /// When the servers have given up the session, if there is one.
    fn expiry(&self) -> Option<(Duration, Due)> {
        (self.credentials.id != SessionId::NONE).then(|| (self.timers.expiry_at(), Due::Expiry))
    }

    /// Takes a step of the state table; a step that cannot happen changes nothing.
    fn step(&mut self, step: Step) -> bool {
        match self.state.next(step) {
            Some(state) => {
                self.state = state;
                true
            }
            None => false,
        }
    }

    fn refuses(&self) -> Option<Interruption> {
        self.ended.map(End::interruption).or(self.closing.then_some(Interruption::Closed))
    }
}

impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state)
            .field("id", &self.credentials.id)
            .field("last_zxid", &self.last_zxid)
            .field("in_flight", &self.in_flight.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
