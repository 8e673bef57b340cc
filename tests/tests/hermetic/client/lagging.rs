//! The client against an ensemble whose members lag, lose each other and are found again: what it has shown it never
//! takes back.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::stage::{SESSION, create, pass, ready, refused, until, until_connected, until_suspended, within};
use tokio::time::Instant;
use zk_client::{Client, Connector, Dial, Dialed, HostPort, SessionState, Transport};
use zk_config::Mirror;
use zk_testkit::server::{Builder, Lag, LocalSessions, Role, TestEnsemble, TestServer};

/// Three members, reached without sockets.
#[derive(Clone)]
pub(crate) struct Three(Arc<TestEnsemble>);

impl Three {
    pub(crate) async fn start() -> Self {
        Self::with(TestServer::builder()).await
    }

    async fn with(builder: Builder) -> Self {
        Self(Arc::new(TestEnsemble::start_with(builder, 3).await.unwrap()))
    }

    pub(crate) fn member(&self, index: usize) -> &TestServer {
        &self.0.members()[index]
    }

    /// A client that knows these members only.
    pub(crate) async fn connect(&self, members: &[usize]) -> Client {
        within(self.connector(members).connect()).await.unwrap()
    }

    fn connector(&self, members: &[usize]) -> Connector {
        let servers: Vec<_> = members.iter().map(|index| self.member(*index).connect_string()).collect();
        Connector::new(&servers.join(",")).unwrap().session_timeout(SESSION).dial(self.clone())
    }

    /// The member that a client is on.
    pub(crate) fn member_of(&self, client: &Client) -> usize {
        let conn = self.member(0).connection_of(client.session_id().unwrap()).expect("connected");
        self.member(0).connections().iter().find(|info| info.id == conn).unwrap().member
    }
}

impl Dial for Three {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(host.to_string().parse().map(|addr| vec![addr]).map_err(std::io::Error::other))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let server = self.0.members().iter().find(|server| server.addr() == addr);
        // a stopped member has no pipe either, but it would accept one and close it
        let open = server.map(|server| Box::new(server.pipe()) as Box<dyn Transport>);
        ready(open.ok_or_else(refused))
    }
}

/// The client's own member fails, and the only other one it knows is behind what it has read.
#[tokio::test(start_paused = true)]
async fn reads_never_go_back_over_a_failover() {
    let three = Three::start().await;
    three.member(2).create("/a", b"old").unwrap();
    three.member(1).lag(Lag::Held);
    let client = three.connect(&[0]).await;
    drop(client);

    let client = three.connect(&[0, 1]).await;
    // whichever it is on, it must be the quick one
    while three.member_of(&client) == 1 {
        three.member(1).drop_connections();
        until_suspended(&client).await;
        until_connected(&client).await;
    }
    three.member(2).set("/a", b"new").unwrap();
    let (data, seen) = within(client.get_data("/a")).await.unwrap();
    assert_eq!(&data[..], b"new");
    three.member(0).stop().await;
    until_suspended(&client).await;
    let read = tokio::spawn({
        let client = client.clone();
        async move { client.get_data("/a").await }
    });
    // the member that is left holds `new` back: it must not be read from, however long it takes
    pass(SESSION / 3).await;
    assert!(!client.state().borrow().is_connected() && !read.is_finished());
    three.member(1).catch_up();
    until_connected(&client).await;
    let (data, stat) = within(read).await.unwrap().unwrap();
    assert_eq!((&data[..], stat.mzxid), (&b"new"[..], seen.mzxid));
}

