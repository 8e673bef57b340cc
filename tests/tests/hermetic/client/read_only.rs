//! Servers that serve reads only, and the search for one that takes writes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::stage::{SESSION, create, pass, ready, refused, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_client::{
    Client, Connector, CreateMode, Dial, Dialed, ErrorCode, HostPort, OPEN_ACL_UNSAFE, SessionEvent, SessionState,
    Transport, WatchItem, WatchMode,
};
use zk_testkit::server::{LocalSessions, Profile, TestEnsemble, TestServer};

/// Three servers behind pipes. The first one can be cut off from the others; clients reach the others while there is a way.
#[derive(Clone)]
struct Net {
    ensemble: Arc<TestEnsemble>,
    others_are_there: Arc<AtomicBool>,
    /// Attempts on the others.
    asked: Arc<AtomicUsize>,
    /// They refuse `isro`, as a server whose white list does not have it.
    refuses_isro: Arc<AtomicBool>,
}

impl Net {
    async fn new(profile: Profile) -> Self {
        let builder = TestServer::builder().profile(profile).read_only_mode().local_sessions(LocalSessions::Upgradable);
        let ensemble = Arc::new(TestEnsemble::start_with(builder, 3).await.unwrap());
        let (others_are_there, asked) = (Arc::new(AtomicBool::new(true)), Arc::default());
        Self { ensemble, others_are_there, asked, refuses_isro: Arc::default() }
    }

    fn first(&self) -> &TestServer {
        &self.ensemble.members()[0]
    }

    /// The first server loses the others, and so does everybody.
    fn split(&self) {
        self.others_are_there.store(false, Ordering::Relaxed);
        self.first().partition(true);
        self.ensemble.members()[1..].iter().for_each(TestServer::drop_connections);
    }

    fn heal(&self) {
        self.others_are_there.store(true, Ordering::Relaxed);
    }

    fn connector(&self) -> Connector {
        let connector = Connector::new(&self.ensemble.connect_string()).unwrap();
        connector.session_timeout(SESSION).read_only(true).dial(self.clone())
    }

    async fn connect(&self) -> Client {
        within(self.connector().connect()).await.unwrap()
    }
}

impl Dial for Net {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(host.to_string().parse().map(|addr| vec![addr]).map_err(std::io::Error::other))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let member = self.ensemble.members().iter().position(|member| member.addr() == addr).unwrap();
        if member > 0 {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if !self.others_are_there.load(Ordering::Relaxed) {
                return ready(Err(refused()));
            }
        }
        let pipe = self.ensemble.members()[member].pipe();
        if member > 0 && self.refuses_isro.load(Ordering::Relaxed) {
            return ready(Ok(Box::new(without_isro(pipe)) as Box<dyn Transport>));
        }
        ready(Ok(Box::new(pipe) as Box<dyn Transport>))
    }
}

/// A way to a server on which `isro` is refused.
fn without_isro(mut server: tokio::io::DuplexStream) -> tokio::io::DuplexStream {
    let (ours, mut inner) = tokio::io::duplex(1024);
    tokio::spawn(async move {
        let mut head = [0; 4];
        inner.read_exact(&mut head).await.ok()?;
        if &head == b"isro" {
            return inner.write_all(b"isro is not executed because it is not in the whitelist.\n").await.ok();
        }
        server.write_all(&head).await.ok()?;
        tokio::io::copy_bidirectional(&mut inner, &mut server).await.ok().map(drop)
    });
    ours
}

fn is_writable(state: &SessionState) -> bool {
    matches!(state, SessionState::Connected { read_only: false, .. })
}

fn is_read_only(state: &SessionState) -> bool {
    matches!(state, SessionState::Connected { read_only: true, .. })
}

