//! multi (transactions) and multiRead (batched reads): lists of operations, lists of results.
//!
//! Every item stands behind a `MultiHeader`, and a header with type -1 and done=1 ends the list.
//! A failed transaction has error code 0 in its reply header; the failure is in the results:
//! [`MultiResponse::failure`] finds it. Source: protocol.md section 3.3.

use crate::{
    code::{ErrorCode, OpCode},
    jute::{Decode, DecodeError, Encode, Fault, Reader},
    records::{
        CreateContainerRequest, CreateRequest, CreateTtlRequest, GetDataRequest, PathVersionRequest, SetDataRequest,
    },
};
use alloc::vec::Vec;
use bytes::BytesMut;
use core::fmt;

mod results;

pub use results::{MultiResponse, MultiResult, Results};

/// Type, done, err.
pub(crate) const HEADER_LEN: usize = 9;

/// What precedes each item.
struct Header {
    op: OpCode,
    done: bool,
    err: ErrorCode,
}

impl Header {
    const END: Self = Self { op: OpCode::ERROR, done: true, err: ErrorCode(-1) };

    fn encode(&self, out: &mut BytesMut) {
        self.op.encode(out);
        self.done.encode(out);
        self.err.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = |field| move |error: DecodeError| error.at("MultiHeader", field);
        Ok(Self {
            op: OpCode::decode(input).map_err(at("type"))?,
            done: bool::decode(input).map_err(at("done"))?,
            err: ErrorCode::decode(input).map_err(at("err"))?,
        })
    }
}

/// A read that is encoded already, as an item.
pub(crate) fn put_read(out: &mut BytesMut, op: OpCode, body: &[u8]) {
    Header { op, done: false, err: ErrorCode(-1) }.encode(out);
    out.extend_from_slice(body);
}

/// The end of a list.
pub(crate) fn put_end(out: &mut BytesMut) {
    Header::END.encode(out);
}

/// Declares a list item: which opcode stands for which variant and record.
macro_rules! items {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $code:ident $variant:ident($record:ident),)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name<'a> { $($(#[$vmeta])* $variant($record<'a>),)* }

        impl<'a> $name<'a> {
            /// The operation's number.
            #[must_use]
            pub const fn op(&self) -> OpCode {
                match self { $(Self::$variant(_) => OpCode::$code,)* }
            }

            fn item_len(&self) -> usize {
                HEADER_LEN + match self { $(Self::$variant(record) => record.encoded_len(),)* }
            }

            fn encode_item(&self, out: &mut BytesMut) {
                Header { op: self.op(), done: false, err: ErrorCode(-1) }.encode(out);
                match self { $(Self::$variant(record) => record.encode(out),)* }
            }

            fn decode_item(op: OpCode, input: &mut Reader<'a>) -> Result<Self, DecodeError> {
                match op {
                    $(OpCode::$code => $record::decode(input).map(Self::$variant),)*
                    other => Err(Fault::UnexpectedType(other.0).into()),
                }
            }

            fn skip_item(op: OpCode, input: &mut Reader<'a>) -> Result<(), DecodeError> {
                match op {
                    $(OpCode::$code => $record::skip(input),)*
                    other => Err(Fault::UnexpectedType(other.0).into()),
                }
            }
        }
    };
}

items! {
    /// One operation of a transaction.
    MultiOp {
        /// Creates a znode; the result is its path.
        CREATE Create(CreateRequest),
        /// Creates a znode; the result is its path and stat.
        CREATE2 Create2(CreateRequest),
        /// Creates a container.
        CREATE_CONTAINER CreateContainer(CreateContainerRequest),
        /// Creates a znode with a time to live.
        CREATE_TTL CreateTtl(CreateTtlRequest),
        /// Deletes a znode.
        DELETE Delete(PathVersionRequest),
        /// Sets the data of a znode.
        SET_DATA SetData(SetDataRequest),
        /// Fails the transaction unless the znode has this version.
        CHECK Check(PathVersionRequest),
    }
}

items! {
    /// One read of a batch; the watch flag is there but no server looks at it.
    ReadOp {
        /// Data and stat.
        GET_DATA GetData(GetDataRequest),
        /// Names of the children.
        GET_CHILDREN GetChildren(GetDataRequest),
    }
}

/// Operations of a request: a list of the program's own, or a run of a frame that was checked from end to end when
/// it was read, and makes an operation when it is asked for one. Reading allocates nothing.
#[derive(Clone)]
pub struct Operations<'a, O>(Source<'a, O>);

#[derive(Clone)]
enum Source<'a, O> {
    Own(Vec<O>),
    Frame { len: usize, items: Reader<'a> },
}

impl<O> Operations<'_, O> {
    /// How many operations there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Source::Own(ops) => ops.len(),
            Source::Frame { len, .. } => *len,
        }
    }

    /// Whether there are none; servers answer such a request with an empty list.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<O> Default for Operations<'_, O> {
    fn default() -> Self {
        Self(Source::Own(Vec::new()))
    }
}

