//! Jute, ZooKeeper's serialization: big-endian integers, length-prefixed buffers, records without tags.
//!
//! Knows nothing of what the records mean. Nothing here panics on a peer's bytes, and a length from the
//! peer is checked against the bytes that are there before it sizes anything. Source: protocol.md
//! section 1.

use alloc::{borrow::Cow, string::String, vec::Vec};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::fmt;

mod text;
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

    /// Reads one value and moves the reader behind it.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes end early or a length is impossible.
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// Why bytes could not be read: which record, which field, what was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The record's name in `zookeeper.jute`; empty when a bare value was read.
    pub record: &'static str,
    /// The field's name; empty when a bare value was read.
    pub field: &'static str,
    /// What was wrong.
    pub fault: Fault,
}

/// What can be wrong with a peer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The frame ended inside the value.
    Short {
        /// Bytes that the value needs.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A buffer or string has a negative length other than -1 (null).
    NegativeLength(i32),
    /// A field that cannot be null is null.
    Null,
    /// A list of operations or results holds a type that cannot stand there.
    UnexpectedType(i32),
}

impl DecodeError {
    const fn bare(fault: Fault) -> Self {
        Self { record: "", field: "", fault }
    }

    /// Adds where the fault was found; the innermost place wins.
    #[must_use]
    pub const fn at(mut self, record: &'static str, field: &'static str) -> Self {
        if self.record.is_empty() {
            self.record = record;
            self.field = field;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.record.is_empty() {
            write!(f, "{}.{}: ", self.record, self.field)?;
        }
        match self.fault {
            Fault::Short { needed, left } => write!(f, "needs {needed} bytes, {left} are left"),
            Fault::NegativeLength(len) => write!(f, "negative length {len}"),
            Fault::Null => f.write_str("null where a value is needed"),
            Fault::UnexpectedType(op) => write!(f, "type {op} cannot stand here"),
        }
    }
}

impl core::error::Error for DecodeError {}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        Self::bare(fault)
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

impl<T: Encode> Encode for Vec<T> {
    fn encoded_len(&self) -> usize {
        self.as_slice().encoded_len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.as_slice().encode(out);
    }
}

impl<T: Encode> Encode for [T] {
    fn encoded_len(&self) -> usize {
        4 + self.iter().map(Encode::encoded_len).sum::<usize>()
    }
    fn encode(&self, out: &mut BytesMut) {
        put_len(out, self.len());
        self.iter().for_each(|item| item.encode(out));
    }
}

impl<T: Encode + Clone> Encode for Cow<'_, [T]> {
    fn encoded_len(&self) -> usize {
        self.as_ref().encoded_len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.as_ref().encode(out);
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    const LEN_MIN: usize = 4;
    /// Null and every other negative count read as empty, as Java reads them. The count reserves no
    /// more items than the bytes left could hold.
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::try_from(i32::decode(input)?).unwrap_or(0);
        let left = input.remaining();
        let needed = count.saturating_mul(T::LEN_MIN);
        if needed > left {
            return Err(Fault::Short { needed, left }.into());
        }
        let mut items = Self::with_capacity(count);
        for _ in 0..count {
            items.push(T::decode(input)?);
        }
        Ok(items)
    }
}

impl<'a, T: Decode<'a> + Clone> Decode<'a> for Cow<'_, [T]> {
    const LEN_MIN: usize = 4;
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Vec::decode(input).map(Cow::Owned)
    }
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
        assert!(matches!(read::<Vec<String>>(&bomb), Err(Fault::Short { left: 4, .. })));
        assert!(matches!(read::<String>(&bomb), Err(Fault::Short { left: 4, .. })));
        let negative = Bytes::from_static(&[0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(read::<Bytes>(&negative), Err(Fault::NegativeLength(-2)));
        assert_eq!(read::<Option<Bytes>>(&negative), Err(Fault::NegativeLength(-2)));
        assert_eq!(read::<Vec<String>>(&negative), Ok(Vec::new()), "as Java");
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
        let whole = encode_to_bytes(&alloc::vec![String::from("ab"), String::from("c")]).freeze();
        for cut in 0..whole.len() {
            let part = whole.slice(..cut);
            assert!(read::<Vec<String>>(&part).is_err(), "cut at {cut}");
        }
    }
}
