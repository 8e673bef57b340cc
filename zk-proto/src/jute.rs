//! Jute, ZooKeeper's serialization: big-endian integers, length-prefixed buffers, records without tags.
//!
//! Knows nothing of what the records mean. Nothing here panics on a peer's bytes, and a length from the
//! peer is checked against the bytes that are there before it sizes anything. Source: protocol.md
//! section 1.

use alloc::{borrow::Cow, string::String};
use bytes::{Buf, BufMut, Bytes, BytesMut};

mod error;
mod list;
mod text;
pub use error::{DecodeError, Fault};
pub(crate) use list::TextsBuilder;
pub use list::{Items, List};
pub use text::{Label, Text, decode_utf8};

/// A value that can be written in jute.
pub trait Encode {
    /// How many bytes [`encode`](Self::encode) appends.
    fn encoded_len(&self) -> usize;

    /// Appends the value.
    ///
    /// A length above `i32::MAX` has no form on the wire; it never leaves, because the frame's size is
    /// checked with [`encoded_len`](Self::encoded_len) before a byte is written.
    fn encode(&self, out: &mut BytesMut);
}

/// A value that can be read from jute; `'a` is the frame that strings and buffers may borrow from.
pub trait Decode<'a>: Sized {
    /// The fewest bytes that a value takes on the wire: bounds what a vector's count may reserve.
    const LEN_MIN: usize;

    /// Every value takes as many bytes, and any bytes make one. Where they are all there, no field of a record is looked at to
    /// see whether it is.
    const LEN_FIXED: bool = false;

    /// Reads one value and moves the reader behind it.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes end early or a length is impossible.
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Moves the reader behind one value without making it: fails exactly where [`decode`](Self::decode) fails.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    fn skip(input: &mut Reader<'a>) -> Result<(), DecodeError> {
        Self::decode(input).map(drop)
    }
}

/// Reads values from one frame, front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    frame: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `frame`.
    #[must_use]
    pub fn new(frame: &'a Bytes) -> Self {
        Self { frame, rest: frame }
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes by themselves, if they are there.
    pub(crate) fn split(&mut self, len: usize) -> Option<Self> {
        let (head, tail) = self.rest.split_at_checked(len)?;
        self.rest = tail;
        Some(Self { frame: self.frame, rest: head })
    }

    /// The bytes not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What was read since `start` was the [`rest`](Self::rest), as a share of the frame.
    pub(crate) fn share(&self, start: &'a [u8]) -> Bytes {
        let read = start.len().saturating_sub(self.rest.len());
        self.frame.slice_ref(start.get(..read).unwrap_or_default())
    }

    /// The next `len` bytes, without copying.
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let short = Fault::Short { needed: len, left: self.rest.len() };
        let (head, tail) = self.rest.split_at_checked(len).ok_or(short)?;
        self.rest = tail;
        Ok(head)
    }

    /// A length-prefixed run of bytes; `None` is null.
    fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match i32::decode(self)? {
            -1 => Ok(None),
            len => {
                let len = usize::try_from(len).map_err(|_| Fault::NegativeLength(len))?;
                self.take(len).map(Some)
            }
        }
    }
}

/// Reads one record from a whole frame or body; bytes behind it are ignored, because records grow at
/// their end (protocol.md section 1.1).
///
/// # Errors
/// [`DecodeError`] when the bytes are not such a record.
pub fn decode_from<'a, T: Decode<'a>>(bytes: &'a Bytes) -> Result<T, DecodeError> {
    T::decode(&mut Reader::new(bytes))
}

/// [`decode_from`], and the bytes behind the record: what a newer peer has added to it. A proxy passes them on.
///
/// # Errors
/// [`DecodeError`] when the bytes are not such a record.
pub fn decode_with_rest<'a, T: Decode<'a>>(bytes: &'a Bytes) -> Result<(T, Bytes), DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::decode(&mut reader)?;
    Ok((value, bytes.slice_ref(reader.rest)))
}

/// Writes one value into a buffer of its own.
#[must_use]
pub fn encode_to_bytes(value: &impl Encode) -> BytesMut {
    let mut out = BytesMut::with_capacity(value.encoded_len());
    value.encode(&mut out);
    out
}

