//! Four-letter words: what a server says of itself to whoever asks, without a session. See [`FourLetterWord`].
//!
//! A ZooKeeper server listens on one port for clients. Who opens a TCP connection to it and, instead of a client's
//! greeting, sends four ASCII letters gets an answer in plain text, and then the server closes the connection. No
//! length goes before the letters and no newline after them; the answer ends where the connection ends. So a shell can
//! ask too: `printf srvr | nc 127.0.0.1 2181`. The words also work on a TLS port, inside TLS.
//!
//! This module has the words, a type for each answer that a program may want to read, and both directions: `parse`
//! reads what a server sent, `Display` writes what a server of 3.9 sends. It does not know sockets: send
//! [`FourLetterWord::as_bytes`], read to the end with a time limit, and give the text to the type in the table.
//!
//! ```
//! use zk_proto::words::{FourLetterWord, Monitor, ServerMode};
//!
//! assert_eq!(FourLetterWord::MNTR.as_bytes(), b"mntr"); // this went out; this came back:
//! let answer = "zk_version\t3.9.5-293c895, built on 2026-02-11 20:18 UTC\nzk_server_state\tleader\n\
//!               zk_avg_latency\t1.6667\nzk_znode_count\t9\nzk_synced_followers\t2\nzk_of_tomorrow\tperhaps\n";
//! let monitor = Monitor::parse(answer)?;
//! assert_eq!((monitor.release(), monitor.server_state()), ("3.9.5", ServerMode::Leader));
//! assert_eq!((monitor.avg_latency(), monitor.znode_count()), (Some(1.6667), Some(9)));
//! assert_eq!(monitor.synced_followers(), Some(2)); // `None` of a follower
//! assert_eq!(monitor.get("zk_of_tomorrow").unwrap().to_string(), "perhaps");
//! # Ok::<(), zk_proto::words::WordError>(())
//! ```
//!
//! | word | says | type |
//! |---|---|---|
//! | `ruok` | `imok`: the process runs and listens | [`Imok`] |
//! | `isro` | whether the server takes writes | [`IsReadOnly`] |
//! | `srvr` | version, mode, latency, counters, last transaction | [`ServerStatus`] |
//! | `stat` | the same with a line for each connection | [`ServerStatus`] |
//! | `mntr` | everything that is counted, one key a line; 15 keys in 3.5, some 500 in 3.9 | [`Monitor`] |
//! | `cons` | each connection in full | [`Connections`] |
//! | `wchs` | how many watches | [`WatchSummary`] |
//! | `wchp` | each watched path, and which sessions watch it | [`WatchesByPath`] |
//! | `wchc` | each session that watches, and which paths | [`WatchesBySession`] |
//! | `dump` | sessions by expiry, and their ephemeral znodes | text |
//! | `conf`, `envi`, `dirs` | configuration; Java's environment; bytes of log and snapshots | text |
//! | `crst`, `srst` | *resets* the counters of connections; of the server | text |
//! | `gtmk`, `stmk` | the trace mask; *sets* it (8 bytes follow the word) | text |
//! | `hash` | digests of the data at recent transactions, from 3.6 on | text |
//!
//! # What to know before trusting an answer
//!
//! - **White list.** Since 3.4.10 and 3.5.3 a server answers only words of its setting `4lw.commands.whitelist`. Its
//!   default is `srvr` alone, and `isro` with it where read-only mode is on. For another word the answer is a
//!   refusal: [`WordError::NotWhitelisted`]. So `srvr` is the one word that nearly always works.
//! - **`ruok` says nothing of the quorum**: a server that lost its ensemble says `imok`. Ask `srvr`: without a
//!   quorum it gives [`WordError::NotServing`], or the mode [`ServerMode::ReadOnly`].
//! - **`isro` without a quorum says `null`**, where all others say that they are not serving; it is reported alike.
//! - **`wchs`, `wchp` and `wchc` list the data table only.** Watches on the children of a znode (`getChildren`) are
//!   invisible; persistent ones are visible. `zk_watch_count` of `mntr` counts both tables, so it may be higher:
//!   persistent watches stand in both (since 3.9 only those that are not recursive).
//! - **A word that the server does not know** closes the connection without any text: [`WordError::Empty`]. So does a
//!   server that is too busy, or a proxy.
//! - **It costs the server**: `wchp`, `wchc` and `dump` walk all watches or sessions. Do not ask them every second.
//! - **Numbers are the server's own**: each server counts its own connections, watches and packets; only znodes,
//!   ephemerals and global sessions are the ensemble's. The asker's own connection is counted as well.
//!
//! # Robustness
//!
//! A parser reads each line once. It panics on no text, and what it builds is at most some 60 times as large as the
//! text (that is for a list of one-letter paths; of real answers it is 2 to 5 times): limit the text that you read. Lines, keys and fields that it does not know do not disturb it: they are kept
//! where the type has a place for them ([`Monitor`]), or passed over. A line that it does know and cannot read is an
//! error, and so is the lack of a line that all servers since 3.4 send.
//!
//! Sources: protocol.md sections 9.1 and 2.1; answers of real servers from 3.5 to 3.9 (`tests/tests/vectors/words`).

