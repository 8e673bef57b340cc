//! Sessions on real servers: handed over, ended by somebody else, and an ensemble that lost its data.

use std::time::Duration;

use crate::scene::expire;
use tokio::time::timeout;
use zk_client::{
    Connector, CreateMode, Error, GapReason, OPEN_ACL_UNSAFE, SessionEvent, SessionExport, SessionState, WatchItem,
    WatchMode,
    recipes::{Lock, LockState, NodeStatus, PersistentNode},
};
use zk_testkit::launcher::{Ensemble, Version};
use zk_tests::real;

const PATIENCE: Duration = Duration::from_secs(60);

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Failure>;

async fn within<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(timeout(PATIENCE, future).await?)
}

fn connector(ensemble: &Ensemble) -> Result<Connector, Error> {
    let connector = Connector::new(&ensemble.connect_string())?.connect_timeout(PATIENCE);
    Ok(connector.reconnect_spread(crate::RECONNECT_SPREAD))
}

// goal: N14
async fn handed_over(version: Version) -> Done {
    let ensemble = real(version).start().await?;
    let first = connector(&ensemble)?.connect().await?;
    let created = first.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE);
    let secret = first.leave().await.ok_or("no session")?.to_secret();
    created.await?;
    let export = SessionExport::from_secret(secret.expose())?;
    let second = within(connector(&ensemble)?.resume_export(&export).connect()).await??;
    assert_eq!(second.session_id(), Some(export.credentials().id));
    assert_eq!(second.get_ephemerals("/").await?, ["/e"]);
    second.close().await;
    let last = connector(&ensemble)?.connect().await?;
    assert_eq!(last.exists("/e").await?, None);
    let late = connector(&ensemble)?.resume_export(&export).renew_session(false).connect().await;
    assert!(late.unwrap_err().is_session_over(), "the session is over");
    Ok(())
}

/// The stream says that the session was replaced, its watch is set again in the next one, once, and events go on.
// goal: N2
async fn watched_on(version: Version) -> Done {
    let ensemble = real(version).start().await?;
    let client = connector(&ensemble)?.connect().await?;
    let mut watch = client.watch("/w", WatchMode::PERSISTENT_RECURSIVE).await?;
    let mut events = client.session_events();
    expire(&ensemble.connect_string(), &client).await?;
    // It may have come back to its old session before.
    let mut is_new = false;
    while !is_new {
        assert_eq!(within(watch.next()).await?, Some(WatchItem::Gap(GapReason::ConnectionLost)));
        let item = within(watch.next()).await?;
        let Some(WatchItem::Resumed { new_session }) = item else { return Err(format!("{item:?}").into()) };
        is_new = new_session;
    }
    let mut expired = 0;
    while expired == 0 {
        let event = within(events.next()).await?.ok_or("no expiry was told")?;
        let is_expiry = |state| matches!(state, SessionState::Connecting { expired: Some(_) });
        expired += usize::from(matches!(event, SessionEvent::Changed(state) if is_expiry(state)));
    }
    // Answered behind the frame that sets the watch again.
    client.sync("/").await?;
    let wchs = ensemble.servers()[0].four_letter_word("wchs").await?;
    assert!(wchs.contains("Total watches:1"), "{wchs}");
    client.create("/w", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    let Some(WatchItem::Event(event)) = within(watch.next()).await? else { return Err("no event".into()) };
    assert_eq!(&*event.path, "/w");
    Ok(())
}

// goal: N16
async fn ended_by_somebody_else(version: Version) -> Done {
    let ensemble = real(version).start().await?;
    let client = connector(&ensemble)?.connect().await?;
    client.create("/a", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    let before = client.session_id().ok_or("no session")?;
    let node = PersistentNode::start(&client, "/dir/n", b"1", OPEN_ACL_UNSAFE);
    within(node.present()).await??;
    let guard = within(Lock::new(&client, "/lock", OPEN_ACL_UNSAFE).acquire()).await??;
    assert!(guard.is_held());

    expire(&ensemble.connect_string(), &client).await?;
    within(guard.lost()).await?;
    assert_eq!(guard.state(), LockState::Lost);
    let fenced = guard.client().set_data("/a", b"late", None).await.unwrap_err();
    assert!(matches!(fenced, Error::Fenced { session, .. } if session == before), "{fenced:?}");
    assert_eq!(client.get_data("/a").await?.1.version, 0);
    let after = client.session_id();
    let is_again =
        |status: &NodeStatus| matches!(status, NodeStatus::Present { session, .. } if Some(*session) == after);
    within(node.status().wait_for(is_again)).await??;
    assert_eq!(client.exists("/dir").await?.ok_or("no /dir")?.cversion, 3, "made, gone, made");
    within(Lock::new(&client, "/lock", OPEN_ACL_UNSAFE).acquire()).await??.release().await?;
    within(node.close()).await?;
    assert_eq!(client.exists("/dir/n").await?, None);
    client.close().await;
    Ok(())
}

// goal: N5
async fn rebuilt(version: Version) -> Done {
    let mut ensemble = real(version).start().await?;
    let client = connector(&ensemble)?.session_timeout(Duration::from_secs(4)).connect().await?;
    for _ in 0..10 {
        client.create("/a-", b"", CreateMode::PersistentSequential, OPEN_ACL_UNSAFE).await?;
    }
    let seen = client.last_zxid();
    ensemble.server_mut(0).ok_or("no server")?.kill_9().await?;
    let wiped = walk(ensemble.folder()).into_iter().filter(|path| path.ends_with("version-2"));
    wiped.map(std::fs::remove_dir_all).collect::<Result<Vec<()>, _>>()?;
    ensemble.server_mut(0).ok_or("no server")?.start().await?;
    // Nobody takes us, in this session or in another one.
    let expired = |state: &SessionState| matches!(state, SessionState::Connecting { expired: Some(_) });
    within(client.state().wait_for(expired)).await??;
    // It may have said nothing so far, as long as it was just starting.
    let says_why = async {
        while !client.unreachable().to_string().contains("zxid") {
            tokio::task::yield_now().await;
        }
    };
    within(says_why).await.map_err(|_| client.unreachable().to_string())?;
    assert!(within(client.accept_rebuilt_ensemble()).await??);
    within(client.state().wait_for(SessionState::is_connected)).await??;
    assert!(client.last_zxid() < seen);
    assert_eq!(client.get_children("/").await?.0, ["zookeeper"]);
    Ok(())
}

/// Every folder below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.iter().flat_map(|path| walk(path)).chain(folders.clone()).collect()
}

macro_rules! on_each_version {
    ($($test:ident),*) => { $(
        mod $test {
            use super::{Done, Version};
            #[tokio::test]
            async fn on_3_6() -> Done { super::$test(Version::V3_6).await }
            #[tokio::test]
            async fn on_3_9() -> Done { super::$test(Version::V3_9).await }
        }
    )* };
}

on_each_version!(handed_over, watched_on, ended_by_somebody_else, rebuilt);
