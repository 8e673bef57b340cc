//! Every operation, refused with every code that a server may answer it with, and the session goes on.

use std::{future::Future, pin::Pin};

use crate::stage::{Stage, within};
use zk_client::{
    Client, CreateMode, Error, ErrorCode, OPEN_ACL_UNSAFE, OpCode, Outcome, Read, Reconfig, Transaction, Ttl,
};
use zk_testkit::server::Profile;

/// Codes that any request may be answered with (protocol.md sections 3 and 7), but those that end the session.
const ANY: [ErrorCode; 4] =
    [ErrorCode::MARSHALLING_ERROR, ErrorCode::NOT_READ_ONLY, ErrorCode::THROTTLED_OP, ErrorCode(-999)];

type Asked = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// An operation, as a request, and the codes of its own.
struct Row {
    op: OpCode,
    ask: fn(&Client) -> Asked,
    codes: &'static [ErrorCode],
}

macro_rules! rows {
    ($($op:ident: $client:ident => $call:expr, [$($code:ident)*];)*) => {
        [$(Row {
            op: OpCode::$op,
            ask: |$client| {
                let call = $call;
                Box::pin(async move { call.await.map(drop) })
            },
            codes: &[$(ErrorCode::$code),*],
        }),*]
    };
}

fn rows() -> [Row; 18] {
    const TTL: CreateMode = CreateMode::PersistentWithTtl(Ttl::raw(1));
    rows! {
        CREATE2: client => client.create("/x", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE),
            [NO_NODE NODE_EXISTS NO_CHILDREN_FOR_EPHEMERALS INVALID_ACL NO_AUTH BAD_ARGUMENTS QUOTA_EXCEEDED
             EPHEMERAL_ON_LOCAL_SESSION];
        CREATE_CONTAINER: client => client.create("/x", b"", CreateMode::Container, OPEN_ACL_UNSAFE),
            [NO_NODE NODE_EXISTS NO_CHILDREN_FOR_EPHEMERALS INVALID_ACL NO_AUTH BAD_ARGUMENTS QUOTA_EXCEEDED];
        CREATE_TTL: client => client.create("/x", b"", TTL, OPEN_ACL_UNSAFE),
            [NO_NODE NODE_EXISTS NO_CHILDREN_FOR_EPHEMERALS INVALID_ACL NO_AUTH BAD_ARGUMENTS QUOTA_EXCEEDED
             UNIMPLEMENTED];
        DELETE: client => client.delete("/x", None), [NO_NODE BAD_VERSION NOT_EMPTY NO_AUTH BAD_ARGUMENTS];
        EXISTS: client => client.exists("/x"), [NO_AUTH BAD_ARGUMENTS];
        GET_DATA: client => client.get_data("/x"), [NO_NODE NO_AUTH];
        GET_DATA: client => client.get_config(), [NO_NODE NO_AUTH];
        SET_DATA: client => client.set_data("/x", b"", None), [NO_NODE BAD_VERSION NO_AUTH BAD_ARGUMENTS QUOTA_EXCEEDED];
        GET_ACL: client => client.get_acl("/x"), [NO_NODE NO_AUTH];
        SET_ACL: client => client.set_acl("/x", OPEN_ACL_UNSAFE, None),
            [NO_NODE BAD_VERSION INVALID_ACL NO_AUTH BAD_ARGUMENTS];
        GET_CHILDREN: client => client.list_children("/x"), [NO_NODE NO_AUTH];
        GET_CHILDREN2: client => client.get_children("/x"), [NO_NODE NO_AUTH];
        SYNC: client => client.sync("/x"), [];
        MULTI: client => client.commit(&Transaction::new().check("/x", None)), [];
        MULTI_READ: client => client.read_many([Read::Data("/x")]), [];
        GET_EPHEMERALS: client => client.get_ephemerals("/"), [];
        GET_ALL_CHILDREN_NUMBER: client => client.get_all_children_number("/x"), [NO_NODE NO_AUTH];
        RECONFIG: client => client.reconfig(&Reconfig::new()),
            [RECONFIG_DISABLED UNIMPLEMENTED RECONFIG_IN_PROGRESS NEW_CONFIG_NO_QUORUM BAD_VERSION BAD_ARGUMENTS NO_AUTH];
    }
}

#[tokio::test(start_paused = true)]
async fn every_code_of_every_operation_is_told_and_the_session_goes_on() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let session = client.session_id();
    for Row { op, ask, codes } in rows() {
        for code in codes.iter().copied().chain(ANY) {
            server.refuse_next(op, code);
            let refused = within(ask(&client)).await;
            assert_eq!(refused, Err(Error::Refused { op, code }));
        }
    }
    assert_eq!(client.session_id(), session);
    assert_eq!(server.connections().len(), 1, "the first one stands");
    assert_eq!(server.children("/").unwrap(), ["zookeeper"], "nothing was carried out");
}

/// Servers before an operation answer so and hang up: what was called behind it is in doubt, and the client comes back.
#[tokio::test(start_paused = true)]
async fn operations_that_a_server_does_not_know_cost_the_connection_and_not_the_session() {
    let server = Stage::like(Profile::V3_5).await;
    let client = server.connect().await;
    let session = client.session_id();
    let unknown = [OpCode::GET_EPHEMERALS, OpCode::GET_ALL_CHILDREN_NUMBER];
    for Row { op, ask, .. } in rows().into_iter().filter(|row| unknown.contains(&row.op)) {
        let (refused, behind) = (ask(&client), client.set_data("/", b"", None));
        assert_eq!(within(refused).await, Err(Error::Refused { op, code: ErrorCode::UNIMPLEMENTED }));
        let behind = within(behind).await;
        assert!(
            matches!(behind, Ok(_) | Err(Error::Interrupted { outcome: Outcome::Unknown, .. })),
            "sent with it, or after it: {behind:?}"
        );
        within(client.get_data("/")).await.unwrap();
    }
    assert_eq!(client.session_id(), session);
}
