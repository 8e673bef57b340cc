//! TLS to servers: whom to trust, which certificate to show, and how both change while connections come and go.
//!
//! Certificates are always verified, and so is the name. Must not know what is said inside. Source: protocol.md section 6.4.

mod builder;
mod error;
mod explain;
mod material;
mod provider;
mod transport;

pub use builder::TlsBuilder;
pub use error::TlsError;
/// The library that does it, for its [`CryptoProvider`]s.
pub use rustls;

use crate::{
    connect_string::HostPort,
    dial::{Dial, Dialed, SrvRecord, Transport},
    secret::Secret,
};
use material::Sources;
use rustls::{ClientConfig, crypto::CryptoProvider, pki_types::ServerName};
use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_rustls::TlsConnector;

/// What a client trusts and shows; clones share it. Give it to [`Connector::tls`](crate::Connector::tls).
///
/// TLS 1.3 and 1.2. A server's certificate must lead to one of the roots that were given, and must be for the name that the
/// connect string has for the server: a DNS name or an address among its subjectAltNames, never its CN, and never a name
/// that DNS has for an address. There is no way to switch that off.
///
/// Files are read again at each new connection. If they have changed and are good they are used from then on; if they are
/// bad the old ones stay in use, and that is logged and told by [`last_error`](Self::last_error).
///
/// ```no_run
/// # async fn start() -> Result<(), zk_client::Error> {
/// use zk_client::{Connector, tls::Tls};
///
/// let tls = Tls::builder()
///     .roots_file("/etc/zookeeper/ca.pem")
///     .client_certificate_files("/etc/me/chain.pem", "/etc/me/key.pem")
///     .build()?;
/// let client = Connector::new("zk1:2281,zk2:2281,zk3:2281")?.tls(tls).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    sources: Sources,
    provider: Arc<CryptoProvider>,
    /// The name to verify, where it is not the host's.
    name: Option<ServerName<'static>>,
    loaded: Mutex<Loaded>,
}

/// What was read, and what was made of it.
type Fresh = (Vec<Secret>, Arc<ClientConfig>);

/// What was read last.
struct Loaded {
    contents: Vec<Secret>,
    config: Arc<ClientConfig>,
    /// What is wrong with what has been there since.
    error: Option<TlsError>,
}

impl Tls {
    /// Nothing is trusted yet: there is no default for roots.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::new()
    }

    /// Reads all files again, for the connections to come; those that stand are left alone. Need not be called: each new
    /// connection does it by itself. Blocks for as long as reading some small files takes.
    ///
    /// # Errors
    /// A file cannot be read or does not serve. What was read before stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read = self.shared.read_again();
        let mut loaded = self.shared.loaded();
        loaded.error = read.as_ref().err().cloned();
        if let Some((contents, config)) = read? {
            tracing::info!("certificates were changed; new connections use them");
            (loaded.contents, loaded.config) = (contents, config);
        }
        Ok(())
    }

    /// Why files that have changed are not used, if that is so.
    #[must_use]
    pub fn last_error(&self) -> Option<TlsError> {
        self.shared.loaded().error.clone()
    }

    /// A way to dial that wraps the transports of another one.
    pub(crate) fn over(self, inner: Arc<dyn Dial>) -> Arc<dyn Dial> {
        Arc::new(TlsDial { tls: self, inner })
    }

    /// What a new connection uses.
    async fn current(&self) -> (Arc<ClientConfig>, Option<TlsError>) {
        if self.shared.sources.has_files() {
            let tls = self.clone();
            let reload = move || {
                if let Err(error) = tls.reload() {
                    tracing::warn!(%error, "certificates cannot be used; the ones from before stay in use");
                }
            };
            // An error means that the runtime ends, and with it this attempt.
            drop(tokio::task::spawn_blocking(reload).await);
        }
        let loaded = self.shared.loaded();
        (Arc::clone(&loaded.config), loaded.error.clone())
    }
}

impl Shared {
    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there now, unless it is what is in use.
    fn read_again(&self) -> Result<Option<Fresh>, TlsError> {
        let contents = self.sources.read()?;
        let is_same = {
            let loaded = self.loaded();
            loaded.contents.iter().zip(&contents).all(|(old, new)| old.expose() == new.expose())
        };
        if is_same {
            return Ok(None);
        }
        let config = self.sources.config(&contents, &self.provider)?;
        Ok(Some((contents, config)))
    }
}

/// Neither certificates nor keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("sources", &self.shared.sources).finish_non_exhaustive()
    }
}

/// Dials as another one does, and encrypts.
struct TlsDial {
    tls: Tls,
    inner: Arc<dyn Dial>,
}

impl TlsDial {
    fn name_of(&self, host: &HostPort) -> io::Result<ServerName<'static>> {
        if let Some(name) = &self.tls.shared.name {
            return Ok(name.clone());
        }
        ServerName::try_from(host.host.clone()).map_err(|_| {
            let text = format!("{:?} cannot stand in a certificate; connect to a DNS name or an address", host.host);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }
}

impl Dial for TlsDial {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        self.inner.resolve(host)
    }

    fn resolve_srv<'a>(&'a self, service: &'a str) -> Dialed<'a, Vec<SrvRecord>> {
        self.inner.resolve_srv(service)
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        Box::pin(async move {
            let name = self.name_of(host)?;
            let stream = self.inner.dial(host, addr).await?;
            let (config, complaint) = self.tls.current().await;
            match TlsConnector::from(config).connect(name, stream).await {
                Ok(stream) => Ok(Box::new(transport::Encrypted::new(stream)) as Box<dyn Transport>),
                Err(error) => Err(explain::handshake(&error, complaint.as_ref())),
            }
        })
    }

    fn encrypts(&self) -> bool {
        true
    }
}
