//! Passwords stay on this machine, or behind encryption, unless somebody says otherwise by name.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::stage::{Stage, create, pass, ready, refused, until_connected, until_suspended, within};
use zk_client::{
    Connector, Dial, Dialed, Error, HostPort, OpCode, Outcome, SaslExchange, SaslFailure, SaslMechanism, Transport,
    UsageError,
};

/// A server that pretends to be on another machine.
struct Far {
    server: Stage,
    encrypts: bool,
}

impl Dial for Far {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec!["10.0.0.1:2181".parse().unwrap()]))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        ready(Ok(Box::new(self.server.pipe()) as Box<dyn Transport>))
    }

    fn encrypts(&self) -> bool {
        self.encrypts
    }
}

/// Is refused the first time.
struct Refuses(Far, AtomicBool);

impl Dial for Refuses {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        self.0.resolve(host)
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        if self.1.swap(false, Ordering::Relaxed) { ready(Err(refused())) } else { self.0.dial(host, addr) }
    }
}

fn far_dial(server: &Stage, encrypts: bool) -> Far {
    Far { server: server.clone(), encrypts }
}

fn far(server: &Stage, encrypts: bool) -> Connector {
    Connector::new("zk1").unwrap().connect_timeout(Duration::ZERO).dial(far_dial(server, encrypts))
}

async fn tells(server: &Stage, connector: Connector, scheme: &str) {
    let Err(Error::Unreachable(tried)) = within(connector.connect()).await else { panic!("it was connected") };
    let why = format!(
        "{scheme} credentials would travel unencrypted to 10.0.0.1:2181; use Connector::tls, or say \
         Connector::allow_plaintext_auth on a network that you trust"
    );
    assert_eq!(tried.attempts[0].why, why);
    assert_eq!(server.requests(), [], "not a byte left");
}

// goal: N13
#[tokio::test(start_paused = true)]
async fn a_password_is_not_sent_unencrypted_to_another_machine() {
    let server = Stage::start().await;
    tells(&server, far(&server, false).auth("digest", "ann:secret"), "digest").await;
    for allowed in [far(&server, false).allow_plaintext_auth(), far(&server, true)] {
        let client = within(allowed.auth("digest", "ann:secret").connect()).await.unwrap();
        assert!(within(client.who_am_i()).await.unwrap().iter().any(|who| who.user == "ann"));
    }
    let nothing_secret = within(far(&server, false).auth("ip", b"").connect()).await.unwrap();
    create(&nothing_secret, "/a", b"").await;
}

#[tokio::test(start_paused = true)]
async fn nor_is_one_that_is_added_later() {
    let server = Stage::start().await;
    let client = within(far(&server, false).connect()).await.unwrap();
    let error = within(client.add_auth("digest", "ann:secret")).await.unwrap_err();
    let server_addr = "10.0.0.1:2181".parse().unwrap();
    let expected = UsageError::PlaintextAuth { scheme: "digest".into(), server: server_addr };
    assert_eq!(error, Error::Usage(expected));
    create(&client, "/a", b"").await;
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    create(&client, "/b", b"").await;
    assert!(server.requests().iter().all(|request| request.op != OpCode::AUTH));

    // Before there is a connection nobody knows where it will lead; then none is made.
    let early =
        far(&server, false).dial(Refuses(far_dial(&server, false), AtomicBool::new(true))).connect_in_background();
    let added = early.add_auth("digest", "ann:secret");
    let waits = async {
        while !early.unreachable().to_string().contains("would travel unencrypted") {
            pass(Duration::from_millis(10)).await;
        }
    };
    within(waits).await;
    drop(early);
    assert!(within(added).await.is_err());
    assert!(server.requests().iter().all(|request| request.op != OpCode::AUTH));
}

/// It leads nowhere while it waits; afterwards the client goes where it is not needed.
#[tokio::test(start_paused = true)]
async fn one_whose_time_was_over_is_in_nobodys_way() {
    let server = Stage::start().await;
    let early = far(&server, false).dial(Refuses(far_dial(&server, false), AtomicBool::new(true)));
    let client = early.connect_in_background();
    let hasty = client.with_timeout(Duration::from_secs(1));
    let added = within(hasty.add_auth("digest", "ann:secret")).await;
    assert!(matches!(added, Err(Error::TimedOut { outcome: Outcome::NotSent, .. })), "{added:?}");
    create(&client, "/a", b"").await;
    assert!(server.requests().iter().all(|request| request.op != OpCode::AUTH));
}

/// Says its password to whoever asks, as PLAIN does.
struct Plain;

impl SaslMechanism for Plain {
    fn name(&self) -> &str {
        "PLAIN"
    }

    fn begin(&self, _host: &str) -> Result<Box<dyn SaslExchange>, SaslFailure> {
        Err(SaslFailure::Mechanism("it was begun"))
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_a_mechanism_say_one_unless_it_hides_it() {
    let server = Stage::start().await;
    tells(&server, far(&server, false).sasl(Plain), "PLAIN").await;
    let begun = within(far(&server, true).sasl(Plain).connect()).await.unwrap_err();
    assert!(begun.to_string().contains("it was begun"), "{begun}");
    // DIGEST-MD5 does; this server has no SASL, which it says.
    let digest = far(&server, false).sasl(zk_client::DigestMd5::new("bob", "secret"));
    assert!(within(digest.connect()).await.unwrap_err().to_string().contains("it has no SASL"));
}
