//! The client on real servers: what the test server cannot vouch for.

use std::time::Duration;
use tokio::time::timeout;
use zk_client::{
    CREATOR_ALL_ACL, Client, Connector, CreateMode, Error, ErrorCode, EventType, GapReason, OPEN_ACL_UNSAFE, Read,
    ReadResult, Transaction, TransactionResult, UsageError, WatchItem, WatchMode, WatchStream,
};
use zk_testkit::launcher::{Ensemble, Server, Version};
use zk_tests::real;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Failure>;

const PATIENCE: Duration = Duration::from_secs(30);

async fn start(version: Version) -> Result<(Ensemble, Client), Failure> {
    let ensemble = real(version).start().await?;
    let client = Connector::new(&ensemble.connect_string())?.connect_timeout(PATIENCE).connect().await?;
    Ok((ensemble, client))
}

fn server(ensemble: &mut Ensemble) -> &mut Server {
    ensemble.server_mut(0).expect("one server")
}

async fn next(watch: &mut WatchStream) -> Result<WatchItem, Failure> {
    Ok(timeout(PATIENCE, watch.next()).await?.ok_or("the stream ended")?)
}

async fn operations(version: Version) -> Done {
    let (ensemble, client) = start(version).await?;
    let open = OPEN_ACL_UNSAFE;
    let (path, stat) = client.create("/app", b"one", CreateMode::Persistent, open).await?;
    assert_eq!((path.as_str(), stat.version, stat.data_length), ("/app", 0, 3));
    let (path, _) = client.create("/app/q-", b"", CreateMode::EphemeralSequential, open).await?;
    assert_eq!(path, "/app/q-0000000000");
    client.create("/app/box", b"", CreateMode::Container, open).await?;
    let stat = client.set_data("/app", b"two", Some(0)).await?;
    let (data, now) = client.get_data("/app").await?;
    assert_eq!((&data[..], now.version, now.mzxid), (&b"two"[..], 1, stat.mzxid));
    let refused = client.set_data("/app", b"three", Some(0)).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::BAD_VERSION));
    assert_eq!(client.exists("/none").await?, None);

    let results = client
        .commit(&Transaction::new().check("/app", Some(1)).create("/app/t", b"t", CreateMode::Persistent, open))
        .await?;
    assert!(
        matches!(&results[..], [TransactionResult::Checked, TransactionResult::Created { path, .. }] if path == "/app/t")
    );
    let aborted = client.commit(&Transaction::new().delete("/app/t", None).delete("/none", None)).await;
    let codes = vec![ErrorCode::OK, ErrorCode::NO_NODE];
    assert_eq!(aborted, Err(Error::Aborted { index: 1, code: ErrorCode::NO_NODE, codes }));

    let read = client.read_many([Read::Data("/app/t"), Read::Children("/app"), Read::Data("/none")]).await?;
    assert!(matches!(&read[0], ReadResult::Data(data, _) if &data[..] == b"t"), "the transaction left it alone");
    assert!(matches!(&read[1], ReadResult::Children(names) if names.len() == 3));
    assert_eq!(read[2], ReadResult::Refused(ErrorCode::NO_NODE));

    let rooted = Connector::new(&format!("{}/app", ensemble.connect_string()))?.connect().await?;
    assert_eq!(rooted.create("/below", b"", CreateMode::Persistent, open).await?.0, "/below");
    assert!(client.exists("/app/below").await?.is_some());
    rooted.close().await;
    client.close().await;
    Ok(())
}

async fn bad_input(version: Version) -> Done {
    let (ensemble, client) = start(version).await?;
    let large = vec![0; 1_048_576];
    client.create("/a", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    let refused = client.set_data("/a", &large, None).await;
    assert!(matches!(refused, Err(Error::Usage(UsageError::RequestTooLarge(_)))), "{refused:?}");
    let fits = &large[..1_048_575 - 8 - 12 - 2];
    client.set_data("/a", fits, None).await?;
    assert_eq!(client.get_data("/a").await?.0.len(), fits.len(), "the largest value there can be");
    assert_eq!(client.get_data("/none").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
    assert!(matches!(client.get_data("none").await, Err(Error::Usage(UsageError::Path { .. }))));

    client.add_auth("digest", b"bob:secret").await?;
    client.create("/mine", b"", CreateMode::Persistent, CREATOR_ALL_ACL).await?;
    assert!(client.get_data("/mine").await.is_ok());
    let other = Connector::new(&ensemble.connect_string())?.connect().await?;
    assert_eq!(other.get_data("/mine").await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
    assert!(other.get_data("/a").await.is_ok(), "the session is usable");
    Ok(())
}

/// One watch at the server for two streams; it lives over a killed server, and goes with the last stream.
async fn watches(version: Version) -> Done {
    let (mut ensemble, client) = start(version).await?;
    client.create("/w", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    let mut first = client.watch("/w", WatchMode::PERSISTENT_RECURSIVE).await?;
    let second = client.watch("/w", WatchMode::PERSISTENT_RECURSIVE).await?;
    assert!(words(&mut ensemble, "wchs").await?.contains("Total watches:1"));
    client.create("/w/x", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    let WatchItem::Event(event) = next(&mut first).await? else { return Err("no event".into()) };
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NODE_CREATED, "/w/x"));

    server(&mut ensemble).kill_9().await?;
    assert_eq!(next(&mut first).await?, WatchItem::Gap(GapReason::ConnectionLost));
    server(&mut ensemble).start().await?;
    assert!(matches!(next(&mut first).await?, WatchItem::Resumed { .. }));
    client.set_data("/w/x", b"2", None).await?;
    let WatchItem::Event(event) = next(&mut first).await? else { return Err("no event".into()) };
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NODE_DATA_CHANGED, "/w/x"));

    drop((first, second));
    // The removal leaves before what is called next, in a turn of the driver's own; ask until it is there.
    let gone = async {
        while !words(&mut ensemble, "wchs").await?.contains("Total watches:0") {
            client.sync("/").await?;
        }
        Ok::<_, Failure>(())
    };
    timeout(PATIENCE, gone).await?
}

async fn words(ensemble: &mut Ensemble, word: &str) -> Result<String, Failure> {
    Ok(server(ensemble).four_letter_word(word).await?)
}

macro_rules! on_each_line {
    ($($test:ident)*) => {$(
        mod $test {
            use super::{Done, Version};
            #[tokio::test]
            async fn on_3_6() -> Done { super::$test(Version::V3_6).await }
            #[tokio::test]
            async fn on_3_8() -> Done { super::$test(Version::V3_8).await }
            #[tokio::test]
            async fn on_3_9() -> Done { super::$test(Version::V3_9).await }
        }
    )*};
}

on_each_line! {
    operations
    bad_input
    // goal: N1 W2
    watches
}
