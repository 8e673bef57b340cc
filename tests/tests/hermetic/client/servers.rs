//! Another list of servers while the session goes on.

use std::{collections::BTreeSet, time::Duration};

use crate::stage::{AT_ONCE, Stage, create, pass, settle, until_connected, until_suspended, users, within};
use zk_client::{
    Client, Connector, Error, Interruption, OpCode, Outcome, SessionState, UsageError, WatchItem, WatchMode,
};
use zk_testkit::server::{TestEnsemble, TestServer};

fn list<'a>(members: impl IntoIterator<Item = &'a TestServer>) -> String {
    members.into_iter().map(TestServer::connect_string).collect::<Vec<_>>().join(",")
}

async fn connect(servers: &str) -> Client {
    within(Connector::new(servers).unwrap().reconnect_spread(AT_ONCE).connect()).await.unwrap()
}

/// The index of the member that serves the only client.
fn serving(ensemble: &TestEnsemble) -> usize {
    ensemble.members()[0].connections()[0].member
}

/// The server in use is taken out of the list: the client moves, and nobody who calls or watches loses anything.
// goal: N9
#[tokio::test]
async fn the_client_moves_when_its_server_is_taken_out_and_nothing_is_lost() {
    let ensemble = TestEnsemble::start(3).await.unwrap();
    let client = connect(&ensemble.connect_string()).await;
    let session = client.session_id();
    create(&client, "/a", b"").await;
    let mut watch = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    for _ in 0..6 {
        let left = serving(&ensemble);
        let others = ensemble.members().iter().enumerate().filter(|(member, _)| *member != left);
        let calls: Vec<_> = (0..20).map(|_| client.set_data("/a", b"before", None)).collect();
        client.update_servers(&list(others.map(|(_, member)| member))).unwrap();
        let later: Vec<_> = (0..20).map(|_| client.set_data("/a", b"after", None)).collect();
        for call in calls.into_iter().chain(later) {
            within(call).await.unwrap();
        }
        assert_ne!(serving(&ensemble), left);
        assert_eq!(client.session_id(), session);
        client.update_servers(&ensemble.connect_string()).unwrap();
        within(client.exists("/a")).await.unwrap();
    }
    let mut resumed = 0;
    while resumed < 6 {
        resumed += usize::from(within(watch.next()).await.unwrap() == WatchItem::Resumed { new_session: false });
    }
}

/// Twice the servers: half of the clients stay.
#[tokio::test]
async fn a_longer_list_draws_some_clients_and_a_like_one_none() {
    let ensemble = TestEnsemble::start(4).await.unwrap();
    let (all, half) = (ensemble.connect_string(), list(&ensemble.members()[..2]));
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(connect(&half).await);
    }
    let servers = |clients: &[Client]| -> Vec<_> {
        clients
            .iter()
            .map(|client| match *client.state().borrow() {
                SessionState::Connected { server, .. } => server,
                ref other => panic!("{other:?}"),
            })
            .collect()
    };
    let before = servers(&clients);
    for client in &clients {
        client.update_servers(&half).unwrap();
        within(client.exists("/")).await.unwrap();
    }
    assert_eq!(servers(&clients), before, "the same list");
    for client in &clients {
        client.update_servers(&all).unwrap();
    }
    for client in &clients {
        within(client.exists("/")).await.unwrap();
    }
    let after = servers(&clients);
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!((15..=45).contains(&moved), "{moved} of 60 moved");
    let used: BTreeSet<_> = after.into_iter().collect();
    assert_eq!(used.len(), 4, "and to both of the new ones");
}

/// A list that leads nowhere is replaced before the session is gone.
#[tokio::test]
async fn a_new_list_helps_a_client_that_finds_nobody() {
    let ensemble = TestEnsemble::start(3).await.unwrap();
    let first = &ensemble.members()[0];
    let client = connect(&first.connect_string()).await;
    let session = client.session_id();
    first.stop().await;
    until_suspended(&client).await;
    client.update_servers(&list(&ensemble.members()[1..])).unwrap();
    until_connected(&client).await;
    assert_eq!(client.session_id(), session);
}

/// Somebody who never answers does not keep the client.
#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_left_all_the_same() {
    let (old, new) = (Stage::start().await, Stage::start().await);
    let client = within(old.connector().dial(Both(old.clone(), new.clone())).connect()).await.unwrap();
    old.black_hole(true);
    let call = client.exists("/");
    client.update_servers(&new.connect_string()).unwrap();
    pass(Duration::from_millis(1_900)).await;
    assert!(client.state().borrow().is_connected(), "what is on its way is waited for");
    assert!(matches!(within(call).await, Err(Error::Interrupted { .. })));
    // The other server does not know the session, so it is another ensemble; what matters is that it was asked.
    within(client.exists("/")).await.unwrap();
    assert_eq!(new.connections().len(), 1);
}

#[derive(Clone)]
struct Both(crate::stage::Stage, crate::stage::Stage);

impl zk_client::Dial for Both {
    fn resolve<'a>(&'a self, host: &'a zk_client::HostPort) -> zk_client::Dialed<'a, Vec<std::net::SocketAddr>> {
        self.0.resolve(host)
    }

    fn dial<'a>(
        &'a self,
        _host: &'a zk_client::HostPort,
        addr: std::net::SocketAddr,
    ) -> zk_client::Dialed<'a, Box<dyn zk_client::Transport>> {
        let to = if addr == self.0.addr() { &self.0 } else { &self.1 };
        crate::stage::ready(Ok(Box::new(to.pipe()) as Box<dyn zk_client::Transport>))
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_none_or_has_another_chroot_is_refused() {
    let server = Stage::start().await;
    let client = server.connect_below("/app").await;
    for good in ["a,b", "a,b/app"] {
        client.update_servers(good).unwrap();
    }
    assert!(matches!(client.update_servers(""), Err(Error::Usage(UsageError::ConnectString(_)))));
    let refused = client.update_servers("a,b/other").unwrap_err();
    let text = "the chroot of a running client stays \"/app\" and cannot become \"/other\"; leave it out";
    assert_eq!(refused.to_string(), text);
}

