//! TLS as a client's way to its servers: identities of certificates, files that change, servers that are none.

use std::{fs, net::SocketAddr, time::Duration};

use super::bad_certificates::{connector, server, why_not};
use crate::stage::{create, ready, until_connected, until_suspended, within};
use tokio::io::AsyncReadExt;
use zk_client::{
    Client, CreateMode, Dial, Dialed, ErrorCode, HostPort, Permissions, SessionState, Transport, WatchItem, WatchMode,
    acl,
    tls::{Tls, TlsError},
};
use zk_testkit::server::{ClientAuth, ServerTls, TestServer};
use zk_tests::certificates::{Authority, Shown};

const HOST: &str = "zk1.example.org";

/// A server that asks for certificates, and trusts this authority.
async fn asking(root: &Authority, asks: ClientAuth) -> (TestServer, SocketAddr) {
    let Shown { chain, key, .. } = root.server(&[HOST], |_| ());
    let tls = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let tls = tls.client_auth(asks, root.pem().as_bytes()).unwrap();
    let server = TestServer::builder().tls(tls).start().await.unwrap();
    let addr = server.secure_addr().unwrap();
    (server, addr)
}

fn known(root: &Authority, me: &Shown) -> Tls {
    Tls::builder().roots(root.pem()).client_certificate(me.chain.as_str(), me.key.as_str()).build().unwrap()
}

// goal: N12
#[tokio::test]
async fn everything_works_as_it_does_without() {
    let root = Authority::root("root");
    let (server, addr) = server(&root.server(&[HOST], |_| ())).await;
    let tls = Tls::builder().roots(root.der()).build().unwrap();
    let client = within(connector(addr, HOST, tls).connect()).await.unwrap();
    let mut events = within(client.watch("/", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
    // Longer than any buffer on the way, in both directions at once.
    let long = vec![7; 500_000];
    let calls: Vec<_> = (0..8)
        .map(|i| client.create(&format!("/{i}"), &long, CreateMode::Persistent, zk_client::OPEN_ACL_UNSAFE))
        .collect();
    let reads: Vec<_> = (0..8).map(|i| client.get_data(&format!("/{i}"))).collect();
    for call in calls {
        within(call).await.unwrap();
    }
    for read in reads {
        assert_eq!(within(read).await.unwrap().0.len(), long.len());
    }
    for _ in 0..8 {
        assert!(matches!(within(events.next()).await, Some(WatchItem::Event(_))));
    }
    server.drop_connections();
    assert!(matches!(within(events.next()).await, Some(WatchItem::Gap(_))));
    assert!(matches!(within(events.next()).await, Some(WatchItem::Resumed { .. })));
    within(client.close()).await;
    assert!(server.sessions().is_empty());
}

/// A way to a server that takes a kilobyte at a time.
struct Narrow(SocketAddr);

impl Dial for Narrow {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec![self.0]))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        Box::pin(async move {
            let (ours, mut theirs) = tokio::io::duplex(1024);
            let mut stream = tokio::net::TcpStream::connect(addr).await?;
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut theirs, &mut stream).await });
            Ok(Box::new(ours) as Box<dyn Transport>)
        })
    }
}

/// What TLS has taken leaves although nothing is written behind it: the next ping would be 13 seconds later.
#[tokio::test]
async fn what_was_written_leaves_when_there_is_room() {
    let root = Authority::root("root");
    let (_server, addr) = server(&root.server(&[HOST], |_| ())).await;
    let tls = Tls::builder().roots(root.pem()).build().unwrap();
    let narrow = connector(addr, HOST, tls).dial(Narrow(addr)).session_timeout(Duration::from_secs(40));
    let client = within(narrow.connect()).await.unwrap();
    let call = client.create("/a", &[7; 30_000], CreateMode::Persistent, zk_client::OPEN_ACL_UNSAFE);
    tokio::time::timeout(Duration::from_secs(8), call).await.expect("it was left in a buffer").unwrap();
}

