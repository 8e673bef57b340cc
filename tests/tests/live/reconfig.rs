//! The ensemble's configuration on real servers: a member leaves, comes back, and the client stays in touch.

use std::time::Duration;
use tokio::time::timeout;
use zk_client::{
    Client, Connector, CreateMode, EnsembleConfig, Error, ErrorCode, OPEN_ACL_UNSAFE, Reconfig, Role, SessionState,
    Zxid,
};
use zk_testkit::launcher::{Ensemble, Version};
use zk_tests::real;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Failure>;

const PATIENCE: Duration = Duration::from_secs(60);

/// What DigestAuthenticationProvider.generateDigest makes of `super:secret`.
const SUPER: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

fn ids(config: &EnsembleConfig) -> Vec<i64> {
    let mut ids: Vec<_> = config.members.iter().map(|member| member.id).collect();
    ids.sort_unstable();
    ids
}

/// A reconfig whose answer may be lost with a connection, or that has to wait for a member to follow.
async fn change(client: &Client, wanted: &Reconfig, expected: &[i64]) -> Result<EnsembleConfig, Failure> {
    let tried = async {
        loop {
            match client.reconfig(wanted).await {
                Ok(config) => return Ok(config),
                Err(Error::Refused { code, .. })
                    if code == ErrorCode::NEW_CONFIG_NO_QUORUM || code == ErrorCode::RECONFIG_IN_PROGRESS => {}
                Err(Error::Interrupted { .. }) => {}
                Err(error) => return Err(error),
            }
            let config = client.get_config().await;
            if let Ok(config) = config
                && ids(&config) == expected
            {
                return Ok(config);
            }
        }
    };
    Ok(timeout(PATIENCE, tried).await??)
}

async fn connect(servers: &str) -> Result<Client, Failure> {
    let connector = Connector::new(servers)?.session_timeout(Duration::from_secs(20)).connect_timeout(PATIENCE);
    Ok(connector.reconnect_spread(crate::RECONNECT_SPREAD).connect().await?)
}

/// The index of the server that serves a client.
async fn server_of(client: &Client, ensemble: &Ensemble) -> Result<usize, Failure> {
    let mut state = client.state();
    let connected = timeout(PATIENCE, state.wait_for(SessionState::is_connected)).await??;
    let SessionState::Connected { server, .. } = *connected else { return Err("not connected".into()) };
    let index = ensemble.servers().iter().position(|candidate| candidate.addr() == server);
    index.ok_or_else(|| "an unknown server".into())
}

async fn a_member_leaves_and_comes_back(version: Version) -> Done {
    let launcher = real(version).servers(3).property("reconfigEnabled", "true");
    let ensemble =
        launcher.system_property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER).start().await?;
    let client = connect(&format!("{}/app", ensemble.connect_string())).await?;

    let before = client.get_config().await?;
    assert_eq!((ids(&before), before.connect_string()), (vec![1, 2, 3], ensemble.connect_string()));
    assert!(before.members.iter().all(|member| member.role == Role::Participant && member.addresses.len() == 1));
    let version = before.version.ok_or("an ensemble has a version")?;

    let nobody = client.reconfig(&Reconfig::new().leave(3)).await;
    assert_eq!(nobody.unwrap_err().code(), Some(ErrorCode::NO_AUTH), "only who may write /zookeeper/config");
    client.add_auth("digest", b"super:secret").await?;
    let stale = client.reconfig(&Reconfig::new().leave(3).replacing(Zxid(version.0 + 1))).await;
    assert_eq!(stale.unwrap_err().code(), Some(ErrorCode::BAD_VERSION));
    let nonsense = client.reconfig(&Reconfig::new().join("server.4=nonsense")).await;
    assert_eq!(nonsense.unwrap_err().code(), Some(ErrorCode::BAD_ARGUMENTS));
    assert_eq!(client.get_config().await?, before, "refusals change nothing");

    let leader = ensemble.wait_for_leader().await?;
    let gone = (0..3).find(|index| *index != leader).ok_or("a follower")?;
    let gone_id = i64::try_from(gone)? + 1;
    let rest: Vec<i64> = (1..=3).filter(|id| *id != gone_id).collect();
    let smaller = client.reconfig(&Reconfig::new().leave(gone_id).replacing(version)).await;
    // Our own server may be the one that goes.
    let smaller = match smaller {
        Err(Error::Interrupted { .. }) => change(&client, &Reconfig::new().leave(gone_id), &rest).await?,
        answer => answer?,
    };
    assert_eq!(ids(&smaller), rest);
    assert!(smaller.version > before.version, "{smaller:?}");

    let session = client.session_id();
    client.create("/", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await.ok();
    let line = std::str::from_utf8(&before.text)?.lines().find(|line| line.starts_with(&format!("server.{gone_id}=")));
    let joining = Reconfig::new().join(line.ok_or("a line a member")?);
    let whole = change(&client, &joining, &[1, 2, 3]).await?;
    assert_eq!(ids(&whole), [1, 2, 3]);
    assert_eq!(whole.connect_string().split(',').count(), 3);

    // Not incremental: the whole list, one of them as an observer.
    let observer = |line: &str| line.replace(":participant", ":observer");
    let text = std::str::from_utf8(&whole.text)?;
    let lines: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("server."))
        .map(|line| if line.starts_with(&format!("server.{gone_id}=")) { observer(line) } else { line.to_owned() })
        .collect();
    let members = Reconfig::members(lines.iter().map(String::as_str));
    let named = change(&client, &members, &[]).await?;
    let roles: Vec<_> = named.members.iter().filter(|member| member.role == Role::Observer).map(|m| m.id).collect();
    assert_eq!(roles, [gone_id]);
    server_of(&client, &ensemble).await?;
    assert_eq!(client.session_id(), session, "one session all along");
    client.close().await;
    Ok(())
}

#[tokio::test]
async fn a_member_leaves_and_comes_back_on_3_9() -> Done {
    a_member_leaves_and_comes_back(Version::V3_9).await
}

#[tokio::test]
async fn a_member_leaves_and_comes_back_on_3_6() -> Done {
    a_member_leaves_and_comes_back(Version::V3_6).await
}
