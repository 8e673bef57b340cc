//! The handle: what all operations share. The operations themselves are in files of their own.

use crate::{
    bell::Farewell,
    call::{Call, Finish, Outcomes},
    caller::Caller,
    connector::Connector,
    driver::{Progress, ticket::Command},
    error::{Error, Unreachable, UsageError},
    inline::Inline,
    secret::Secret,
    session_events::SessionLog,
    state::SessionState,
    sweep::Sweep,
};
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};
use tokio::sync::{mpsc, mpsc::error::TrySendError, oneshot, watch};
use zk_proto::{
    Op, OpCode, SessionId,
    path::{self, Chroot},
    session::{Credentials, EncodedRequest, Outcome},
};

mod config;
mod delete_all;
mod parents;
mod read;
mod servers;
mod session;
mod update;
mod watching;
mod write;

pub use parents::Parents;
pub use watching::WatchInfo;

/// A handle to a session; clones share it. The session is closed when the last handle is dropped, unless it was
/// [left](Self::leave) before.
///
/// See the [crate's page](crate) for ordering, cancel safety and what happens when connections break.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// This handle's root; handles of one session may have different ones.
    chroot: Arc<Chroot>,
    /// How long each call of this handle may take.
    timeout: Option<Duration>,
    /// Calls are for this session only.
    fence: Option<SessionId>,
}

pub(crate) struct Shared {
    pub(crate) commands: mpsc::Sender<Command>,
    /// The chroot of the connect string.
    pub(crate) root: Chroot,
    pub(crate) queue_len_max: usize,
    pub(crate) request_len_max: usize,
    pub(crate) state: watch::Receiver<SessionState>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) credentials: watch::Receiver<Option<Credentials>>,
    pub(crate) sweep: Arc<Sweep>,
    pub(crate) events: Arc<SessionLog>,
}

impl Client {
    pub(crate) fn new(shared: Shared, chroot: Chroot, timeout: Option<Duration>) -> Self {
        Self { shared: Arc::new(shared), chroot: Arc::new(chroot), timeout, fence: None }
    }

    /// Connects with default settings; see [`Connector`] for others.
    ///
    /// # Errors
    /// As [`Connector::new`] and [`Connector::connect`].
    pub async fn connect(connect_string: &str) -> Result<Self, Error> {
        Connector::new(connect_string)?.connect().await
    }

