//! Certificates that a client must refuse, each for its own reason, and in words that say what to do.

use std::net::SocketAddr;

use crate::stage::{AT_ONCE, ready, within};
use zk_client::{Connector, Dial, Dialed, Error, HostPort, TcpDial, Transport, tls::Tls};
use zk_testkit::server::{ServerTls, TestServer};
use zk_tests::certificates::{Authority, HOST, NAMES, Shown, bad_certificates};

/// Resolves every name to one address.
pub(super) struct Named(pub(super) SocketAddr);

impl Dial for Named {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec![self.0]))
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        TcpDial.dial(host, addr)
    }
}

pub(super) async fn server(shown: &Shown) -> (TestServer, SocketAddr) {
    let tls = ServerTls::from_pem(shown.chain.as_bytes(), shown.key.as_bytes()).unwrap();
    let server = TestServer::builder().tls(tls).start().await.unwrap();
    let addr = server.secure_addr().unwrap();
    (server, addr)
}

pub(super) fn connector(addr: SocketAddr, host: &str, tls: Tls) -> Connector {
    let servers = format!("{host}:{}", addr.port());
    let connector =
        Connector::new(&servers).unwrap().connect_timeout(std::time::Duration::ZERO).reconnect_spread(AT_ONCE);
    connector.dial(Named(addr)).tls(tls)
}

/// What is told of an attempt that must fail, without the server's name.
pub(super) async fn why_not(connector: Connector) -> String {
    match within(connector.connect()).await {
        Err(Error::Unreachable(tried)) => {
            assert_eq!(tried.attempts.len(), 1, "{tried}");
            assert!(tried.attempts[0].server.contains(':'), "{tried}");
            tried.attempts[0].why.clone()
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the server was taken"),
    }
}

/// What is refused below is refused for the one thing that is wrong with it.
#[tokio::test]
async fn the_good_ones_are_taken() {
    let root = Authority::root("root");
    let between = root.below("between", |_| ());
    for shown in [root.server(&NAMES, |_| ()), between.server(&NAMES, |_| ())] {
        let (_server, addr) = server(&shown).await;
        for host in [HOST, "ZK1.example.org", "10.0.0.1"] {
            let tls = Tls::builder().roots(root.pem()).build().unwrap();
            within(connector(addr, host, tls).connect()).await.unwrap();
        }
    }
}

// goal: N12
#[tokio::test]
async fn the_bad_ones_are_refused_each_for_its_reason() {
    let root = Authority::root("root");
    let bad_ones = bad_certificates(&root);
    assert!(bad_ones.len() >= 12);
    for bad in bad_ones {
        let tls = Tls::builder().roots(root.pem());
        let tls = match bad.revoked {
            Some(lists) => tls.revocation_lists(lists),
            None => tls,
        };
        let (server, addr) = server(&bad.shown).await;
        let why = why_not(connector(addr, bad.host, tls.build().unwrap())).await;
        assert!(why.starts_with("TLS: the server's certificate "), "{}: {why}", bad.what);
        assert!(bad.says.iter().all(|says| why.contains(says)), "{}: {:?} of {why}", bad.what, bad.says);
        assert!(server.connections().is_empty() && server.sessions().is_empty(), "{}: it came through", bad.what);
    }
}

/// A list that names others does not keep this one out.
#[tokio::test]
async fn what_is_not_on_the_list_is_taken() {
    let root = Authority::root("root");
    let list = root.revoke(&root.server(&NAMES, |_| ()));
    let (_server, addr) = server(&root.server(&NAMES, |_| ())).await;
    let tls = Tls::builder().roots(root.pem()).revocation_lists(list).build().unwrap();
    within(connector(addr, HOST, tls).connect()).await.unwrap();
}
