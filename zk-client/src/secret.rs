//! Bytes that are never shown, and are overwritten when they are dropped.
//!
//! Must not know what they are good for.

use std::fmt;
use zeroize::Zeroizing;

/// A password, token or key. It has no `Display`, its `Debug` shows nothing of it, and its memory is overwritten on drop.
///
/// What it was made from is overwritten too where this crate can do that: a `String` or `Vec<u8>` that is moved in is.
///
/// ```
/// use zk_client::Secret;
///
/// let secret = Secret::from("ann:secret");
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert_eq!(secret.expose(), b"ann:secret");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// The bytes themselves: for whoever sends or checks them, not for logs.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are none, as the auth data of the scheme `ip` is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Not even the length.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }
}

impl<const LEN: usize> From<&[u8; LEN]> for Secret {
    fn from(bytes: &[u8; LEN]) -> Self {
        Self::from(&bytes[..])
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        // Into a box would move what does not fit its capacity, and leave the old place as it was.
        let bytes = Zeroizing::new(bytes);
        Self::from(&bytes[..])
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<&Self> for Secret {
    fn from(secret: &Self) -> Self {
        secret.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;
    use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

    /// Compiles only while the one field is of a type that overwrites itself when it is dropped; a field that is added is
    /// a pattern that does not match.
    #[test]
    fn its_bytes_are_of_a_type_that_overwrites_itself() {
        const fn overwrites<T: ZeroizeOnDrop>(_: &T) {}
        let Secret(bytes) = &Secret::from("ann:secret");
        overwrites(bytes);
        let _: &Zeroizing<Box<[u8]>> = bytes;
    }

    /// What that type does when it is dropped, looked at before the memory is given back.
    #[test]
    fn overwriting_leaves_zeros() {
        let Secret(mut bytes) = Secret::from("ann:secret");
        let slice: &mut [u8] = &mut bytes;
        slice.zeroize();
        assert_eq!(slice, [0; 10]);
    }
}