impl<O> From<Vec<O>> for Operations<'_, O> {
    fn from(ops: Vec<O>) -> Self {
        Self(Source::Own(ops))
    }
}

impl<O> FromIterator<O> for Operations<'_, O> {
    fn from_iter<I: IntoIterator<Item = O>>(ops: I) -> Self {
        Self(Source::Own(ops.into_iter().collect()))
    }
}

macro_rules! lists {
    ($($(#[$meta:meta])* $name:ident of $item:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name<'a> {
            /// In order.
            pub ops: Operations<'a, $item<'a>>,
        }

        impl<'a> Operations<'a, $item<'a>> {
            /// The operations in order.
            pub fn iter(&self) -> impl Iterator<Item = $item<'a>> + Clone + '_ {
                let (own, items) = self.parts();
                own.iter().cloned().chain(read_items(items, $item::decode_item))
            }

            /// [`iter`](Self::iter) without a copy of what is here already.
            fn for_each(&self, mut each: impl FnMut(&$item<'a>)) {
                let (own, items) = self.parts();
                own.iter().for_each(&mut each);
                read_items(items, $item::decode_item).for_each(|op| each(&op));
            }

            /// The program's own operations, and those of a frame; one of the two is empty.
            fn parts(&self) -> (&[$item<'a>], Option<Reader<'a>>) {
                match &self.0 {
                    Source::Own(ops) => (ops, None),
                    Source::Frame { items, .. } => (&[], Some(items.clone())),
                }
            }
        }

        impl PartialEq for Operations<'_, $item<'_>> {
            fn eq(&self, other: &Self) -> bool {
                self.iter().eq(other.iter())
            }
        }

        impl Eq for Operations<'_, $item<'_>> {}

        impl fmt::Debug for Operations<'_, $item<'_>> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }

        impl Encode for $name<'_> {
            fn encoded_len(&self) -> usize {
                let mut len = HEADER_LEN;
                self.ops.for_each(|op| len += op.item_len());
                len
            }
            fn encode(&self, out: &mut BytesMut) {
                self.ops.for_each(|op| op.encode_item(out));
                Header::END.encode(out);
            }
        }

        impl<'a> Decode<'a> for $name<'a> {
            const LEN_MIN: usize = HEADER_LEN;
            fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
                let items = input.clone();
                let len = check_items(input, |op, input| {
                    $item::skip_item(op, input).map_err(|e| e.at(stringify!($name), "ops"))
                })?;
                Ok(Self { ops: Operations(Source::Frame { len, items }) })
            }
        }
    )*};
}

/// Moves behind a list and its end, and counts its items.
fn check_items<'a>(
    input: &mut Reader<'a>,
    mut skip: impl FnMut(OpCode, &mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<usize, DecodeError> {
    let mut len = 0;
    loop {
        let header = Header::decode(input)?;
        if header.done {
            return Ok(len);
        }
        skip(header.op, input)?;
        len += 1;
    }
}

/// Makes the items of a list that was checked before.
fn read_items<'a, T>(
    items: Option<Reader<'a>>,
    decode: impl Fn(OpCode, &mut Reader<'a>) -> Result<T, DecodeError> + Clone,
) -> impl Iterator<Item = T> + Clone {
    let mut items = items;
    core::iter::from_fn(move || {
        let items = items.as_mut()?;
        let header = Header::decode(items).ok().filter(|header| !header.done)?;
        decode(header.op, items).ok()
    })
}

lists! {
    /// Body of **multi** (opcode 14, since 3.4): all of it happens, or nothing, under one zxid.
    ///
    /// Later operations see what earlier ones did. A failure is in the results, not in the reply's header.
    /// Errors: [`MARSHALLING_ERROR`](ErrorCode::MARSHALLING_ERROR) for a read in the list or a list without an end.
    MultiRequest of MultiOp;
    /// Body of **multiRead** (opcode 22, since 3.6.0): each read succeeds or fails by itself, all at one zxid.
    ///
    /// Errors: [`MARSHALLING_ERROR`](ErrorCode::MARSHALLING_ERROR) for anything but getData and getChildren.
    MultiReadRequest of ReadOp;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::{decode_from, encode_to_bytes};
    use alloc::vec;

    #[test]
    fn a_failed_multi_names_its_culprit() {
        // protocol.md section 13: an operation that would have worked, then BADVERSION
        let body = bytes::Bytes::from_static(&[
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, // not applied
            0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0x99, 0xff, 0xff, 0xff, 0x99, // the culprit
            0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff, // the end
        ]);
        let reply: MultiResponse = decode_from(&body).unwrap();
        assert_eq!(reply.failure(), Some((1, ErrorCode::BAD_VERSION)));
        assert_eq!(encode_to_bytes(&reply), &body[..]);
    }

    #[test]
    fn a_list_without_its_end_is_an_error() {
        let reply = MultiResponse { results: vec![MultiResult::Delete].into() };
        let whole = encode_to_bytes(&reply).freeze();
        for cut in 0..whole.len() {
            assert!(decode_from::<MultiResponse>(&whole.slice(..cut)).is_err(), "cut at {cut}");
        }
    }
}
