//! Typed configuration out of a subtree: a listener keeps it up to date, a subscriber tells of every change, and it says openly
//! when it may be stale.
//!
//! `cargo run -p zk-config --example live_config [CONNECT_STRING]`; without servers, one is started in this process, and is
//! stopped for a moment.

use arc_swap::ArcSwap;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use zk_client::{Client, OPEN_ACL_UNSAFE};
use zk_config::{Mirror, Snapshot, Update};
use zk_testkit::server::TestServer;

const ROOT: &str = "/zk-example-limits";

/// Each field is a znode below the root, with a value in JSON.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is shown, and nothing else")]
struct Limits {
    requests: u32,
    burst: u32,
    message: String,
}

fn limits(snapshot: &Snapshot) -> Result<Limits, serde_json::Error> {
    let mut fields = Map::new();
    for (path, node) in snapshot.below(ROOT) {
        let name = path.rsplit('/').next().unwrap_or_default();
        fields.insert(name.to_owned(), serde_json::from_slice(&node.data)?);
    }
    serde_json::from_value(Value::Object(fields))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = TestServer::start().await?;
    let servers = std::env::args().nth(1);
    let is_own = servers.is_none();
    let client = Client::connect(&servers.unwrap_or_else(|| server.connect_string())).await?;
    client.create_or_set(ROOT, b"", OPEN_ACL_UNSAFE).await?;
    for (name, value) in [("requests", "1000"), ("burst", "100"), ("message", "\"slow down\"")] {
        client.create_or_set(&format!("{ROOT}/{name}"), value.as_bytes(), OPEN_ACL_UNSAFE).await?;
    }

    let mirror = Mirror::start(&client, ROOT)?;
    let begin = Arc::new(limits(&*mirror.ready().await?)?);
    println!("to begin with: {begin:?}");
    // What every request asks for, a listener keeps up to date: it is called where the mirror publishes, and no task has to be
    // woken. Everything else of this client waits for it meanwhile, so it is short, and neither blocks nor prints.
    let current = Arc::new(ArcSwap::new(begin.clone()));
    let keep = current.clone();
    let (first, _listening) = mirror.listen(move |snapshot, _| {
        // What cannot be read is not taken over.
        if let Ok(new) = limits(snapshot) {
            keep.store(Arc::new(new));
        }
    });
    // What came before it listened; a listener that was called already knows better.
    current.compare_and_swap(&begin, Arc::new(limits(&first)?));

    // Who prints, waits or works subscribes: that is a task of its own, which is woken, and may take its time.
    let (_, mut changes) = mirror.subscribe();
    // Somebody sets it elsewhere.
    for burst in ["200", "\"a few\"", "300"] {
        client.set_data(&format!("{ROOT}/burst"), burst.as_bytes(), None).await?;
        let Some(Update::Changes(batch)) = changes.next().await else { break };
        if let Err(error) = limits(&mirror.snapshot()) {
            println!("not taken over: {error}");
        }
        println!("as of {}: {:?}", batch.revision, current.load());
    }

    if is_own {
        let mut status = mirror.status_channel();
        server.stop().await;
        let stale = status.wait_for(|status| !status.live).await?.clone();
        println!("stale: confirmed {:?} ago, up to {}; still {:?}", stale.staleness(), stale.confirmed, current.load());
        server.start_again().await?;
        let live = status.wait_for(|status| status.live).await?.clone();
        println!("live again: all {} znodes compared, as of {}", mirror.snapshot().len(), live.revision);
    }
    client.delete_all(ROOT).await?;
    client.close().await;
    Ok(())
}
