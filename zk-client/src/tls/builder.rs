//! How a [`Tls`] is put together.

use super::{
    Loaded, Shared, Tls, TlsError,
    material::{Source, Sources},
    provider,
};
use crate::secret::Secret;
use rustls::{crypto::CryptoProvider, pki_types::ServerName};
use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
};

/// Makes a [`Tls`]; roots must be given, everything else may be left out.
#[derive(Clone)]
#[must_use = "build makes something of it"]
pub struct TlsBuilder {
    sources: Sources,
    provider: Option<Arc<CryptoProvider>>,
    name: Option<String>,
}

impl TlsBuilder {
    pub(super) fn new() -> Self {
        Self { sources: Sources::default(), provider: None, name: None }
    }

    /// A file of certificates of authorities to trust, as PEM, or of one as DER. May be called again; all are trusted.
    pub fn roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.roots.push(Source::File(path.into()));
        self
    }

    /// Certificates of authorities to trust, as PEM, or one as DER. May be called again; all are trusted.
    pub fn roots(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.sources.roots.push(Source::Bytes(certificates.into().into()));
        self
    }

    /// Our certificate, followed by those of the authorities between it and a root, and its key; all as PEM. A server
    /// takes its subject for our identity in the scheme `x509`.
    pub fn client_certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.sources.client = Some((Source::File(chain.into()), Source::File(key.into())));
        self
    }

    /// As [`client_certificate_files`](Self::client_certificate_files), from memory.
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Secret>) -> Self {
        self.sources.client = Some((Source::Bytes(chain.into().into()), Source::Bytes(key.into())));
        self
    }

    /// A file of revocation lists, as PEM. If there are any, every authority of a server's chain must have one. May be called
    /// again.
    pub fn revocation_lists_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.revoked.push(Source::File(path.into()));
        self
    }

    /// As [`revocation_lists_file`](Self::revocation_lists_file), from memory.
    pub fn revocation_lists(mut self, lists: impl Into<Vec<u8>>) -> Self {
        self.sources.revoked.push(Source::Bytes(lists.into().into()));
        self
    }

    /// The name, or address, that certificates of *all* servers must have, instead of the hosts of the connect string: for
    /// servers that are reached under other names than their own, through a tunnel for instance.
    pub fn verify_this_name_instead(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Other cryptography than graviola's: any provider of rustls, such as those of aws-lc-rs or ring.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Reads everything and checks that it fits together.
    ///
    /// # Errors
    /// What does not serve, where it was found, and what to do.
    pub fn build(self) -> Result<Tls, TlsError> {
        let provider = match self.provider {
            Some(provider) => provider,
            None => provider::default()?,
        };
        let name = match self.name {
            Some(name) => match ServerName::try_from(name.clone()) {
                Ok(name) => Some(name),
                Err(_) => return Err(TlsError::Name(name)),
            },
            None => None,
        };
        let contents = self.sources.read()?;
        let config = self.sources.config(&contents, &provider)?;
        let loaded = Mutex::new(Loaded { contents, config, error: None });
        Ok(Tls { shared: Arc::new(Shared { sources: self.sources, provider, name, loaded }) })
    }
}

/// Neither certificates nor keys.
impl fmt::Debug for TlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder").field("sources", &self.sources).field("name", &self.name).finish_non_exhaustive()
    }
}
