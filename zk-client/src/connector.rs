//! How a session begins: what it wants, and the first connection.

mod starting;

#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{
    client::Client,
    connect_string::{ConnectString, ConnectStringError},
    dial::{Dial, TcpDial},
    driver::{hosts::RECONNECT_SPREAD, identity::check_len},
    error::Error,
    sasl::SaslMechanism,
    secret::Secret,
    session_export::SessionExport,
};
use std::{fmt, sync::Arc, time::Duration};
use zk_proto::{SessionConfig, Zxid, frame, session::Credentials};

/// What the driver is told of the user's wishes.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) session: SessionConfig,
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) request_len_max: usize,
    pub(crate) batch_reads: bool,
    pub(crate) reconnect_spread: Duration,
    pub(crate) sasl: Option<Arc<dyn SaslMechanism>>,
    /// Whether credentials may travel unencrypted to other machines.
    pub(crate) plaintext_auth: bool,
}

/// Makes a [`Client`]; every setting has a default.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_testkit::server::TestServer::start().await?;
/// use std::time::Duration;
///
/// let servers = "zk1,zk2,zk3/app";
/// # let servers = &server.connect_string();
/// let client = zk_client::Connector::new(servers)?
///     .session_timeout(Duration::from_secs(6))
///     .connect_timeout(Duration::from_secs(3))
///     .connect()
///     .await?;
/// assert!(client.state().borrow().is_connected());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a connector does nothing until connect is called"]
pub struct Connector {
    servers: ConnectString,
    settings: Settings,
    connect_timeout: Duration,
    call_timeout: Option<Duration>,
    track_config: bool,
    own_thread: bool,
    auth: Vec<(String, Secret)>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Connector {
    /// A connector for a connect string: `host:port,host:port/chroot`, or `dns-srv://name/chroot` where the DNS has SRV records
    /// of the servers under that name ([`Dial::resolve_srv`]). What the DNS says is not secured: with TLS, give the name that
    /// certificates must have.
    ///
    /// # Errors
    /// [`UsageError::ConnectString`](crate::UsageError::ConnectString) with what is wrong.
    pub fn new(connect_string: &str) -> Result<Self, Error> {
        let servers = connect_string.parse().map_err(|error: ConnectStringError| Error::from(error))?;
        let settings = Settings {
            session: SessionConfig::default(),
            dial: Arc::new(TcpDial),
            request_len_max: frame::REQUEST_LEN_MAX,
            batch_reads: true,
            reconnect_spread: RECONNECT_SPREAD,
            sasl: None,
            plaintext_auth: false,
        };
        Ok(Self {
            servers,
            settings,
            connect_timeout: Duration::from_secs(10),
            call_timeout: None,
            track_config: false,
            own_thread: false,
            auth: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// The session timeout to ask for; the server clamps it to its own bounds (by default 2 to 20 ticks).
    /// Default 10 s.
    pub const fn session_timeout(mut self, timeout: Duration) -> Self {
        self.settings.session.timeout = timeout;
        self
    }

    /// How long [`connect`](Self::connect) tries; every server is tried at least once. Default 10 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How far clients spread their first attempt after a lost connection: each waits for any time up to this, by chance.
    /// Default 3.5 s.
    ///
    /// When a thousand clients lose their connections at once and the servers stay up, as behind a switch that restarts, no
    /// tenth of a second then sees more than a twentieth of them. What that costs is time: a client whose server dies is
    /// with the next one after half of the spread in the median, here 1.75 s (the Java client waits for 0.1 to 1.1 s). Say
    /// less, or zero, for a client that is alone, or where fail-over counts more than sparing the servers; with 250 ms, four
    /// hundred of a thousand clients come in a tenth of a second.
    ///
    /// No session expires for it: the wait is at most half of what the session has left, counted from the last thing that
    /// was heard of the server. So a session timeout below 8 s shortens the spread, and so does a server that falls silent,
    /// which is noticed when a third of the session timeout is left.
    ///
    /// It is for that one attempt only. There is no wait before the very first connect, before the other servers of the list
    /// when that attempt fails, nor when the client moves to another server by itself ([`Client::update_servers`],
    /// [`track_config`](Self::track_config), [`read_only`](Self::read_only)). When all servers have failed, the pauses are
    /// longer whatever is said here: up to 6 s after this spread, then up to 10 s. They give way to the session, too: after an
    /// outage of over two thirds of its timeout clients come closer together than that twentieth.
    pub const fn reconnect_spread(mut self, spread: Duration) -> Self {
        self.settings.reconnect_spread = spread;
        self
    }

    /// How long each operation may take, from the call on: in the queue, on the way, and while the session is suspended. One
    /// that takes longer fails with [`Error::TimedOut`]. Default: as long as the session lives; see
    /// [`Client::with_timeout`] for single calls.
    pub const fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// Whether plain reads ([`Client::get_data`] and [`Client::list_children`]) that are called together travel as one
    /// multiRead. Order, results and errors are the same, a server answers some twenty times as many of them, and a read
    /// that is called alone leaves at once either way. Other reads ([`Client::exists`], [`Client::get_children`] with its
    /// stat, ACLs) and those that leave a watch travel alone: multiRead has none of them. Servers before 3.6 refuse the first
    /// batch and hang up; its reads are repeated on the next connection, and this client puts no more together. Default true.
    pub const fn batch_reads(mut self, batch: bool) -> Self {
        self.settings.batch_reads = batch;
        self
    }

    /// Whether a session that expired is followed by a new one. Default true.
    pub const fn renew_session(mut self, renew: bool) -> Self {
        self.settings.session.renew = renew;
        self
    }

    /// Whether the list of servers is the ensemble's own: the client reads and watches `/zookeeper/config`, which changes with
    /// each reconfig ([`Client::reconfig`]), and goes on as with [`Client::update_servers`] within four seconds. What this
    /// connector was given is where it begins, and what it tries too when no server of that list can be reached. Default false.
    ///
    /// A configuration is followed if it says where clients reach every member (`;2181` at the end of its line), and only from
    /// servers that have one: not from one that stands alone. Name servers as the configuration does, unless that has
    /// addresses: else the client cannot know which member serves it, and moves with the first change. The configuration
    /// names no ports for TLS: over TLS all servers are taken to have the port that they have here, and nothing
    /// is followed if those differ. Before 3.6 it is read on each new connection only.
    pub const fn track_config(mut self, track: bool) -> Self {
        self.track_config = track;
        self
    }

    /// Whether a read-only server will do while there is no other: one that has lost its quorum and serves reads all the same,
    /// because its `readonlymode.enabled` is set. Writes are refused there with
    /// [`NOT_READ_ONLY`](crate::ErrorCode::NOT_READ_ONLY). Meanwhile the client asks all servers for one that takes writes, at
    /// first after a second and in the end once a minute, and moves there. It takes its session along if another server made
    /// it; a session of a read-only server is replaced. Default false.
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.settings.session.read_only = read_only;
        self
    }

    /// The largest request that is sent, in bytes with its header; larger ones fail with
    /// [`UsageError::RequestTooLarge`](crate::UsageError::RequestTooLarge). Default 1,048,575, the default of servers;
    /// raise both together.
    pub const fn request_len_max(mut self, bytes: usize) -> Self {
        self.settings.request_len_max = bytes;
        self
    }

    /// The largest reply that is kept, in bytes with its header. Default 4 MiB. Room for one is made when its length is known,
    /// at most 4 MiB, or as much again, ahead of what has arrived; what is not touched costs addresses only.
    pub const fn reply_len_max(mut self, bytes: usize) -> Self {
        self.settings.session.reply_len_max = bytes;
        self
    }

    /// Goes on with a session of another handle or process.
    pub fn resume(mut self, session: Credentials) -> Self {
        self.settings.session.resume = Some(session);
        self
    }

    /// Goes on with a session that another handle or process has [exported](Client::export_session), and with what it
    /// has seen: servers behind that are not used, so that reads never go back.
    pub fn resume_export(self, export: &SessionExport) -> Self {
        self.resume(export.credentials().clone()).last_zxid(export.last_zxid())
    }

    /// The highest zxid seen before: servers behind it are not used, so that reads never go back.
    pub const fn last_zxid(mut self, zxid: Zxid) -> Self {
        self.settings.session.last_zxid = zxid;
        self
    }

    /// An identity to present on every connection, before anything else. `digest` takes `user:password`, which travels as
    /// it is: over TLS or to this machine only, unless [`allow_plaintext_auth`](Self::allow_plaintext_auth) is called.
    pub fn auth(mut self, scheme: &str, auth: impl Into<Secret>) -> Self {
        self.auth.push((scheme.to_owned(), auth.into()));
        self
    }

    /// Begins every connection with a SASL exchange, before watches are set and requests are sent. When it fails the session
    /// ends with [`End::SaslFailed`](crate::End::SaslFailed), which says what to do.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::builder().sasl_user("bob", "secret").require_sasl().start().await?;
    /// # let servers = &server.connect_string();
    /// use zk_client::{Connector, DigestMd5};
    ///
    /// let client = Connector::new(servers)?.sasl(DigestMd5::new("bob", "secret")).connect().await?;
    /// assert!(client.who_am_i().await?.iter().any(|who| who.scheme == "sasl" && who.user == "bob"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn sasl(mut self, mechanism: impl SaslMechanism) -> Self {
        self.settings.session.sasl = true;
        self.settings.sasl = Some(Arc::new(mechanism));
        self
    }

    /// Lets passwords travel unencrypted to other machines, where everybody on the way can read them. Without it a server
    /// to which they would is not used, and [`add_auth`](Client::add_auth) fails.
    pub const fn allow_plaintext_auth(mut self) -> Self {
        self.settings.plaintext_auth = true;
        self
    }

    /// TLS to all servers, with `host:port` their `secureClientPort`; see [`Tls`].
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Another way to resolve names and to open transports.
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.settings.dial = Arc::new(dial);
        self
    }

    /// Gives the session a thread of its own: it waits for the server in the system's `recv`, without tokio's reactor between, and
    /// carries out there and then what arrives. An update of a `zk-config` mirror is published, and its listeners are called, in
    /// that thread. That saves a tenth of an update's CPU, and a few microseconds (`benches/RESULTS.md`).
    ///
    /// For a session that watches and must be quick; it can be just as wrong for others: a *task* that waits, for the answer of
    /// an operation, a stream or a subscription, is woken from another thread, which takes it longer than it did, and a hundred
    /// such sessions are a hundred threads. Each has buffers of 128 KiB, and copies once what it receives. Connecting and
    /// timers, pings among them, stay the runtime's, which has to go on running.
    ///
    /// It is about connections that [`TcpDial`] makes, as it does unless told otherwise: under TLS, too, and inside a [`Dial`] of
    /// your own. If no thread can be had a connection does without. On Linux only; elsewhere this changes nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # let server = runtime.block_on(zk_testkit::server::TestServer::start())?;
    /// # let servers = &server.connect_string();
    /// let client = runtime.block_on(zk_client::Connector::new(servers)?.own_thread().connect())?;
    /// # runtime.block_on(client.close());
    /// # Ok(())
    /// # }
    /// ```
    pub const fn own_thread(mut self) -> Self {
        self.own_thread = true;
        self
    }

    /// Connects and waits until a server has taken us.
    ///
    /// # Cancel safety
    /// Dropping the future gives the session up.
    /// # Errors
    /// [`Error::Unreachable`] with every server and what went wrong there; [`Error::Interrupted`] when the
    /// session ended at once.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zk_client::{Connector, Error};
    ///
    /// let nobody = Connector::new("127.0.0.1:1")?.connect_timeout(std::time::Duration::ZERO);
    /// match nobody.connect().await {
    ///     Err(Error::Unreachable(tried)) => assert_eq!(tried.attempts[0].server, "127.0.0.1:1"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self) -> Result<Client, Error> {
        let patience = self.connect_timeout;
        for (scheme, auth) in &self.auth {
            check_len(scheme, auth, self.settings.request_len_max)?;
        }
        let (client, progress) = self.start();
        starting::established(&client, progress, patience).await?;
        Ok(client)
    }

    /// Starts connecting and returns at once: operations wait until a server has taken us, for as long as
    /// it takes. [`Client::state`] tells how it goes.
    pub fn connect_in_background(self) -> Client {
        self.start().0
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("servers", &self.servers)
            .field("session", &self.settings.session)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
