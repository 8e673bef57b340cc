//! Waits to be elected, works while it leads, and steps down.
//!
//! `cargo run -p zk-client --example leader [CONNECT_STRING]`; without servers, one is started in this process.

use zk_client::{Client, OPEN_ACL_UNSAFE, recipes::LeaderLatch};
use zk_testkit::server::TestServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = TestServer::start().await?;
    let servers = std::env::args().nth(1).unwrap_or_else(|| server.connect_string());
    let client = Client::connect(&servers).await?;

    let latch = LeaderLatch::new(&client, "/zk-example-leader", "host-7", OPEN_ACL_UNSAFE);
    let leadership = latch.lead().await?;
    println!("the leader is {:?}", latch.leader().await?);
    tokio::select! {
        () = leadership.doubtful() => println!("stop work: another may be leading soon"),
        () = std::future::ready(()) => println!("work that only the leader does"),
    }
    leadership.release().await?;
    client.close().await;
    Ok(())
}