// goal: N13
#[tokio::test]
async fn the_identity_of_a_certificate_is_there_on_every_connection() {
    let root = Authority::root("root");
    let (server, addr) = asking(&root, ClientAuth::Want).await;
    let me = within(connector(addr, HOST, known(&root, &root.client("me"))).connect()).await.unwrap();
    let mine = [acl::x509(Permissions::ALL, "CN=me,O=Test")];
    within(me.create("/mine", b"", CreateMode::Persistent, &mine)).await.unwrap();
    let other = within(connector(addr, HOST, known(&root, &root.client("other"))).connect()).await.unwrap();
    let refused = within(other.get_data("/mine")).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NO_AUTH));
    server.drop_connections();
    until_suspended(&me).await;
    within(me.set_data("/mine", b"again", None)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_our_certificate_says_why() {
    let root = Authority::root("root");
    let (_server, addr) = asking(&root, ClientAuth::Need).await;
    let bare = Tls::builder().roots(root.pem()).build().unwrap();
    let why = why_not(connector(addr, HOST, bare)).await;
    assert!(why.contains("CertificateRequired") && why.contains("client_certificate_files"), "{why}");
    let stranger = known(&root, &Authority::root("stranger").client("me"));
    let why = why_not(connector(addr, HOST, stranger)).await;
    assert!(why.contains("the server refuses us (UnknownCA)") && why.contains("ssl.trustStore"), "{why}");
    within(connector(addr, HOST, known(&root, &root.client("me"))).connect()).await.unwrap();
}

#[tokio::test]
async fn servers_that_are_none() {
    let root = Authority::root("root");
    let tls = || Tls::builder().roots(root.pem()).build().unwrap();
    let plain = TestServer::start().await.unwrap();
    let why = why_not(connector(plain.addr(), HOST, tls())).await;
    assert!(why.contains("secureClientPort"), "{why}");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    let why = why_not(connector(addr, HOST, tls())).await;
    assert!(why.starts_with("TLS: ") && why.contains("secureClientPort"), "{why}");

    let (_server, addr) = server(&root.server(&[HOST], |_| ())).await;
    let servers = format!("{HOST}:{}", addr.port());
    let unencrypted = zk_client::Connector::new(&servers).unwrap().dial(super::bad_certificates::Named(addr));
    let why = why_not(unencrypted.connect_timeout(Duration::ZERO)).await;
    assert!(why.contains("the port speaks TLS") || why.contains("reset"), "{why}");
    let why = why_not(connector(addr, "not_a-name-\u{e9}", tls())).await;
    assert!(why.contains("cannot stand in a certificate"), "{why}");
}

/// The name is told to the server before it shows a certificate, which a server for several names needs. An address is
/// not: RFC 6066 has names only.
#[tokio::test]
async fn servers_are_told_the_name_that_is_meant() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let tls = Tls::builder().roots(Authority::root("root").pem()).build().unwrap();
    for (host, name) in [(HOST, Some(HOST)), ("10.0.0.1", None)] {
        let _client = connector(addr, host, tls.clone()).connect_in_background();
        let (mut stream, _) = within(listener.accept()).await.unwrap();
        let mut acceptor = zk_client::tls::rustls::server::Acceptor::default();
        let hello = loop {
            let mut bytes = vec![0; 4096];
            let len = within(stream.read(&mut bytes)).await.unwrap();
            acceptor.read_tls(&mut &bytes[..len]).unwrap();
            if let Some(accepted) = acceptor.accept().unwrap_or_else(|_| panic!("no ClientHello")) {
                break accepted;
            }
        };
        assert_eq!(hello.client_hello().server_name(), name);
    }
}

#[tokio::test]
async fn another_name_may_be_verified_and_is_verified() {
    let root = Authority::root("root");
    let (_server, addr) = server(&root.server(&[HOST], |_| ())).await;
    let instead = |name: &str| Tls::builder().roots(root.pem()).verify_this_name_instead(name).build();
    within(connector(addr, "tunnel", instead(HOST).unwrap()).connect()).await.unwrap();
    let why = why_not(connector(addr, HOST, instead("zk2.example.org").unwrap())).await;
    assert!(why.contains("is for another name"), "{why}");
    assert_eq!(instead("no name").unwrap_err(), TlsError::Name("no name".into()));
}

/// Waits until the client is on another connection than before.
async fn cut(server: &TestServer, client: &Client) {
    let mut state = client.state();
    state.mark_unchanged();
    server.drop_connections();
    within(state.changed()).await.unwrap();
    until_connected(client).await;
}

