//! The client behind a wire that breaks, in front of a real server.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::try_join_all;
use tokio::time::timeout;
use zk_client::{
    Client, Connector, CreateMode, Error, ErrorCode, OPEN_ACL_UNSAFE, OpCode, Outcome, SessionState, WatchItem,
    WatchMode,
};
use zk_testkit::{
    launcher::{Ensemble, Version},
    proxy::{Deed, End, Head, Pick, Proxy, Rule, Towards},
};
use zk_tests::real;

use super::scene::{Done, Failure, PATIENCE, connector};

/// Clients that are cut at the same time.
const TOGETHER: usize = 24;

/// What a client was told of its create, and whether the znode is there.
type Seen = (&'static str, bool);

async fn within<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(timeout(PATIENCE, future).await?)
}

async fn create(client: &Client, path: &str) -> Result<Result<(), Error>, Failure> {
    Ok(within(client.create(path, b"x", CreateMode::Persistent, OPEN_ACL_UNSAFE)).await?.map(|_| ()))
}

/// A session that starts and creates a znode behind a wire that is cut at a byte, then goes on.
async fn cut(ensemble: &Ensemble, towards: Towards, byte: u64, how: End) -> Result<Seen, Failure> {
    let server = ensemble.server(0).ok_or("one server")?;
    let proxy = Proxy::start(server.addr()).await?;
    proxy.script(towards, Rule::cut_at_byte(byte, how));
    let client = connector(&proxy.connect_string())?.connect_in_background();
    let path = format!("/{towards:?}-{byte:04}-{how:?}");
    let told = match create(&client, &path).await? {
        Ok(()) => "done",
        Err(Error::Interrupted { outcome: Outcome::NotSent, .. }) => "not sent",
        Err(Error::Interrupted { outcome: Outcome::Unknown, .. }) => "unknown",
        Err(error) => return Err(format!("{path}: {error}").into()),
    };
    // the same session goes on; a cut behind the reply may come only now
    let session = client.session_id();
    while let Err(error) = within(client.sync("/")).await? {
        assert!(matches!(error, Error::Interrupted { .. }), "{path}: {error}");
    }
    let is_there = within(client.exists(&path)).await??.is_some();
    assert!(session.is_none() || session == client.session_id(), "{path}: another session");
    match told {
        "done" => assert!(is_there, "{path}: done, and not there"),
        "not sent" => assert!(!is_there, "{path}: not sent, and there"),
        _ => {}
    }
    let again = create(&client, &path).await?;
    let expected = if is_there { Some(ErrorCode::NODE_EXISTS) } else { None };
    assert_eq!(again.err().and_then(|error| error.code()), expected, "{path}");
    client.close().await;
    Ok((told, is_there))
}

/// How many bytes go in a direction while a session starts and creates a znode.
async fn conversation(ensemble: &Ensemble, towards: Towards) -> Result<u64, Failure> {
    let proxy = Proxy::start(ensemble.server(0).ok_or("one server")?.addr()).await?;
    let client = connector(&proxy.connect_string())?.connect().await?;
    create(&client, &format!("/{towards:?}-0000-Measured")).await??;
    let passed = proxy.traffic(towards).passed;
    client.close().await;
    Ok(passed)
}

// goal: W1
#[tokio::test]
async fn a_cut_at_any_byte_leaves_an_honest_outcome() -> Done {
    let ensemble = real(Version::V3_9).start().await?;
    let mut cuts = Vec::new();
    for towards in [Towards::Server, Towards::Client] {
        for byte in 0..=conversation(&ensemble, towards).await? {
            let how = if byte % 2 == 0 { End::Close } else { End::Reset };
            cuts.push((towards, byte, how));
        }
    }
    let mut outcomes = BTreeMap::<Seen, usize>::new();
    for some in cuts.chunks(TOGETHER) {
        let seen = some.iter().map(|(towards, byte, how)| cut(&ensemble, *towards, *byte, *how));
        for outcome in try_join_all(seen).await? {
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    println!("{} cuts: {outcomes:?}", cuts.len());
    for wanted in [("done", true), ("unknown", true), ("unknown", false)] {
        assert!(outcomes.contains_key(&wanted), "never {wanted:?}: {outcomes:?}");
    }
    Ok(())
}

/// A black hole shorter than the session costs the connection; the session and its watch live on.
#[tokio::test]
async fn a_session_survives_a_black_hole_in_either_direction() -> Done {
    let ensemble = real(Version::V3_9).start().await?;
    let server = ensemble.server(0).ok_or("one server")?;
    let writer = connector(&ensemble.connect_string())?.connect().await?;
    for towards in [Towards::Server, Towards::Client] {
        let proxy = Proxy::start(server.addr()).await?;
        let client = connector(&proxy.connect_string())?.connect().await?;
        let path = format!("/watched-{towards:?}");
        let mut watch = client.watch(&path, WatchMode::PERSISTENT).await?;
        let session = client.session_id();
        proxy.set_line(towards, |line| line.black_hole = true);
        create(&writer, &path).await??;
        let mut state = client.state();
        within(state.wait_for(|state| matches!(state, SessionState::Suspended { .. }))).await??;
        proxy.heal();
        within(state.wait_for(SessionState::is_connected)).await??;
        assert_eq!(client.session_id(), session, "{towards:?}");
        // the event has come, before the gap or out of it
        let mut items = Vec::new();
        while !items.iter().any(|item| matches!(item, WatchItem::Event(_) | WatchItem::Resumed { .. })) {
            items.push(within(watch.next()).await?.ok_or("the stream ended")?);
        }
        assert!(within(client.exists(&path)).await??.is_some());
    }
    Ok(())
}

/// What the proxy sees of a real conversation, and a cut inside the reply to a named operation.
#[tokio::test]
async fn frames_of_real_servers_are_understood() -> Done {
    let ensemble = real(Version::V3_9).start().await?;
    let proxy = Proxy::start(ensemble.server(0).ok_or("one server")?.addr()).await?;
    let connector = Connector::new(&proxy.connect_string())?.session_timeout(Duration::from_secs(6));
    let client = connector.reconnect_spread(crate::RECONNECT_SPREAD).connect().await?;
    let session = client.session_id().ok_or("no session")?;
    let inside = Deed::Cut { after: 9, how: End::Reset };
    proxy.script(Towards::Client, Rule::frame(Pick::Op(OpCode::SET_DATA), inside));
    let set = within(client.set_data("/zookeeper", b"", None)).await?;
    assert!(matches!(set, Err(Error::Interrupted { outcome: Outcome::Unknown, .. })), "{set:?}");
    let again = proxy.wait_for(|seen| matches!(seen.head, Head::ConnectRequest { session: s, .. } if s == session));
    let again = within(again).await?;
    assert_eq!((again.link, again.index), (1, 0));
    let frames = proxy.frames();
    assert!(matches!(frames[0].head, Head::ConnectRequest { .. }));
    assert!(matches!(frames[1].head, Head::ConnectResponse { session: s, timeout_ms: 4000..=6000 } if s == session));
    Ok(())
}
