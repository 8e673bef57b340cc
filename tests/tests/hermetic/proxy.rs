//! The client behind a wire that breaks: at every byte, inside frames, in silence.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

use zk_client::{
    Client, Connector, CreateMode, Dial, Dialed, Error, ErrorCode, HostPort, OPEN_ACL_UNSAFE, Outcome, SessionState,
    Transport,
};
use zk_testkit::{
    proxy::{Deed, End, Head, Pick, Proxy, Rule, Towards},
    server::TestServer,
};

use super::stage::{SESSION, ready, until, until_connected, until_suspended, within};

/// A server behind a proxy, both reached without sockets.
#[derive(Clone)]
struct Wire {
    server: Arc<TestServer>,
    proxy: Arc<Proxy>,
}

impl Wire {
    async fn start() -> Self {
        let server = TestServer::start().await.unwrap();
        let proxy = Proxy::builder().seed(7).start(server.addr()).await.unwrap();
        Self { server: Arc::new(server), proxy: Arc::new(proxy) }
    }

    fn client(&self) -> Client {
        let connector = Connector::new("127.0.0.1:2181").unwrap().session_timeout(SESSION).dial(self.clone());
        connector.connect_in_background()
    }

    /// How often the server was asked to create this.
    fn asked(&self, path: &str) -> usize {
        let requests = self.server.requests();
        requests.iter().filter(|request| request.path.as_deref() == Some(path)).count()
    }
}

impl Dial for Wire {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(host.to_string().parse().map(|addr| vec![addr]).map_err(io::Error::other))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        ready(Ok(Box::new(self.proxy.pipe_to(&self.server)) as Box<dyn Transport>))
    }
}

async fn create(client: &Client, path: &str) -> Result<(), Error> {
    within(client.create(path, b"x", CreateMode::Persistent, OPEN_ACL_UNSAFE)).await.map(|_| ())
}

/// What a caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Done,
    NotSent,
    Unknown,
}

fn told(result: Result<(), Error>) -> Told {
    match result {
        Ok(()) => Told::Done,
        Err(Error::Interrupted { outcome: Outcome::NotSent, .. }) => Told::NotSent,
        Err(Error::Interrupted { outcome: Outcome::Unknown, .. }) => Told::Unknown,
        Err(error) => panic!("{error}"),
    }
}

/// What a caller was told must be what the server did.
fn check(wire: &Wire, path: &str, told: Told) {
    let (asked, is_there) = (wire.asked(path), wire.server.get(path).is_some());
    match told {
        Told::Done => assert_eq!((asked, is_there), (1, true), "{path}: done"),
        Told::NotSent => assert_eq!((asked, is_there), (0, false), "{path}: not sent"),
        Told::Unknown => assert!(asked <= 1 && (asked == 1) == is_there, "{path}: asked {asked} times, {is_there}"),
    }
}

/// How many bytes go in a direction while a session starts and creates a znode.
async fn conversation(towards: Towards) -> u64 {
    let wire = Wire::start().await;
    let client = wire.client();
    create(&client, "/a").await.unwrap();
    wire.proxy.traffic(towards).passed
}

// goal: W1
#[tokio::test(start_paused = true)]
async fn a_cut_at_any_byte_leaves_an_honest_outcome() {
    let mut outcomes = BTreeMap::<_, usize>::new();
    for towards in [Towards::Server, Towards::Client] {
        for byte in 0..=conversation(towards).await {
            let wire = Wire::start().await;
            wire.proxy.script(towards, Rule::cut_at_byte(byte, End::Close));
            let client = wire.client();
            let outcome = told(create(&client, "/a").await);
            check(&wire, "/a", outcome);
            *outcomes.entry((towards, outcome)).or_default() += 1;
            // the session goes on, and nothing of the lost frame comes later
            create(&client, "/b").await.unwrap_or_else(|error| panic!("{towards:?} {byte}: {error}"));
            check(&wire, "/a", outcome);
            let session = client.session_id().unwrap();
            assert!(wire.server.sessions().iter().any(|known| known.id == session), "{towards:?} {byte}");
        }
    }
    let of = |towards, outcome| outcomes.get(&(towards, outcome)).copied().unwrap_or(0);
    for towards in [Towards::Server, Towards::Client] {
        assert!(of(towards, Told::Done) > 30 && of(towards, Told::Unknown) > 15, "{outcomes:?}");
        assert_eq!(of(towards, Told::NotSent), 0, "the session lives: what waits is sent");
    }
}

