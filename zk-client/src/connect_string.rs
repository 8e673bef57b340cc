//! The connect string: `host[:port],host[:port]/chroot`, or `dns-srv://name/chroot`.
//!
//! Knows nothing of DNS: names stay names until each attempt. Source: protocol.md section 5.1.

use std::fmt;
use zk_proto::path::{Chroot, PathError};

/// What goes before the name of a DNS service.
pub(crate) const DNS_SRV: &str = "dns-srv://";

const PORT: u16 = 2181;

/// Of a name in the DNS (RFC 1035), in characters.
const NAME_LEN_MAX: usize = 253;

/// Servers that are believed where somebody else than the user names them: more than an ensemble has, and a bound for what the
/// DNS or a znode's megabyte can name.
pub(crate) const SERVERS_MAX: usize = 1_000;

/// One server as the user named it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The client port; 2181 where none was given.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A parsed connect string: servers, or the name of a DNS service that says who they are.
///
/// ```
/// let parsed: zk_client::ConnectString = "zk1, zk2:2182,[::1]:2183/app/one".parse()?;
/// let hosts: Vec<String> = parsed.hosts().iter().map(ToString::to_string).collect();
/// assert_eq!(hosts, ["zk1:2181", "zk2:2182", "[::1]:2183"]);
/// assert_eq!(parsed.chroot(), "/app/one");
///
/// let parsed: zk_client::ConnectString = "dns-srv://_zookeeper._tcp.example.com/app".parse()?;
/// assert_eq!((parsed.service(), parsed.hosts()), (Some("_zookeeper._tcp.example.com"), &[][..]));
/// # Ok::<(), zk_client::ConnectStringError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectString {
    servers: Servers,
    chroot: Chroot,
}

/// Who the servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    Listed(Vec<HostPort>),
    /// Those that the DNS has SRV records of, under this name.
    Service(String),
}

/// Why a connect string is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectStringError {
    /// It names no host.
    NoHost,
    /// A host has no name, or its brackets do not match.
    Host(String),
    /// What stands behind the last colon is no port.
    Port(String),
    /// It holds what looks like user and password; those never go into a connect string. The text is not
    /// repeated here.
    Credentials,
    /// It has a scheme such as `zk://`.
    Scheme(String),
    /// It names a DNS service where a list of servers is wanted.
    Service(String),
    /// The chroot is not a path.
    Chroot(PathError),
}

impl fmt::Display for ConnectStringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost => f.write_str("it names no host; write host:port,host:port/chroot"),
            Self::Host(host) => write!(f, "{host:?} is no host; write host:port or [ipv6]:port"),
            Self::Port(port) => write!(f, "{port:?} is no port; write a number from 1 to 65535"),
            Self::Credentials => f.write_str("it holds \"@\"; credentials do not belong in a connect string"),
            Self::Scheme(scheme) => write!(f, "it starts with a scheme, {scheme:?}; write host:port without one"),
            Self::Service(name) => {
                write!(f, "{name:?} is a DNS service, with which a client begins; write a list of servers")
            }
            Self::Chroot(error) => write!(f, "its chroot is no path: {error}"),
        }
    }
}

impl std::error::Error for ConnectStringError {}

impl ConnectString {
    /// The servers, in the order they were written; at least one, unless it names a [`service`](Self::service).
    #[must_use]
    pub fn hosts(&self) -> &[HostPort] {
        match &self.servers {
            Servers::Listed(hosts) => hosts,
            Servers::Service(_) => &[],
        }
    }

    /// The DNS service whose SRV records say who the servers are, of `dns-srv://name`.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        match &self.servers {
            Servers::Listed(_) => None,
            Servers::Service(name) => Some(name),
        }
    }

    /// The part of the server's tree that is this client's root; `/` for all of it.
    #[must_use]
    pub fn chroot(&self) -> &str {
        self.chroot.as_str()
    }

    pub(crate) fn into_parts(self) -> (Servers, Chroot) {
        (self.servers, self.chroot)
    }

    /// The servers, where it lists them.
    pub(crate) fn into_list(self) -> Result<(Vec<HostPort>, Chroot), ConnectStringError> {
        match self.servers {
            Servers::Listed(hosts) => Ok((hosts, self.chroot)),
            Servers::Service(name) => Err(ConnectStringError::Service(name)),
        }
    }
}

