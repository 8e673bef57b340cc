//! multi (transactions) and multiRead (batched reads): lists of operations, lists of results.
//!
//! Every item stands behind a `MultiHeader`, and a header with type -1 and done=1 ends the list.
//! A failed transaction has error code 0 in its reply header; the failure is in the results:
//! [`MultiResponse::failure`] finds it. Source: protocol.md section 3.3.

use crate::{
    code::{ErrorCode, OpCode},
    jute::{Decode, DecodeError, Encode, Fault, Reader},
    records::{
        CreateRequest, CreateTtlRequest, GetDataRequest, GetDataResponse, PathVersionRequest, SetDataRequest, Stat,
    },
};
use alloc::{string::String, vec::Vec};
use bytes::BytesMut;

const HEADER_LEN: usize = 9;

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
        CREATE_CONTAINER CreateContainer(CreateRequest),
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

macro_rules! lists {
    ($($(#[$meta:meta])* $name:ident of $item:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name<'a> {
            /// In order.
            pub ops: Vec<$item<'a>>,
        }

        impl Encode for $name<'_> {
            fn encoded_len(&self) -> usize {
                HEADER_LEN + self.ops.iter().map($item::item_len).sum::<usize>()
            }
            fn encode(&self, out: &mut BytesMut) {
                self.ops.iter().for_each(|op| op.encode_item(out));
                Header::END.encode(out);
            }
        }

        impl<'a> Decode<'a> for $name<'a> {
            const LEN_MIN: usize = HEADER_LEN;
            fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
                let mut ops = Vec::new();
                loop {
                    let header = Header::decode(input)?;
                    if header.done {
                        return Ok(Self { ops });
                    }
                    ops.push($item::decode_item(header.op, input).map_err(|e| e.at(stringify!($name), "ops"))?);
                }
            }
        }
    )*};
}

lists! {
    /// Body of multi: all of it happens, or nothing, under one zxid.
    MultiRequest of MultiOp;
    /// Body of multiRead: each read succeeds or fails by itself, all at one zxid.
    MultiReadRequest of ReadOp;
}

/// The result of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult {
    /// Of create (and of create2 on servers before 3.7.2, 3.8.2 and 3.9.0, ZOOKEEPER-4026).
    Create(String),
    /// Of create2, createContainer and createTTL.
    Create2(String, Stat),
    /// Of delete.
    Delete,
    /// Of setData.
    SetData(Stat),
    /// Of check.
    Check,
    /// Of getData.
    GetData(GetDataResponse),
    /// Of getChildren.
    GetChildren(Vec<String>),
    /// Of an operation that failed, or that was not tried because another failed.
    Error(ErrorCode),
}

impl MultiResult {
    const fn op(&self) -> OpCode {
        match self {
            Self::Create(_) => OpCode::CREATE,
            Self::Create2(..) => OpCode::CREATE2,
            Self::Delete => OpCode::DELETE,
            Self::SetData(_) => OpCode::SET_DATA,
            Self::Check => OpCode::CHECK,
            Self::GetData(_) => OpCode::GET_DATA,
            Self::GetChildren(_) => OpCode::GET_CHILDREN,
            Self::Error(_) => OpCode::ERROR,
        }
    }

    fn item_len(&self) -> usize {
        HEADER_LEN
            + match self {
                Self::Create(path) => path.encoded_len(),
                Self::Create2(path, stat) => path.encoded_len() + stat.encoded_len(),
                Self::Delete | Self::Check => 0,
                Self::SetData(stat) => stat.encoded_len(),
                Self::GetData(reply) => reply.encoded_len(),
                Self::GetChildren(names) => names.encoded_len(),
                Self::Error(code) => code.encoded_len(),
            }
    }

    fn encode_item(&self, out: &mut BytesMut) {
        let err = if let Self::Error(code) = self { *code } else { ErrorCode::OK };
        Header { op: self.op(), done: false, err }.encode(out);
        match self {
            Self::Create(path) => path.encode(out),
            Self::Create2(path, stat) => {
                path.encode(out);
                stat.encode(out);
            }
            Self::Delete | Self::Check => {}
            Self::SetData(stat) => stat.encode(out),
            Self::GetData(reply) => reply.encode(out),
            Self::GetChildren(names) => names.encode(out),
            Self::Error(code) => code.encode(out),
        }
    }

    fn decode_item(op: OpCode, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match op {
            OpCode::CREATE => Self::Create(Decode::decode(input)?),
            OpCode::CREATE2 => Self::Create2(Decode::decode(input)?, Decode::decode(input)?),
            OpCode::DELETE => Self::Delete,
            OpCode::SET_DATA => Self::SetData(Decode::decode(input)?),
            OpCode::CHECK => Self::Check,
            OpCode::GET_DATA => Self::GetData(Decode::decode(input)?),
            OpCode::GET_CHILDREN => Self::GetChildren(Decode::decode(input)?),
            OpCode::ERROR => Self::Error(Decode::decode(input)?),
            other => return Err(Fault::UnexpectedType(other.0).into()),
        })
    }
}

/// Reply of multi and multiRead: a result for each operation, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiResponse {
    /// In the order of the operations.
    pub results: Vec<MultiResult>,
}

impl MultiResponse {
    /// The operation that made the transaction fail and why: the first error that is neither 0 nor
    /// "not tried".
    #[must_use]
    pub fn failure(&self) -> Option<(usize, ErrorCode)> {
        self.results.iter().enumerate().find_map(|(index, result)| {
            let MultiResult::Error(code) = result else { return None };
            (*code != ErrorCode::OK && *code != ErrorCode::RUNTIME_INCONSISTENCY).then_some((index, *code))
        })
    }
}

impl Encode for MultiResponse {
    fn encoded_len(&self) -> usize {
        HEADER_LEN + self.results.iter().map(MultiResult::item_len).sum::<usize>()
    }
    fn encode(&self, out: &mut BytesMut) {
        self.results.iter().for_each(|result| result.encode_item(out));
        Header::END.encode(out);
    }
}

impl Decode<'_> for MultiResponse {
    const LEN_MIN: usize = HEADER_LEN;
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut results = Vec::new();
        loop {
            let header = Header::decode(input)?;
            if header.done {
                return Ok(Self { results });
            }
            results.push(MultiResult::decode_item(header.op, input).map_err(|e| e.at("MultiResponse", "results"))?);
        }
    }
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
        let reply = MultiResponse { results: vec![MultiResult::Delete] };
        let whole = encode_to_bytes(&reply).freeze();
        for cut in 0..whole.len() {
            assert!(decode_from::<MultiResponse>(&whole.slice(..cut)).is_err(), "cut at {cut}");
        }
    }
}
