//! Strings as ZooKeeper writes them: almost UTF-8.
//!
//! Java encodes UTF-16 units one by one, so a character above U+FFFF arrives as two three-byte
//! surrogates (CESU-8). Nothing here fails: what cannot be read becomes U+FFFD, because a strange name
//! must not cost the connection. Source: protocol.md section 1.2.

use super::{Decode, DecodeError, Encode, Fault, Reader, put_len, skip_buffer};
use alloc::{borrow::Cow, string::String};
use bytes::{BufMut, BytesMut};
use bytestring::ByteString;
use core::{fmt, ops::Deref, str};

/// A string that shares the frame it was read from: decoding one allocates nothing.
///
/// Keep it only as long as needed; it keeps its frame alive.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(ByteString);

impl Text {
    /// A text that owns nothing.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(ByteString::from_static(text))
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of the text behind its first `skip` bytes, sharing the frame; the whole text when
    /// `skip` does not fall between two characters.
    #[must_use]
    pub fn suffix(&self, skip: usize) -> Self {
        match self.as_str().get(skip..) {
            Some(rest) => Self(self.0.slice_ref(rest)),
            None => self.clone(),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(ByteString::from(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(ByteString::from(text))
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Encode for Text {
    fn encoded_len(&self) -> usize {
        self.as_str().encoded_len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.as_str().encode(out);
    }
}

impl Decode<'_> for Text {
    const LEN_MIN: usize = 4;
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = input.buffer()?.ok_or(Fault::Null)?;
        // Checked once, here.
        Ok(match ByteString::try_from(input.frame.slice_ref(bytes)) {
            Ok(text) => Self(text),
            Err(_) => Self::from(decode_utf8(bytes).into_owned()),
        })
    }
    fn skip(input: &mut Reader<'_>) -> Result<(), DecodeError> {
        skip_buffer(input)
    }
}

/// A short string that is either written in the program or owned; ACL constants are made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Label(Cow<'static, str>);

impl Label {
    /// A label that owns nothing.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self(Cow::Owned(text.into()))
    }
}

impl Deref for Label {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Encode for Label {
    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }
}

impl Decode<'_> for Label {
    const LEN_MIN: usize = 4;
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        String::decode(input).map(Self::from)
    }
    fn skip(input: &mut Reader<'_>) -> Result<(), DecodeError> {
        skip_buffer(input)
    }
}

impl Encode for str {
    fn encoded_len(&self) -> usize {
        4 + self.len()
    }
    fn encode(&self, out: &mut BytesMut) {
        put_len(out, self.len());
        out.put_slice(self.as_bytes());
    }
}

impl Encode for String {
    fn encoded_len(&self) -> usize {
        self.as_str().encoded_len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.as_str().encode(out);
    }
}

impl Decode<'_> for String {
    const LEN_MIN: usize = 4;
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(<Cow<'_, str>>::decode(input)?.into_owned())
    }
    fn skip(input: &mut Reader<'_>) -> Result<(), DecodeError> {
        skip_buffer(input)
    }
}

impl Encode for Cow<'_, str> {
    fn encoded_len(&self) -> usize {
        self.as_ref().encoded_len()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.as_ref().encode(out);
    }
}

impl<'a> Decode<'a> for Cow<'a, str> {
    const LEN_MIN: usize = 4;
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(decode_utf8(<&[u8]>::decode(input)?))
    }
    fn skip(input: &mut Reader<'a>) -> Result<(), DecodeError> {
        skip_buffer(input)
    }
}

/// Reads UTF-8 and Java's surrogate pairs; a run of bytes that is neither becomes one U+FFFD.
///
/// One, not one a byte: so a text never grows to more than twice the bytes it was read from.
#[must_use]
pub fn decode_utf8(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            // The length first: a string that grows takes up to twice what it needs.
            let mut text =
                String::with_capacity(Pieces(bytes).map(|(good, c)| good.len() + c.map_or(0, char::len_utf8)).sum());
            for (good, character) in Pieces(bytes) {
                text.push_str(good);
                text.extend(character);
            }
            Cow::Owned(text)
        }
    }
}

/// Runs of UTF-8, each with the character that stands for the bytes behind it.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = (&'a str, Option<char>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (good, bad) = split_utf8(self.0);
        if let Some((pair, rest)) = surrogate_pair(bad) {
            self.0 = rest;
            return Some((good, Some(pair)));
        }
        self.0 = bad;
        while !self.0.is_empty() && surrogate_pair(self.0).is_none() && split_utf8(self.0).0.is_empty() {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        Some((good, (!bad.is_empty()).then_some(char::REPLACEMENT_CHARACTER)))
    }
}

/// The longest beginning that is UTF-8, and the rest.
fn split_utf8(bytes: &[u8]) -> (&str, &[u8]) {
    match str::from_utf8(bytes) {
        Ok(good) => (good, &[]),
        Err(error) => {
            let (good, bad) = bytes.split_at_checked(error.valid_up_to()).unwrap_or((&[], bytes));
            (str::from_utf8(good).unwrap_or_default(), bad)
        }
    }
}

/// A character above U+FFFF written as two surrogates of three bytes each.
fn surrogate_pair(bytes: &[u8]) -> Option<(char, &[u8])> {
    let ([0xed, h1 @ 0xa0..=0xaf, h0 @ 0x80..=0xbf, 0xed, l1 @ 0xb0..=0xbf, l0 @ 0x80..=0xbf], rest) =
        bytes.split_first_chunk::<6>()?
    else {
        return None;
    };
    let unit = |b1: u8, b0: u8| (u32::from(b1 & 0x0f) << 6) | u32::from(b0 & 0x3f);
    let scalar = 0x1_0000 + (unit(*h1, *h0) << 10) + (unit(*l1, *l0) & 0x3ff);
    char::from_u32(scalar).map(|c| (c, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_surrogates_become_the_character() {
        // sync("/<U+1F600>") as a server echoes it
        assert_eq!(decode_utf8(b"/\xed\xa0\xbd\xed\xb8\x80"), "/\u{1F600}");
        assert_eq!(decode_utf8("/\u{1F600}".as_bytes()), "/\u{1F600}");
    }

    #[test]
    fn bad_bytes_become_replacement_characters() {
        assert_eq!(decode_utf8(b"a\xffb"), "a\u{FFFD}b");
        assert_eq!(decode_utf8(b"\xed\xa0\xbd"), "\u{FFFD}");
        assert_eq!(decode_utf8(b"\xff\xed\xa0\xbd\xed\xb8\x80\xfe\xfdz"), "\u{FFFD}\u{1F600}\u{FFFD}z");
        assert_eq!(decode_utf8(b"x\xc3"), "x\u{FFFD}");
    }

    #[test]
    fn a_suffix_never_splits_a_character() {
        let text = Text::from("/\u{e9}/b");
        assert_eq!(text.suffix(3), "/b");
        assert_eq!(text.suffix(2), "/\u{e9}/b");
        assert_eq!(text.suffix(99), "/\u{e9}/b");
    }
}
