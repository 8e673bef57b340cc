//! The list of servers is the ensemble's own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::stage::{SESSION, pass, ready, refused, settle, until_connected, until_suspended, within};
use tokio::time::Instant;
use zk_client::{Client, Connector, Dial, Dialed, HostPort, Transport};
use zk_testkit::server::{Profile, TestEnsemble, TestServer};

const CONFIG: &str = "/zookeeper/config";

/// Members without sockets, so that the clock may be paused. Each has a name, `zk0` to `zk2`, and an address, `10.0.0.1` to
/// `10.0.0.3`.
#[derive(Clone)]
struct Net {
    ensemble: Arc<TestEnsemble>,
    dialed: Arc<Mutex<Vec<(usize, Instant)>>>,
    /// The member that nobody reaches.
    down: Arc<Mutex<Option<usize>>>,
    /// What it says of itself; and the only port at which anybody answers then.
    tls_port: Option<u16>,
}

impl Net {
    async fn start() -> Self {
        Self::like(Profile::V3_9).await
    }

    async fn like(profile: Profile) -> Self {
        let builder = TestServer::builder().profile(profile);
        let ensemble = Arc::new(TestEnsemble::start_with(builder, 3).await.unwrap());
        Self { ensemble, dialed: Arc::default(), down: Arc::default(), tls_port: None }
    }

    fn member(&self, at: usize) -> &TestServer {
        &self.ensemble.members()[at]
    }

    /// A reconfig, as far as clients see it.
    fn config(&self, text: &str) {
        self.member(0).set(CONFIG, text.as_bytes()).unwrap();
    }

    fn connector(&self, servers: &str) -> Connector {
        Connector::new(servers).unwrap().session_timeout(SESSION).dial(self.clone()).track_config(true)
    }

    async fn connect(&self, servers: &str) -> Client {
        within(self.connector(servers).connect()).await.unwrap()
    }

    /// The member that serves a client.
    fn serving(&self, client: &Client) -> Option<usize> {
        let session = client.session_id()?;
        let connections = self.member(0).connections();
        connections.iter().find(|connection| connection.session == Some(session)).map(|connection| connection.member)
    }
}

impl Dial for Net {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        let addr = |at: usize| SocketAddr::from(([10, 0, 0, u8::try_from(at).unwrap() + 1], host.port));
        let named = host.host.strip_prefix("zk").map(|at| addr(at.parse().unwrap()));
        ready(Ok(vec![named.unwrap_or_else(|| SocketAddr::new(host.host.parse().unwrap(), host.port))]))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let SocketAddr::V4(v4) = addr else { panic!("{addr}") };
        let at = usize::from(v4.ip().octets()[3]) - 1;
        self.dialed.lock().unwrap().push((at, Instant::now()));
        let is_port = self.tls_port.is_none_or(|port| port == addr.port());
        if !is_port || at > 2 || *self.down.lock().unwrap() == Some(at) {
            return ready(Err(refused()));
        }
        ready(Ok(Box::new(self.member(at).pipe()) as Box<dyn Transport>))
    }

    fn encrypts(&self) -> bool {
        self.tls_port.is_some()
    }
}

/// A configuration of these members, by their addresses.
fn text(members: &[usize], version: u32) -> String {
    let line = |at: &usize| format!("server.{at}=10.0.0.{}:2888:3888:participant;0.0.0.0:2181\n", at + 1);
    members.iter().map(line).collect::<String>() + &format!("version={version:x}")
}

/// The client knows one server of three; that one is taken out of the ensemble, and then the next.
// goal: N9
#[tokio::test(start_paused = true)]
async fn a_client_moves_when_its_server_leaves_the_ensemble() {
    for by_name in [false, true] {
        let net = Net::start().await;
        net.config(&text(&[0, 1, 2], 1));
        let client = net.connect(if by_name { "zk0" } else { "10.0.0.1" }).await;
        let session = client.session_id();
        pass(Duration::from_secs(60)).await;
        assert_eq!(net.serving(&client), Some(0), "nobody moves for the first configuration");
        net.config(&text(&[0, 2], 2));
        pass(Duration::from_secs(5)).await;
        assert_eq!(net.serving(&client), Some(0), "its server is known by its address, and still there");
        net.config(&text(&[1, 2], 3));
        pass(Duration::from_secs(5)).await;
        let second = net.serving(&client).unwrap();
        assert_ne!(second, 0);
        let third = 3 - second;
        net.config(&text(&[third], 4));
        pass(Duration::from_secs(5)).await;
        assert_eq!((net.serving(&client), client.session_id()), (Some(third), session));
    }
}

/// The list is read again on each connection, below a chroot too.
#[tokio::test(start_paused = true)]
async fn what_changes_while_there_is_no_connection_is_not_missed() {
    let net = Net::start().await;
    net.member(0).create("/app", b"").unwrap();
    net.config(&text(&[0], 1));
    let client = net.connect("10.0.0.1/app").await;
    let session = client.session_id();
    net.member(0).drop_connections();
    until_suspended(&client).await;
    net.config(&text(&[1], 2));
    pass(Duration::from_secs(10)).await;
    assert_eq!((net.serving(&client), client.session_id()), (Some(1), session));
    within(client.exists("/")).await.unwrap().unwrap();
}

