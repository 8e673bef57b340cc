//! Watches a subtree, changes it, and shows each event.
//!
//! `cargo run -p zk-client --example watch [CONNECT_STRING]`; without servers, one is started in this process.

use zk_client::{Client, EventType, OPEN_ACL_UNSAFE, WatchItem, WatchMode};
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
    client.delete("/zk-example", None).await?;
    while let Some(item) = changes.next().await {
        let WatchItem::Event(event) = item else {
            println!("something may have been missed, so read again: {item:?}");
            break;
        };
        println!("{:?} {}", event.event_type, event.path);
        if event.event_type == EventType::NODE_DELETED {
            break;
        }
    }
    client.close().await;
    Ok(())
}
