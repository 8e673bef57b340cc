//! How a transport to a server comes about: names to addresses, addresses to streams.
//!
//! The trait is public, so that tests resolve and dial what they like, and so that other transports fit in.
//! Knows nothing of ZooKeeper.

use crate::connect_string::HostPort;
use std::{future::Future, io, net::SocketAddr, pin::Pin};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A stream of bytes to and from a server.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A future of [`Dial`].
pub type Dialed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Resolves names and opens transports.
pub trait Dial: Send + Sync + 'static {
    /// All addresses of a host. Asked anew at every attempt.
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>>;

    /// Opens a transport to an address. The caller limits the time.
    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>>;

    /// Whether nobody can listen on the way: then passwords may be sent over its transports. No, unless said otherwise.
    fn encrypts(&self) -> bool {
        false
    }
}

/// The system's resolver and TCP with `TCP_NODELAY`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

impl Dial for TcpDial {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host.host.as_str(), host.port)).await?.collect()) })
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        Box::pin(async move {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}
