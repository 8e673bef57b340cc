//! TLS and SASL with real servers: certificates of an authority made for the test, and identities that outlive connections.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::timeout;
use zk_client::{
    Client, Connector, CreateMode, Dial, Dialed, DigestMd5, End, Error, ErrorCode, HostPort, Interruption,
    OPEN_ACL_UNSAFE, Permissions, SaslFailure, SessionState, TcpDial, Transport, acl,
    tls::{Tls, TlsBuilder},
};
use zk_testkit::{
    launcher::{Ensemble, Launcher, Version},
    proxy::{End as How, Proxy},
};
use zk_tests::{
    certificates::{Authority, Bad, Shown, bad_certificates},
    real,
};

use super::scene::{Done, Failure, PATIENCE};

/// A server that takes TLS on a port of its own, and what it trusts.
struct Secure {
    ensemble: Ensemble,
    addr: SocketAddr,
    root: Authority,
    /// The server may read its files again.
    _folder: TempDir,
}

/// A port that was free a moment ago, as the launcher's are.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Secure {
    /// A server with a certificate for 127.0.0.1 and localhost; `asks` is its `ssl.clientAuth`.
    async fn start(version: Version, asks: &str) -> Result<Self, Failure> {
        let root = Authority::root("root");
        let shown = root.server(&["localhost", "127.0.0.1"], |_| ());
        let folder = tempfile::tempdir()?;
        let [keys, trusted] = ["keys.pem", "trusted.pem"].map(|name| folder.path().join(name));
        fs::write(&keys, format!("{}{}", shown.key, shown.chain))?;
        fs::write(&trusted, root.pem())?;
        let port = free_port()?;
        let launcher = secured(real(version), port, asks)
            .property("ssl.keyStore.location", keys.display().to_string())
            .property("ssl.trustStore.location", trusted.display().to_string());
        let ensemble = launcher.start().await?;
        Ok(Self { ensemble, addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), root, _folder: folder })
    }

    fn trusting(&self) -> TlsBuilder {
        Tls::builder().roots(self.root.pem())
    }

    fn known(&self, me: &Shown) -> Result<Tls, Failure> {
        Ok(self.trusting().client_certificate(me.chain.as_str(), me.key.as_str()).build()?)
    }
}

fn secured(launcher: Launcher, port: u16, asks: &str) -> Launcher {
    launcher
        .property("secureClientPort", port.to_string())
        .property("secureClientPortAddress", "127.0.0.1")
        .property("serverCnxnFactory", "org.apache.zookeeper.server.NettyServerCnxnFactory")
        .property("authProvider.x509", "org.apache.zookeeper.server.auth.X509AuthenticationProvider")
        .property("ssl.keyStore.type", "PEM")
        .property("ssl.trustStore.type", "PEM")
        .property("ssl.hostnameVerification", "false")
        .property("ssl.clientAuth", asks)
}

fn connector(servers: &str) -> Result<Connector, Failure> {
    let connector = Connector::new(servers)?.session_timeout(Duration::from_secs(6)).connect_timeout(PATIENCE);
    Ok(connector.reconnect_spread(crate::RECONNECT_SPREAD))
}

async fn why_not(connector: Connector) -> Result<String, Failure> {
    match timeout(PATIENCE, connector.connect_timeout(Duration::ZERO).connect()).await? {
        Err(Error::Unreachable(tried)) => Ok(tried.attempts.into_iter().next().ok_or("no attempt")?.why),
        other => Err(format!("{other:?}").into()),
    }
}

/// Waits until the client is on another connection than before.
async fn cut(proxy: &Proxy, client: &Client) -> Done {
    let mut state = client.state();
    state.mark_unchanged();
    proxy.end_all(How::Reset);
    timeout(PATIENCE, state.changed()).await??;
    timeout(PATIENCE, state.wait_for(SessionState::is_connected)).await??;
    Ok(())
}

