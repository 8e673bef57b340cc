//! The list of servers is the ensemble's own, on real servers: the client is told of one, which leaves; it goes on with the
//! others, also when one of those dies.

use std::time::Duration;
use tokio::time::timeout;
use zk_client::{Client, Connector, Reconfig, SessionState};
use zk_testkit::launcher::Version;
use zk_tests::real;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Failure>;

const PATIENCE: Duration = Duration::from_secs(60);

/// What DigestAuthenticationProvider.generateDigest makes of `super:secret`.
const SUPER: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

async fn connect(servers: &str, track: bool) -> Result<Client, Failure> {
    let connector = Connector::new(servers)?.session_timeout(Duration::from_secs(20)).connect_timeout(PATIENCE);
    Ok(connector.track_config(track).connect().await?)
}

/// Asks again until the ensemble can do it: members may still be on their way to the leader.
async fn change(admin: &Client, wanted: &Reconfig, members: usize) -> Done {
    let tried = async {
        while admin.get_config().await.map(|config| config.members.len()).ok() != Some(members) {
            if let Err(error) = admin.reconfig(wanted).await {
                println!("{error}");
            }
        }
    };
    Ok(timeout(PATIENCE, tried).await?)
}

// goal: N9
async fn a_client_follows_its_ensemble(version: Version) -> Done {
    let launcher = real(version).servers(3).property("reconfigEnabled", "true");
    let mut ensemble =
        launcher.system_property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER).start().await?;
    let addrs: Vec<_> = ensemble.servers().iter().map(zk_testkit::launcher::Server::addr).collect();
    let leader = ensemble.wait_for_leader().await?;
    let [first, second] = [(leader + 1) % 3, (leader + 2) % 3];
    let id = |index: usize| i64::try_from(index).map(|index| index + 1);

    let admin = connect(&addrs[leader].to_string(), false).await?;
    admin.add_auth("digest", b"super:secret").await?;
    let client = connect(&addrs[first].to_string(), true).await?;
    let session = client.session_id();
    let mut state = client.state();
    let at = |wanted: usize| {
        let addr = addrs[wanted];
        move |state: &SessionState| matches!(state, SessionState::Connected { server, .. } if *server == addr)
    };
    assert!(at(first)(&state.borrow()));

    let before = admin.get_config().await?;
    let start = std::time::Instant::now();
    change(&admin, &Reconfig::new().leave(id(first)?), 2).await?;
    let elsewhere = |state: &SessionState| state.is_connected() && !at(first)(state);
    timeout(PATIENCE, state.wait_for(elsewhere)).await??;
    println!("moved after {:?}", start.elapsed());
    assert_eq!(client.session_id(), session);

    // It comes back, so that another one may die.
    let text = std::str::from_utf8(&before.text)?;
    let line =
        text.lines().find(|line| line.starts_with(&format!("server.{}=", first + 1))).ok_or("a line a member")?;
    change(&admin, &Reconfig::new().join(line), 3).await?;
    client.sync("/").await?;
    ensemble.server_mut(second).ok_or("three servers")?.kill_9().await?;
    timeout(PATIENCE, client.sync("/")).await??;
    assert_eq!(client.session_id(), session, "one session all along");
    client.close().await;
    Ok(())
}

#[tokio::test]
async fn a_client_follows_its_ensemble_on_3_9() -> Done {
    a_client_follows_its_ensemble(Version::V3_9).await
}

#[tokio::test]
async fn a_client_follows_its_ensemble_on_3_6() -> Done {
    a_client_follows_its_ensemble(Version::V3_6).await
}
