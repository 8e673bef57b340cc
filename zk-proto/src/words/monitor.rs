//! The answer to `mntr`: keys and values, most of them numbers.

use super::{ServerMode, WordError, status::release, text::lines};
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::fmt;

const VERSION: &str = "zk_version";
const SERVER_STATE: &str = "zk_server_state";

/// A value of `mntr`. Make one of a text with `from`, so that each text has one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number: `9`.
    Integer(i64),
    /// A number with a point or an exponent, always finite: `1.6667`.
    Decimal(f64),
    /// Anything else, and numbers that do not fit: `leading - broadcast`, `NaN`.
    Text(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
        if !plain || text.starts_with('+') {
            return Self::Text(text.to_owned());
        }
        if let Ok(number) = text.parse() {
            return Self::Integer(number);
        }
        match text.parse::<f64>() {
            // Without a point it is a whole number that does not fit: keep its digits.
            Ok(number) if number.is_finite() && text.contains(['.', 'e', 'E']) => Self::Decimal(number),
            _ => Self::Text(text.to_owned()),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            // With a point, as Java: `0.0`.
            Self::Decimal(number) => write!(f, "{number:?}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The answer to `mntr`: what a server counts, in the server's order.
///
/// Some 15 keys in 3.5 and 500 in 3.9, where most are statistics such as `zk_avg_readlatency` or `zk_p99_fsynctime`.
/// Methods give the keys that are worth an eye; [`get`](Self::get) and [`iter`](Self::iter) give all. `Display` writes
/// the text of a server.
///
/// | when | look at |
/// |---|---|
/// | it does not serve | [`server_state`](Self::server_state) of each server; [`synced_followers`](Self::synced_followers) of the leader |
/// | it is slow | [`outstanding_requests`](Self::outstanding_requests), [`avg_latency`](Self::avg_latency), [`throttled_ops`](Self::throttled_ops) |
/// | it grows | [`znode_count`](Self::znode_count), [`approximate_data_size`](Self::approximate_data_size), [`watch_count`](Self::watch_count) |
/// | it refuses clients | [`open_file_descriptor_count`](Self::open_file_descriptor_count), [`connection_rejected`](Self::connection_rejected) |
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    entries: Vec<(String, Value)>,
}

macro_rules! keys {
    ($($(#[$doc:meta])* $method:ident = $key:literal;)*) => {
        impl Monitor {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\n`", $key, "`; `None` if this server does not say it.")]
                #[must_use]
                pub fn $method(&self) -> Option<i64> {
                    self.integer($key)
                }
            )*
        }
    };
}

keys! {
    /// The shortest time that a request stayed in the server, in ms.
    min_latency = "zk_min_latency";
    /// The longest time that a request stayed in the server, in ms, since its start or the last `srst`.
    max_latency = "zk_max_latency";
    /// Packets from clients.
    packets_received = "zk_packets_received";
    /// Packets to clients.
    packets_sent = "zk_packets_sent";
    /// Connections that are open, the asker's among them.
    num_alive_connections = "zk_num_alive_connections";
    /// Requests that wait in the server.
    outstanding_requests = "zk_outstanding_requests";
    /// Znodes, those of ZooKeeper itself among them.
    znode_count = "zk_znode_count";
    /// Watches of this server's clients, in both tables: more than `wchs` tells.
    watch_count = "zk_watch_count";
    /// Ephemeral znodes.
    ephemerals_count = "zk_ephemerals_count";
    /// Bytes of all paths and data.
    approximate_data_size = "zk_approximate_data_size";
    /// Sessions of the ensemble. Since 3.6.
    global_sessions = "zk_global_sessions";
    /// Sessions of this server alone. Since 3.6.
    local_sessions = "zk_local_sessions";
    /// Files and sockets that are open.
    open_file_descriptor_count = "zk_open_file_descriptor_count";
    /// Files and sockets that may be open.
    max_file_descriptor_count = "zk_max_file_descriptor_count";
    /// How long the server runs, in ms. Since 3.6.
    uptime = "zk_uptime";
    /// Bytes of the last answer to a client; `-1` before the first one. Since 3.6.
    last_client_response_size = "zk_last_client_response_size";
    /// Bytes of the largest answer to a client; `-1` before the first one. Since 3.6.
    max_client_response_size = "zk_max_client_response_size";
    /// Bytes of the smallest answer to a client; `-1` before the first one. Since 3.6.
    min_client_response_size = "zk_min_client_response_size";
    /// Connections that were refused because there are too many. Since 3.6.
    connection_rejected = "zk_connection_rejected";
    /// Requests that were thrown away under load. Since 3.7.
    throttled_ops = "zk_throttled_ops";
    /// Bytes of watch events that were sent. Since 3.7.
    watch_bytes = "zk_watch_bytes";
    /// Voting members. Of members of an ensemble, since 3.6.
    quorum_size = "zk_quorum_size";
    /// Followers and observers that are connected. Of the leader, since 3.6; 3.5 has `zk_followers`.
    learners = "zk_learners";
    /// Followers that are up to date. Of the leader.
    synced_followers = "zk_synced_followers";
    /// Observers that are up to date. Of the leader, since 3.6.
    synced_observers = "zk_synced_observers";
    /// Members that follow without a vote and are up to date. Of the leader, since 3.6.
    synced_non_voting_followers = "zk_synced_non_voting_followers";
    /// Calls of `sync` that wait. Of the leader.
    pending_syncs = "zk_pending_syncs";
    /// How long it leads, in ms. Of the leader, since 3.6.
    leader_uptime = "zk_leader_uptime";
    /// Bytes of the last proposal; `-1` before the first one. Of the leader.
    last_proposal_size = "zk_last_proposal_size";
    /// Bytes of the largest proposal; `-1` before the first one. Of the leader.
    max_proposal_size = "zk_max_proposal_size";
    /// Bytes of the smallest proposal; `-1` before the first one. Of the leader.
    min_proposal_size = "zk_min_proposal_size";
}

impl Monitor {
    /// For a server: the two entries that all servers have; [`push`](Self::push) adds others.
    #[must_use]
    pub fn new(version: &str, state: &ServerMode) -> Self {
        Self { entries: [entry(VERSION, version), entry(SERVER_STATE, state.as_str())].into() }
    }

    /// For a server: adds an entry at the end. Neither may have a newline, nor the key a tab: it would be read as
    /// something else.
    pub fn push(&mut self, key: &str, value: impl Into<Value>) {
        self.entries.push((key.to_owned(), value.into()));
    }

    /// Reads the answer. Lines that are not a key, a tab and a value are passed over.
    ///
    /// # Errors
    /// A refusal, or a text without version or state; see [`WordError`].
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let entries = lines(text)?.filter_map(|line| line.text.split_once('\t'));
        let entries = entries.filter(|(key, _)| !key.is_empty());
        let monitor = Self { entries: entries.map(|(key, value)| entry(key, value)).collect() };
        for line in [VERSION, SERVER_STATE] {
            monitor.get(line).ok_or(WordError::Missing { line })?;
        }
        Ok(monitor)
    }

    /// The value of a key, as the server writes it: with `zk_`. Of a key that comes twice, the first.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// All entries in the server's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// A value that is a whole number.
    #[must_use]
    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Value::Integer(number) => Some(*number),
            Value::Decimal(_) | Value::Text(_) => None,
        }
    }

    /// A value that is a number of any kind.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 a mean of milliseconds is meaningless")]
            Value::Integer(number) => Some(*number as f64),
            Value::Decimal(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    /// A value that is not a number.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            Value::Integer(_) | Value::Decimal(_) => None,
        }
    }

    /// Version and build as the server writes them: `3.9.5-293c895.., built on 2026-02-11 20:18 UTC`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.text(VERSION).unwrap_or_default()
    }

    /// The bare version: `3.9.5`.
    #[must_use]
    pub fn release(&self) -> &str {
        release(self.version())
    }

    /// What part the server plays.
    #[must_use]
    pub fn server_state(&self) -> ServerMode {
        self.text(SERVER_STATE).unwrap_or_default().into()
    }

    /// Of members of an ensemble, since 3.6, what the member does: `leading - broadcast`, `following - broadcast`.
    #[must_use]
    pub fn peer_state(&self) -> Option<&str> {
        self.text("zk_peer_state")
    }

    /// The mean time that a request stayed in the server, in ms; a whole number before 3.6. `zk_avg_latency`.
    #[must_use]
    pub fn avg_latency(&self) -> Option<f64> {
        self.number("zk_avg_latency")
    }
}

/// Version and state are text, whatever a vendor calls its version.
fn entry(key: &str, value: &str) -> (String, Value) {
    let is_text = [VERSION, SERVER_STATE].contains(&key);
    (key.to_owned(), if is_text { Value::Text(value.to_owned()) } else { value.into() })
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.entries {
            writeln!(f, "{key}\t{value}")?;
        }
        Ok(())
    }
}
