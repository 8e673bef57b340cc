//! Mirrors a subtree: snapshots that never change, each equal to the server's subtree at one transaction, and what changed
//! between them.
//!
//! `cargo run -p zk-config --example mirror [CONNECT_STRING]`; without servers, one is started in this process.

use std::collections::BTreeMap;
use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE, Transaction};
use zk_config::{Mirror, Update};
use zk_testkit::server::TestServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = TestServer::start().await?;
    let servers = std::env::args().nth(1).unwrap_or_else(|| server.connect_string());
    let client = Client::connect(&servers).await?;
    client.create_or_set("/zk-example-db", b"", OPEN_ACL_UNSAFE).await?;
    client.create_or_set("/zk-example-db/host", b"db1", OPEN_ACL_UNSAFE).await?;

    let mirror = Mirror::start(&client, "/zk-example-db")?;
    mirror.ready().await?;
    let (before, mut changes) = mirror.subscribe();
    println!("as of {}: {} znodes, exact: {}", before.revision(), before.len(), before.is_exact());

    // Together or not at all: so no snapshot shows the one without the other.
    let moves = Transaction::new().set_data("/zk-example-db/host", b"db2", None).create(
        "/zk-example-db/port",
        b"5433",
        CreateMode::Persistent,
        OPEN_ACL_UNSAFE,
    );
    client.commit(&moves).await?;
    // Everything that was committed before this call, by whomever.
    let after = mirror.barrier().await?;
    println!("as of {}: {} znodes, exact: {}", after.revision(), after.len(), after.is_exact());
    println!("the old snapshot stays as it was: {:?}", before.get("/zk-example-db/host").map(|node| &node.data));

    // The changes lead from the old snapshot to the new one.
    let mut nodes: BTreeMap<_, _> = before.iter().map(|(path, node)| (path.clone(), node.clone())).collect();
    let mut seen = before.revision();
    while seen < after.revision() {
        match changes.next().await {
            Some(Update::Changes(batch)) => {
                for change in &batch.changes {
                    let [old, new] = [&change.old, &change.new].map(|node| node.as_ref().map(|node| &node.data));
                    println!("{}: {old:?} -> {new:?}", change.path);
                    match &change.new {
                        Some(node) => drop(nodes.insert(change.path.clone(), node.as_ref().clone())),
                        None => drop(nodes.remove(&change.path)),
                    }
                }
                seen = batch.revision;
            }
            Some(Update::Gap(reason)) => println!("from here on changes may be missing: {reason:?}"),
            Some(Update::Resynced { revision }) => seen = revision,
            other => return Err(format!("the mirror has ended: {other:?}").into()),
        }
    }
    println!("nothing is missing: {}", after.iter().eq(&nodes));
    client.delete_all("/zk-example-db").await?;
    client.close().await;
    Ok(())
}
