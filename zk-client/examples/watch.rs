//! Watches a subtree, changes it, and shows each event.
//!
//! `cargo run -p zk-client --example watch [CONNECT_STRING]`; without servers, one is started in this process.

use zk_client::{Client, OPEN_ACL_UNSAFE, WatchItem, WatchMode};
use zk_testkit::server::TestServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = TestServer::start().await?;
    let servers = std::env::args().nth(1).unwrap_or_else(|| server.connect_string());
    let client = Client::connect(&servers).await?;

    // The watch survives lost connections; what it may have missed meanwhile is told as a gap.
    let mut changes = client.watch("/zk-example", WatchMode::PERSISTENT_RECURSIVE).await?;
    client.create_or_set("/zk-example", b"1", OPEN_ACL_UNSAFE).await?;
    client.create_or_set("/zk-example", b"2", OPEN_ACL_UNSAFE).await?;
    let (mut seen, mut deleted) = (0, None);
    while seen < 3 {
        match changes.next().await {
            Some(WatchItem::Event(event)) => println!("{:?} {}", event.event_type, event.path),
            Some(other) => println!("read again: {other:?}"),
            None => break,
        }
        seen += 1;
        if seen == 2 {
            deleted = Some(client.delete("/zk-example", None));
        }
    }
    if let Some(deleted) = deleted {
        deleted.await?;
    }
    client.close().await;
    Ok(())
}
