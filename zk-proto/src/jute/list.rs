//! Vectors of jute, read without an allocation.
//!
//! A count from the wire never sizes a `Vec`: an item takes more bytes in memory than on the wire, a list of empty
//! strings six times as many. So a list that was read stays a slice of its frame, checked once from end to end, and
//! makes its items one at a time as somebody asks for them. Knows nothing of what the items mean.

use super::{Decode, DecodeError, Encode, Fault, Reader, Text, put_len};
use alloc::{borrow::Cow, string::String, vec::Vec};
use bytes::{BufMut, Bytes, BytesMut};
use core::{fmt, marker::PhantomData};

/// A vector: items of the program's own, or a run of items in a frame.
///
/// Null and empty differ on the wire, and here ([`is_null`](Self::is_null)). Two lists are equal when their items are.
///
/// ```
/// use zk_proto::jute::{List, Text, decode_from, encode_to_bytes};
///
/// let names: List<'_, Text> = List::of_texts(["a", "b"]);
/// let bytes = encode_to_bytes(&names).freeze();
/// let read: List<'_, Text> = decode_from(&bytes)?; // allocates nothing, nor does `iter`
/// assert_eq!(read.iter().next().as_deref(), Some("a"));
/// assert_eq!(read.to_strings(), ["a", "b"]);
/// # Ok::<(), zk_proto::DecodeError>(())
/// ```
pub struct List<'a, T>(Repr<'a, T>);

#[derive(Clone)]
enum Repr<'a, T> {
    Null,
    Slice(&'a [T]),
    Owned(Vec<T>),
    /// `count` items that were checked when the list was read.
    Frame {
        count: usize,
        items: Bytes,
    },
}

impl<T> List<'_, T> {
    /// A vector with the length -1. Most requests are refused when they hold one.
    #[must_use]
    pub const fn null() -> Self {
        Self(Repr::Null)
    }

    /// Whether the vector's length on the wire is -1.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self.0, Repr::Null)
    }

    /// How many items there are; none in a null list.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Repr::Null => 0,
            Repr::Slice(items) => items.len(),
            Repr::Owned(items) => items.len(),
            Repr::Frame { count, .. } => *count,
        }
    }

    /// Whether there are no items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: Clone + for<'f> Decode<'f>> List<'a, T> {
    /// The items in order, made as they are asked for.
    #[must_use]
    pub fn iter(&self) -> Items<'_, T> {
        match &self.0 {
            Repr::Null => Items::of(&[]),
            Repr::Slice(items) => Items::of(items),
            Repr::Owned(items) => Items::of(items),
            Repr::Frame { count, items } => {
                Items { slice: &[], left: *count, reader: Some(Reader::new(items)), items: PhantomData }
            }
        }
    }

    /// All items at once.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        self.iter().collect()
    }

    /// The same list with items of its own, or a share of its frame.
    #[must_use]
    pub fn into_owned(self) -> List<'static, T> {
        List(match self.0 {
            Repr::Null => Repr::Null,
            Repr::Slice(items) => Repr::Owned(items.to_vec()),
            Repr::Owned(items) => Repr::Owned(items),
            Repr::Frame { count, items } => Repr::Frame { count, items },
        })
    }
}

impl List<'_, Text> {
    /// A list of strings, encoded at once into one buffer.
    pub fn of_texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Self {
        let mut list = TextsBuilder::default();
        texts.into_iter().for_each(|text| list.push(text.as_ref()));
        list.finish()
    }

    /// The items in order, as they stand in the frame: for who compares or copies, and keeps no share of it.
    pub fn strs(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let (own, frame): (&[Text], _) = match &self.0 {
            Repr::Null => (&[], None),
            Repr::Slice(items) => (items, None),
            Repr::Owned(items) => (items, None),
            Repr::Frame { count, items } => (&[], Some((*count, Reader::new(items)))),
        };
        let read = |(count, mut reader)| (0..count).map_while(move |_| Cow::decode(&mut reader).ok());
        own.iter().map(|text| Cow::Borrowed(text.as_str())).chain(frame.into_iter().flat_map(read))
    }

    /// All items as strings of their own.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        self.strs().map(Cow::into_owned).collect()
    }
}

/// Writes a list of strings one by one.
#[derive(Debug, Default)]
pub(crate) struct TextsBuilder {
    count: usize,
    items: BytesMut,
}

impl TextsBuilder {
    pub(crate) fn push(&mut self, text: &str) {
        self.count += 1;
        text.encode(&mut self.items);
    }

    pub(crate) fn finish<'a>(self) -> List<'a, Text> {
        List(Repr::Frame { count: self.count, items: self.items.freeze() })
    }
}

/// The items of a [`List`].
#[derive(Clone, Debug)]
pub struct Items<'l, T> {
    slice: &'l [T],
    left: usize,
    reader: Option<Reader<'l>>,
    items: PhantomData<T>,
}