/// The half of a frame that got through is nothing to the server.
#[tokio::test(start_paused = true)]
async fn half_a_request_is_none() {
    let wire = Wire::start().await;
    let client = wire.client();
    let half = Deed::Cut { after: 20, how: End::Close };
    wire.proxy.script(Towards::Server, Rule::frame(Pick::Op(zk_client::OpCode::CREATE2), half));
    assert_eq!(told(create(&client, "/a").await), Told::Unknown);
    until_connected(&client).await;
    assert_eq!(wire.asked("/a"), 0);
    create(&client, "/a").await.unwrap();
}

/// A connection that has gone silent is left in time for the session to live on.
#[tokio::test(start_paused = true)]
async fn a_short_silence_costs_the_connection_and_not_the_session() {
    for towards in [Towards::Server, Towards::Client] {
        let wire = Wire::start().await;
        let client = wire.client();
        until_connected(&client).await;
        let session = client.session_id();
        let silence = Rule::frame(Pick::Any, Deed::Drop).always();
        wire.proxy.script(towards, silence);
        until_suspended(&client).await;
        wire.proxy.heal();
        until_connected(&client).await;
        assert_eq!(client.session_id(), session, "{towards:?}");
        create(&client, "/a").await.unwrap();
    }
}

// goal: W1
#[tokio::test(start_paused = true)]
async fn what_waits_while_a_session_ends_was_not_sent() {
    let wire = Wire::start().await;
    let client = wire.client();
    until_connected(&client).await;
    let session = client.session_id();
    for towards in [Towards::Server, Towards::Client] {
        wire.proxy.set_line(towards, |line| line.black_hole = true);
    }
    let sent = create(&client, "/sent").await;
    until_suspended(&client).await;
    let waiting = client.create("/waiting", b"x", CreateMode::Persistent, OPEN_ACL_UNSAFE);
    wire.server.expire_session(session.unwrap());
    wire.proxy.end_all(End::Close);
    wire.proxy.heal();
    let waited = within(waiting).await.map(|_| ());
    until(&client, move |state| matches!(state, SessionState::Connected { .. })).await;
    assert_ne!(client.session_id(), session);
    assert_eq!((told(sent), told(waited)), (Told::Unknown, Told::NotSent));
    check(&wire, "/sent", Told::NotSent);
    check(&wire, "/waiting", Told::NotSent);
}

/// A reply that comes twice, or to nothing, is a defect of the server: the connection is given up, the session is not.
#[tokio::test(start_paused = true)]
async fn frames_that_cannot_be_cost_the_connection() {
    for deed in [Deed::Duplicate, Deed::Corrupt { at: Some(4), mask: 0x40 }] {
        let wire = Wire::start().await;
        let client = wire.client();
        create(&client, "/a").await.unwrap();
        let session = client.session_id();
        wire.proxy.script(Towards::Client, Rule::frame(Pick::Op(zk_client::OpCode::EXISTS), deed));
        let (first, second) = (client.exists("/a"), client.exists("/a"));
        let (first, second) = (within(first).await, within(second).await);
        assert_eq!(first.is_ok(), deed == Deed::Duplicate, "{deed:?}: {first:?}");
        assert_eq!(told(second.map(|_| ())), Told::Unknown, "{deed:?}");
        assert_eq!(within(client.exists("/a")).await.unwrap().map(|stat| stat.version), Some(0));
        assert_eq!(client.session_id(), session);
        let greetings = wire.proxy.frames().into_iter().filter(|seen| matches!(seen.head, Head::ConnectRequest { .. }));
        assert_eq!(greetings.count(), 2, "{deed:?}");
        assert_eq!(create(&client, "/a").await.unwrap_err().code(), Some(ErrorCode::NODE_EXISTS));
    }
}