/// A client that has seen more than its server will have when that is built anew.
async fn far_ahead() -> (Stage, Client) {
    let server = Stage::start().await;
    server.advance_zxid(zk_client::Zxid(0x1000));
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    (server, client)
}

/// The ensemble was built anew: every server is behind what this client has seen, for ever. The error says so, and what to
/// do; who waits for a session that never comes is told.
// goal: N5
#[tokio::test(start_paused = true)]
async fn servers_that_all_stay_behind_are_told_of_and_nobody_waits_for_ever() {
    let (server, client) = far_ahead().await;
    server.inject(zk_testkit::server::Fault::Rebuild).await;
    server.drop_connections();
    until_suspended(&client).await;
    // While the session may live, it is waited for; after that it is in vain.
    let (first, second) = (within(client.exists("/")).await, within(client.exists("/")).await);
    assert!(matches!(first, Err(Error::Interrupted { .. })), "{first:?}");
    let Err(Error::Unreachable(unreachable)) = second else { panic!("{second:?}") };
    assert_eq!(unreachable.behind, Some(client.last_zxid()));
    let watched = within(client.exists_and_watch("/")).await.map(drop);
    assert_eq!(watched, Err(Error::Unreachable(unreachable.clone())), "nor who would leave a watch");
    assert_eq!(within(client.watches()).await.unwrap(), []);
    assert!(unreachable.to_string().ends_with("Client::accept_rebuilt_ensemble, or connect without last_zxid"));
    // A new client with the same past is told when it connects.
    let late = server.connector().last_zxid(client.last_zxid()).connect_timeout(Duration::ZERO);
    let Err(Error::Unreachable(unreachable)) = within(late.connect()).await else { panic!("a server behind took us") };
    assert_eq!(unreachable.behind, Some(client.last_zxid()));
    // One server that is down is enough for doubt.
    let doubtful = Connector::new(&format!("127.0.0.1:1,{}", server.connect_string())).unwrap();
    let doubtful = doubtful.last_zxid(client.last_zxid()).connect_timeout(Duration::ZERO).connect();
    let Err(Error::Unreachable(unreachable)) = within(doubtful).await else { panic!("a server behind took us") };
    assert_eq!(unreachable.behind, None);
}

/// Who waits with an identity is told like everybody else, and then it is not presented to a server that takes us after all. One
/// that may have left is told so, and is.
#[tokio::test(start_paused = true)]
async fn an_identity_that_waits_for_a_session_that_never_comes_is_told_so_and_forgotten() {
    let (server, client) = far_ahead().await;
    server.hold_replies(true);
    let sent = client.add_auth("digest", "sent:secret");
    settle().await;
    server.inject(zk_testkit::server::Fault::Rebuild).await;
    server.drop_connections();
    server.hold_replies(false);
    until_suspended(&client).await;
    let waits = client.add_auth("digest", "waits:secret");
    let Err(Error::Unreachable(unreachable)) = within(waits).await else { panic!("it was told something else") };
    assert_eq!(unreachable.behind, Some(client.last_zxid()));
    let (by, outcome) = (Interruption::ConnectionLost, Outcome::Unknown);
    assert_eq!(within(sent).await, Err(Error::Interrupted { op: OpCode::AUTH, by, outcome }));
    assert!(within(client.accept_rebuilt_ensemble()).await.unwrap());
    until_connected(&client).await;
    assert_eq!(users(&client).await, ["sent"]);
}

/// The session that a read-only server makes goes with its connection, so nothing else ends what is to be sent again then.
#[tokio::test(start_paused = true)]
async fn reads_that_left_together_to_a_read_only_server_do_not_wait_for_ever() {
    let server = Stage::start().await;
    server.advance_zxid(zk_client::Zxid(0x1000));
    server.create("/a", b"1").unwrap();
    server.read_only(true);
    let client = within(server.connector().read_only(true).connect()).await.unwrap();
    assert_eq!(within(client.get_data("/a")).await.unwrap().0, "1");
    assert_eq!(client.credentials(), None, "no session to go on with");
    server.hold_replies(true);
    let reads: Vec<_> = (0..3).map(|_| client.get_data("/a")).collect();
    settle().await;
    server.inject(zk_testkit::server::Fault::Rebuild).await;
    server.drop_connections();
    server.hold_replies(false);
    let (by, outcome) = (Interruption::ConnectionLost, Outcome::Unknown);
    for read in reads {
        assert_eq!(within(read).await, Err(Error::Interrupted { op: OpCode::GET_DATA, by, outcome }));
    }
    assert_eq!(client.unreachable().behind, Some(client.last_zxid()));
}

/// Nobody waits for them, so nobody can be told.
#[tokio::test(start_paused = true)]
async fn identities_of_the_connector_are_never_forgotten() {
    let server = Stage::start().await;
    let connector = server.connector().auth("digest", "ann:secret").call_timeout(Duration::from_secs(1));
    let client = connector.last_zxid(zk_client::Zxid(0x1_0000)).connect_in_background();
    let patient = client.with_timeout(None);
    assert!(matches!(within(client.exists("/")).await, Err(Error::TimedOut { .. })));
    assert!(matches!(within(patient.exists("/")).await, Err(Error::Unreachable(_))));
    assert!(within(client.accept_rebuilt_ensemble()).await.unwrap());
    until_connected(&client).await;
    assert_eq!(users(&client).await, ["ann"]);
}
