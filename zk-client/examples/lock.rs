//! Changes a value while holding a lock.
//!
//! `cargo run -p zk-client --example lock [CONNECT_STRING]`; without servers, one is started in this process.

use zk_client::{Client, OPEN_ACL_UNSAFE, recipes::Lock};
use zk_testkit::server::TestServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = TestServer::start().await?;
    let servers = std::env::args().nth(1).unwrap_or_else(|| server.connect_string());
    let client = Client::connect(&servers).await?;

    client.create_or_set("/zk-example", b"0", OPEN_ACL_UNSAFE).await?;
    let lock = Lock::new(&client, "/zk-example-lock", OPEN_ACL_UNSAFE);
    let held = lock.acquire().await?;
    // Through the guard's client, which is refused as soon as the session that holds the lock is gone.
    held.client().set_data("/zk-example", b"1", None).await?;
    println!("token for other systems: {}", held.fencing_token());
    held.release().await?;
    client.delete("/zk-example", None).await?;
    client.close().await;
    Ok(())
}
