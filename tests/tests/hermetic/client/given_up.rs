//! Operations of several requests, given up at every point where they wait.

use crate::stage::{SESSION, Stage, pass, poll_and_drop, settle, until_suspended, within};
use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE as OPEN, OpCode, Parents, Reconfig, SessionState};

/// All of them, and what else is asked for.
const OPERATIONS: [&str; 11] = [
    "Client::create_all",
    "Client::ensure_path",
    "Client::create_or_set",
    "Client::update",
    "Client::delete_all",
    "Client::delete_all_with",
    "Walk::next",
    "Client::get_config",
    "Client::reconfig",
    "Client::list_children",
    "Client::accept_rebuilt_ensemble",
];

/// Calls one of the operations, and gives it up after so many polls; whether it was ready before.
async fn abandon(client: &Client, name: &str, polls: usize) -> bool {
    let (parents, mode) = (Parents::Persistent(OPEN), CreateMode::PersistentSequential);
    let fresh = format!("/{}-{polls}/q/r", name.replace(':', ""));
    match name {
        "Client::create_all" => {
            poll_and_drop(client.create_all(&fresh, b"", mode, OPEN, parents), polls).await.is_some()
        }
        "Client::ensure_path" => poll_and_drop(client.ensure_path(&fresh, parents), polls).await.is_some(),
        "Client::create_or_set" => {
            poll_and_drop(client.create_or_set(&fresh[..fresh.len() - 4], b"", OPEN), polls).await.is_some()
        }
        "Client::update" => poll_and_drop(client.update("/a", |_, _| Some("new")), polls).await.is_some(),
        "Client::delete_all" => poll_and_drop(client.delete_all("/tree"), polls).await.is_some(),
        "Client::delete_all_with" => poll_and_drop(client.delete_all_with("/tree", |_| {}), polls).await.is_some(),
        "Walk::next" => {
            let mut walk = client.walk("/").unwrap();
            let whole = async { while walk.next().await.is_some() {} };
            poll_and_drop(whole, polls).await.is_some()
        }
        "Client::get_config" => poll_and_drop(client.get_config(), polls).await.is_some(),
        "Client::reconfig" => poll_and_drop(client.reconfig(&Reconfig::new()), polls).await.is_some(),
        "Client::list_children" => poll_and_drop(client.list_children("/"), polls).await.is_some(),
        "Client::accept_rebuilt_ensemble" => poll_and_drop(client.accept_rebuilt_ensemble(), polls).await.is_some(),
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
    for name in OPERATIONS {
        let mut polls = 0;
        loop {
            for path in ["/tree", "/tree/one", "/tree/two"] {
                server.create(path, b"").ok();
            }
            if abandon(&client, name, polls).await {
                break;
            }
            polls += 1;
            assert!(polls < 200, "{name} is never ready");
            assert_eq!(within(client.exists("/none")).await.unwrap(), None, "the answers still fit");
        }
        waits += polls;
    }
    assert!(waits > 2 * OPERATIONS.len(), "most of them wait several times: {waits}");
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

/// How a session begins and ends.
const ENDS: [&str; 3] = ["Connector::connect", "Client::close", "Client::leave"];

/// Begins or ends a session, and gives that up after so many polls; whether it was ready before.
async fn abandon_session(server: &Stage, name: &str, polls: usize) -> bool {
    match name {
        "Connector::connect" => poll_and_drop(server.connector().connect(), polls).await.is_some(),
        "Client::close" => {
            // Another handle keeps no session that somebody closes.
            let client = server.connect().await;
            let other = client.clone();
            let is_ready = poll_and_drop(client.close(), polls).await.is_some();
            pass(SESSION / 3).await;
            assert!(matches!(*other.state().borrow(), SessionState::Ended(_)), "after {polls} polls");
            is_ready
        }
        "Client::leave" => {
            // Nor a connection that somebody leaves. The session waits for who goes on with it.
            let client = server.connect().await;
            let is_ready = poll_and_drop(client.leave(), polls).await.is_some();
            pass(SESSION / 3).await;
            assert!(matches!(*client.state().borrow(), SessionState::Ended(_)), "after {polls} polls");
            assert_eq!(server.connections(), [], "after {polls} polls");
            let export = within(client.leave()).await.unwrap();
            within(within(server.connector().resume_export(&export).connect()).await.unwrap().close()).await;
            is_ready
        }
        "Client::connect" => poll_and_drop(Client::connect(&server.connect_string()), polls).await.is_some(),
        _ => panic!("no such operation"),
    }
}

/// The server need not wait for such a session to expire.
// goal: N7
#[tokio::test(start_paused = true)]
async fn sessions_are_closed_wherever_their_begin_or_end_is_given_up() {
    let server = Stage::start().await;
    for name in ENDS {
        let mut polls = 0;
        while !abandon_session(&server, name, polls).await {
            polls += 1;
            assert!(polls < 200, "{name} is never ready");
            pass(SESSION / 3).await;
            let left = (server.sessions().len(), server.connections().len());
            assert_eq!(left, (0, 0), "{name} after {polls} polls");
        }
        assert!(polls > 1, "{name} waits");
    }
}

/// The shortcut has sockets, and their time is real: after how many polls it is ready is not ours to say.
// goal: N7
#[tokio::test]
async fn a_connect_with_the_defaults_that_is_given_up_leaves_no_session() {
    let server = Stage::start().await;
    for polls in (0..20).chain((5..14).map(|power| 1 << power)) {
        abandon_session(&server, "Client::connect", polls).await;
        within(server.wait_until(|model| model.sessions().is_empty())).await;
    }
}
