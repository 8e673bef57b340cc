//! The tokio client for ZooKeeper.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = zk_testkit::server::TestServer::start().await?;
//! use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE};
//!
//! let servers = "zk1:2181,zk2:2181,zk3:2181/app";
//! # let servers = &server.connect_string();
//! let client = Client::connect(servers).await?;
//! client.create("/greeting", b"hello", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
//! let (data, stat) = client.get_data("/greeting").await?;
//! assert_eq!(&data[..], b"hello");
//! println!("set by transaction {}", stat.mzxid);
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! The [`guide`] shows an example a use; [`coming_from`] maps the names of the Java client, Curator, kazoo and
//! zookeeper-client.
//!
//! # Behaviour
//!
//! A [`Client`] is a cheap handle; clone it freely. One task per session, the driver, owns the socket and
//! the protocol machine of `zk-proto`; what arrives can have a thread instead ([`Connector::own_thread`]). It reconnects by
//! itself, to servers in random order, with names resolved at each attempt, all addresses tried, and pauses with full jitter.
//! A thousand clients that lose their connections at once come back over seconds, each at a time of its own:
//! [`Connector::reconnect_spread`] says how far they spread, and what is better for a client that is alone.
//!
//! Values and lists of children that are asked for together travel together ([`Connector::batch_reads`]). An operation is sent
//! once: when its answer is lost, or does not come in time ([`Client::with_timeout`]), the error says whether it may have been
//! carried out. Those that take several requests, such as [`Client::create_all`], say what they repeat; a timeout is for each of their requests.
//!
//! # Ordering
//!
//! Every operation is ordered when its method is *called*, not when its future is first polled, and
//! operations are pipelined: ZooKeeper executes the operations of one client in that order. A watched
//! event is delivered before the answer of any operation that could show the new state.
//!
//! # Cancel safety
//!
//! Dropping the future of an operation drops its answer and nothing else: the request is still sent and
//! carried out. One that takes several requests stops where it is. All other futures of this crate can be dropped at any
//! time without an effect.
//!
//! # Sessions
//!
//! When a connection is lost, operations on their way end with [`Error::Interrupted`] and say whether they
//! may have been carried out; operations called meanwhile wait for the next connection, at most until the
//! session expires. The first attempt comes after up to 3.5 s ([`Connector::reconnect_spread`]), and no pause is so long that
//! a session expires for it. Nor is a server waited for so long that takes the connection and says nothing, as one may that
//! is just starting: the servers share the session timeout, each has a third of it at most, and half of what the session
//! has left. After an expiry the client makes a new session by itself, unless
//! [`Connector::renew_session`] says otherwise. [`Client::state`] tells how it stands, [`Client::session_events`] every
//! change. Reads never go back, not even into a new session: servers behind what was seen are not used
//! ([`Client::accept_rebuilt_ensemble`] is the way out). [`Client::fenced`] makes a handle that works in one session only;
//! [`recipes`] are locks, leaders and members that know what a session is worth. [`Client::leave`] ends a client without its
//! session, for another process to go on with.
//!
//! # Watches
//!
//! [`Client::watch`] gives a stream that lives over reconnects and over new sessions. ZooKeeper never
//! replays what a persistent watch missed while the connection was gone, so the stream says so:
//! [`WatchItem::Gap`] when it may begin to miss events, [`WatchItem::Resumed`] when it is whole again.
//! `zk-config` builds an exact copy of a subtree on top of that.
//!
//! The reads that end in `_and_watch` leave ZooKeeper's one-shot watches: a future of one event, which lives over reconnects
//! and over new sessions, too. For any number of listeners there is one watch at the server, and it goes with the last of
//! them. A path has one-shot watches or a persistent one in one mode: servers before 3.9 keep only one of these in silence,
//! so a second one is [`UsageError::WatchConflict`]. Servers before 3.6 have no persistent watches; [`Client::watch`] says
//! what stands in for them.
//!
//! A consumer that does not read costs a queue of 1,024 items: then all of them give way to one [`WatchItem::Gap`].
//!
//! # Identity
//!
//! [`Connector::auth`] presents identities and [`Connector::sasl`] makes a SASL exchange ([`DigestMd5`], or a
//! [`SaslMechanism`] of your own): on every connection, again after every reconnect, before watches and requests. Without
//! TLS a password goes to this machine only, unless [`Connector::allow_plaintext_auth`] says otherwise. There is no default
//! ACL; [`acl`] makes entries.
//!
//! # TLS
//!
//! `Connector::tls` encrypts every connection, with `tls::Tls` saying whom to trust and which certificate to show; servers
//! know that one as an identity of the scheme `x509`. A server's certificate must lead to a root that was given and must be
//! for the name, or the address, in the connect string; there is no way to switch that off. Files are read again at each
//! new connection, so that certificates change without a restart. The library is rustls, the cryptography graviola's unless
//! another provider is given.
//!
//! # Features
//!
//! `tls` (default): [`Connector::tls`](Connector) and the module `tls`. `dns-srv`: connect strings `dns-srv://name`, by a resolver
//! of some sixty crates. Neither they nor anything else here needs a C compiler.

#[doc = include_str!("coming_from.md")]
pub mod coming_from {}
#[doc = include_str!("guide.md")]
pub mod guide {}

pub mod acl;
mod bell;
mod call;
mod caller;
mod client;
mod connect_string;
mod connector;
mod dial;
mod driver;
mod ensemble;
mod error;
mod inline;
mod oneshot;
#[cfg_attr(not(target_os = "linux"), path = "own_thread/elsewhere.rs")]
mod own_thread;
pub mod recipes;
mod sasl;
mod secret;
mod session_events;
mod session_export;
mod state;
mod sweep;
#[cfg(feature = "tls")]
pub mod tls;
mod tracking;
mod transaction;
mod walk;
mod watch;

pub use call::Call;
pub use client::{Client, Parents, WatchInfo};
pub use connect_string::{ConnectString, ConnectStringError, HostPort};
pub use connector::Connector;
pub use dial::{Dial, Dialed, SrvRecord, TcpDial, Transport};
pub use ensemble::{EnsembleConfig, Member, MemberAddress, Reconfig, Role};
pub use error::{Attempt, Error, Unreachable, UsageError};
pub use inline::{Answer, Inline, InlineState, Input, Refusal, Requests, Token};
pub use oneshot::{OneshotWatch, WatchCall, WatchLost};
pub use sasl::{DigestMd5, SaslExchange, SaslMechanism, SaslStep};
pub use secret::Secret;
pub use session_events::{SessionEvent, SessionEvents};
pub use session_export::{ExportError, SessionExport};
pub use state::SessionState;
pub use transaction::{Read, ReadResult, Transaction, TransactionResult};
pub use walk::{Walk, Walked};
pub use watch::{GapReason, Notification, WatchItem, WatchStream};

pub use zk_proto::{
    Bytes, CreateMode, DecodeError, ErrorCode, OpCode, SessionId, Zxid,
    create::{Ttl, TtlOutOfRange},
    frame::TooLarge,
    jute::{Label, List, Text},
    multi::{MultiResult, Results},
    path,
    path::PathError,
    records::{
        Acl, AuthId, CREATOR_ALL_ACL, ClientInfo, GetDataResponse, OPEN_ACL_UNSAFE, Permissions, READ_ACL_UNSAFE, Stat,
    },
    session::{Credentials, End, Interruption, Loss, Outcome, SaslFailure, WatchKind},
    watch::{EventType, KeeperState, WatchMode, WatchedEvent, WatcherType},
};
