//! A wire between a client and any ZooKeeper, real or in-process, that can be broken in every way.
//!
//! The proxy listens on a port of the loopback interface and passes bytes on as they come. It knows where frames begin,
//! so it can be told to cut the connection *inside the reply to the next create*, and tell afterwards what went by.
//!
//! | what | how |
//! |---|---|
//! | delay, jitter, bandwidth, dribble, black hole, a peer that does not read | [`Line`], for as long as it is set |
//! | cut at a byte, at a frame or inside one; drop, duplicate, corrupt a frame | [`Rule`], so many times |
//! | refuse, hold or ignore who connects | [`Connects`] |
//! | end everything now, by FIN, half a FIN or a reset | [`Proxy::end_all`] |
//!
//! A connection starts with a frame in each direction (the greeting); a four-letter word, TLS and anything else that is
//! not frames is passed on as bytes, on which only rules for frames have no effect.
//!
//! Two halves: [`Pipe`], one connection without sockets, clock and chance; and a shell of tokio tasks.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use zk_testkit::{
//!     proxy::{End, Proxy, Rule, Towards},
//!     server::TestServer,
//! };
//!
//! let server = TestServer::start().await?;
//! let proxy = Proxy::start(server.addr()).await?;
//! proxy.script(Towards::Client, Rule::cut_at_byte(2, End::Close));
//! let mut client = tokio::net::TcpStream::connect(proxy.addr()).await?;
//! client.write_all(b"ruok").await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert_eq!(answer, "im");
//! assert_eq!(proxy.traffic(Towards::Server).bytes, 4);
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Must not know `zk-client`, nor what requests mean.

mod fault;
mod frames;
mod handle;
mod pipe;
mod queue;
mod shell;
mod side;
#[cfg(test)]
mod tests;

pub use fault::{Deed, Dribble, End, Line, Pick, Rule};
pub use frames::{FrameSeen, Head, Towards};
pub use handle::{Builder, Connects, Proxy};
pub use pipe::{Output, Pipe};
pub use shell::Traffic;