/// A length as jute writes it; see [`Encode::encode`] for lengths that do not fit.
fn put_len(out: &mut BytesMut, len: usize) {
    out.put_i32(i32::try_from(len).unwrap_or(i32::MAX));
}

macro_rules! fixed {
    ($($type:ty, $len:literal, $get:ident, $put:ident;)*) => {$(
        impl Encode for $type {
            fn encoded_len(&self) -> usize { $len }
            fn encode(&self, out: &mut BytesMut) { out.$put(*self); }
        }
        impl Decode<'_> for $type {
            const LEN_MIN: usize = $len;
            const LEN_FIXED: bool = true;
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                input.rest.$get().map_err(|short| {
                    Fault::Short { needed: short.requested, left: short.available }.into()
                })
            }
        }
    )*};
}
fixed! {
    u8, 1, try_get_u8, put_u8;
    i32, 4, try_get_i32, put_i32;
    i64, 8, try_get_i64, put_i64;
}

impl Encode for bool {
    fn encoded_len(&self) -> usize {
        1
    }
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }
}

impl Decode<'_> for bool {
    const LEN_MIN: usize = 1;
    const LEN_FIXED: bool = true;
    /// Every byte but zero is true, as in Java.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(u8::decode(input)? != 0)
    }
}

/// Newtypes over integers are written as their integer.
macro_rules! newtypes {
    ($($type:path: $inner:ty;)*) => {$(
        impl Encode for $type {
            fn encoded_len(&self) -> usize { self.0.encoded_len() }
            fn encode(&self, out: &mut BytesMut) { self.0.encode(out); }
        }
        impl Decode<'_> for $type {
            const LEN_MIN: usize = <$inner as Decode<'static>>::LEN_MIN;
            const LEN_FIXED: bool = <$inner as Decode<'static>>::LEN_FIXED;
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                <$inner>::decode(input).map(Self)
            }
        }
    )*};
}
newtypes! {
    crate::id::Zxid: i64;
    crate::id::SessionId: i64;
    crate::code::ErrorCode: i32;
    crate::code::OpCode: i32;
    crate::records::Permissions: i32;
    crate::watch::EventType: i32;
    crate::watch::KeeperState: i32;
    crate::watch::WatchMode: i32;
    crate::watch::WatcherType: i32;
}

/// The same for types that keep their integer to themselves.
macro_rules! closed_newtypes {
    ($($type:path: $inner:ty, $get:ident;)*) => {$(
        impl Encode for $type {
            fn encoded_len(&self) -> usize { self.$get().encoded_len() }
            fn encode(&self, out: &mut BytesMut) { self.$get().encode(out); }
        }
        impl Decode<'_> for $type {
            const LEN_MIN: usize = <$inner as Decode<'static>>::LEN_MIN;
            const LEN_FIXED: bool = <$inner as Decode<'static>>::LEN_FIXED;
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                <$inner>::decode(input).map(Self::raw)
            }
        }
    )*};
}
closed_newtypes! {
    crate::create::CreateFlags: i32, number;
    crate::create::ContainerFlags: i32, number;
    crate::create::TtlFlags: i32, number;
    crate::create::Ttl: i64, as_millis;
}

impl Encode for &[u8] {
    fn encoded_len(&self) -> usize {
        4 + self.len()
    }
    fn encode(&self, out: &mut BytesMut) {
        put_len(out, self.len());
        out.put_slice(self);
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    const LEN_MIN: usize = 4;
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.buffer()?.ok_or_else(|| Fault::Null.into())
    }
}

/// Moves behind a buffer or string that cannot be null.
fn skip_buffer(input: &mut Reader<'_>) -> Result<(), DecodeError> {
    <&[u8]>::decode(input).map(drop)
}

impl Encode for Bytes {
    fn encoded_len(&self) -> usize {
        4 + self.len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.as_ref().encode(out);
    }
}

