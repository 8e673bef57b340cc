//! The client against the in-process server.

#[path = "client/acl.rs"]
mod acl;
#[path = "client/bad_certificates.rs"]
mod bad_certificates;
#[path = "client/batching.rs"]
mod batching;
#[path = "client/chroot.rs"]
mod chroot;
#[path = "client/closing.rs"]
mod closing;
#[path = "client/copies.rs"]
mod copies;
#[path = "client/deadlines.rs"]
mod deadlines;
#[path = "client/given_up.rs"]
mod given_up;
#[path = "client/greetings.rs"]
mod greetings;
#[path = "client/herd.rs"]
mod herd;
#[path = "client/hosts.rs"]
mod hosts;
#[path = "client/identity.rs"]
mod identity;
#[path = "client/inline.rs"]
mod inline;
#[path = "client/kinds.rs"]
mod kinds;
#[path = "client/lagging.rs"]
pub(crate) mod lagging;
#[path = "client/operations.rs"]
mod operations;
#[path = "client/order.rs"]
mod order;
#[path = "client/own_thread.rs"]
mod own_thread;
#[path = "client/plaintext.rs"]
mod plaintext;
#[path = "client/privileges.rs"]
mod privileges;
#[path = "client/read_only.rs"]
mod read_only;
#[path = "client/refusals.rs"]
mod refusals;
#[path = "client/sasl.rs"]
mod sasl;
#[path = "client/secrets.rs"]
mod secrets;
#[path = "client/servers.rs"]
mod servers;
#[path = "client/services.rs"]
mod services;
#[path = "client/session_life.rs"]
mod session_life;
#[path = "client/sessions.rs"]
mod sessions;
#[path = "client/shutdown.rs"]
mod shutdown;
#[path = "client/subtrees.rs"]
mod subtrees;
#[path = "client/tls.rs"]
mod tls;
#[path = "client/too_large.rs"]
mod too_large;
#[path = "client/tracking.rs"]
mod tracking;
#[path = "client/transactions.rs"]
mod transactions;
#[path = "client/updates.rs"]
mod updates;
