//! Which server serves, on real ensembles: a member is taken out of the ensemble, and a quorum is lost.

use std::time::Duration;
use tokio::time::timeout;
use zk_client::{Client, Connector, CreateMode, ErrorCode, OPEN_ACL_UNSAFE, Reconfig, SessionState};
use zk_testkit::launcher::Version;
use zk_tests::real;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Failure>;

const PATIENCE: Duration = Duration::from_secs(60);

/// What DigestAuthenticationProvider.generateDigest makes of `super:secret`.
const SUPER: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

fn connector(servers: &str) -> Result<Connector, Failure> {
    let connector = Connector::new(servers)?.session_timeout(Duration::from_secs(20)).connect_timeout(PATIENCE);
    Ok(connector.reconnect_spread(crate::RECONNECT_SPREAD))
}

async fn until(client: &Client, wanted: impl FnMut(&SessionState) -> bool) -> Result<SessionState, Failure> {
    Ok(*timeout(PATIENCE, client.state().wait_for(wanted)).await??)
}

/// A client that knows one server only follows the configuration: when that server leaves the ensemble, it is with another one.
async fn follows_the_configuration(version: Version) -> Done {
    let launcher = real(version).servers(3).property("reconfigEnabled", "true");
    let ensemble =
        launcher.system_property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER).start().await?;
    let leader = ensemble.wait_for_leader().await?;
    let leaving = (0..3).find(|index| *index != leader).ok_or("a follower")?;
    let gone = ensemble.servers().get(leaving).ok_or("three servers")?.addr();
    let client = connector(&format!("{gone}/app"))?.track_config(true).connect().await?;
    let session = client.session_id();

    let admin = connector(&ensemble.connect_string())?.connect().await?;
    admin.add_auth("digest", b"super:secret").await?;
    let leave = Reconfig::new().leave(i64::try_from(leaving)? + 1);
    let left = async {
        // Its own server may be the one that leaves, or a member follows too late.
        let are_two = async || admin.get_config().await.is_ok_and(|config| config.members.len() == 2);
        while admin.reconfig(&leave).await.is_err() && !are_two().await {}
    };
    timeout(PATIENCE, left).await?;
    assert_eq!(admin.get_config().await?.members.len(), 2);
    let elsewhere = |state: &SessionState| matches!(state, SessionState::Connected { server, .. } if *server != gone);
    until(&client, elsewhere).await?;
    client.exists("/").await?;
    assert_eq!(client.session_id(), session, "the session goes on");
    client.close().await;
    admin.close().await;
    Ok(())
}

/// Two of three servers die: the last one serves reads. When the quorum is back, so are writes, with another session.
async fn reads_from_the_last_server_and_writes_again(version: Version) -> Done {
    let launcher = real(version).servers(3).property("localSessionsEnabled", "true");
    let launcher = launcher.property("localSessionsUpgradingEnabled", "true");
    let mut ensemble = launcher.system_property("readonlymode.enabled", "true").start().await?;
    let writer = connector(&ensemble.connect_string())?.connect().await?;
    writer.create("/a", b"1", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    writer.close().await;
    for member in [1, 2] {
        ensemble.server_mut(member).ok_or("three servers")?.kill_9().await?;
    }
    let client = connector(&ensemble.connect_string())?.read_only(true).connect().await?;
    let state = *client.state().borrow();
    let SessionState::Connected { session: fake, read_only: true, .. } = state else { return Err("writable".into()) };
    assert_eq!(&client.get_data("/a").await?.0[..], b"1");
    let refused = client.set_data("/a", b"2", None).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NOT_READ_ONLY));
    for member in [1, 2] {
        ensemble.server_mut(member).ok_or("three servers")?.start().await?;
    }
    let state = until(&client, |state| matches!(state, SessionState::Connected { read_only: false, .. })).await?;
    let SessionState::Connected { session, replaced, .. } = state else { return Err("not connected".into()) };
    assert!(session != fake && replaced == Some(fake), "{state:?}");
    client.set_data("/a", b"3", None).await?;
    client.create("/e", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE).await?;
    client.close().await;
    Ok(())
}

// goal: N9
#[tokio::test(flavor = "multi_thread")]
async fn a_client_follows_the_configuration_on_3_9() -> Done {
    follows_the_configuration(Version::V3_9).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_follows_the_configuration_on_3_6() -> Done {
    follows_the_configuration(Version::V3_6).await
}

// goal: N11
#[tokio::test(flavor = "multi_thread")]
async fn the_last_server_serves_reads_until_there_is_a_quorum_again() -> Done {
    reads_from_the_last_server_and_writes_again(Version::V3_9).await
}