async fn encrypted(version: Version) -> Done {
    let server = Secure::start(version, "none").await?;
    let servers = server.addr.to_string();
    let client = connector(&servers)?.tls(server.trusting().build()?).connect().await?;
    let long = vec![7; 900_000];
    client.create("/long", &long, CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    assert_eq!(client.get_data("/long").await?.0, long);
    let plain = connector(&server.ensemble.connect_string())?.connect().await?;
    assert_eq!(plain.get_data("/long").await?.0.len(), long.len(), "both ports lead to one tree");

    let localhost = format!("localhost:{}", server.addr.port());
    connector(&localhost)?.tls(server.trusting().build()?).connect().await?.close().await;
    let stranger = Tls::builder().roots(Authority::root("other").pem()).build()?;
    let why = why_not(connector(&servers)?.tls(stranger)).await?;
    assert!(why.contains("was not issued by an authority that we trust"), "{why}");
    let elsewhere = server.trusting().verify_this_name_instead("zk1.example.org").build()?;
    let why = why_not(connector(&servers)?.tls(elsewhere)).await?;
    assert!(why.contains("is for another name"), "{why}");
    let at_the_plain_port = connector(&server.ensemble.connect_string())?.tls(server.trusting().build()?);
    let why = why_not(at_the_plain_port).await?;
    assert!(why.contains("secureClientPort"), "{why}");
    let without = why_not(connector(&servers)?).await?;
    assert!(!without.is_empty());
    Ok(())
}

// goal: N12
#[tokio::test]
async fn tls_with_3_9() -> Done {
    encrypted(Version::V3_9).await
}

// goal: N12
#[tokio::test]
async fn tls_with_3_8() -> Done {
    encrypted(Version::V3_8).await
}

// goal: N13
#[tokio::test]
async fn a_certificate_is_an_identity_after_a_cut_too() -> Done {
    let server = Secure::start(Version::V3_9, "need").await?;
    let proxy = Proxy::start(server.addr).await?;
    let servers = proxy.connect_string();
    let me = connector(&servers)?.tls(server.known(&server.root.client("me"))?).connect().await?;
    let mine = [acl::x509(Permissions::ALL, "CN=me,O=Test")];
    me.create("/mine", b"", CreateMode::Persistent, &mine).await?;
    let other = connector(&server.addr.to_string())?.tls(server.known(&server.root.client("other"))?).connect().await?;
    assert_eq!(other.get_data("/mine").await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
    cut(&proxy, &me).await?;
    me.set_data("/mine", b"still", None).await?;
    assert!(me.who_am_i().await?.iter().any(|who| who.scheme == "x509" && who.user == "CN=me,O=Test"));

    let bare = connector(&server.addr.to_string())?.tls(server.trusting().build()?);
    let why = why_not(bare).await?;
    assert!(why.contains("the server refuses us") && why.contains("client_certificate_files"), "{why}");
    let stranger = server.known(&Authority::root("stranger").client("me"))?;
    let why = why_not(connector(&server.addr.to_string())?.tls(stranger)).await?;
    assert!(why.contains("the server refuses us"), "{why}");
    Ok(())
}

/// Resolves every name to one address.
struct Named(SocketAddr);

impl Dial for Named {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        Box::pin(std::future::ready(Ok(vec![self.0])))
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        TcpDial.dial(host, addr)
    }
}

/// A real server shows a certificate, and a client that means `host` is not to take it.
async fn refuses(root: &Authority, bad: &Bad) -> Done {
    let folder = tempfile::tempdir()?;
    let keys = folder.path().join("keys.pem");
    fs::write(&keys, format!("{}{}", bad.shown.key, bad.shown.chain))?;
    let port = free_port()?;
    let launcher = secured(real(Version::V3_9), port, "none")
        .property("ssl.keyStore.location", keys.display().to_string())
        .property("ssl.trustStore.location", keys.display().to_string());
    let _ensemble = launcher.start().await?;
    let tls = Tls::builder().roots(root.pem());
    let tls = match &bad.revoked {
        Some(lists) => tls.revocation_lists(lists.as_str()),
        None => tls,
    };
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connector = connector(&format!("{}:{port}", bad.host))?.dial(Named(addr)).tls(tls.build()?);
    // The plain port is open; this one comes later.
    timeout(PATIENCE, async { while tokio::net::TcpStream::connect(addr).await.is_err() {} }).await?;
    let why = why_not(connector).await?;
    assert!(bad.says.iter().all(|says| why.contains(says)), "{}: {:?} of {why}", bad.what, bad.says);
    Ok(())
}

// goal: N12
#[tokio::test]
async fn bad_certificates_of_real_servers_are_refused() -> Done {
    let root = Authority::root("root");
    let bad_ones = bad_certificates(&root);
    assert!(bad_ones.len() >= 12);
    for bad in &bad_ones {
        refuses(&root, bad).await?;
    }
    Ok(())
}

async fn with_sasl(version: Version, required: bool) -> Result<Ensemble, Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jaas.conf");
    let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
    fs::write(&file, format!("Server {{\n  {module} required\n  user_bob=\"secret\";\n}};\n"))?;
    let provider = "org.apache.zookeeper.server.auth.SASLAuthenticationProvider";
    let launcher = real(version)
        .system_property("java.security.auth.login.config", file.display().to_string())
        .system_property("zookeeper.authProvider.1", provider)
        .system_property("zookeeper.sessionRequireClientSASLAuth", required.to_string());
    Ok(launcher.start().await?)
}

