//! ZooKeeper's wire protocol, from scratch and sans-IO.
//!
//! The crate has no sockets, no tasks, no clock and no randomness: bytes and times come in as
//! arguments, bytes and events go out of `poll_*` methods. It is `no_std` (plus `alloc`), so that the
//! compiler itself keeps those things out.
//!
//! | module | what lives there |
//! |---|---|
//! | [`jute`] | ZooKeeper's serialization: six primitive types, [`Reader`](jute::Reader), [`Encode`](jute::Encode), [`Decode`](jute::Decode) |
//! | [`frame`] | length-prefixed frames and their limits |
//! | [`records`] | every record of the client protocol, declared once, both directions |
//! | [`ops`] | the table that pairs an opcode with its request and its reply |
//! | [`create`] | what can be created: modes, their numbers, times to live |
//! | [`multi`] | transactions and batched reads, whose results are a list |
//! | [`code`] | error codes, opcodes, event types: open numbers that survive a newer server |
//! | [`path`] | which paths ZooKeeper accepts, and the chroot |
//! | [`session`] | the connection-and-session machine of a client |
//! | [`server`] | the server's side of one connection: greeting, requests, replies, notifications |
//! | [`words`] | four-letter words: what a server says of itself without a session |
//!
//! Who does not know ZooKeeper's protocol begins with the [`guide`].
//!
//! # Features
//! `arbitrary`: the trait of that name for every record, to fuzz servers and clients of your own (`fuzz/README.md`).
//!
//! # A frame by hand
//!
//! ```
//! use zk_proto::{jute::Encode, ops, records::GetDataRequest, session::EncodedRequest};
//!
//! let request = GetDataRequest { path: "/a".into(), watch: false };
//! let frame = EncodedRequest::new::<ops::GetData>(&request, 1_048_575)?;
//! assert_eq!(frame.op(), zk_proto::OpCode::GET_DATA);
//! assert_eq!(request.encoded_len(), 4 + 2 + 1);
//! # Ok::<(), zk_proto::frame::TooLarge>(())
//! ```
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod code;
pub mod create;
pub mod frame;
#[cfg(feature = "arbitrary")]
mod generate;
#[doc = include_str!("guide.md")]
pub mod guide {}
pub mod id;
pub mod jute;
pub mod multi;
pub mod ops;
pub mod path;
pub mod records;
pub mod server;
pub mod session;
pub mod watch;
pub mod words;

pub use bytes::Bytes;
pub use code::{ErrorCode, OpCode};
pub use create::CreateMode;
pub use id::{SessionId, Zxid};
pub use jute::DecodeError;
pub use ops::Op;
pub use records::{Acl, AuthId, Permissions, Stat};
pub use session::{Session, SessionConfig};
pub use watch::{EventType, WatchMode, WatchedEvent};
