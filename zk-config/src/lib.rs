//! A live copy of a ZooKeeper subtree: exact when live, openly stale when not.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = zk_testkit::server::TestServer::start().await?;
//! # for path in ["/config", "/config/app"] { server.create(path, b"").unwrap(); }
//! # server.create("/config/app/limits", b"10").unwrap();
//! use zk_client::Client;
//! use zk_config::{Mirror, Update};
//!
//! let servers = "zk1:2181,zk2:2181,zk3:2181";
//! # let servers = &server.connect_string();
//! let client = Client::connect(servers).await?;
//! let config = Mirror::start(&client, "/config/app")?;
//! config.ready().await?;
//!
//! // Reading takes no lock and never waits.
//! let snapshot = config.snapshot();
//! if let Some(limits) = snapshot.get("/config/app/limits") {
//!     println!("{:?}, as of {}", limits.data, snapshot.revision());
//! }
//! # assert_eq!(&snapshot.get("/config/app/limits").unwrap().data[..], b"10");
//!
//! // Every change, with old and new value; what may have been missed is said, not hidden.
//! let (_snapshot, mut changes) = config.subscribe();
//! # server.set("/config/app/limits", b"20").unwrap();
//! while let Some(update) = changes.next().await {
//!     match update {
//!         Update::Changes(batch) => println!("{} changes at {}", batch.changes.len(), batch.revision),
//!         Update::Gap(reason) => println!("stale from here: {reason:?}"),
//!         Update::Resynced { revision } => println!("exact again, as of {revision}"),
//!         _ => {}
//!     }
//!     # break;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Speed
//!
//! An update is an event, a read and its answer; between them no task is woken, nor behind them for who
//! [listens](Mirror::listen). A task that [subscribes](Mirror::subscribe) has to be woken, and may take its time. What an update
//! costs beyond the network is mostly that its code is in no cache when it comes. So put client, mirror and listener on a
//! current-thread runtime of their own if every microsecond counts, build with `lto = "fat"` and `codegen-units = 1`, and then with a profile of
//! your service (`-C profile-generate`, `-C profile-use`, as `benches/profiled` does): that is worth another fifth of the CPU.
//!
//! To try it: `cargo run -p zk-config --example live_config`, typed configuration that a listener keeps and that says
//! when it is stale, and `--example mirror`; both start a server of their own.
//!
//! # What is promised
//!
//! - A [`Snapshot`] that [is exact](Snapshot::is_exact) equals the server's subtree at one transaction,
//!   its [revision](Snapshot::revision): never half a transaction, never an effect without its causes.
//! - Snapshots never go back, over lost connections, other servers and new sessions.
//! - After a lost connection every znode is compared by `czxid`, `mzxid` and `pzxid`: a znode that was
//!   deleted and created again is seen although its `version` is the old one.
//! - [`Status::live`] is false whenever changes might be unknown. Old values stay readable.
//! - A mirror shows no more than its [`Limits`] allow, and where there is more it says so instead of showing a part.
//!
//! ZooKeeper tells no watch of a changed ACL, and tells nothing of znodes that this client may not read:
//! those are listed in [`Snapshot::hidden`], as of the last resynchronisation.

mod changes;
mod driver;
mod limits;
mod listening;
mod machine;
mod mirror;
mod reader;
mod snapshot;
mod status;
mod updates;

pub use changes::{Batch, Change, Changes, GapReason, Update};
pub use limits::Limits;
pub use listening::Listening;
pub use mirror::{BarrierError, Mirror};
pub use reader::Reader;
pub use snapshot::{Node, Snapshot};
pub use status::{Hidden, MirrorError, Status};

pub use zk_client::{Bytes, ErrorCode, Stat, Zxid};
