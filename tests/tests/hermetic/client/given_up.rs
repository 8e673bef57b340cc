//! Operations of several requests, given up at every point where they wait.

use crate::stage::{Stage, poll_and_drop, settle, until_suspended, within};
use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE as OPEN, OpCode, Parents, Reconfig};

/// How many of them there are.
const OPERATIONS: usize = 9;

/// Calls one of the operations, by its number, and gives it up after so many polls; whether it was ready before.
async fn abandon(client: &Client, number: usize, polls: usize) -> bool {
    let (parents, mode) = (Parents::Persistent(OPEN), CreateMode::PersistentSequential);
    let fresh = format!("/p{number}-{polls}/q/r");
    match number {
        0 => poll_and_drop(client.create_all(&fresh, b"", mode, OPEN, parents), polls).await.is_some(),
        1 => poll_and_drop(client.ensure_path(&fresh, parents), polls).await.is_some(),
        2 => poll_and_drop(client.create_or_set(&fresh[..fresh.len() - 4], b"", OPEN), polls).await.is_some(),
        3 => poll_and_drop(client.update("/a", |_, _| Some("new")), polls).await.is_some(),
        4 => poll_and_drop(client.delete_all("/tree"), polls).await.is_some(),
        5 => {
            let mut walk = client.walk("/").unwrap();
            let whole = async { while walk.next().await.is_some() {} };
            poll_and_drop(whole, polls).await.is_some()
        }
        6 => poll_and_drop(client.get_config(), polls).await.is_some(),
        7 => poll_and_drop(client.reconfig(&Reconfig::new()), polls).await.is_some(),
        8 => poll_and_drop(client.list_children("/"), polls).await.is_some(),
        _ => panic!("no such operation"),
    }
}

// goal: N7
#[tokio::test(start_paused = true)]
async fn operations_of_several_requests_leave_nothing_behind_wherever_they_are_given_up() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/a", b"").unwrap();
    let mut waits = 0;
    for number in 0..OPERATIONS {
        let mut polls = 0;
        loop {
            for path in ["/tree", "/tree/one", "/tree/two"] {
                server.create(path, b"").ok();
            }
            if abandon(&client, number, polls).await {
                break;
            }
            polls += 1;
            assert!(polls < 200, "operation {number} is never ready");
            assert_eq!(within(client.exists("/none")).await.unwrap(), None, "the answers still fit");
        }
        waits += polls;
    }
    assert!(waits > 2 * OPERATIONS, "most of them wait several times: {waits}");
    settle().await;
    assert_eq!((server.watch_count(), server.connections().len()), (0, 1));
    // Nothing that was given up is repeated, not even over a new connection.
    drop(server.take_requests());
    server.drop_connections();
    until_suspended(&client).await;
    within(client.exists("/a")).await.unwrap();
    let again: Vec<_> = server.take_requests().into_iter().map(|request| request.op).collect();
    assert_eq!(again, [OpCode::EXISTS]);
}
