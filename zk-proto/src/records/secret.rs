//! Bytes of passwords and tokens inside records: on the wire like any others, in `Debug` output never.

use crate::jute::{Decode, DecodeError, Encode, Reader};
use bytes::{Bytes, BytesMut};
use core::fmt;

/// Borrowed bytes that never show in `Debug` output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(pub &'a [u8]);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} secret bytes>", self.0.len())
    }
}

impl Encode for Secret<'_> {
    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }
}

impl<'a> Decode<'a> for Secret<'a> {
    const LEN_MIN: usize = 4;
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Decode::decode(input).map(Self)
    }
}

/// Owned bytes that never show in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(pub Bytes);

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Secret(&self.0), f)
    }
}

impl Encode for SecretBytes {
    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }
}

impl Decode<'_> for SecretBytes {
    const LEN_MIN: usize = 4;
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Bytes::decode(input).map(Self)
    }
}
