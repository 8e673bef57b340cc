//! What an identity may do, and servers that demand one.

use crate::stage::{Stage, until, within};
use zk_client::{Acl, CREATOR_ALL_ACL, Client, CreateMode, End, Error, ErrorCode, OPEN_ACL_UNSAFE, SessionState};
use zk_testkit::server::TestServer;

#[track_caller]
fn code<R: std::fmt::Debug>(result: Result<R, Error>) -> ErrorCode {
    result.unwrap_err().code().expect("a refusal")
}

async fn who(server: &Stage, credentials: &str) -> Client {
    let client = server.connect().await;
    within(client.add_auth("digest", credentials.as_bytes())).await.unwrap();
    client
}

async fn make(client: &Client, path: &str, acl: &[Acl]) -> Result<(), Error> {
    within(client.create(path, b"", CreateMode::Persistent, acl)).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn the_creator_may_do_everything_and_nobody_else_but_the_super_user() {
    let server = Stage::with(TestServer::builder().super_user("root:secret")).await;
    let nobody = server.connect().await;
    assert_eq!(code(make(&nobody, "/a", CREATOR_ALL_ACL).await), ErrorCode::INVALID_ACL, "there is no creator to name");
    let ann = who(&server, "ann:secret").await;
    make(&ann, "/a", CREATOR_ALL_ACL).await.unwrap();
    within(ann.set_data("/a", b"hers", None)).await.unwrap();

    let strangers = [nobody, who(&server, "ann:wrong").await, who(&server, "bob:secret").await];
    for other in &strangers {
        assert_eq!(code(within(other.get_data("/a")).await), ErrorCode::NO_AUTH);
        assert_eq!(code(within(other.set_data("/a", b"", None)).await), ErrorCode::NO_AUTH);
        assert_eq!(code(within(other.get_children("/a")).await), ErrorCode::NO_AUTH);
        assert_eq!(code(make(other, "/a/b", OPEN_ACL_UNSAFE).await), ErrorCode::NO_AUTH);
        assert_eq!(code(within(other.set_acl("/a", OPEN_ACL_UNSAFE, None)).await), ErrorCode::NO_AUTH);
    }
    let root = who(&server, "root:secret").await;
    assert_eq!(&within(root.get_data("/a")).await.unwrap().0[..], b"hers");
    within(root.set_acl("/a", OPEN_ACL_UNSAFE, None)).await.unwrap();
    for other in &strangers {
        within(other.set_data("/a", b"everybody's", None)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_shows_nothing_to_a_server_that_demands_an_identity_is_told_and_ended() {
    let server = Stage::with(TestServer::builder().require_auth("digest")).await;
    let ann = within(server.connector().auth("digest", b"ann:secret").connect()).await.unwrap();
    make(&ann, "/a", OPEN_ACL_UNSAFE).await.unwrap();
    let late = server.connect().await;
    within(late.add_auth("digest", b"bob:secret")).await.unwrap();
    within(late.get_data("/a")).await.unwrap();

    let nobody = server.connect().await;
    let refused = within(nobody.get_data("/a")).await.unwrap_err();
    let demanded = ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH;
    assert!(
        refused.code() == Some(demanded) || matches!(refused, Error::Interrupted { .. }),
        "the reason or the end, whatever comes first: {refused:?}"
    );
    let ended = SessionState::Ended(End::AuthFailed(demanded));
    until(&nobody, move |state| *state == ended).await;
    assert!(matches!(within(nobody.get_data("/a")).await, Err(Error::Interrupted { .. })));
    within(ann.get_data("/a")).await.unwrap();
}