impl<'l, T> Items<'l, T> {
    const fn of(slice: &'l [T]) -> Self {
        Self { slice, left: slice.len(), reader: None, items: PhantomData }
    }
}

impl<'l, T: Clone + Decode<'l>> Iterator for Items<'l, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.reader {
            Some(reader) => T::decode(reader).ok(),
            None => {
                let (first, rest) = self.slice.split_first()?;
                self.slice = rest;
                Some(first.clone())
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'l, T: Clone + Decode<'l>> ExactSizeIterator for Items<'l, T> {}

impl<'l, T: Clone + for<'f> Decode<'f>> IntoIterator for &'l List<'_, T> {
    type Item = T;
    type IntoIter = Items<'l, T>;
    fn into_iter(self) -> Items<'l, T> {
        self.iter()
    }
}

impl<T: Clone> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self(Repr::Slice(&[]))
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self(Repr::Slice(items))
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for List<'a, T> {
    fn from(items: &'a [T; N]) -> Self {
        Self(Repr::Slice(items))
    }
}

impl<T> From<Vec<T>> for List<'_, T> {
    fn from(items: Vec<T>) -> Self {
        Self(Repr::Owned(items))
    }
}

impl<T> FromIterator<T> for List<'_, T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(Repr::Owned(items.into_iter().collect()))
    }
}

impl<T: Clone + PartialEq + for<'f> Decode<'f>> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_null() == other.is_null() && self.iter().eq(other.iter())
    }
}

impl<T: Clone + Eq + for<'f> Decode<'f>> Eq for List<'_, T> {}

impl<T: Clone + fmt::Debug + for<'f> Decode<'f>> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() {
            return f.write_str("null");
        }
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Encode> Encode for List<'_, T> {
    fn encoded_len(&self) -> usize {
        let sum = |items: &[T]| items.iter().map(Encode::encoded_len).sum::<usize>();
        4 + match &self.0 {
            Repr::Null => 0,
            Repr::Slice(items) => sum(items),
            Repr::Owned(items) => sum(items),
            Repr::Frame { items, .. } => items.len(),
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        if self.is_null() {
            return out.put_i32(-1);
        }
        put_len(out, self.len());
        match &self.0 {
            Repr::Null => {}
            Repr::Slice(items) => items.iter().for_each(|item| item.encode(out)),
            Repr::Owned(items) => items.iter().for_each(|item| item.encode(out)),
            Repr::Frame { items, .. } => out.put_slice(items),
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for List<'_, T> {
    const LEN_MIN: usize = 4;

    /// Checks every item and keeps the slice. Negative counts other than -1 read as empty, as Java reads them.
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = match i32::decode(input)? {
            -1 => return Ok(Self::null()),
            count => usize::try_from(count).unwrap_or(0),
        };
        let left = input.remaining();
        let needed = count.saturating_mul(T::LEN_MIN);
        if needed > left {
            return Err(Fault::Short { needed, left }.into());
        }
        let start = input.rest();
        for _ in 0..count {
            T::skip(input)?;
        }
        Ok(Self(Repr::Frame { count, items: input.share(start) }))
    }

    fn skip(input: &mut Reader<'a>) -> Result<(), DecodeError> {
        let count = usize::try_from(i32::decode(input)?).unwrap_or(0);
        let (needed, left) = (count.saturating_mul(T::LEN_MIN), input.remaining());
        if needed > left {
            return Err(Fault::Short { needed, left }.into());
        }
        (0..count).try_for_each(|_| T::skip(input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::{decode_from, encode_to_bytes};
    use alloc::vec;

    // goal: P5
    #[test]
    fn a_list_is_the_same_wherever_its_items_are() {
        let texts: Vec<Text> = vec!["a".into(), "".into(), "\u{e9}".into()];
        let lists = [List::from(&texts[..]), List::from(texts.clone()), List::of_texts(&texts)];
        for list in &lists {
            let bytes = encode_to_bytes(list).freeze();
            assert_eq!(bytes.len(), list.encoded_len());
            let read: List<'_, Text> = decode_from(&bytes).unwrap();
            assert_eq!((&read, read.len(), encode_to_bytes(&read).freeze()), (list, 3, bytes));
            assert_eq!(read.iter().len(), 3);
            assert_eq!(read.clone().into_owned().to_vec(), texts);
        }
    }

    #[test]
    fn null_is_not_empty() {
        let null: List<'_, Text> = decode_from(&Bytes::from_static(&[0xff; 4])).unwrap();
        assert!(null.is_null() && null.is_empty() && null != List::default());
        assert_eq!(encode_to_bytes(&null), &[0xff; 4][..]);
        assert_eq!(alloc::format!("{null:?}{:?}", List::of_texts(["x"])), "null[\"x\"]");
    }
}
