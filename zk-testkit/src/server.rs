//! An in-process ZooKeeper for hermetic tests, with faults on demand.
//!
//! It can ask who somebody is: SASL (`Builder::sasl_user`), and with the feature `tls` certificates (`Builder::tls`).
//!
//! Two halves: [`model`], the server without sockets, clock and tasks; and a shell of tokio tasks that carries bytes.
//! It behaves as [`Profile`] says, by default as 3.9.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use zk_testkit::server::{Edit, TestServer};
//!
//! let server = TestServer::start().await?;
//! server.apply(&[Edit::Create("/app", b""), Edit::Create("/app/limit", b"10")]).expect("both or none");
//! server.stop().await; // connections are reset, the tree is kept
//! server.start_again().await?; // on the same port
//! assert_eq!(server.children("/app"), Some(vec!["limit".to_owned()]));
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Must not know `zk-client`.

mod catalogue;
mod edit;
mod ensemble;
mod faults;
mod handle;
mod hub;
mod line;
pub mod model;
mod observe;
mod options;
mod plan;
mod profile;
mod secure;
mod tap;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

pub use catalogue::Fault;
pub use ensemble::TestEnsemble;
pub use handle::{Builder, TestServer};
pub use model::{
    ConnId, ConnectAnswer, ConnectionInfo, Edit, Lag, LocalSessions, ReplyFault, RequestRecord, Role, SessionInfo,
    WatchInfo, WatchedKind,
};
pub use plan::{FaultPlan, Planned};
pub use profile::Profile;
pub use tap::Seen;
#[cfg(feature = "tls")]
pub use tls::{ClientAuth, ServerTls};