// goal: N12
#[tokio::test]
async fn files_that_change_are_used_by_the_next_connection() {
    let root = Authority::root("root");
    let (server, addr) = asking(&root, ClientAuth::Want).await;
    let folder = tempfile::tempdir().unwrap();
    let [roots, chain, key] = ["ca.pem", "chain.pem", "key.pem"].map(|name| folder.path().join(name));
    let show = |me: &Shown| {
        fs::write(&chain, &me.chain).unwrap();
        fs::write(&key, &me.key).unwrap();
    };
    fs::write(&roots, root.pem()).unwrap();
    show(&root.client("first"));
    let tls = Tls::builder().roots_file(&roots).client_certificate_files(&chain, &key).build().unwrap();
    let client = within(connector(addr, HOST, tls.clone()).connect()).await.unwrap();
    let is = async |name: &str| {
        let who = within(client.who_am_i()).await.unwrap();
        assert!(who.iter().any(|who| who.user == format!("CN={name},O=Test")), "{name}: {who:?}");
    };
    is("first").await;
    show(&root.client("second"));
    is("first").await;
    cut(&server, &client).await;
    is("second").await;

    // A key that is not the certificate's: the old pair stays, and somebody says so.
    fs::write(&key, root.client("third").key).unwrap();
    cut(&server, &client).await;
    is("second").await;
    let error = tls.last_error().expect("it says so").to_string();
    assert!(error.contains("key.pem") && error.contains("is it the certificate's key?"), "{error}");
    assert_eq!(tls.reload().unwrap_err().to_string(), error);
    fs::remove_file(&key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Unreadable { place, .. }) if place.ends_with("key.pem")));
    cut(&server, &client).await;
    is("second").await;

    show(&root.client("fourth"));
    tls.reload().unwrap();
    assert_eq!(tls.last_error(), None);
    cut(&server, &client).await;
    is("fourth").await;
    assert!(matches!(*client.state().borrow(), SessionState::Connected { .. }));

    // Roots that do not know the server any more keep it out, and the complaint about a file stands beside the reason.
    fs::write(&roots, Authority::root("other").pem()).unwrap();
    tls.reload().unwrap();
    fs::write(&chain, "").unwrap();
    let why = why_not(connector(addr, HOST, tls)).await;
    assert!(why.contains("was not issued") && why.contains("chain.pem: no certificate here: it is empty"), "{why}");
}

#[test]
fn what_does_not_serve_is_told_at_once() {
    let root = Authority::root("root");
    let me = root.client("me");
    assert_eq!(Tls::builder().build().unwrap_err(), TlsError::NoRoots);
    assert!(TlsError::NoRoots.to_string().contains("roots_file"));
    let says = |tls: zk_client::tls::TlsBuilder, words: &str| {
        let error = zk_client::Error::from(tls.build().unwrap_err()).to_string();
        assert!(error.starts_with("TLS: ") && error.contains(words), "{error}");
        assert!(!error.contains("canary"), "{error}");
    };
    says(Tls::builder().roots_file("/no/such/file"), "/no/such/file cannot be read");
    says(Tls::builder().roots_file("/dev/zero"), "it is longer than");
    says(Tls::builder().roots(me.key.as_str()), "no certificate here: it holds a private key");
    says(Tls::builder().roots("-----BEGIN CERTIFICATE-----\ncanary"), "a section has no END line");
    says(Tls::builder().roots(vec![0x30, 0x82, 1, 1]), "roots: ");
    let rooted = || Tls::builder().roots(root.pem());
    says(rooted().client_certificate(me.chain.as_str(), me.chain.as_str()), "client key: no private key here");
    says(rooted().client_certificate(me.chain.as_str(), root.client("x").key), "is it the certificate's key?");
    says(rooted().revocation_lists("canary"), "no revocation list here");
    let broken = "-----BEGIN PRIVATE KEY-----\ncanary!\n-----END PRIVATE KEY-----\n";
    says(rooted().client_certificate(me.chain.as_str(), broken), "its base64 is broken");
    let shown = format!("{:?}", rooted().client_certificate(me.chain.as_str(), me.key.as_str()).build().unwrap());
    assert_eq!(shown, "Tls { sources: [\"(in memory)\", \"(in memory)\", \"(in memory)\"], .. }");
}

/// graviola would abort. It lets a feature be denied in builds for tests, by a variable that it reads once; so this test
/// runs itself again.
#[test]
fn a_processor_that_is_too_old_is_an_error() {
    const NAME: &str = "GRAVIOLA_CPU_DISABLE_aes";
    if std::env::var_os(NAME).is_some() {
        let error = Tls::builder().roots("").build().unwrap_err();
        assert_eq!(error, TlsError::Processor);
        assert!(error.to_string().contains("TlsBuilder::provider"));
        return;
    }
    let this = std::env::current_exe().unwrap();
    let name = "client::tls::a_processor_that_is_too_old_is_an_error";
    let again = std::process::Command::new(this).args(["--exact", name]).env(NAME, "1").output().unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_provider_may_be_given() {
    let root = Authority::root("root");
    let (server, addr) = server(&root.server(&[HOST], |_| ())).await;
    let mut provider = rustls_graviola::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite().as_str() == Some("TLS13_CHACHA20_POLY1305_SHA256"));
    assert_eq!(provider.cipher_suites.len(), 1);
    let tls = Tls::builder().roots(root.pem()).provider(std::sync::Arc::new(provider)).build().unwrap();
    let client = within(connector(addr, HOST, tls).connect()).await.unwrap();
    create(&client, "/a", b"").await;
    assert!(!server.requests().is_empty());
}