mod connections;
mod error;
mod monitor;
mod simple;
mod status;
mod text;
mod watches;

pub use connections::{ConnectionInfo, Connections};
pub use error::WordError;
pub use monitor::{Monitor, Value};
pub use simple::{Imok, IsReadOnly};
pub use status::{Latency, ProposalSizes, ServerMode, ServerStatus};
pub use watches::{WatchSummary, WatchesByPath, WatchesBySession};

use core::fmt;

/// Four letters that a server takes as a question when they are the first bytes of a connection.
///
/// An open number of a kind: any four bytes can be sent; [`KNOWN`](Self::KNOWN) has those of ZooKeeper 3.4 to 3.9.
/// See the [module](self) for what they mean.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourLetterWord(pub [u8; 4]);

macro_rules! words {
    ($($konst:ident = $bytes:literal $text:literal;)*) => {
        impl FourLetterWord {
            $(#[doc = $text] pub const $konst: Self = Self(*$bytes);)*

            /// Every word of ZooKeeper 3.4 to 3.9.
            pub const KNOWN: &'static [Self] = &[$(Self::$konst),*];

            /// What it asks for, or `None` for a word that this crate does not know.
            #[must_use]
            pub const fn text(self) -> Option<&'static str> {
                match &self.0 { $($bytes => Some($text),)* _ => None }
            }
        }
    };
}

words! {
    RUOK = b"ruok" "Are you OK? `imok` if the process runs and listens; says nothing of the quorum.";
    ISRO = b"isro" "Is it read-only? `rw` or `ro`.";
    SRVR = b"srvr" "The server in ten lines. The only word of the default white list.";
    STAT = b"stat" "The server in ten lines, with its connections.";
    MNTR = b"mntr" "All that is counted, for monitoring.";
    CONS = b"cons" "All connections in full.";
    WCHS = b"wchs" "How many connections watch how many paths.";
    WCHP = b"wchp" "Watches by path.";
    WCHC = b"wchc" "Watches by session.";
    DUMP = b"dump" "Sessions and ephemeral znodes.";
    CONF = b"conf" "The configuration.";
    ENVI = b"envi" "Java's environment.";
    DIRS = b"dirs" "Bytes of the transaction log and of the snapshots.";
    CRST = b"crst" "Resets the counters of all connections.";
    SRST = b"srst" "Resets the counters of the server.";
    GTMK = b"gtmk" "The trace mask.";
    STMK = b"stmk" "Sets the trace mask to the 8 bytes that follow.";
    HASH = b"hash" "Digests of the data at recent transactions; from 3.6 on.";
}

impl FourLetterWord {
    /// For a server: the word that the first four bytes of a connection are, or `None` if they are something else,
    /// as a rule the length of a client's greeting. (Read as a length, a word is far beyond every limit.)
    ///
    /// ```
    /// use zk_proto::words::FourLetterWord;
    /// assert_eq!(FourLetterWord::from_prefix(*b"ruok"), Some(FourLetterWord::RUOK));
    /// assert_eq!(FourLetterWord::from_prefix([0, 0, 0, 45]), None);
    /// ```
    #[must_use]
    pub const fn from_prefix(prefix: [u8; 4]) -> Option<Self> {
        let word = Self(prefix);
        if word.text().is_some() { Some(word) } else { None }
    }

    /// What a client sends: these four bytes and nothing else.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl fmt::Display for FourLetterWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourLetterWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FourLetterWord({self})")
    }
}

#[cfg(test)]
mod tests;
