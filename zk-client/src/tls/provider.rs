//! The cryptography that is used if no other is given, and whether this processor can do it.

use super::TlsError;
use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// graviola asserts what it needs of a processor at its first use; that would be a panic.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn default() -> Result<Arc<CryptoProvider>, TlsError> {
    if graviola::util::is_cpu_supported() {
        Ok(Arc::new(rustls_graviola::default_provider()))
    } else {
        Err(TlsError::Processor)
    }
}

/// There is no graviola for other architectures.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn default() -> Result<Arc<CryptoProvider>, TlsError> {
    Err(TlsError::Processor)
}
