//! Starting, stopping and addressing servers.
//!
//! Must not know what they do while they run; see `faults`, `observe` and `edit`.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::io::DuplexStream;
use zk_proto::{SessionId, path};

use crate::door::Door;

use super::{
    Profile,
    hub::Hub,
    line,
    model::{Close, ConnId, Edit, Model, ModelConfig},
    tap::{Seen, Tap},
};

/// The tick of a server that does not say otherwise: short, so that tests of expiry are.
const TICK: Duration = Duration::from_millis(200);

/// The longest session timeout of a server that does not say otherwise, as long as a real server's.
const TIMEOUT_MAX: Duration = Duration::from_secs(40);

/// How long an ensemble takes to have another leader; a real one takes about half a second.
const ELECTION: Duration = Duration::from_millis(200);

/// Bytes on their way in one direction of a connection that is no socket.
const PIPE_LEN: usize = 64 * 1024;

/// A ZooKeeper in this process, on a port of the loopback interface unless told otherwise. It ends when it is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let server = zk_testkit::server::TestServer::start().await?;
/// server.create("/app", b"1").expect("the root is open to all");
/// assert_eq!(server.connect_string(), format!("127.0.0.1:{}", server.addr().port()));
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TestServer {
    pub(super) hub: Arc<Hub>,
    pub(super) member: usize,
    door: Door,
    #[cfg(feature = "tls")]
    pub(super) secure: Option<super::tls::SecurePort>,
}

/// What kind of server to start.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    pub(super) config: ModelConfig,
    listen: SocketAddr,
    latency: Duration,
    tap: Option<Tap>,
    znodes: BTreeMap<String, Bytes>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::ServerTls>,
}

impl Default for Builder {
    fn default() -> Self {
        let config = ModelConfig {
            tick: TICK,
            timeout_bounds: Some((TICK * 2, TIMEOUT_MAX)),
            first_session: SessionId(0),
            election: ELECTION,
            ..ModelConfig::default()
        };
        Self {
            config,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            latency: Duration::ZERO,
            tap: None,
            znodes: BTreeMap::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Builder {
    /// The version to be like; [`Profile::V3_9`] unless it is set.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.config.profile = profile;
        self
    }

    /// The unit of session deadlines, 200 ms unless it is set; sets the timeout's lower bound to two ticks.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.config.tick = tick;
        self.config.timeout_bounds = Some((tick * 2, TIMEOUT_MAX.max(tick * 20)));
        self
    }

    /// The shortest and the longest session timeout; 2 ticks and 40 s unless they are set.
    pub const fn timeout_bounds(mut self, shortest: Duration, longest: Duration) -> Self {
        self.config.timeout_bounds = Some((shortest, longest));
        self
    }

    /// `user:password` of a digest identity that may do everything.
    pub fn super_user(mut self, credentials: &str) -> Self {
        self.config.super_digest = Some(super::model::digest_id(credentials));
        self
    }

    /// How often unused containers and outlived znodes are looked for; 60 s unless it is set.
    pub const fn container_interval(mut self, interval: Duration) -> Self {
        self.config.container_interval = interval;
        self
    }

    /// Where to listen; any free port of 127.0.0.1 unless it is set. Port 0 is any free one. The members of an ensemble
    /// take this port and those behind it.
    ///
    /// The server asks nobody who they are: on an address that others reach, it is theirs too.
    pub const fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Everything to clients leaves this much later, in order: a round trip takes that much longer. As
    /// [`delay_replies`](TestServer::delay_replies) from the start.
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Begins with these persistent znodes: path and data, in any order. Parents that are missing are created empty, and
    /// of two with one path the later stays. A path that cannot be makes [`start`](Self::start) fail with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let builder = zk_testkit::server::TestServer::builder();
    /// let server = builder.znodes([("/app/limits/rate", "100")]).start().await?;
    /// assert_eq!(server.children("/app"), Some(vec!["limits".to_owned()]));
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn znodes<P: Into<String>, D: Into<Bytes>>(mut self, znodes: impl IntoIterator<Item = (P, D)>) -> Self {
        self.znodes.extend(znodes.into_iter().map(|(path, data)| (path.into(), data.into())));
        self
    }

    /// Tells somebody of every connection and every frame of every member, in the order in which they passed on each
    /// connection, on the server's own threads: be quick, and do not call the server from there.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use std::sync::mpsc::channel;
    /// use zk_testkit::server::{Seen, TestServer};
    ///
    /// let (tell, told) = channel();
    /// let tap = move |_conn, seen: Seen<'_>| drop(tell.send(matches!(seen, Seen::Opened(_))));
    /// let server = TestServer::builder().tap(tap).start().await?;
    /// let client = tokio::net::TcpStream::connect(server.addr()).await?;
    /// # server.wait_until(|model| !model.connections().is_empty()).await;
    /// assert_eq!(told.recv(), Ok(true));
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn tap(mut self, tell: impl Fn(ConnId, Seen<'_>) + Send + Sync + 'static) -> Self {
        self.tap = Some(Tap::new(tell));
        self
    }

    /// Starts one server.
    ///
    /// # Errors
    /// No socket could be had.
    #[expect(clippy::unused_async, reason = "starting spawns tasks: async makes a runtime certain")]
    pub async fn start(self) -> io::Result<TestServer> {
        self.start_members(1)?.pop().ok_or_else(|| io::Error::other("no member"))
    }

    /// Starts front doors to one tree.
    pub(super) fn start_members(mut self, members: usize) -> io::Result<Vec<TestServer>> {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.config.wall_base_ms = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        if self.config.first_session == SessionId::NONE {
            self.config.first_session = first_session(self.config.wall_base_ms);
        }
        if let Some(sasl) = &mut self.config.sasl {
            sasl.nonce_seed = self.config.first_session.0.cast_unsigned();
        }
        #[cfg(feature = "tls")]
        let tls = self.tls;
        #[cfg(feature = "tls")]
        {
            self.config.profile.x509 = tls.is_some();
        }
        #[cfg(feature = "tls")]
        let port = || tls.as_ref().map(super::tls::SecurePort::new).transpose();
        self.config.members = members;
        let hub = {
            let mut model = Model::new(self.config);
            plant(&mut model, &self.znodes)?;
            Hub::new(model, members, self.tap)
        };
        let open = |member| {
            hub.set_faults(member, |faults| faults.delay = self.latency);
            let server = TestServer {
                hub: Arc::clone(&hub),
                member,
                door: Door::new(member_addr(self.listen, member)?)?,
                #[cfg(feature = "tls")]
                secure: port()?,
            };
            server.set_serving(true);
            server.open_doors()?;
            Ok(server)
        };
        (0..members).map(open).collect()
    }
}

/// Creates znodes, parents first; what stands there already is set.
fn plant(model: &mut Model, znodes: &BTreeMap<String, Bytes>) -> io::Result<()> {
    for (path, data) in znodes {
        let wrong = |why: &dyn fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, format!("{path}: {why}"));
        path::validate(path).map_err(|error| wrong(&error))?;
        let ends = path.match_indices('/').map(|(end, _)| end).filter(|end| *end > 0);
        for parent in ends.filter_map(|end| path.get(..end)) {
            if model.get(parent).is_none() {
                model.apply(Duration::ZERO, &[Edit::Create(parent, b"")]).map_err(|(_, code)| wrong(&code))?;
            }
        }
        let is_there = model.get(path).is_some();
        let edit = if is_there { Edit::Set(path, data) } else { Edit::Create(path, data) };
        model.apply(Duration::ZERO, &[edit]).map_err(|(_, code)| wrong(&code))?;
    }
    Ok(())
}

/// The address of a member; port 0 stays "any".
fn member_addr(first: SocketAddr, member: usize) -> io::Result<SocketAddr> {
    let port = match first.port() {
        0 => Some(0),
        port => u16::try_from(member).ok().and_then(|member| port.checked_add(member)),
    };
    let port = port.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no port above 65535"))?;
    Ok(SocketAddr::new(first.ip(), port))
}

/// Ids like ZooKeeper's: the server's number, the time of its start, room for a counter. No two servers of a process
/// share any.
fn first_session(wall_ms: i64) -> SessionId {
    static SERVERS: AtomicI64 = AtomicI64::new(0);
    let server = SERVERS.fetch_add(1, Ordering::Relaxed);
    let time = (wall_ms.wrapping_add(server) & 0xFF_FFFF_FFFF) << 16;
    SessionId(1 << 56 | time)
}

impl TestServer {
    /// Starts a server like the newest ZooKeeper.
    ///
    /// # Errors
    /// No socket could be had.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts with something else than [`start`](Self::start) does.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn open_doors(&self) -> io::Result<()> {
        let (hub, member) = (Arc::clone(&self.hub), self.member);
        #[cfg(feature = "tls")]
        if let Some(secure) = &self.secure {
            secure.open(&hub, member)?;
            if let Some(acceptor) = secure.for_both() {
                return self.door.open(move |stream, peer| {
                    tokio::spawn(line::serve_either(Arc::clone(&hub), member, stream, peer, acceptor.clone()));
                });
            }
        }
        self.door.open(move |stream, peer| {
            tokio::spawn(line::serve(Arc::clone(&hub), member, stream, peer));
        })
    }

