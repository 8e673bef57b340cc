//! TLS at a server's port: certificates, who must show one, and the identity that it gives. Behind the feature `tls`.
//!
//! Must not know what is said inside. Source: protocol.md section 6.4.

mod subject;

use std::{fmt, io, net::SocketAddr, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;
use zk_proto::{AuthId, jute::Label};

use super::{Builder, TestServer, hub::Hub, line};
use crate::door::Door;

/// Whether clients show a certificate (`ssl.clientAuth`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They are asked, and may have none; one of an unknown authority ends the handshake.
    Want,
    /// Without one there is no connection. ZooKeeper's default.
    #[default]
    Need,
}

/// What a server shows, and whom it trusts.
///
/// A client with a trusted certificate has the identity `x509` from the start: its subject's name (RFC 2253).
///
/// ```no_run
/// # async fn start() -> std::io::Result<()> {
/// use zk_testkit::server::{ClientAuth, ServerTls, TestServer};
///
/// let read = |name: &str| std::fs::read(name);
/// let tls = ServerTls::from_pem(&read("server.pem")?, &read("server-key.pem")?)?
///     .client_auth(ClientAuth::Want, &read("ca.pem")?)?;
/// let server = TestServer::builder().tls(tls).start().await?;
/// let secure = server.secure_addr().expect("it has such a port");
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "give it to a server's builder"]
pub struct ServerTls {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    client_auth: ClientAuth,
    roots: RootCertStore,
    provider: Option<Arc<CryptoProvider>>,
    unifies: bool,
}

impl ServerTls {
    /// The server's certificate, with those of authorities in between behind it, and its key, as PEM. Clients are not
    /// asked for a certificate, unless [`client_auth`](Self::client_auth) is called.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> io::Result<Self> {
        let chain = certificates(chain)?;
        let key = Arc::new(PrivateKeyDer::from_pem_slice(key).map_err(invalid)?);
        let (client_auth, roots) = (ClientAuth::None, RootCertStore::empty());
        Ok(Self { chain, key, client_auth, roots, provider: None, unifies: false })
    }

    /// Whether clients are asked for a certificate, and the authorities that vouch for it, as PEM.
    ///
    /// # Errors
    /// An authority's certificate cannot be read.
    pub fn client_auth(mut self, client_auth: ClientAuth, authorities: &[u8]) -> io::Result<Self> {
        self.client_auth = client_auth;
        for authority in certificates(authorities)? {
            self.roots.add(authority).map_err(invalid)?;
        }
        Ok(self)
    }

    /// The plain port takes TLS as well (`client.portUnification`).
    pub const fn unify_ports(mut self) -> Self {
        self.unifies = true;
        self
    }

    /// Uses other cryptography than graviola's, which needs a processor of the last ten years.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// # Errors
    /// The key does not belong to the certificate, nobody is trusted who is asked, or this processor is too old.
    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let provider = match &self.provider {
            Some(provider) => Arc::clone(provider),
            None => graviola()?,
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(invalid)?;
        let verifier = || WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots.clone()), provider);
        let builder = match self.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Want => {
                builder.with_client_cert_verifier(verifier().allow_unauthenticated().build().map_err(invalid)?)
            }
            ClientAuth::Need => builder.with_client_cert_verifier(verifier().build().map_err(invalid)?),
        };
        let config = builder.with_single_cert(self.chain.clone(), self.key.clone_key()).map_err(invalid)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Never the key.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("client_auth", &self.client_auth).finish_non_exhaustive()
    }
}

/// The port for TLS of one member.
pub(super) struct SecurePort {
    door: Door,
    acceptor: TlsAcceptor,
    unifies: bool,
}

impl SecurePort {
    pub(super) fn new(tls: &ServerTls) -> io::Result<Self> {
        Ok(Self { door: Door::anywhere()?, acceptor: tls.acceptor()?, unifies: tls.unifies })
    }

    /// What the plain port needs, if it takes TLS as well.
    pub(super) fn for_both(&self) -> Option<TlsAcceptor> {
        self.unifies.then(|| self.acceptor.clone())
    }

    pub(super) fn open(&self, hub: &Arc<Hub>, member: usize) -> io::Result<()> {
        let (hub, acceptor) = (Arc::clone(hub), self.acceptor.clone());
        self.door.open(move |stream, peer| {
            tokio::spawn(line::serve_tls(Arc::clone(&hub), member, stream, peer, acceptor.clone()));
        })
    }

    pub(super) async fn shut(&self) {
        self.door.shut().await;
    }
}

impl fmt::Debug for SecurePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurePort").field("addr", &self.door.addr()).finish_non_exhaustive()
    }
}

impl Builder {
    /// Opens a second port, for TLS.
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }
}

impl TestServer {
    /// Where it listens for TLS, if it does.
    #[must_use]
    pub fn secure_addr(&self) -> Option<SocketAddr> {
        self.secure.as_ref().map(|secure| secure.door.addr())
    }
}

fn certificates(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(invalid)?;
    if found.is_empty() { Err(invalid("no certificate in this PEM")) } else { Ok(found) }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// The identity of who shows this certificate.
pub(super) fn identity(certificate: &CertificateDer<'_>) -> Option<AuthId> {
    let name = subject::name(certificate)?;
    Some(AuthId { scheme: Label::from_static("x509"), id: Label::from(&*name) })
}

/// graviola asserts what it needs of a processor at its first use; that would be a panic.
fn graviola() -> io::Result<Arc<CryptoProvider>> {
    if is_fit_for_graviola() {
        return Ok(Arc::new(rustls_graviola::default_provider()));
    }
    let text = "this processor lacks what graviola needs (AES, AVX2, ADX, BMI2, PCLMULQDQ; or AArch64 with AES, SHA2): \
                give another `ServerTls::provider`";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

#[cfg(target_arch = "x86_64")]
fn is_fit_for_graviola() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("aes") && has!("ssse3") && has!("avx") && has!("avx2") && has!("adx") && has!("bmi2") && has!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn is_fit_for_graviola() -> bool {
    use std::arch::is_aarch64_feature_detected as has;
    has!("neon") && has!("aes") && has!("pmull") && has!("sha2")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const fn is_fit_for_graviola() -> bool {
    false
}
