//! Certificates that a client must refuse, each for its own reason, and in words that say what to do.

use std::net::SocketAddr;

use crate::stage::{ready, within};
use zk_client::{Connector, Dial, Dialed, Error, HostPort, TcpDial, Transport, tls::Tls};
use zk_testkit::server::{ServerTls, TestServer};
use zk_tests::certificates::{Authority, Shown, pem, self_signed};

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
    Connector::new(&servers).unwrap().connect_timeout(std::time::Duration::ZERO).dial(Named(addr)).tls(tls)
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

/// Connects, and holds what is told against it: the part of the reason that rustls gives, and ours.
async fn refuses(tls: &Tls, shown: &Shown, host: &str, reasons: [&str; 2]) {
    let (server, addr) = server(shown).await;
    let why = why_not(connector(addr, host, tls.clone())).await;
    for reason in reasons {
        assert!(why.contains(reason), "{reason:?} is missing: {why}");
    }
    assert!(why.starts_with("TLS: the server's certificate "), "{why}");
    assert!(server.connections().is_empty() && server.sessions().is_empty(), "something came through");
}

const NAMES: [&str; 2] = ["zk1.example.org", "10.0.0.1"];
const HOST: &str = "zk1.example.org";

fn trusting(root: &Authority) -> Tls {
    Tls::builder().roots(root.pem()).build().unwrap()
}

/// What is refused below is refused for the one thing that is wrong with it.
#[tokio::test]
async fn the_good_ones_are_taken() {
    let root = Authority::root("root");
    let between = root.below("between", |_| ());
    for shown in [root.server(&NAMES, |_| ()), between.server(&NAMES, |_| ())] {
        let (_server, addr) = server(&shown).await;
        for host in [HOST, "ZK1.example.org", "10.0.0.1"] {
            within(connector(addr, host, trusting(&root)).connect()).await.unwrap();
        }
    }
}

// goal: N12
#[tokio::test]
async fn those_of_another_time() {
    let root = Authority::root("root");
    let expired = root.server(&NAMES, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    refuses(&trusting(&root), &expired, HOST, ["has expired", "have it renewed, and check this machine's clock"]).await;
    let early = root.server(&NAMES, |params| params.not_before = rcgen::date_time_ymd(4000, 1, 1));
    refuses(&trusting(&root), &early, HOST, ["is not valid yet", "check this machine's clock"]).await;
    let between = root.below("between", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    refuses(&trusting(&root), &between.server(&NAMES, |_| ()), HOST, ["has expired", "have it renewed"]).await;
}

// goal: N12
#[tokio::test]
async fn those_for_somebody_else() {
    let root = Authority::root("root");
    let tls = trusting(&root);
    let shown = root.server(&NAMES, |_| ());
    let remedy = "connect to a name that it has as subjectAltName (its CN does not count)";
    refuses(&tls, &shown, "zk2.example.org", ["not valid for name \"zk2.example.org\"", remedy]).await;
    refuses(&tls, &shown, "10.0.0.2", ["not valid for name \"10.0.0.2\"", remedy]).await;
    refuses(&tls, &shown, "zk1.example.org.evil.org", ["is for another name", remedy]).await;
    let cn_only = root.server(&[], |params| params.distinguished_name.push(rcgen::DnType::CommonName, HOST));
    refuses(&tls, &cn_only, HOST, ["is for another name", remedy]).await;
    let wild = root.server(&["*.org"], |_| ());
    refuses(&tls, &wild, HOST, ["is for another name", remedy]).await;
    let address_as_name = root.server(&["10.0.0.1.example.org"], |_| ());
    refuses(&tls, &address_as_name, "10.0.0.1", ["is for another name", remedy]).await;
}

// goal: N12
#[tokio::test]
async fn those_of_an_unknown_authority() {
    let root = Authority::root("root");
    let tls = trusting(&root);
    let reasons =
        ["was not issued by an authority that we trust (invalid peer certificate: UnknownIssuer)", "roots_file"];
    let reasons = [reasons[0].split(" (").next().unwrap(), reasons[1]];
    refuses(&tls, &Authority::root("other").server(&NAMES, |_| ()), HOST, reasons).await;
    // Of the same name, but another key.
    let false_one = Authority::root("root").server(&NAMES, |_| ());
    refuses(&tls, &false_one, HOST, ["the server's certificate", ";"]).await;
    refuses(&tls, &self_signed(&NAMES), HOST, reasons).await;
    let mut alone = root.below("between", |_| ()).server(&NAMES, |_| ());
    alone.chain = pem("CERTIFICATE", &alone.der);
    refuses(&tls, &alone, HOST, [reasons[0], "or have the server send the certificates in between"]).await;
}

// goal: N12
#[tokio::test]
async fn those_for_something_else() {
    let root = Authority::root("root");
    let tls = trusting(&root);
    let for_clients = root.server(&NAMES, |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    refuses(&tls, &for_clients, HOST, ["is not meant for servers", "have it issued with the purpose serverAuth"]).await;
    let no_authority = root.below("leaf", |params| params.is_ca = rcgen::IsCa::ExplicitNoCa);
    refuses(&tls, &no_authority.server(&NAMES, |_| ()), HOST, ["EndEntityUsedAsCa", "RFC 5280"]).await;
    refuses(&tls, &root.shown(), HOST, ["CaUsedAsEndEntity", "RFC 5280"]).await;
}

// goal: N12
#[tokio::test]
async fn those_that_were_changed() {
    let root = Authority::root("root");
    let mut shown = root.server(&NAMES, |_| ());
    *shown.der.last_mut().unwrap() ^= 1;
    shown.chain = pem("CERTIFICATE", &shown.der);
    refuses(&trusting(&root), &shown, HOST, ["has a signature that is wrong", "have it issued again"]).await;
}

// goal: N12
#[tokio::test]
async fn those_out_of_bounds() {
    let root = Authority::root("root");
    let elsewhere = root.below("elsewhere", |params| {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let shown = elsewhere.server(&[HOST], |_| ());
    refuses(&trusting(&root), &shown, HOST, ["NameConstraintViolation", "RFC 5280"]).await;
    let shallow =
        root.below("shallow", |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0)));
    let shown = shallow.below("too deep", |_| ()).server(&NAMES, |_| ());
    refuses(&trusting(&root), &shown, HOST, ["PathLenConstraintViolated", "RFC 5280"]).await;
}

// goal: N12
#[tokio::test]
async fn those_that_were_revoked() {
    let root = Authority::root("root");
    let (shown, other) = (root.server(&NAMES, |_| ()), root.server(&NAMES, |_| ()));
    let list = root.revoke(&shown);
    let tls = Tls::builder().roots(root.pem()).revocation_lists(list).build().unwrap();
    refuses(&tls, &shown, HOST, ["was revoked", "have a new one issued"]).await;
    let (_server, addr) = server(&other).await;
    within(connector(addr, HOST, tls).connect()).await.unwrap();

    let stranger = Authority::root("stranger");
    let strange = Tls::builder().roots(root.pem()).revocation_lists(stranger.revoke(&shown)).build().unwrap();
    refuses(&strange, &other, HOST, ["whose revocation list was not given", "revocation_lists_file"]).await;
}
