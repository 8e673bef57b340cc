//! The answers to `srvr` and `stat`.

use super::{
    ConnectionInfo, WordError,
    text::{Line, lines},
};
use crate::id::Zxid;
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::fmt;

const VERSION: &str = "Zookeeper version";
const READ_ONLY: &str = "READ-ONLY mode";
const CLIENTS: &str = "Clients:";
const LATENCY: &str = "Latency min/avg/max";
const RECEIVED: &str = "Received";
const SENT: &str = "Sent";
const CONNECTIONS: &str = "Connections";
const OUTSTANDING: &str = "Outstanding";
const ZXID: &str = "Zxid";
const MODE: &str = "Mode";
const NODE_COUNT: &str = "Node count";
const PROPOSAL_SIZES: &str = "Proposal sizes last/min/max";

/// What part a server plays.
///
/// Make one of a text with `from`, so that each text has one value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerMode {
    /// Orders the writes of the ensemble.
    Leader,
    /// Votes, and passes writes on to the leader.
    Follower,
    /// Passes writes on and does not vote.
    Observer,
    /// There is no ensemble.
    Standalone,
    /// Has lost the quorum and serves those who only read.
    ReadOnly,
    /// What a newer server made up.
    Other(String),
}

impl ServerMode {
    /// The server's own word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::Standalone => "standalone",
            Self::ReadOnly => "read-only",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for ServerMode {
    fn from(text: &str) -> Self {
        match text {
            "leader" => Self::Leader,
            "follower" => Self::Follower,
            "observer" => Self::Observer,
            "standalone" => Self::Standalone,
            "read-only" => Self::ReadOnly,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for ServerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long requests stayed in the server since its start or the last `srst`, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// The shortest.
    pub min: i64,
    /// The mean; a whole number before 3.6.
    pub avg: f64,
    /// The longest.
    pub max: i64,
}

/// Sizes of the leader's proposals in bytes; `-1` before the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposalSizes {
    /// The last one.
    pub last: i64,
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

/// The answer to `srvr` and `stat`: one server at a glance. `Display` writes it as a server of 3.9 does.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStatus {
    /// Version and build as the server writes them: `3.9.5-293c895.., built on 2026-02-11 20:18 UTC`.
    pub version: String,
    /// The server says that it serves those only who only read; its mode then is [`ServerMode::ReadOnly`].
    pub read_only: bool,
    /// Of `stat` the connections, in brief; `None` of `srvr`.
    pub clients: Option<Vec<ConnectionInfo>>,
    /// How long requests stayed.
    pub latency: Latency,
    /// Packets from clients since the server's start.
    pub received: i64,
    /// Packets to clients since the server's start.
    pub sent: i64,
    /// Connections that are open, the asker's among them.
    pub connections: i64,
    /// Requests that wait in the server. More than a few for long: it is overloaded.
    pub outstanding: i64,
    /// The last transaction that this server applied. Compare it between servers to see who lags.
    pub zxid: Zxid,
    /// What part the server plays.
    pub mode: ServerMode,
    /// Znodes, those of ZooKeeper itself below `/zookeeper` among them.
    pub node_count: i64,
    /// Of a leader: sizes of what it sent to the others.
    pub proposal_sizes: Option<ProposalSizes>,
}

impl ServerStatus {
    /// Reads the answer to `srvr` or `stat`.
    ///
    /// # Errors
    /// A refusal, or a line that is missing or cannot be read; see [`WordError`].
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let mut draft = Draft::default();
        for line in lines(text)? {
            draft.take(line)?;
        }
        draft.finish()
    }

    /// The bare version: `3.9.5`.
    #[must_use]
    pub fn release(&self) -> &str {
        release(&self.version)
    }
}

/// `3.9.5` of `3.9.5-293c895, built on ..`.
pub(super) fn release(version: &str) -> &str {
    version.split(['-', ',', ' ']).next().unwrap_or_default()
}

/// A status of which not all lines have come.
#[derive(Default)]
struct Draft {
    version: Option<String>,
    read_only: bool,
    clients: Option<Vec<ConnectionInfo>>,
    latency: Option<Latency>,
    received: Option<i64>,
    sent: Option<i64>,
    connections: Option<i64>,
    outstanding: Option<i64>,
    zxid: Option<i64>,
    mode: Option<ServerMode>,
    node_count: Option<i64>,
    proposal_sizes: Option<ProposalSizes>,
}

impl Draft {
    fn take(&mut self, line: Line<'_>) -> Result<(), WordError> {
        if line.text.starts_with(READ_ONLY) {
            self.read_only = true;
        } else if line.text.trim() == CLIENTS {
            self.clients = Some(Vec::new());
        } else if let (Some(clients), None, true) = (&mut self.clients, self.latency, ConnectionInfo::is_in(line)) {
            // Only up to the next part: a mode may look like anything.
            clients.push(ConnectionInfo::read(line)?);
        } else if let Some((name, value)) = line.text.split_once(':') {
            self.field(line, name, value.trim())?;
        }
        Ok(())
    }