    /// The session's state, and every change of it from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.shared.state.clone()
    }

    /// The session, while a server serves us or the session is suspended.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.shared.state.borrow().session()
    }

    /// What another handle needs to go on with this session ([`Connector::resume`]), which then takes it away from this
    /// client; [`export_session`](Self::export_session) is for other processes. `None` before the first connection.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.shared.credentials.borrow().clone()
    }

    /// The attempts to connect that failed since a server last took us.
    #[must_use]
    pub fn unreachable(&self) -> Unreachable {
        self.shared.progress.borrow().unreachable.clone()
    }

    /// The part of the server's tree that is this handle's root.
    #[must_use]
    pub fn chroot(&self) -> &str {
        self.chroot.as_str()
    }

    /// Another handle of the same session whose root is a path below this one's: its paths, results, watched events and
    /// errors are relative to that, and so are those of [inline consumers](Self::attach) that it attaches. Costs no
    /// connection, and streams of both handles share one watch at the server where they watch the same znode. The path
    /// need not exist; operations are refused with `NO_NODE` until it does.
    ///
    /// # Errors
    /// [`UsageError::Path`] when it is not a path.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"").unwrap();
    /// # server.create("/app/limits", b"100").unwrap();
    /// let app = client.chrooted("/app")?;
    /// assert_eq!(&app.get_data("/limits").await?.0[..], b"100");
    /// let limits = app.chrooted("/limits")?;
    /// assert_eq!((limits.chroot(), limits.session_id()), ("/app/limits", client.session_id()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn chrooted(&self, path: &str) -> Result<Self, Error> {
        let server = self.server_path(path, false)?;
        let chroot = Chroot::new(&server).map_err(|error| UsageError::Path { path: path.to_owned(), error })?;
        Ok(Self { chroot: Arc::new(chroot), ..self.clone() })
    }

    /// Another handle of the same session whose operations may take this long each, from the call on: in the queue, on the
    /// way, and while the session is suspended. `None` is as long as the session lives.
    ///
    /// An operation that takes longer fails with [`Error::TimedOut`], at most some milliseconds late, and leaves nothing
    /// behind: what has not left by then never does, and the outcome says which it is. Streams of watches have no end by
    /// time. Costs two counters and no connection, so it may be used for a single call.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"1").unwrap();
    /// use std::time::Duration;
    /// use zk_client::Error;
    ///
    /// let hasty = client.with_timeout(Duration::from_millis(200));
    /// match hasty.set_data("/app", b"2", None).await {
    ///     Ok(stat) => assert_eq!(stat.version, 1),
    ///     Err(Error::TimedOut { outcome, .. }) => println!("no answer in time: {outcome}"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: impl Into<Option<Duration>>) -> Self {
        Self { timeout: timeout.into(), ..self.clone() }
    }

    /// Ends the session at the server, behind everything called before, and waits for that; at most two
    /// seconds, after which the server finds out by itself. Ephemerals of the session are gone then. [`leave`](Self::leave)
    /// ends the client alone; of the two, the one that is called first counts.
    ///
    /// # Cancel safety
    /// The session is closed all the same.
    pub fn close(self) -> impl Future<Output = ()> + Send + use<> {
        self.end(Farewell::Close)
    }

    /// Decided here and now, whatever becomes of the future, which waits for it.
    fn end(&self, farewell: Farewell) -> impl Future<Output = ()> + Send + use<> {
        self.shared.sweep.bell.ring_out(farewell);
        let mut state = self.state();
        // An error means that the driver is gone: ended, too.
        async move { drop(state.wait_for(|state| matches!(state, SessionState::Ended(_))).await) }
    }

    /// Adds an identity to this and all later connections. `digest` takes `user:password`.
    ///
    /// It leaves over TLS or to this machine only, unless [`Connector::allow_plaintext_auth`] says otherwise.
    ///
    /// # Ordering
    /// Operations called later are executed with it.
    /// # Cancel safety
    /// Dropping the future drops the answer; the identity is still added, if it leaves before its time is over.
    /// # Errors
    /// [`Error::Refused`] with `AUTH_FAILED` when the server does not accept it; the session is over then.
    /// [`Error::TimedOut`]: with [`Outcome::NotSent`](crate::Outcome::NotSent) the identity is forgotten, with
    /// [`Outcome::Unknown`](crate::Outcome::Unknown) it stays and is presented on every later connection.
    /// [`Error::Unreachable`]: it is forgotten.
    /// [`UsageError::PlaintextAuth`] when it would travel unencrypted to another machine; the session goes on without it.
    pub fn add_auth(&self, scheme: &str, auth: impl Into<Secret>) -> Call<()> {
        let (answer, receiver) = self.caller();
        let command = Command::AddAuth { scheme: scheme.to_owned(), auth: auth.into(), answer };
        self.send(OpCode::AUTH, command, receiver, |reply| reply.decode::<zk_proto::records::Empty>().map(drop))
    }

    /// Runs a consumer inside the driver's task; see [`Inline`]. It lives as long as the session, or until
    /// it is done. Its paths are relative to this handle's [`chroot`](Self::chroot).
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the session is over, [`UsageError::QueueFull`] when too much waits.
    pub fn attach(&self, consumer: impl Inline) -> Result<(), Error> {
        self.try_send(OpCode::ADD_WATCH, Command::Attach(Box::new(consumer), self.chroot.clone()))
    }

    /// Asks inline consumers whether they [are done](Inline::is_done), and lets them [flush](Inline::flush): for a
    /// consumer whose owner outside of the driver has just changed its mind.
    pub fn wake(&self) {
        self.shared.sweep.bell.ring();
    }

    fn caller(&self) -> (Caller, oneshot::Receiver<Outcomes>) {
        Caller::new(self.timeout)
    }

    /// A path that was checked, as the server knows it.
    fn server_path<'a>(&self, path: &'a str, sequential: bool) -> Result<Cow<'a, str>, UsageError> {
        let checked = if sequential { path::validate_sequential(path) } else { path::validate(path) };
        checked.map_err(|error| UsageError::Path { path: path.to_owned(), error })?;
        Ok(self.chroot.to_server(path))
    }

    /// Encodes and queues a request; from here on its place in the order is fixed.
    fn call<O: Op, R>(&self, request: Result<O::Request<'_>, UsageError>, finish: Finish<R>) -> Call<R> {
        let encoded = request.and_then(|request| {
            EncodedRequest::new::<O>(&request, self.shared.request_len_max).map_err(UsageError::RequestTooLarge)
        });
        self.submit(O::CODE, encoded, finish)
    }

    fn submit<R>(&self, op: OpCode, encoded: Result<EncodedRequest, UsageError>, finish: Finish<R>) -> Call<R> {
        match encoded {
            Ok(encoded) => {
                let (answer, receiver) = self.caller();
                self.send(op, Command::Submit(encoded, answer), receiver, finish)
            }
            Err(error) => Call::failed(op, self.chroot.clone(), error.into(), finish),
        }
    }

    fn send<R>(&self, op: OpCode, command: Command, answer: oneshot::Receiver<Outcomes>, finish: Finish<R>) -> Call<R> {
        let chroot = self.chroot.clone();
        let command = match self.fence {
            Some(session) => Command::Fenced(session, Box::new(command)),
            None => command,
        };
        match self.try_send(op, command) {
            Ok(()) => Call::waiting(op, chroot, answer, finish),
            Err(error) => Call::failed(op, chroot, error, finish),
        }
    }

    fn try_send(&self, op: OpCode, command: Command) -> Result<(), Error> {
        if self.shared.sweep.bell.farewell().is_some() {
            return Err(self.closed(op, Outcome::NotSent));
        }
        self.shared.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => UsageError::QueueFull { limit: self.shared.queue_len_max }.into(),
            TrySendError::Closed(_) => self.closed(op, Outcome::NotSent),
        })
    }

    fn closed(&self, op: OpCode, outcome: Outcome) -> Error {
        let by = self.shared.state.borrow().interruption();
        Error::Interrupted { op, by, outcome }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &*self.shared.state.borrow()).finish_non_exhaustive()
    }
}
