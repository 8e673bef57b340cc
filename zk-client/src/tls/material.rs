//! Certificates, keys and revocation lists: where they come from, and what is made of them.
//!
//! What cannot be used is told with its place and a remedy. No file may be longer than [`FILE_LEN_MAX`].

use super::TlsError;
use crate::secret::Secret;
use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier},
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject},
    },
};
use std::{fmt, fs::File, io::Read as _, path::PathBuf, sync::Arc};
use zeroize::Zeroizing;

/// Bytes of one file: revocation lists may be long, a device or a log is no certificate.
const FILE_LEN_MAX: u64 = 64 << 20;

/// What a PKCS#12 file and a certificate as DER begin with: an ASN.1 sequence with a long length.
const DER: [u8; 2] = [0x30, 0x82];

/// What Java's old keystores begin with.
const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// Where something comes from.
#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Bytes(Secret),
}

impl Source {
    fn read(&self) -> Result<Secret, TlsError> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::File(path) => path,
        };
        let unreadable = |why: String| TlsError::Unreadable { place: path.display().to_string(), why };
        let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let mut bytes = Zeroizing::new(Vec::new());
        let len = file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
        if u64::try_from(len).is_ok_and(|len| len <= FILE_LEN_MAX) {
            Ok(Secret::from(&bytes[..]))
        } else {
            Err(unreadable(format!("it is longer than {FILE_LEN_MAX} bytes")))
        }
    }

    fn unfit(&self, given_as: &str, why: impl fmt::Display) -> TlsError {
        let place = match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes(_) => given_as.to_owned(),
        };
        TlsError::Unfit { place, why: why.to_string() }
    }
}

/// Everything that was given.
#[derive(Clone, Default)]
pub(super) struct Sources {
    pub(super) roots: Vec<Source>,
    /// Chain and key.
    pub(super) client: Option<(Source, Source)>,
    pub(super) revoked: Vec<Source>,
}

impl Sources {
    fn all(&self) -> impl Iterator<Item = &Source> {
        let client = self.client.iter().flat_map(|(chain, key)| [chain, key]);
        self.roots.iter().chain(&self.revoked).chain(client)
    }

    pub(super) fn has_files(&self) -> bool {
        self.all().any(|source| matches!(source, Source::File(_)))
    }

    /// What is there now, in the order of [`all`](Self::all).
    pub(super) fn read(&self) -> Result<Vec<Secret>, TlsError> {
        self.all().map(Source::read).collect()
    }

    /// What a connection needs, made of what was read.
    pub(super) fn config(
        &self,
        contents: &[Secret],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        if self.roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let mut contents = contents.iter();
        let mut roots = RootCertStore::empty();
        for (source, bytes) in self.roots.iter().zip(contents.by_ref()) {
            for root in certificates(source, "roots", bytes)? {
                roots.add(root).map_err(|error| source.unfit("roots", error))?;
            }
        }
        let mut lists = Vec::new();
        for (source, bytes) in self.revoked.iter().zip(contents.by_ref()) {
            lists.extend(revocation_lists(source, bytes)?);
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .with_crls(lists)
            .build()
            .map_err(|error| TlsError::Unfit { place: "revocation lists".to_owned(), why: error.to_string() })?;
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&versions)
            .map_err(|error| TlsError::Provider(error.to_string()))?
            .with_webpki_verifier(verifier);
        let mut config = match (&self.client, contents.next(), contents.next()) {
            (Some((chain, key)), Some(chain_bytes), Some(key_bytes)) => {
                let certificates = certificates(chain, "client certificate", chain_bytes)?;
                let private_key = private_key(key, key_bytes)?;
                let unfit = |error| key.unfit("client key", format!("{error}; is it the certificate's key?"));
                builder.with_client_auth_cert(certificates, private_key).map_err(unfit)?
            }
            _ => builder.with_no_client_auth(),
        };
        // A resumed connection would not look at the server's certificate, which may have expired or been revoked since.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// Places and no contents.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |source: &Source| match source {
            Source::File(path) => path.display().to_string(),
            Source::Bytes(_) => "(in memory)".to_owned(),
        };
        f.debug_list().entries(self.all().map(place)).finish()
    }
}

fn certificates(source: &Source, given_as: &str, bytes: &Secret) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = bytes.expose();
    if bytes.starts_with(&DER) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    all_of(source, given_as, bytes, "certificate")
}

fn revocation_lists(source: &Source, bytes: &Secret) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    all_of(source, "revocation lists", bytes.expose(), "revocation list")
}

/// All items of a kind; there must be one.
fn all_of<T: PemObject>(source: &Source, given_as: &str, bytes: &[u8], what: &str) -> Result<Vec<T>, TlsError> {
    let found: Result<Vec<T>, PemError> = T::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(source.unfit(given_as, missing(bytes, what))),
        Ok(found) => Ok(found),
        Err(error) => Err(source.unfit(given_as, format!("this is not whole PEM: {}", damage(&error)))),
    }
}

fn private_key(source: &Source, bytes: &Secret) -> Result<PrivateKeyDer<'static>, TlsError> {
    match PrivateKeyDer::from_pem_slice(bytes.expose()) {
        Ok(key) => Ok(key),
        Err(PemError::NoItemsFound) => Err(source.unfit("client key", missing(bytes.expose(), "private key"))),
        Err(error) => Err(source.unfit("client key", format!("this is not whole PEM: {}", damage(&error)))),
    }
}

/// The parser's words could repeat lines of a key.
fn damage(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "a section has no END line",
        PemError::IllegalSectionStart { .. } => "a BEGIN line is broken",
        PemError::Base64Decode(_) => "its base64 is broken",
        PemError::Io(_) | PemError::NoItemsFound | PemError::SectionTooLarge | _ => "it cannot be read",
    }
}

/// What may be there instead, and how to make of it what should be there.
fn missing(bytes: &[u8], what: &str) -> String {
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let instead = if bytes.is_empty() {
        "it is empty"
    } else if bytes.starts_with(&JKS) {
        "it is a Java keystore; convert it with `keytool -importkeystore -deststoretype PKCS12`, and that with `openssl pkcs12`"
    } else if bytes.starts_with(&DER) {
        "it is DER, perhaps a PKCS#12 keystore; convert it with `openssl pkcs12` or `openssl pkey -inform DER`"
    } else if has("BEGIN ENCRYPTED PRIVATE KEY") {
        "its key is encrypted; decrypt it with `openssl pkey`, or do so in memory"
    } else if has("PRIVATE KEY-----") {
        "it holds a private key"
    } else if has("BEGIN CERTIFICATE-----") {
        "it holds a certificate"
    } else {
        "it is not PEM"
    };
    format!("no {what} here: {instead}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_what_is_there() {
        assert!(missing(b"", "certificate").ends_with("it is empty"));
        assert!(missing(b"\xfe\xed\xfe\xed..", "certificate").contains("keytool"));
        assert!(missing(b"\x30\x82..", "private key").contains("PKCS#12"));
        assert!(missing(b"-----BEGIN ENCRYPTED PRIVATE KEY-----", "private key").contains("openssl pkey"));
        assert!(missing(b"-----BEGIN EC PRIVATE KEY-----", "certificate").contains("holds a private key"));
        assert!(missing(b"-----BEGIN CERTIFICATE-----", "private key").contains("holds a certificate"));
        assert!(missing(b"hello", "certificate").ends_with("it is not PEM"));
    }
}