/// Nobody else is there: reads are served. As soon as another one takes writes the client moves, and says that the session is
/// another one.
// goal: N11
#[tokio::test(start_paused = true)]
async fn a_client_of_a_read_only_server_moves_to_one_that_takes_writes() {
    let net = Net::new(Profile::V3_9).await;
    net.first().create("/a", b"1").unwrap();
    net.split();
    let client = net.connect().await;
    let mut events = client.session_events();
    let fake = client.session_id().unwrap();
    assert!(is_read_only(&client.state().borrow()));
    assert!(client.credentials().is_none(), "there is nothing to go on with");
    let mut watch = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    assert_eq!(&within(client.get_data("/a")).await.unwrap().0[..], b"1");
    let write = within(client.set_data("/a", b"2", None)).await.unwrap_err();
    assert_eq!(write.code(), Some(ErrorCode::NOT_READ_ONLY));
    pass(Duration::from_secs(20)).await;
    assert_eq!(client.session_id(), Some(fake), "it is kept meanwhile");

    net.heal();
    let moved = until(&client, is_writable).await;
    let SessionState::Connected { session, replaced, server, .. } = moved else { panic!("{moved:?}") };
    assert!(session != fake && replaced == Some(fake) && server != net.first().addr(), "{moved:?}");
    within(client.set_data("/a", b"3", None)).await.unwrap();
    within(client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    assert_eq!(client.credentials().unwrap().id, session);
    let mut told = Vec::new();
    while told.len() < 3 {
        let Some(SessionEvent::Changed(state)) = within(events.next()).await else { panic!("{told:?}") };
        told.push(state);
    }
    assert!(is_read_only(&told[0]) && is_writable(&told[2]), "{told:?}");
    assert_eq!(told[1], SessionState::Connecting { expired: None }, "a session of a read-only server does not live on");
    while within(watch.next()).await.unwrap() != (WatchItem::Resumed { new_session: true }) {}
}

/// It waits for nothing but its own first pause, which is a second at most.
#[tokio::test(start_paused = true)]
async fn the_search_begins_at_once() {
    let net = Net::new(Profile::V3_9).await;
    net.split();
    let _client = net.connect().await;
    net.asked.store(0, Ordering::Relaxed);
    pass(Duration::from_millis(1_001)).await;
    assert!(net.asked.load(Ordering::Relaxed) > 0);
}

/// The search is cheap: with pauses that grow to a minute.
#[tokio::test(start_paused = true)]
async fn the_search_gets_rarer() {
    let net = Net::new(Profile::V3_9).await;
    net.split();
    let _client = net.connect().await;
    net.asked.store(0, Ordering::Relaxed);
    let mut searches = Vec::new();
    for _ in 0..2 {
        pass(Duration::from_secs(600)).await;
        searches.push(net.asked.swap(0, Ordering::Relaxed) / 2);
    }
    assert!((13..=32).contains(&searches[0]), "{searches:?} in ten minutes each");
    assert!((9..=21).contains(&searches[1]), "{searches:?} in ten minutes each");
}

/// Before 3.7 a read-only server takes sessions of the ensemble over. They are kept, there and back.
#[tokio::test(start_paused = true)]
async fn a_session_of_the_ensemble_is_kept_on_a_read_only_server_and_behind_it() {
    let net = Net::new(Profile::V3_6).await;
    let client = net.connect().await;
    create(&client, "/a", b"").await;
    within(client.create("/a/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE)).await.unwrap();
    let session = client.session_id();
    net.split();
    until(&client, is_read_only).await;
    assert_eq!(client.session_id(), session);
    within(client.exists("/a")).await.unwrap();
    net.heal();
    let moved = until(&client, is_writable).await;
    assert_eq!((client.session_id(), moved.session()), (session, session));
    assert!(within(client.exists("/a/e")).await.unwrap().is_some(), "its ephemeral, too");
}

/// A server whose white list has no `isro` is asked by `srvr`.
#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_isro_is_found_by_srvr() {
    let net = Net::new(Profile::V3_9).await;
    net.split();
    let client = net.connect().await;
    net.refuses_isro.store(true, Ordering::Relaxed);
    net.heal();
    until(&client, is_writable).await;
}

/// A server that takes writes is not left, and nobody is searched for from there.
#[tokio::test(start_paused = true)]
async fn who_may_write_does_not_search() {
    let net = Net::new(Profile::V3_9).await;
    let client = net.connect().await;
    let session = client.session_id();
    let before = net.asked.load(Ordering::Relaxed);
    pass(Duration::from_secs(600)).await;
    assert_eq!((client.session_id(), net.asked.load(Ordering::Relaxed)), (session, before));
}

/// Somebody who answers nothing, or nonsense, does not stop the search, and is not moved to.
#[tokio::test(start_paused = true)]
async fn the_search_goes_on_past_servers_that_say_nothing_or_nonsense() {
    let server = crate::stage::Stage::start().await;
    server.read_only(true);
    let mute = Mute { server: server.clone(), says: Arc::default() };
    let connector = Connector::new("zk1,zk2").unwrap().session_timeout(SESSION).read_only(true).dial(mute.clone());
    let client = within(connector.connect()).await.unwrap();
    let session = client.session_id();
    for says in [b"".to_vec(), vec![0xff; 100_000], b"ro".to_vec(), b"null".to_vec(), b"rwrw".to_vec()] {
        *mute.says.lock().unwrap() = Some(says);
        pass(Duration::from_secs(300)).await;
        assert_eq!(client.session_id(), session);
        within(client.exists("/")).await.unwrap();
    }
    *mute.says.lock().unwrap() = None;
    server.read_only(false);
    until(&client, is_writable).await;
}

/// Words are answered as a test says, greetings by the server.
#[derive(Clone)]
struct Mute {
    server: crate::stage::Stage,
    says: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Dial for Mute {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec![self.server.addr()]))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let says = self.says.lock().unwrap().clone();
        let Some(says) = says else { return ready(Ok(Box::new(self.server.pipe()) as Box<dyn Transport>)) };
        let (ours, mut theirs) = tokio::io::duplex(64);
        tokio::spawn(async move {
            theirs.write_all(&says).await.ok();
            // An empty answer is a server that hangs.
            if says.is_empty() {
                std::future::pending().await
            }
        });
        ready(Ok(Box::new(ours) as Box<dyn Transport>))
    }
}
