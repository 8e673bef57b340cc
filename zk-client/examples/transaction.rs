//! Several operations that happen together or not at all.
//!
//! `cargo run -p zk-client --example transaction [CONNECT_STRING]`; without servers, one is started in this process.

use zk_client::{Client, CreateMode, Error, OPEN_ACL_UNSAFE, Transaction};
use zk_testkit::server::TestServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = TestServer::start().await?;
    let servers = std::env::args().nth(1).unwrap_or_else(|| server.connect_string());
    let client = Client::connect(&servers).await?;

    let publish = Transaction::new()
        .create("/zk-example", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE)
        .create("/zk-example/host", b"db1", CreateMode::Persistent, OPEN_ACL_UNSAFE)
        .set_data("/zk-example", b"published", Some(0));
    for result in client.commit(&publish).await? {
        println!("done: {result:?}");
    }
    // A second time it is refused as a whole: the first operation says why.
    match client.commit(&publish).await {
        Err(Error::Aborted { index, code, .. }) => println!("nothing was done: operation {index}: {code}"),
        other => println!("unexpected: {other:?}"),
    }
    println!("deleted: {}", client.delete_all("/zk-example").await?);
    client.close().await;
    Ok(())
}
