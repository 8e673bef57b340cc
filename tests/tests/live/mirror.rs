//! The main job, on real servers: a mirror that is exact when live, whatever happens to its server.

use crate::scene::{Done, PATIENCE, ROOT, Scene, connector, replace_folder};
use tokio::time::timeout;
use zk_client::SessionState;
use zk_testkit::launcher::Version;

/// A mirror of 1,000 znodes; its server is killed three times while a writer goes on through another one.
async fn survives_kill_9(version: Version) -> Done {
    let mut scene = Scene::start(version, 1_000).await?;
    for round in 1..=3 {
        let index = scene.mirrors_server().await?;
        let writer = scene.writer(index).await?;
        scene.server(index).kill_9().await?;
        let before = writer.writes();
        scene.until_resynced(round).await?;
        scene.server(index).start().await?;
        let during = writer.writes() - before;
        writer.stop().await?;
        println!("round {round}: {during} writes while the server was down");
        assert!(during > 0, "the writer goes on");
        scene.check().await?;
    }
    scene.still_delivers().await
}

// goal: M3
#[tokio::test]
async fn kill_9_three_times_on_3_6() -> Done {
    survives_kill_9(Version::V3_6).await
}

#[tokio::test]
async fn kill_9_three_times_on_3_8() -> Done {
    survives_kill_9(Version::V3_8).await
}

#[tokio::test]
async fn kill_9_three_times_on_3_9() -> Done {
    survives_kill_9(Version::V3_9).await
}
