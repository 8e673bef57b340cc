//! Starting, stopping and addressing servers.
//!
//! Must not know what they do while they run; see `faults`, `observe` and `edit`.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::io::DuplexStream;
use zk_proto::SessionId;

use super::{
    Profile,
    door::Door,
    hub::Hub,
    line,
    model::{Close, Model, ModelConfig},
};

/// The tick of a server that does not say otherwise: short, so that tests of expiry are.
const TICK: Duration = Duration::from_millis(200);

/// The longest session timeout of a server that does not say otherwise, as long as a real server's.
const TIMEOUT_MAX: Duration = Duration::from_secs(40);

/// How long an ensemble takes to have another leader; a real one takes about half a second.
const ELECTION: Duration = Duration::from_millis(200);

/// Bytes on their way in one direction of a connection that is no socket.
const PIPE_LEN: usize = 64 * 1024;

/// A ZooKeeper in this process, on a port of the loopback interface. It ends when it is dropped.
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
}

/// What kind of server to start.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    pub(super) config: ModelConfig,
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
        Self { config }
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
        self.config.members = members;
        let hub = Hub::new(Model::new(self.config), members);
        (0..members).map(|member| TestServer::open(&hub, member)).collect()
    }
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

    fn open(hub: &Arc<Hub>, member: usize) -> io::Result<Self> {
        let server = Self { hub: Arc::clone(hub), member, door: Door::new()? };
        server.set_serving(true);
        server.door.open(&server.hub, member)?;
        Ok(server)
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
        self.door.shut().await;
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
        self.door.open(&self.hub, self.member)
    }

    /// Closes (`true`) or opens the listener; connections that stand are left alone.
    ///
    /// # Errors
    /// The port could not be listened on.
    pub async fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        if refuse {
            self.door.shut().await;
            return Ok(());
        }
        self.door.open(&self.hub, self.member)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.set_serving(false);
        self.hub.drop_connections(self.member, Close::Abort);
    }
}