    fn field(&mut self, line: Line<'_>, name: &str, value: &str) -> Result<(), WordError> {
        let number = || line.integer(value, "a whole number").map(Some);
        match name {
            VERSION => self.version = Some(value.to_owned()),
            LATENCY => self.latency = Some(latency(line, value)?),
            RECEIVED => self.received = number()?,
            SENT => self.sent = number()?,
            CONNECTIONS => self.connections = number()?,
            OUTSTANDING => self.outstanding = number()?,
            ZXID => self.zxid = Some(line.hex(value, "a zxid such as 0x100000002")?),
            MODE => self.mode = Some(value.into()),
            NODE_COUNT => self.node_count = number()?,
            PROPOSAL_SIZES => self.proposal_sizes = Some(proposal_sizes(line, value)?),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<ServerStatus, WordError> {
        Ok(ServerStatus {
            version: there(self.version, VERSION)?,
            read_only: self.read_only,
            clients: self.clients,
            latency: there(self.latency, LATENCY)?,
            received: there(self.received, RECEIVED)?,
            sent: there(self.sent, SENT)?,
            connections: there(self.connections, CONNECTIONS)?,
            outstanding: there(self.outstanding, OUTSTANDING)?,
            zxid: Zxid(there(self.zxid, ZXID)?),
            mode: there(self.mode, MODE)?,
            node_count: there(self.node_count, NODE_COUNT)?,
            proposal_sizes: self.proposal_sizes,
        })
    }
}

fn there<T>(value: Option<T>, line: &'static str) -> Result<T, WordError> {
    value.ok_or(WordError::Missing { line })
}

/// The three parts of `0/1.6667/8`.
fn three(value: &str) -> Option<[&str; 3]> {
    let (first, rest) = value.split_once('/')?;
    let (second, third) = rest.split_once('/')?;
    Some([first, second, third])
}

fn latency(line: Line<'_>, value: &str) -> Result<Latency, WordError> {
    let expected = "three numbers such as 0/1.6667/8";
    let [min, avg, max] = three(value).ok_or_else(|| line.malformed(expected))?;
    let avg: Option<f64> = avg.parse().ok().filter(|avg: &f64| avg.is_finite());
    let avg = avg.ok_or_else(|| line.malformed(expected))?;
    Ok(Latency { min: line.integer(min, expected)?, avg, max: line.integer(max, expected)? })
}

fn proposal_sizes(line: Line<'_>, value: &str) -> Result<ProposalSizes, WordError> {
    let expected = "three whole numbers such as 48/36/96";
    let [last, min, max] = three(value).ok_or_else(|| line.malformed(expected))?;
    let number = |part| line.integer(part, expected);
    Ok(ProposalSizes { last: number(last)?, min: number(min)?, max: number(max)? })
}

impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}: {}", self.version)?;
        if self.read_only {
            writeln!(f, "{READ_ONLY}; serving only read-only clients")?;
        }
        if let Some(clients) = &self.clients {
            writeln!(f, "{CLIENTS}")?;
            for client in clients {
                writeln!(f, "{client}")?;
            }
            writeln!(f)?;
        }
        let Latency { min, avg, max } = self.latency;
        writeln!(f, "{LATENCY}: {min}/{avg:?}/{max}")?;
        writeln!(f, "{RECEIVED}: {}", self.received)?;
        writeln!(f, "{SENT}: {}", self.sent)?;
        writeln!(f, "{CONNECTIONS}: {}", self.connections)?;
        writeln!(f, "{OUTSTANDING}: {}", self.outstanding)?;
        writeln!(f, "{ZXID}: {}", self.zxid)?;
        writeln!(f, "{MODE}: {}", self.mode)?;
        writeln!(f, "{NODE_COUNT}: {}", self.node_count)?;
        match self.proposal_sizes {
            Some(ProposalSizes { last, min, max }) => writeln!(f, "{PROPOSAL_SIZES}: {last}/{min}/{max}"),
            None => Ok(()),
        }
    }
}
