//! What is wrong with what was given for TLS, and what to do about it.

use crate::error::{Error, UsageError};
use std::fmt;

/// Why certificates, a key or this machine do not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// No roots were given.
    NoRoots,
    /// A file cannot be read.
    Unreadable {
        /// The file.
        place: String,
        /// The system's words.
        why: String,
    },
    /// What was read is not what should be there.
    Unfit {
        /// The file, or what it was given as.
        place: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The name to verify is neither a DNS name nor an address.
    Name(String),
    /// The default cryptography does not run on this processor.
    Processor,
    /// The cryptography that was given lacks something.
    Provider(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots => f.write_str(
                "TLS: nothing to trust: there is no default for roots; give the certificate of the authority that \
                 signed the servers' certificates with TlsBuilder::roots_file",
            ),
            Self::Unreadable { place, why } => write!(f, "TLS: {place} cannot be read: {why}"),
            Self::Unfit { place, why } => write!(f, "TLS: {place}: {why}"),
            Self::Name(name) => write!(f, "TLS: {name:?} is neither a DNS name nor an address"),
            Self::Processor => f.write_str(
                "TLS: this processor lacks what the default cryptography, graviola, needs (x86-64 with AES, PCLMULQDQ, \
                 BMI1, ADX and AVX2, or AArch64 with AES, PMULL and SHA2); give another one with TlsBuilder::provider",
            ),
            Self::Provider(why) => write!(f, "TLS: the CryptoProvider does not serve: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        Self::Usage(UsageError::Tls(error))
    }
}
