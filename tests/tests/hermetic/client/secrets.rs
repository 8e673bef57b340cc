//! What is secret shows nowhere: not in `Debug`, not in errors, not in traces.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use crate::stage::{Stage, create, until_suspended, within};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use zk_client::{Bytes, Credentials, DigestMd5, Secret, SessionId, acl, tls::Tls};
use zk_testkit::server::TestServer;
use zk_tests::certificates::Authority;

const CANARY: &str = "canary-in-a-coal-mine";

/// Whether a text holds the canary in any form that `Debug` gives it: text, numbers, hexadecimal.
fn leaks(text: &str) -> bool {
    let numbers: Vec<String> = CANARY.bytes().take(6).map(|byte| byte.to_string()).collect();
    let hex: String = CANARY.bytes().take(6).map(|byte| format!("{byte:02x}")).collect();
    [CANARY[..6].to_owned(), numbers.join(", "), hex].iter().any(|form| text.contains(form))
}

#[test]
fn leaks_are_found() {
    let forms = [
        format!("{CANARY:?}"),
        format!("{:?}", CANARY.as_bytes()),
        format!("{:?}", Bytes::from_static(CANARY.as_bytes())),
        format!("{:02x?}", CANARY.as_bytes()).replace(", ", ""),
    ];
    assert!(forms.iter().all(|form| leaks(form)));
    assert!(!leaks("a mine with a can"));
}

/// Keeps everything that is traced, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?}\n"));
    }
}

// goal: N14
#[tokio::test(start_paused = true)]
async fn secrets_show_nowhere() {
    let log = Log::default();
    // With one subscriber only, what another test's thread traces for the first time is switched off, because that thread has none.
    let _second = tracing::Dispatch::new(Log::default());
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut shown = Vec::new();
    let server = Stage::with(TestServer::builder().sasl_user("bob", CANARY)).await;
    let digest = format!("ann:{CANARY}");
    let sasl = DigestMd5::new("bob", CANARY);
    shown.push(format!("{sasl:?} {:?}", Secret::from(CANARY)));
    let connector = server.connector().auth("digest", &*digest).sasl(sasl);
    shown.push(format!("{connector:?} {:#?}", connector.clone()));
    let client = within(connector.connect()).await.unwrap();
    let added = client.add_auth("digest", digest.as_str());
    shown.push(format!("{added:?} {client:?} {:?}", client.credentials()));
    within(added).await.unwrap();
    create(&client, "/a", b"").await;
    server.drop_connections();
    until_suspended(&client).await;
    create(&client, "/b", b"").await;
    let refused = within(client.add_auth("moon", CANARY)).await.unwrap_err();
    shown.push(format!("{refused} {refused:?} {:?}", client.state().borrow()));

    let wrong = within(server.connector().sasl(DigestMd5::new("eve", CANARY)).connect()).await.unwrap_err();
    shown.push(format!("{wrong} {wrong:?}"));
    let password = Bytes::from_static(&CANARY.as_bytes()[..16]);
    let stolen = Credentials { id: SessionId(7), password };
    shown.push(format!("{stolen:?}"));
    let thief = within(server.connector().resume(stolen).connect()).await.unwrap();
    shown.push(format!("{thief:?}"));
    let key = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    let tls = Tls::builder().roots(Authority::root("root").pem()).client_certificate("", key);
    shown.push(format!("{tls:?} {}", tls.clone().build().unwrap_err()));
    shown.push(format!("{:?}", acl::digest(zk_client::Permissions::ALL, "ann", CANARY)));

    let text = log.0.lock().unwrap().clone();
    assert!(text.contains("session established") && text.contains("connection lost"), "nothing was traced: {text}");
    assert!(!leaks(&text), "{text}");
    let leaked: Vec<&String> = shown.iter().filter(|text| leaks(text)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

/// N14 is also that the session goes on elsewhere: the ephemeral is still there, and the password shows in neither.
// goal: N14
#[tokio::test(start_paused = true)]
async fn a_session_goes_on_with_its_credentials() {
    let server = Stage::start().await;
    let first = server.connect().await;
    let mode = zk_client::CreateMode::Ephemeral;
    within(first.create("/mine", b"", mode, zk_client::OPEN_ACL_UNSAFE)).await.unwrap();
    let credentials = first.credentials().unwrap();
    let second = within(server.connector().resume(credentials.clone()).connect()).await.unwrap();
    assert_eq!(second.session_id(), Some(credentials.id));
    let (_, stat) = within(second.get_data("/mine")).await.unwrap();
    assert_eq!(stat.ephemeral_owner, credentials.id);
    let shown = format!("{credentials:?} {second:?}");
    let numbers: Vec<String> = credentials.password.iter().take(4).map(u8::to_string).collect();
    assert!(!shown.contains(&numbers.join(", ")), "{shown}");
}
