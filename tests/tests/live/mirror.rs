//! The main job, on real servers: a mirror that is exact when live, whatever happens to its server.

use crate::scene::{Done, PATIENCE, ROOT, SESSION, Scene, connector, expire, replace_folder};
use std::time::Instant;
use tokio::time::timeout;
use zk_client::{CreateMode, OPEN_ACL_UNSAFE, SessionState};
use zk_testkit::launcher::Version;

/// A mirror of 1,000 znodes; its server is killed three times while a writer goes on through another one.
async fn the_server_was_killed_three_times(version: Version) -> Done {
    killed_three_times(Scene::start(version, 1_000).await?).await
}

/// The same with a mirror that lives in a thread of its session's own.
async fn the_server_of_a_thread_was_killed_three_times(version: Version) -> Done {
    killed_three_times(Scene::start_with_own_thread(version, 1_000).await?).await
}

async fn killed_three_times(mut scene: Scene) -> Done {
    for round in 1..=3 {
        let index = scene.mirrors_server().await?;
        let mut writer = scene.writer(index).await?;
        scene.server(index).kill_9().await?;
        writer.goes_on(50).await?;
        scene.until_resynced(round).await?;
        scene.server(index).start().await?;
        writer.goes_on(50).await?;
        writer.stop().await?;
        scene.check().await?;
    }
    scene.still_delivers().await
}

/// The session is closed at the server through a second handle of it.
async fn the_session_expired_at_the_server(version: Version) -> Done {
    let mut scene = Scene::start(version, 1_000).await?;
    let index = scene.mirrors_server().await?;
    let old = scene.client.session_id();
    let writer = scene.writer(index).await?;
    expire(&scene.others(index), &scene.client).await?;
    scene.until_resynced(1).await?;
    writer.stop().await?;
    assert_ne!(scene.client.session_id(), old, "a new session");
    scene.check().await?;
    scene.still_delivers().await
}

/// SIGSTOP for longer than the read timeout, then SIGCONT.
async fn the_server_was_stopped_for_longer_than_the_read_timeout(version: Version) -> Done {
    let mut scene = Scene::start_on_followers(version, 1_000).await?;
    let index = scene.mirrors_server().await?;
    let session = scene.client.session_id();
    let writer = scene.writer(index).await?;
    let stopped_at = Instant::now();
    scene.server(index).pause()?;
    let mut state = scene.client.state();
    timeout(PATIENCE, state.wait_for(|state| matches!(state, SessionState::Suspended { .. }))).await??;
    let noticed = stopped_at.elapsed();
    assert!(noticed < SESSION, "noticed after {noticed:?}: two thirds of the session timeout are enough");
    assert!(!scene.mirror.is_live(), "stale, and says so");
    scene.until_resynced(1).await?;
    assert_eq!(scene.client.session_id(), session, "another server took the session over");
    scene.server(index).resume()?;
    writer.stop().await?;
    scene.check().await?;
    scene.still_delivers().await
}

/// The case in which Curator's cache loses a znode for good: while the mirror is cut off, a parent is deleted
/// and created again with other children, so that every version is what it was.
async fn a_parent_was_deleted_and_recreated_with_other_children_during_the_cut(version: Version) -> Done {
    let mut scene = Scene::start_on_followers(version, 20).await?;
    let index = scene.mirrors_server().await?;
    let folder = format!("{ROOT}/k0010");
    let writer = connector(&scene.others(index))?.connect().await?;
    let same = format!("{ROOT}/k0000/n0001");
    let before = scene.mirror.snapshot();

    // Stopped, not killed: the client cannot go elsewhere before it has noticed.
    scene.server(index).pause()?;
    replace_folder(&writer, &folder).await?;
    writer.delete(&same, None).await?;
    writer.create(&same, b"another value", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    scene.until_resynced(1).await?;
    scene.server(index).resume()?;
    writer.close().await;
    scene.check().await?;

    let after = scene.mirror.snapshot();
    let (old, new) = (before.get(&same).ok_or("there")?, after.get(&same).ok_or("there")?);
    assert_eq!(old.stat.version, new.stat.version, "the version tells nothing");
    assert_eq!(&new.data[..], b"another value");
    assert!(after.get(&format!("{folder}/other-1")).is_some());
    assert!(after.get(&format!("{folder}/n0011")).is_none());
    scene.still_delivers().await
}

/// Each scenario on each line of releases that has recursive watches.
macro_rules! scenarios {
    ($($scenario:ident)*) => {
        mod on_3_6 { $(scenarios!(@test $scenario, V3_6);)* }
        mod on_3_8 { $(scenarios!(@test $scenario, V3_8);)* }
        mod on_3_9 { $(scenarios!(@test $scenario, V3_9);)* }
    };
    (@test $scenario:ident, $version:ident) => {
        #[tokio::test]
        async fn $scenario() -> super::Done {
            super::$scenario(super::Version::$version).await
        }
    };
}

scenarios! {
    // goal: M3 N1
    the_server_was_killed_three_times
    // goal: M3 N1
    the_server_of_a_thread_was_killed_three_times
    // goal: N2
    the_session_expired_at_the_server
    // goal: M10
    the_server_was_stopped_for_longer_than_the_read_timeout
    // goal: M1 N3
    a_parent_was_deleted_and_recreated_with_other_children_during_the_cut
}
