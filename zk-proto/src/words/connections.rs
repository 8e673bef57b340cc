//! The answer to `cons`, and a connection as `cons` and `stat` describe it.

use super::{
    WordError,
    text::{Line, lines, some_of},
};
use crate::id::{SessionId, Zxid};
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// What stands between a connection's address and its numbers.
const MARK: &str = "](";

/// What a line of `cons` looks like, for errors.
const SHAPE: &str = "a connection such as /127.0.0.1:57400[1](queued=0,recved=4,sent=4)";

/// One connection of a server. `Display` writes its line of `cons`.
///
/// All that is optional is missing in `stat`, and for a connection that has no session (yet), such as the asker's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Who is at the other end, as Java writes it: `/127.0.0.1:57400`, `name/10.0.0.7:57400`, `/[0:0:0:0:0:0:0:1]:57400`;
    /// see [`peer_addr`](Self::peer_addr).
    pub peer: String,
    /// What the server's selector waits for: 1 to read, 4 to write, 5 for both, 0 for nothing. A connection that stays
    /// at 0 is throttled.
    pub interest_ops: i64,
    /// Packets that wait for the connection to take them (`queued`).
    pub queued: i64,
    /// Packets from the client (`recved`).
    pub received: i64,
    /// Packets to the client (`sent`).
    pub sent: i64,
    /// The session (`sid`).
    pub session: Option<SessionId>,
    /// Four letters for the last operation, such as `GETD`, `SETD`, `PING`; `NA` before the first one (`lop`).
    pub last_op: Option<String>,
    /// When it was opened, in milliseconds since 1970 of the server's clock (`est`).
    pub established_ms: Option<i64>,
    /// The session's timeout in milliseconds, as negotiated (`to`).
    pub timeout_ms: Option<i64>,
    /// The xid of the last request; missing before the first one (`lcxid`).
    pub last_cxid: Option<i64>,
    /// The zxid of the last answer (`lzxid`).
    pub last_zxid: Option<Zxid>,
    /// When the last answer was sent, in milliseconds of a clock of the server that began at some time (`lresp`).
    pub last_response_ms: Option<i64>,
    /// How long the last request took, in milliseconds (`llat`).
    pub last_latency_ms: Option<i64>,
    /// The shortest, in milliseconds (`minlat`).
    pub min_latency_ms: Option<i64>,
    /// The mean, in whole milliseconds (`avglat`).
    pub avg_latency_ms: Option<i64>,
    /// The longest, in milliseconds (`maxlat`).
    pub max_latency_ms: Option<i64>,
}

impl ConnectionInfo {
    /// The address in [`peer`](Self::peer), or `None` if there is none that can be read (Java writes `null` for a
    /// connection that ended just now).
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        let text = self.peer.rsplit('/').next()?;
        // Java before 14 puts no brackets around an IPv6 address.
        let bare = || {
            let (ip, port) = text.rsplit_once(':')?;
            Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?, port.parse().ok()?))
        };
        text.parse().ok().or_else(bare)
    }

    /// Whether the line looks like a connection.
    pub(super) fn is_in(line: Line<'_>) -> bool {
        line.text.contains(MARK)
    }

    pub(super) fn read(line: Line<'_>) -> Result<Self, WordError> {
        let shape = || line.malformed(SHAPE);
        // The first mark: an address in brackets goes on with a colon.
        let (who, fields) = line.text.trim().split_once(MARK).ok_or_else(shape)?;
        let (peer, interest) = who.rsplit_once('[').ok_or_else(shape)?;
        let fields = fields.strip_suffix(')').ok_or_else(shape)?;
        let interest_ops = line.integer(interest, SHAPE)?;
        let mut info = Self { peer: peer.to_owned(), interest_ops, ..Self::default() };
        // queued, recved, sent
        let mut seen = [false; 3];
        for (name, value) in fields.split(',').filter_map(|field| field.split_once('=')) {
            match name {
                "queued" => (seen[0], info.queued) = (true, line.integer(value, SHAPE)?),
                "recved" => (seen[1], info.received) = (true, line.integer(value, SHAPE)?),
                "sent" => (seen[2], info.sent) = (true, line.integer(value, SHAPE)?),
                _ => info.detail(line, name, value)?,
            }
        }
        if seen == [true; 3] { Ok(info) } else { Err(shape()) }
    }

    fn detail(&mut self, line: Line<'_>, name: &str, value: &str) -> Result<(), WordError> {
        let number = || line.integer(value, "whole numbers behind `est`, `to`, `lresp` and the latencies").map(Some);
        let hex = || line.hex(value, "numbers such as 0x1f behind `sid`, `lcxid` and `lzxid`");
        match name {
            "sid" => self.session = Some(SessionId(hex()?)),
            "lop" => self.last_op = Some(value.to_owned()),
            "est" => self.established_ms = number()?,
            "to" => self.timeout_ms = number()?,
            "lcxid" => self.last_cxid = Some(hex()?),
            "lzxid" => self.last_zxid = Some(Zxid(hex()?)),
            "lresp" => self.last_response_ms = number()?,
            "llat" => self.last_latency_ms = number()?,
            "minlat" => self.min_latency_ms = number()?,
            "avglat" => self.avg_latency_ms = number()?,
            "maxlat" => self.max_latency_ms = number()?,
            _ => {}
        }
        Ok(())
    }
}

impl fmt::Display for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, interest_ops, queued, received, sent, .. } = self;
        write!(f, " {peer}[{interest_ops}](queued={queued},recved={received},sent={sent}")?;
        optional(f, "sid", self.session.as_ref())?;
        optional(f, "lop", self.last_op.as_ref())?;
        optional(f, "est", self.established_ms.as_ref())?;
        optional(f, "to", self.timeout_ms.as_ref())?;
        if let Some(cxid) = self.last_cxid {
            write!(f, ",lcxid=0x{cxid:x}")?;
        }
        optional(f, "lzxid", self.last_zxid.as_ref())?;
        optional(f, "lresp", self.last_response_ms.as_ref())?;
        optional(f, "llat", self.last_latency_ms.as_ref())?;
        optional(f, "minlat", self.min_latency_ms.as_ref())?;
        optional(f, "avglat", self.avg_latency_ms.as_ref())?;
        optional(f, "maxlat", self.max_latency_ms.as_ref())?;
        f.write_str(")")
    }
}

fn optional(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, ",{name}={value}"),
        None => Ok(()),
    }
}

/// The answer to `cons`: every connection of a server, in no order, the asker's among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections(pub Vec<ConnectionInfo>);

impl Connections {
    /// Reads the answer.
    ///
    /// # Errors
    /// A refusal, a connection that cannot be read, or a text without any; see [`WordError`].
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let connections = lines(text)?.filter(|line| ConnectionInfo::is_in(*line)).map(ConnectionInfo::read);
        let connections = connections.collect::<Result<Vec<_>, _>>()?;
        some_of(text, connections.is_empty(), "/address[interest](queued=..,recved=..,sent=..)")?;
        Ok(Self(connections))
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for connection in &self.0 {
            writeln!(f, "{connection}")?;
        }
        writeln!(f)
    }
}