async fn sasl(version: Version) -> Done {
    let ensemble = with_sasl(version, true).await?;
    let addr = ensemble.server(0).ok_or("one server")?.addr();
    let proxy = Proxy::start(addr).await?;
    let bob = || DigestMd5::new("bob", "secret");
    let client = connector(&proxy.connect_string())?.sasl(bob()).auth("digest", "ann:secret").connect().await?;
    let mine = [acl::sasl(Permissions::ALL, "bob")];
    client.create("/mine", b"", CreateMode::Persistent, &mine).await?;
    let mut events = client.watch("/mine", zk_client::WatchMode::PERSISTENT).await?;
    cut(&proxy, &client).await?;
    client.set_data("/mine", b"still", None).await?;
    timeout(PATIENCE, events.next()).await?.ok_or("the stream ended")?;

    let wrong = connector(&ensemble.connect_string())?.sasl(DigestMd5::new("bob", "Secret")).connect().await;
    let Err(Error::Interrupted { by: Interruption::SaslFailed(SaslFailure::Refused(code)), .. }) = wrong else {
        return Err(format!("{wrong:?}").into());
    };
    assert_eq!(code, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
    let without = connector(&ensemble.connect_string())?.connect().await?;
    assert_eq!(without.get_data("/").await.unwrap_err().code(), Some(ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH));
    Ok(())
}

// goal: N13
#[tokio::test]
async fn sasl_with_3_9() -> Done {
    sasl(Version::V3_9).await
}

// goal: N13
#[tokio::test]
async fn sasl_with_3_8() -> Done {
    sasl(Version::V3_8).await
}

#[tokio::test]
async fn a_server_without_sasl_is_told_from_a_wrong_password() -> Done {
    let ensemble = real(Version::V3_9).start().await?;
    let client = connector(&ensemble.connect_string())?.sasl(DigestMd5::new("bob", "secret")).connect_in_background();
    let mut state = client.state();
    let ended = *timeout(PATIENCE, state.wait_for(|state| matches!(state, SessionState::Ended(_)))).await??;
    assert_eq!(ended, SessionState::Ended(End::SaslFailed(SaslFailure::Unavailable)));

    let lenient = with_sasl(Version::V3_9, false).await?;
    let wrong = connector(&lenient.connect_string())?.sasl(DigestMd5::new("eve", "secret")).connect().await;
    let by = Interruption::SaslFailed(SaslFailure::Refused(ErrorCode::AUTH_FAILED));
    assert!(matches!(wrong, Err(Error::Interrupted { by: found, .. }) if found == by), "{wrong:?}");
    Ok(())
}