impl Decode<'_> for Bytes {
    const LEN_MIN: usize = 4;
    /// A slice of the frame: no copy, but it keeps the frame alive.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let slice = input.buffer()?.ok_or(Fault::Null)?;
        Ok(input.frame.slice_ref(slice))
    }
    fn skip(input: &mut Reader<'_>) -> Result<(), DecodeError> {
        skip_buffer(input)
    }
}

/// `None` is jute's null, a length of -1. Only types with a length prefix have a null.
macro_rules! nullable {
    ($($type:ty, [$($generics:tt)*], $lt:lifetime;)*) => {$(
        impl<$($generics)*> Encode for Option<$type> {
            fn encoded_len(&self) -> usize { self.as_ref().map_or(4, Encode::encoded_len) }
            fn encode(&self, out: &mut BytesMut) {
                match self {
                    Some(value) => value.encode(out),
                    None => out.put_i32(-1),
                }
            }
        }
        impl<$($generics)*> Decode<$lt> for Option<$type> {
            const LEN_MIN: usize = 4;
            fn decode(input: &mut Reader<$lt>) -> Result<Self, DecodeError> {
                if input.rest.starts_with(&[0xff; 4]) {
                    input.take(4)?;
                    return Ok(None);
                }
                <$type>::decode(input).map(Some)
            }
            fn skip(input: &mut Reader<$lt>) -> Result<(), DecodeError> {
                input.buffer().map(drop)
            }
        }
    )*};
}
nullable! {
    &'a [u8], ['a], 'a;
    Bytes, [], '_;
    crate::records::Secret<'a>, ['a], 'a;
    crate::records::SecretBytes, [], '_;
    String, [], '_;
    Cow<'a, str>, ['a], 'a;
}

/// A field that an older peer leaves out at the end of a record: `None` when the bytes end before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tail<T>(pub Option<T>);

impl<T: Encode> Encode for Tail<T> {
    fn encoded_len(&self) -> usize {
        self.0.as_ref().map_or(0, Encode::encoded_len)
    }
    fn encode(&self, out: &mut BytesMut) {
        if let Some(value) = &self.0 {
            value.encode(out);
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Tail<T> {
    const LEN_MIN: usize = 0;
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if input.remaining() == 0 {
            return Ok(Self(None));
        }
        T::decode(input).map(|value| Self(Some(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T: Decode<'a>>(bytes: &'a Bytes) -> Result<T, Fault> {
        decode_from::<T>(bytes).map_err(|error| error.fault)
    }

    // goal: P2
    #[test]
    fn lengths_from_the_peer_are_checked_before_they_size_anything() {
        let bomb = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert!(matches!(read::<List<'_, Text>>(&bomb), Err(Fault::Short { left: 4, .. })));
        assert!(matches!(read::<String>(&bomb), Err(Fault::Short { left: 4, .. })));
        let negative = Bytes::from_static(&[0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(read::<Bytes>(&negative), Err(Fault::NegativeLength(-2)));
        assert_eq!(read::<Option<Bytes>>(&negative), Err(Fault::NegativeLength(-2)));
        assert_eq!(read::<List<'_, Text>>(&negative), Ok(List::default()), "as Java");
    }

    #[test]
    fn null_and_empty_differ() {
        let null = Bytes::from_static(&[0xff; 4]);
        let empty = Bytes::from_static(&[0; 4]);
        assert_eq!(read::<Option<Bytes>>(&null), Ok(None));
        assert_eq!(read::<Option<Bytes>>(&empty), Ok(Some(Bytes::new())));
        assert_eq!(read::<Bytes>(&null), Err(Fault::Null));
        assert_eq!(encode_to_bytes(&None::<Bytes>), &null[..]);
        assert_eq!(encode_to_bytes(&Some(Bytes::new())), &empty[..]);
    }

    #[test]
    fn a_value_cut_anywhere_is_short_and_never_a_panic() {
        let whole = encode_to_bytes(&List::of_texts(["ab", "c"])).freeze();
        for cut in 0..whole.len() {
            let part = whole.slice(..cut);
            assert!(read::<List<'_, Text>>(&part).is_err(), "cut at {cut}");
        }
    }
}