/// A writer moves over members that lag by different times, each failing in turn; the number it reads never falls.
#[tokio::test(start_paused = true)]
async fn a_counter_read_over_many_failovers_never_falls() {
    let three = Three::with(TestServer::builder().election(Duration::from_millis(50))).await;
    three.member(0).create("/n", b"0").unwrap();
    for (member, ms) in [(0, 0), (1, 300), (2, 1500)] {
        three.member(member).lag(Lag::Time(Duration::from_millis(ms)));
    }
    let client = three.connect(&[0, 1, 2]).await;
    let mut highest = 0;
    for round in 1..=60_u32 {
        three.member(0).set("/n", round.to_string().as_bytes()).unwrap();
        until_connected(&client).await;
        if let Ok((data, _)) = within(client.get_data("/n")).await {
            let number: u32 = std::str::from_utf8(&data).unwrap().parse().unwrap();
            assert!(number >= highest, "{number} after {highest} in round {round}");
            highest = number;
        }
        if round % 3 == 0
            && let SessionState::Connected { .. } = *client.state().borrow()
        {
            let member = three.member_of(&client);
            three.member(member).drop_connections();
        }
        pass(Duration::from_millis(100)).await;
    }
    pass(Duration::from_secs(2)).await;
    until_connected(&client).await;
    assert_eq!(&within(client.get_data("/n")).await.unwrap().0[..], b"60");
}

/// A write on a member that lags is answered when it is visible there, so that a read behind it shows it.
#[tokio::test(start_paused = true)]
async fn a_client_reads_its_own_writes_on_a_member_that_lags() {
    let three = Three::start().await;
    let client = three.connect(&[0]).await;
    create(&client, "/a", b"0").await;
    three.member(0).lag(Lag::Time(Duration::from_secs(1)));
    let start = Instant::now();
    let (write, read) = (client.set_data("/a", b"1", None), client.get_data("/a"));
    within(write).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(&within(read).await.unwrap().0[..], b"1");
    three.member(1).set("/a", b"2").unwrap();
    assert_eq!(&within(client.get_data("/a")).await.unwrap().0[..], b"1", "no more than its member knows");
    within(client.sync("/a")).await.unwrap();
    assert_eq!(&within(client.get_data("/a")).await.unwrap().0[..], b"2");
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_over_the_loss_of_the_leader_and_of_the_quorum() {
    let three = Three::with(TestServer::builder().election(Duration::from_secs(1))).await;
    let client = three.connect(&[0, 1, 2]).await;
    let session = client.session_id();
    three.0.depose_leader();
    until_suspended(&client).await;
    until_connected(&client).await;
    for member in [1, 2] {
        three.member(member).partition(true);
    }
    until_suspended(&client).await;
    pass(SESSION / 2).await;
    assert!(three.0.leader().is_none() && three.member(0).role() == Role::NotServing);
    for member in [1, 2] {
        three.member(member).partition(false);
    }
    until_connected(&client).await;
    assert_eq!(client.session_id(), session);
}

/// Nobody but a member apart: it has a session for readers only, and who wants to write does not stay there.
#[tokio::test(start_paused = true)]
async fn a_member_apart_is_not_taken_for_the_ensemble() {
    let builder = TestServer::builder().read_only_mode().local_sessions(LocalSessions::Upgradable);
    let three = Three::with(builder).await;
    three.member(0).create("/a", b"").unwrap();
    three.member(0).partition(true);
    assert_eq!(three.member(0).role(), Role::ReadOnly);
    let client = three.connect(&[0, 1]).await;
    until(&client, SessionState::is_connected).await;
    assert_eq!(three.member_of(&client), 1);
    create(&client, "/b", b"").await;
}

/// The mirror goes over to a member that is behind what it has shown: it waits rather than shows less.
// goal: M2
#[tokio::test(start_paused = true)]
async fn a_mirror_never_goes_back_over_a_failover() {
    let three = Three::start().await;
    three.member(0).create("/app", b"1").unwrap();
    let client = three.connect(&[0, 1]).await;
    let mirror = Mirror::start(&client, "/app").unwrap();
    within(mirror.ready()).await.unwrap();
    let (on, other) = if three.member_of(&client) == 0 { (0, 1) } else { (1, 0) };
    three.member(other).lag(Lag::Held);
    let zxid = three.member(2).set("/app", b"2").unwrap();
    within(mirror.wait_for(zxid)).await.unwrap();
    three.member(on).stop().await;
    until_suspended(&client).await;
    pass(SESSION / 3).await;
    assert_eq!(&mirror.snapshot().get("/app").unwrap().data[..], b"2");
    assert!(!mirror.is_live(), "and says that it is not");
    three.member(other).catch_up();
    let snapshot = within(mirror.barrier()).await.unwrap();
    assert_eq!(&snapshot.get("/app").unwrap().data[..], b"2");
}