/// A second server joins the one, and everybody hears of it in the same moment.
// goal: N9
// goal: N10
#[tokio::test(start_paused = true)]
async fn half_of_the_clients_move_to_a_second_server_and_not_all_at_once() {
    let net = Net::start().await;
    net.config(&text(&[0], 1));
    let mut clients = Vec::new();
    for _ in 0..400 {
        clients.push(net.connect("10.0.0.1").await);
    }
    settle().await;
    net.dialed.lock().unwrap().clear();
    let start = Instant::now();
    net.config(&text(&[0, 1], 2));
    pass(Duration::from_secs(5)).await;
    let mut buckets = BTreeMap::<u128, usize>::new();
    for (member, at) in net.dialed.lock().unwrap().iter() {
        assert_eq!(*member, 1);
        assert!(*at - start < Duration::from_millis(4_010), "{:?}", *at - start);
        *buckets.entry((*at - start).as_millis() / 502).or_default() += 1;
    }
    let moved = clients.iter().filter(|client| net.serving(client) == Some(1)).count();
    assert!((140..260).contains(&moved), "{moved} of 400 moved");
    assert!(buckets.len() == 8 && buckets.values().all(|count| *count < 60), "{buckets:?}");
}

/// The configuration may name members as only they know each other.
#[tokio::test(start_paused = true)]
async fn servers_that_the_user_named_are_tried_when_no_other_can_be_reached() {
    let net = Net::start().await;
    net.config(&text(&[10, 11, 12], 1));
    let client = net.connect("zk0,zk1,zk2").await;
    let session = client.session_id();
    for _ in 0..3 {
        let at = net.serving(&client).unwrap();
        *net.down.lock().unwrap() = Some(at);
        net.member(at).drop_connections();
        until_suspended(&client).await;
        until_connected(&client).await;
        assert_ne!(net.serving(&client), Some(at));
        assert_eq!(client.session_id(), session);
    }
}

/// What does not say where everybody's clients go, what is older, and what is nonsense changes nothing.
#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_not_whole_or_old_is_not_followed() {
    let net = Net::start().await;
    net.config(&text(&[0, 1], 7));
    let client = net.connect("10.0.0.1").await;
    for other in [
        text(&[2], 6),
        text(&[2], 7),
        "server.3=10.0.0.3:2888:3888;2181".to_owned(),
        format!("server.4=10.0.0.4:2888:3888:participant\n{}", text(&[2], 9)),
        "server.3=10.0.0.3:2888:3888;a b:2181\nversion=a".to_owned(),
        "version=b".to_owned(),
        String::new(),
    ] {
        net.config(&other);
        pass(Duration::from_secs(5)).await;
        assert_eq!(net.serving(&client), Some(0), "{other:?}");
    }
    net.config(&text(&[2], 8));
    pass(Duration::from_secs(5)).await;
    assert_eq!(net.serving(&client), Some(2), "but what is new is");
}

/// The configuration has the ports without TLS.
#[tokio::test(start_paused = true)]
async fn over_tls_the_port_is_the_one_that_was_named() {
    let net = Net { tls_port: Some(2281), ..Net::start().await };
    net.config(&text(&[0, 1], 1));
    let client = net.connect("10.0.0.1:2281").await;
    let other = net.connect("10.0.0.1:2281,10.0.0.9:2282").await;
    net.config(&text(&[1, 2], 2));
    pass(Duration::from_secs(10)).await;
    assert_ne!(net.serving(&client), Some(0));
    assert_eq!(net.serving(&other), Some(0), "which port is the others' cannot be known");
}

/// Servers before 3.6 have no watch that lasts.
#[tokio::test(start_paused = true)]
async fn without_persistent_watches_the_list_is_read_on_each_connection() {
    let net = Net::like(Profile::V3_5).await;
    net.config(&text(&[0], 1));
    let client = net.connect("10.0.0.1").await;
    net.config(&text(&[1], 2));
    pass(Duration::from_secs(60)).await;
    assert_eq!(net.serving(&client), Some(0));
    net.member(0).drop_connections();
    pass(Duration::from_secs(10)).await;
    assert_eq!(net.serving(&client), Some(1));
}

/// The user's word counts until the ensemble's changes; without the wish nothing is read at all.
#[tokio::test(start_paused = true)]
async fn the_last_word_counts() {
    let net = Net::start().await;
    net.config(&text(&[0, 1, 2], 1));
    let client = net.connect("10.0.0.1").await;
    client.update_servers("10.0.0.2").unwrap();
    pass(Duration::from_secs(60)).await;
    assert_eq!(net.serving(&client), Some(1));
    net.config(&text(&[2], 2));
    pass(Duration::from_secs(5)).await;
    assert_eq!(net.serving(&client), Some(2));

    let other = within(net.connector("10.0.0.1").track_config(false).connect()).await.unwrap();
    net.config(&text(&[1], 3));
    pass(Duration::from_secs(5)).await;
    assert_eq!((net.serving(&client), net.serving(&other)), (Some(1), Some(0)));
}
