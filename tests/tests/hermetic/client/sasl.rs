//! SASL on every connection, before everything but auth packets.

use crate::stage::{SESSION, Stage, create, until, until_connected, until_suspended, within};
use zk_client::{
    CreateMode, DigestMd5, End, Error, ErrorCode, Interruption, OpCode, Permissions, SaslExchange, SaslFailure,
    SaslMechanism, SaslStep, SessionState, WatchMode, acl,
};
use zk_testkit::server::{Builder, TestServer};

fn knows_bob() -> Builder {
    TestServer::builder().sasl_user("bob", "secret").sasl_user("zo\u{e9}\"\\", "p\u{20ac}ss")
}

/// Why a connection is not made.
async fn failure(server: &Stage, mechanism: impl SaslMechanism) -> SaslFailure {
    match within(server.connector().sasl(mechanism).connect()).await {
        Err(Error::Interrupted { by: Interruption::SaslFailed(why), .. }) => why,
        other => panic!("{other:?}"),
    }
}

// goal: N13
#[tokio::test(start_paused = true)]
async fn the_exchange_is_made_on_every_connection_before_watches_and_requests() {
    let server = Stage::with(knows_bob().require_sasl()).await;
    let bob = server.connector().sasl(DigestMd5::new("bob", "secret")).auth("digest", "ann:secret");
    let client = within(bob.connect()).await.unwrap();
    let mine = [acl::sasl(Permissions::ALL, "bob")];
    within(client.create("/mine", b"", CreateMode::Persistent, &mine)).await.unwrap();
    let _watch = within(client.watch("/mine", WatchMode::PERSISTENT)).await.unwrap();
    drop(server.take_requests());

    server.drop_connections();
    until_suspended(&client).await;
    within(client.get_data("/mine")).await.unwrap();
    let ops: Vec<_> = server.take_requests().into_iter().map(|request| request.op).collect();
    assert_eq!(ops, [OpCode::AUTH, OpCode::SASL, OpCode::SASL, OpCode::SET_WATCHES2, OpCode::GET_DATA]);

    let session = client.session_id().unwrap();
    server.expire_session(session);
    until(&client, move |state| matches!(state, SessionState::Connected { session: new, .. } if *new != session)).await;
    within(client.get_data("/mine")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn names_and_passwords_may_be_anything() {
    let server = Stage::with(knows_bob().require_sasl()).await;
    let client =
        within(server.connector().sasl(DigestMd5::new("zo\u{e9}\"\\", "p\u{20ac}ss")).connect()).await.unwrap();
    let who = within(client.who_am_i()).await.unwrap();
    assert!(who.iter().any(|who| who.scheme == "sasl" && who.user == "zo\u{e9}\"\\"), "{who:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_exchange_is_the_end_and_says_what_to_do() {
    let wrong = || DigestMd5::new("bob", "Secret");
    let server = Stage::with(knows_bob()).await;
    assert_eq!(failure(&server, wrong()).await, SaslFailure::Refused(ErrorCode::AUTH_FAILED));
    let demanding = Stage::with(knows_bob().require_sasl()).await;
    let required = ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH;
    assert_eq!(failure(&demanding, wrong()).await, SaslFailure::Refused(required));
    let lenient = Stage::with(knows_bob().allow_sasl_failed_clients()).await;
    assert_eq!(failure(&lenient, wrong()).await, SaslFailure::Unavailable);
    let without = Stage::start().await;
    let why = failure(&without, DigestMd5::new("bob", "secret")).await;
    assert_eq!(why, SaslFailure::Unavailable);
    assert!(why.to_string().contains("JAAS section `Server`"), "{why}");

    let client = server.connector().sasl(wrong()).connect_in_background();
    let read = within(client.get_data("/")).await.unwrap_err();
    let said = "getData: SASL failed: authentication failed (-115); check user and password, and the server's JAAS section; it \
                was not sent";
    assert_eq!(read.to_string(), said);
    let ended = SessionState::Ended(End::SaslFailed(SaslFailure::Refused(ErrorCode::AUTH_FAILED)));
    until(&client, move |state| *state == ended).await;
    drop(server.take_requests());
    tokio::time::advance(SESSION * 10).await;
    assert_eq!(server.take_requests(), [], "no storm of attempts");
}

#[tokio::test(start_paused = true)]
async fn without_sasl_a_demanding_server_is_told_from_others() {
    let server = Stage::with(knows_bob().require_sasl()).await;
    let client = server.connect().await;
    let refused = within(client.get_data("/")).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH));
}

/// A mechanism of one's own, with the steps that it takes.
struct Own(fn(Option<&[u8]>) -> Result<SaslStep, SaslFailure>);

impl SaslMechanism for Own {
    fn name(&self) -> &str {
        "OWN"
    }

    fn begin(&self, host: &str) -> Result<Box<dyn SaslExchange>, SaslFailure> {
        assert_eq!(host, "127.0.0.1");
        Ok(Box::new(Self(self.0)))
    }
}

impl SaslExchange for Own {
    fn first(&mut self) -> Result<Vec<u8>, SaslFailure> {
        Ok(b"hello".to_vec())
    }

    fn step(&mut self, token: Option<&[u8]>) -> Result<SaslStep, SaslFailure> {
        (self.0)(token)
    }
}

#[tokio::test(start_paused = true)]
async fn mechanisms_are_a_trait() {
    // As GSSAPI's is, the last answer of a server without SASL is a null token.
    let server = Stage::start().await;
    let client = within(server.connector().sasl(Own(|_| Ok(SaslStep::Done))).connect()).await.unwrap();
    create(&client, "/a", b"").await;
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    let why = SaslFailure::Mechanism("the ticket has expired; run kinit");
    assert_eq!(failure(&server, Own(|_| Err(SaslFailure::Mechanism("the ticket has expired; run kinit")))).await, why);
}

/// The server answers every token, the mechanism never ends: the connection is given up like one to a mute server.
#[tokio::test(start_paused = true)]
async fn an_exchange_without_end_is_given_up() {
    let server = Stage::start().await;
    let endless = server.connector().sasl(Own(|_| Ok(SaslStep::Send(Vec::new()))));
    let client = endless.connect_in_background();
    // The pipe answers at once, so that time only passes between some rounds.
    let waits = async {
        while client.unreachable().attempts.is_empty() {
            tokio::time::advance(std::time::Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
    };
    within(waits).await;
    assert!(client.unreachable().attempts[0].why.contains("fell silent"), "{}", client.unreachable());
}
