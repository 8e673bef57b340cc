//! Servers that the DNS names: `dns-srv://`.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::stage::{SESSION, Stage, pass, ready, refused, until_connected, until_suspended, within};
use zk_client::{Connector, Dial, Dialed, Error, HostPort, SrvRecord, Transport, UsageError};

/// A name server and servers as a test says.
#[derive(Clone)]
struct Net(Arc<Mutex<State>>);

struct State {
    server: Stage,
    /// Priority, weight and host of each record; `None` while the name server fails.
    records: Option<Vec<(u16, u16, &'static str)>>,
    /// The hosts that answer.
    up: Vec<&'static str>,
    asked: Vec<String>,
    dialed: Vec<String>,
}

impl Net {
    async fn new(records: &[(u16, u16, &'static str)], up: &[&'static str]) -> Self {
        let (server, records) = (Stage::start().await, Some(records.to_vec()));
        Self(Arc::new(Mutex::new(State { server, records, up: up.to_vec(), asked: Vec::new(), dialed: Vec::new() })))
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().unwrap())
    }

    fn connector(&self, servers: &str) -> Connector {
        Connector::new(servers).unwrap().session_timeout(SESSION).dial(self.clone())
    }
}

impl Dial for Net {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec![SocketAddr::from(([10, 0, 0, 1], host.port))]))
    }

    fn resolve_srv<'a>(&'a self, service: &'a str) -> Dialed<'a, Vec<SrvRecord>> {
        let record = |(priority, weight, host): &(u16, u16, &'static str)| {
            let target = HostPort { host: (*host).to_owned(), port: 2181 };
            SrvRecord { priority: *priority, weight: *weight, target }
        };
        ready(self.with(|state| {
            state.asked.push(service.to_owned());
            let records = state.records.as_ref().ok_or_else(|| std::io::Error::other("no name server answers"))?;
            Ok(records.iter().map(record).collect())
        }))
    }

    fn dial<'a>(&'a self, host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        ready(self.with(|state| {
            state.dialed.push(host.host.clone());
            let pipe = || Box::new(state.server.pipe()) as Box<dyn Transport>;
            if state.up.contains(&host.host.as_str()) { Ok(pipe()) } else { Err(refused()) }
        }))
    }
}

const SERVICE: &str = "dns-srv://_zookeeper._tcp.example.org";

// goal: N8
#[tokio::test(start_paused = true)]
async fn servers_of_a_service_are_tried_by_priority() {
    let records = [(3, 0, "backup"), (1, 1, "a"), (2, 1, "b")];
    let net = Net::new(&records, &["backup"]).await;
    net.with(|state| state.server.create("/app", b"").map(drop)).unwrap();
    let client = within(net.connector(&format!("{SERVICE}/app")).connect()).await.unwrap();
    within(client.exists("/")).await.unwrap().unwrap();
    net.with(|state| {
        assert_eq!(state.asked, ["_zookeeper._tcp.example.org"]);
        assert_eq!(state.dialed, ["a", "b", "backup"]);
    });
}

/// While servers of the list can be reached the name server is left alone; after a round in vain it is asked again.
// goal: N8
#[tokio::test(start_paused = true)]
async fn a_service_that_changed_is_found_after_a_round() {
    let net = Net::new(&[(1, 1, "a"), (2, 1, "b")], &["a", "b"]).await;
    let client = within(net.connector(SERVICE).connect()).await.unwrap();
    let session = client.session_id();
    net.with(|state| {
        state.records = Some(vec![(1, 1, "c")]);
        state.up = vec!["c"];
        state.dialed.clear();
        state.server.drop_connections();
    });
    until_suspended(&client).await;
    until_connected(&client).await;
    net.with(|state| {
        assert_eq!((&state.dialed[..], state.asked.len()), (&["b", "a", "c"].map(str::to_owned)[..], 2));
        // The next time no name server answers: the list of before goes on to be used.
        state.records = None;
        state.up = Vec::new();
        state.server.drop_connections();
    });
    until_suspended(&client).await;
    pass(Duration::from_secs(1)).await;
    net.with(|state| state.up = vec!["c"]);
    until_connected(&client).await;
    assert_eq!(client.session_id(), session);
}

#[tokio::test(start_paused = true)]
async fn what_a_service_lacks_is_said_and_asked_for_again() {
    let net = Net::new(&[(0, 0, "")], &["a"]).await;
    let failure = |error: Error| {
        let Error::Unreachable(unreachable) = error else { panic!("{error}") };
        unreachable.to_string()
    };
    let connector = || net.connector(SERVICE).connect_timeout(Duration::from_secs(1));
    let said = failure(within(connector().connect()).await.unwrap_err());
    assert_eq!(said, format!("no server could be reached: {SERVICE}: the service has no servers"));
    net.with(|state| state.records = None);
    let said = failure(within(connector().connect()).await.unwrap_err());
    assert!(said.ends_with(": the service does not resolve: no name server answers"), "{said}");
    // Nobody is there for a long time, and the name server is not asked in a hurry.
    let client = connector().connect_in_background();
    net.with(|state| state.asked.clear());
    pass(Duration::from_secs(60)).await;
    let asked = net.with(|state| state.asked.len());
    assert!((10..200).contains(&asked), "asked {asked} times in a minute");
    net.with(|state| state.records = Some(vec![(1, 1, "a")]));
    until_connected(&client).await;

    // A list of one's own takes its place, and a service is none.
    let other = client.update_servers("dns-srv://other").unwrap_err();
    assert!(matches!(other, Error::Usage(UsageError::ConnectString(_))), "{other}");
    net.with(|state| state.up = vec!["mine"]);
    client.update_servers("mine").unwrap();
    within(client.exists("/")).await.unwrap();
    net.with(|state| {
        state.asked.clear();
        state.up = Vec::new();
        state.server.drop_connections();
    });
    pass(Duration::from_secs(5)).await;
    net.with(|state| state.up = vec!["mine"]);
    until_connected(&client).await;
    net.with(|state| assert_eq!(state.asked, Vec::<String>::new()));
}

/// Who does not switch the feature on is told so.
#[tokio::test(start_paused = true)]
async fn a_dial_that_knows_no_services_says_so() {
    let server = Stage::start().await;
    let connector = Connector::new(SERVICE).unwrap().dial(server).connect_timeout(Duration::ZERO);
    let error = within(connector.connect()).await.unwrap_err().to_string();
    assert!(error.contains("switch the feature dns-srv of zk-client on"), "{error}");
}
