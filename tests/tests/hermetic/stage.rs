//! The stage of the hermetic tests: an in-process server, and clients that reach it without a socket, so that tokio's
//! clock may be paused. It then advances when nothing else can happen: a wait costs nothing, and a hang is a timeout.

use std::{io, net::SocketAddr, ops::Deref, pin::Pin, sync::Arc, time::Duration};

use tokio::time::timeout;
use zk_client::{Client, Connector, CreateMode, Dial, Dialed, HostPort, OPEN_ACL_UNSAFE, SessionState, Transport};
use zk_config::{Mirror, Snapshot};
use zk_testkit::server::{Builder, Profile, TestServer};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The session timeout of everybody who does not say otherwise.
pub const SESSION: Duration = Duration::from_secs(6);

/// How far the clients of a test in real time spread after a lost connection: not at all.
pub const AT_ONCE: Duration = Duration::ZERO;

/// The versions with and without a zxid in events.
pub const BOTH: [Profile; 2] = [Profile::V3_8, Profile::V3_9];

/// Awaits something that must come.
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move { timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{caller}: waited for {PATIENCE:?}")) }
}

/// Lets every task run until none has anything to do, without letting time pass.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A server, and how to reach it.
#[derive(Clone)]
pub struct Stage(Arc<TestServer>);

impl Deref for Stage {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.0
    }
}

impl Stage {
    pub async fn start() -> Self {
        Self::with(TestServer::builder()).await
    }

    pub async fn like(profile: Profile) -> Self {
        Self::with(TestServer::builder().profile(profile)).await
    }

    pub async fn with(builder: Builder) -> Self {
        Self(Arc::new(builder.start().await.unwrap()))
    }

    pub fn connector(&self) -> Connector {
        self.connector_below("")
    }

    pub fn connector_below(&self, chroot: &str) -> Connector {
        let servers = format!("{}{chroot}", self.connect_string());
        Connector::new(&servers).unwrap().session_timeout(SESSION).dial(self.clone())
    }

    pub async fn connect(&self) -> Client {
        within(self.connector().connect()).await.unwrap()
    }

    /// A client whose root is a znode, which is created.
    pub async fn connect_below(&self, chroot: &str) -> Client {
        self.create(chroot, b"").unwrap();
        within(self.connector_below(chroot).connect()).await.unwrap()
    }

    /// A mirror that has loaded.
    pub async fn mirror(&self, client: &Client, root: &str) -> (Mirror, Arc<Snapshot>) {
        let mirror = Mirror::start(client, root).unwrap();
        let snapshot = within(mirror.ready()).await.unwrap();
        (mirror, snapshot)
    }
}

impl Dial for Stage {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(host.to_string().parse().map(|addr| vec![addr]).map_err(io::Error::other))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        ready(Ok(Box::new(self.pipe()) as Box<dyn Transport>))
    }
}

pub fn ready<'a, T: Send + 'a>(result: io::Result<T>) -> Dialed<'a, T> {
    Box::pin(std::future::ready(result))
}

pub fn refused() -> io::Error {
    io::ErrorKind::ConnectionRefused.into()
}

/// Creates a persistent znode that everybody may change.
pub async fn create(client: &Client, path: &str, data: &[u8]) {
    within(client.create(path, data, CreateMode::Persistent, OPEN_ACL_UNSAFE)).await.unwrap();
}

/// Who the server takes the client for, by `digest`.
pub async fn users(client: &Client) -> Vec<String> {
    let who = within(client.who_am_i()).await.unwrap();
    let mut users: Vec<_> = who.into_iter().filter(|it| it.scheme == "digest").map(|it| it.user).collect();
    users.sort();
    users
}

/// Waits until the session stands as wanted.
#[track_caller]
pub fn until(
    client: &Client,
    wanted: impl FnMut(&SessionState) -> bool + 'static,
) -> Pin<Box<dyn Future<Output = SessionState>>> {
    let mut state = client.state();
    let waited = within(async move { *state.wait_for(wanted).await.expect("the driver is gone") });
    Box::pin(waited)
}

#[track_caller]
pub fn until_connected(client: &Client) -> Pin<Box<dyn Future<Output = SessionState>>> {
    until(client, SessionState::is_connected)
}

#[track_caller]
pub fn until_suspended(client: &Client) -> Pin<Box<dyn Future<Output = SessionState>>> {
    until(client, |state| matches!(state, SessionState::Suspended { .. }))
}

/// Polls a future so many times and drops it, unless it is ready before.
pub async fn poll_and_drop<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await;
        if let std::task::Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Gives a wait up after so many polls, before what it waits for has happened and then once more; what it brings in the end.
pub async fn give_up_twice<T, H>(mut wait: impl AsyncFnMut() -> T, polls: usize, happen: impl FnOnce() -> H) -> T {
    assert!(poll_and_drop(wait(), polls).await.is_none(), "nothing has happened");
    happen();
    match poll_and_drop(wait(), polls).await {
        Some(brought) => brought,
        None => within(wait()).await,
    }
}

/// Lets the paused clock run on; everything that is due meanwhile happens.
pub(crate) async fn pass(time: Duration) {
    drop(tokio::time::timeout(time, std::future::pending::<()>()).await);
}