impl std::str::FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        if text.contains('@') {
            return Err(ConnectStringError::Credentials);
        }
        if let Some(service) = text.trim_start().strip_prefix(DNS_SRV) {
            let (name, chroot) = service.find('/').map_or((service, ""), |at| service.split_at(at));
            let name = name.trim();
            let valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(valid) {
                return Err(ConnectStringError::Host(name.to_owned()));
            }
            let chroot = Chroot::new(chroot.trim_end()).map_err(ConnectStringError::Chroot)?;
            return Ok(Self { servers: Servers::Service(name.to_owned()), chroot });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ConnectStringError::Scheme(format!("{scheme}://")));
        }
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let chroot = Chroot::new(chroot.trim_end()).map_err(ConnectStringError::Chroot)?;
        let hosts: Vec<HostPort> =
            hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).map(host_port).collect::<Result<_, _>>()?;
        if hosts.is_empty() {
            return Err(ConnectStringError::NoHost);
        }
        Ok(Self { servers: Servers::Listed(hosts), chroot })
    }
}

fn host_port(text: &str) -> Result<HostPort, ConnectStringError> {
    let bad = || ConnectStringError::Host(text.to_owned());
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
        (host, if rest.is_empty() { "" } else { rest.strip_prefix(':').ok_or_else(bad)? })
    } else {
        text.rsplit_once(':').unwrap_or((text, ""))
    };
    let valid = |c: char| !c.is_whitespace() && !c.is_control() && c != '[' && c != ']';
    if host.is_empty() || !host.chars().all(valid) || (host.contains(':') && !text.starts_with('[')) {
        return Err(bad());
    }
    let port = match port {
        "" => PORT,
        port => match port.parse() {
            Ok(port @ 1..) if port_is_digits(text) => port,
            Ok(_) | Err(_) => return Err(ConnectStringError::Port(port.to_owned())),
        },
    };
    Ok(HostPort { host: host.to_owned(), port })
}

/// `u16::from_str` takes a leading plus sign; a port does not.
fn port_is_digits(text: &str) -> bool {
    !text.contains(":+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&[&str], &str), ConnectStringError>) {
        let parsed = text.parse::<ConnectString>();
        let seen =
            parsed.map(|p| (p.hosts().iter().map(ToString::to_string).collect::<Vec<_>>(), p.chroot().to_owned()));
        let expected =
            expected.map(|(hosts, chroot)| (hosts.iter().map(ToString::to_string).collect(), chroot.to_owned()));
        assert_eq!(seen, expected, "{text:?}");
    }

    // goal: N8
    #[test]
    fn connect_strings() {
        use ConnectStringError as E;
        check("localhost", Ok((&["localhost:2181"], "/")));
        check("a:1,b:2", Ok((&["a:1", "b:2"], "/")));
        check(" a:1 , ,b: /", Ok((&["a:1", "b:2181"], "/")));
        check("a/x/y", Ok((&["a:2181"], "/x/y")));
        check("[::1],[fe80::1]:7", Ok((&["[::1]:2181", "[fe80::1]:7"], "/")));
        check("127.0.0.1:2181/", Ok((&["127.0.0.1:2181"], "/")));
        check("", Err(E::NoHost));
        check("/a", Err(E::NoHost));
        check(",,", Err(E::NoHost));
        check(":2181", Err(E::Host(":2181".into())));
        check("::1", Err(E::Host("::1".into())));
        check("[::1", Err(E::Host("[::1".into())));
        check("[]:1", Err(E::Host("[]:1".into())));
        check("[::1]x", Err(E::Host("[::1]x".into())));
        check("a b", Err(E::Host("a b".into())));
        check("a:port", Err(E::Port("port".into())));
        check("a:0", Err(E::Port("0".into())));
        check("a:65536", Err(E::Port("65536".into())));
        check("a:-1", Err(E::Port("-1".into())));
        check("a:+1", Err(E::Port("+1".into())));
        check("user:pw@a", Err(E::Credentials));
        check("zk://a", Err(E::Scheme("zk://".into())));
        let service = |text: &str| text.parse::<ConnectString>().map(|parsed| parsed.service().map(str::to_owned));
        assert_eq!(service("dns-srv://_zk._tcp.x.org"), Ok(Some("_zk._tcp.x.org".into())));
        check("dns-srv://x.org/app", Ok((&[], "/app")));
        check("dns-srv://", Err(E::Host(String::new())));
        check("dns-srv:///app", Err(E::Host(String::new())));
        check("dns-srv://a,b", Err(E::Host("a,b".into())));
        check("dns-srv://a:2181", Err(E::Host("a:2181".into())));
        check("dns-srv://a/x/", Err(E::Chroot(PathError::TrailingSlash)));
        check("a,dns-srv://b", Err(E::Scheme("a,dns-srv://".into())));
        assert_eq!(service("zk1"), Ok(None));
        check("a/x/", Err(E::Chroot(PathError::TrailingSlash)));
        check("a//x", Err(E::Chroot(PathError::EmptyComponent { at: 1 })));
    }
}
