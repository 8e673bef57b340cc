//! Against real ZooKeeper servers; needs Java, and `mvn` for the first run.
#![cfg(unix)]

/// How far the clients of these tests spread after a lost connection: each is alone, and its time is real.
const RECONNECT_SPREAD: std::time::Duration = std::time::Duration::from_millis(250);

/// A test of its own on a real server of each version; where one server of any version is here, it is tried once.
macro_rules! on_versions {
    ($run:ident: $($name:ident $version:ident;)*) => {$(
        #[tokio::test]
        async fn $name() -> Done {
            if zk_tests::any_version() && Version::$version != Version::V3_9 {
                return Ok(());
            }
            $run(Version::$version).await
        }
    )*};
}

#[path = "live/batching.rs"]
mod batching;
#[path = "live/cli.rs"]
mod cli;
#[path = "live/client.rs"]
mod client;
#[path = "live/differential.rs"]
mod differential;
#[path = "live/ensemble.rs"]
mod ensemble;
#[path = "live/foreign.rs"]
mod foreign;
#[path = "live/launcher.rs"]
mod launcher;
#[path = "live/mirror.rs"]
mod mirror;
#[path = "live/operations.rs"]
mod operations;
#[path = "live/proxy.rs"]
mod proxy;
#[path = "live/reconfig.rs"]
mod reconfig;
#[path = "live/sasl.rs"]
mod sasl;
#[path = "live/scene.rs"]
mod scene;
#[path = "live/security.rs"]
mod security;
#[path = "live/servers.rs"]
mod servers;
#[path = "live/sessions.rs"]
mod sessions;
#[path = "live/watches.rs"]
mod watches;
