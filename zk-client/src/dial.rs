//! How a transport to a server comes about: names to addresses, addresses to streams.
//!
//! The trait is public, so that tests resolve and dial what they like, and so that other transports fit in.
//! Knows nothing of ZooKeeper.

#[cfg(target_os = "linux")]
mod acks;
#[cfg(feature = "dns-srv")]
mod srv;

use crate::{connect_string::HostPort, own_thread};
use std::{future::Future, io, net::SocketAddr, pin::Pin};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A stream of bytes to and from a server.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A future of [`Dial`].
pub type Dialed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// One server of a DNS service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvRecord {
    /// The lowest is tried first.
    pub priority: u16,
    /// The chance to be first among those of the same priority, in proportion to the others' weights.
    pub weight: u16,
    /// The server.
    pub target: HostPort,
}

/// Resolves names and opens transports.
pub trait Dial: Send + Sync + 'static {
    /// All addresses of a host, in the order in which they are tried: the next one starts when one has failed, or has hung for
    /// 250 ms. Asked anew at every attempt, which tries the first 64.
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>>;

    /// The servers of a service, for `dns-srv://service` as connect string. Asked before the first attempt, and again after each
    /// round in which all of them failed. Not supported, unless said otherwise: [`TcpDial`] says so with the feature `dns-srv`.
    fn resolve_srv<'a>(&'a self, service: &'a str) -> Dialed<'a, Vec<SrvRecord>> {
        let _ = service;
        let text = "SRV records are not supported here; switch the feature dns-srv of zk-client on";
        Box::pin(std::future::ready(Err(io::Error::new(io::ErrorKind::Unsupported, text))))
    }

    /// Opens a transport to an address. The caller limits the time.
    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>>;

    /// Whether nobody can listen on the way: then passwords may be sent over its transports. No, unless said otherwise.
    fn encrypts(&self) -> bool {
        false
    }
}

/// The system's resolver and TCP with `TCP_NODELAY`. The addresses of a name are tried by chance, so that clients of a name that
/// stands for many servers spread over them, and IPv6 and IPv4 in turn, so that a family without a route costs one head start.
///
/// On Linux an event that comes 40 to 200 ms after the last packet is acknowledged by the request that answers it, as one that
/// comes sooner is by itself; by a packet of its own, 40 ms later, if none does (`TCP_QUICKACK`, see tcp(7)). Not
/// with [`Connector::own_thread`](crate::Connector::own_thread), whose `recv` is under way when the event comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

impl Dial for TcpDial {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        Box::pin(async move { Ok(spread(tokio::net::lookup_host((host.host.as_str(), host.port)).await?.collect())) })
    }

    #[cfg(feature = "dns-srv")]
    fn resolve_srv<'a>(&'a self, service: &'a str) -> Dialed<'a, Vec<SrvRecord>> {
        Box::pin(srv::lookup(service))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        Box::pin(async move {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            own_thread::transport(stream)
        })
    }
}

/// The transport over a connection for whose socket a task waits.
pub(crate) fn in_task(stream: TcpStream) -> Box<dyn Transport> {
    #[cfg(target_os = "linux")]
    let stream = acks::Conversation::new(stream);
    Box::new(stream)
}

/// Shuffles addresses, and lets their families take turns; the one that the resolver put first begins.
fn spread(mut addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    fastrand::shuffle(&mut addrs);
    let (preferred, mut others): (Vec<_>, Vec<_>) = addrs.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut spread = Vec::with_capacity(preferred.len() + others.len());
    for addr in preferred {
        spread.push(addr);
        spread.extend(others.pop());
    }
    spread.append(&mut others);
    spread
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tokio::net::TcpListener;

    /// A connection's two ends: a client's, and a server's.
    pub(crate) async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (theirs, _) = listener.accept().await.unwrap();
        for end in [&ours, &theirs] {
            end.set_nodelay(true).unwrap();
        }
        (ours, theirs)
    }

    // goal: N8
    #[test]
    fn addresses_are_shuffled_and_families_take_turns() {
        let v4 = |number: u8| SocketAddr::from(([10, 0, 0, number], 1));
        let v6 = |number: u16| SocketAddr::from(([0xfe80, 0, 0, 0, 0, 0, 0, number], 1));
        let resolved = vec![v6(1), v6(2), v4(1), v4(2), v4(3)];
        let mut firsts = BTreeSet::new();
        for _ in 0..200 {
            let spread = spread(resolved.clone());
            let families: Vec<_> = spread.iter().map(SocketAddr::is_ipv6).collect();
            assert_eq!(families, [true, false, true, false, false]);
            assert_eq!(spread.iter().copied().collect::<BTreeSet<_>>(), resolved.iter().copied().collect());
            firsts.insert(spread[0]);
        }
        assert_eq!(firsts.len(), 2, "each of the preferred family comes first now and then");
        assert_eq!(spread(Vec::new()), []);
    }
}
