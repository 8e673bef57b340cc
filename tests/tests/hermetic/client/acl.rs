//! Entries of access control lists: what is written is what servers make of an identity.

use crate::stage::{Stage, create, within};
use zk_client::{ErrorCode, Permissions, acl};
use zk_testkit::server::TestServer;

#[tokio::test(start_paused = true)]
async fn entries_are_those_that_servers_know() {
    // A server knows the scheme `sasl` where it was set up for it.
    let server = Stage::with(TestServer::builder().sasl_user("bob", "secret")).await;
    let client = server.connect().await;
    let read = Permissions::READ;
    let entries = [
        acl::world_unsafe(Permissions::READ.and(Permissions::ADMIN)),
        acl::digest(Permissions::ALL, "bob", "secret"),
        acl::digest_of(read, "eve:jVT0LGBmNPaphcyGvqFpiaCo3+4="),
        acl::ip(read, "10.0.0.0/8"),
        acl::sasl(read, "bob/host@REALM"),
    ];
    create(&client, "/a", b"").await;
    within(client.set_acl("/a", &entries, None)).await.unwrap();
    let (found, _) = within(client.get_acl("/a")).await.unwrap();
    assert_eq!(found, entries);
    assert_eq!(&*entries[1].id.id, acl::digest_id("bob", "secret"));

    assert_eq!(within(client.set_data("/a", b"x", None)).await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
    within(client.add_auth("digest", "bob:secret")).await.unwrap();
    within(client.set_data("/a", b"x", None)).await.unwrap();
    within(client.set_acl("/a", &[acl::auth(Permissions::ALL)], None)).await.unwrap();
    let (found, _) = within(client.get_acl("/a")).await.unwrap();
    assert_eq!(found, [acl::digest(Permissions::ALL, "bob", "secret")], "`auth` is whoever we are");
    let refused = within(client.set_acl("/a", &[acl::other(read, "moon", "x")], None)).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::INVALID_ACL));
}