    async fn shut_doors(&self) {
        self.door.shut().await;
        #[cfg(feature = "tls")]
        if let Some(secure) = &self.secure {
            secure.shut().await;
        }
    }

    fn set_serving(&self, serving: bool) {
        self.hub.act(|state, now| {
            let was_any = state.members.iter().any(|member| member.serving);
            if let Some(member) = state.members.get_mut(self.member) {
                member.serving = serving;
            }
            state.model.set_up(now, self.member, serving);
            if serving && !was_any {
                state.model.handle_restart(now);
            }
        });
    }

    /// Where it listens, also while it is stopped.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.door.addr()
    }

    /// The address as a client is told it.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.addr().to_string()
    }

    /// A connection without a socket, so that tests may pause tokio's clock: it advances when nothing else can happen,
    /// and it does not see what a socket still has to bring. Its buffer is small, so that back-pressure shows.
    #[must_use]
    pub fn pipe(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(PIPE_LEN);
        tokio::spawn(line::serve_pipe(Arc::clone(&self.hub), self.member, server, self.addr()));
        client
    }

    /// Stops the server: no listener, every connection reset. What it knows is kept. When this returns, all its sockets
    /// are closed.
    pub async fn stop(&self) {
        self.set_serving(false);
        self.shut_doors().await;
        self.hub.drop_connections(self.member, Close::Abort);
        self.hub.drained(self.member).await;
    }

    /// Starts the server again on its port. If no other member was serving, sessions have their whole timeout again.
    ///
    /// # Errors
    /// The port could not be listened on.
    #[expect(clippy::unused_async, reason = "starting spawns a task: async makes a runtime certain")]
    pub async fn start_again(&self) -> io::Result<()> {
        self.set_serving(true);
        self.open_doors()
    }

    /// Closes (`true`) or opens the listener; connections that stand are left alone.
    ///
    /// # Errors
    /// The port could not be listened on.
    pub async fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        if refuse {
            self.shut_doors().await;
            return Ok(());
        }
        self.open_doors()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.set_serving(false);
        self.hub.drop_connections(self.member, Close::Abort);
    }
}
