//! Fetches the jars of every ZooKeeper that the tests start, so that no test waits for a download:
//! `cargo run -p zk-testkit --example prefetch`.

use zk_testkit::launcher::{Version, prefetch};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = prefetch(&[Version::V3_5, Version::V3_6, Version::V3_7, Version::V3_8, Version::V3_9]).await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
