//! What multi and multiRead answer: a result for each operation.

use super::{HEADER_LEN, Header, check_items, read_items};
use crate::{
    code::{ErrorCode, OpCode},
    jute::{Decode, DecodeError, Encode, Fault, List, Reader, Text},
    records::{GetDataResponse, Stat},
};
use alloc::{string::String, vec::Vec};
use bytes::{Bytes, BytesMut};
use core::fmt;

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
    GetChildren(List<'static, Text>),
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

    /// What follows the header, or the error.
    fn body(&self) -> Result<Bytes, ErrorCode> {
        if let Self::Error(code) = self {
            return Err(*code);
        }
        let mut out = BytesMut::new();
        self.encode_body(&mut out);
        Ok(out.freeze())
    }

    fn encode_item(&self, out: &mut BytesMut) {
        let err = if let Self::Error(code) = self { *code } else { ErrorCode::OK };
        Header { op: self.op(), done: false, err }.encode(out);
        self.encode_body(out);
    }

    fn encode_body(&self, out: &mut BytesMut) {
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

    fn skip_item(op: OpCode, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        match op {
            OpCode::CREATE => String::skip(input),
            OpCode::CREATE2 => String::skip(input).and_then(|()| Stat::skip(input)),
            OpCode::DELETE | OpCode::CHECK => Ok(()),
            OpCode::SET_DATA => Stat::skip(input),
            OpCode::GET_DATA => GetDataResponse::skip(input),
            OpCode::GET_CHILDREN => List::<Text>::skip(input),
            OpCode::ERROR => ErrorCode::skip(input),
            other => Err(Fault::UnexpectedType(other.0).into()),
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

/// Results of a reply: a list of the program's own, or a run of a frame that was checked from end to end when it was
/// read, and makes a result when it is asked for one. Reading allocates nothing.
#[derive(Clone)]
pub struct Results(Answers);

#[derive(Clone)]
enum Answers {
    Own(Vec<MultiResult>),
    /// The end of the list included.
    Frame {
        len: usize,
        items: Bytes,
    },
}

impl Results {
    /// How many results there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Answers::Own(results) => results.len(),
            Answers::Frame { len, .. } => *len,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All results at once.
    #[must_use]
    pub fn to_vec(&self) -> Vec<MultiResult> {
        self.iter().collect()
    }

    /// The results in order; data and names share the frame.
    pub fn iter(&self) -> impl Iterator<Item = MultiResult> + '_ {
        let (own, items) = match &self.0 {
            Answers::Own(results) => (results.as_slice(), None),
            Answers::Frame { items, .. } => (&[][..], Some(Reader::new(items))),
        };
        own.iter().cloned().chain(read_items(items, MultiResult::decode_item))
    }
}

impl Results {
    /// The results in order, each as the body that its operation's own reply would have had, or its error: what a read gets
    /// whose request went out in a multiRead. The bodies share the frame.
    pub fn bodies(&self) -> impl Iterator<Item = (OpCode, Result<Bytes, ErrorCode>)> + '_ {
        let (own, mut items) = match &self.0 {
            Answers::Own(results) => (results.as_slice(), None),
            Answers::Frame { items, .. } => (&[][..], Some(Reader::new(items))),
        };
        let own = own.iter().map(|result| (result.op(), result.body()));
        own.chain(core::iter::from_fn(move || {
            let input = items.as_mut()?;
            let op = Header::decode(input).ok().filter(|header| !header.done)?.op;
            if op == OpCode::ERROR {
                return Some((op, Err(ErrorCode::decode(input).ok()?)));
            }
            let start = input.rest();
            MultiResult::skip_item(op, input).ok()?;
            Some((op, Ok(input.share(start))))
        }))
    }
}

impl Default for Results {
    fn default() -> Self {
        Self(Answers::Own(Vec::new()))
    }
}

impl From<Vec<MultiResult>> for Results {
    fn from(results: Vec<MultiResult>) -> Self {
        Self(Answers::Own(results))
    }
}

impl FromIterator<MultiResult> for Results {
    fn from_iter<I: IntoIterator<Item = MultiResult>>(results: I) -> Self {
        Self(Answers::Own(results.into_iter().collect()))
    }
}

impl PartialEq for Results {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Results {}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Reply of **multi** (opcode 14, since 3.4) and **multiRead** (opcode 22, since 3.6.0): a result for each operation, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiResponse {
    /// In the order of the operations.
    pub results: Results,
}

impl MultiResponse {
    /// The operation that made the transaction fail and why: the first error that is neither 0 nor
    /// "not tried".
    #[must_use]
    pub fn failure(&self) -> Option<(usize, ErrorCode)> {
        self.results.iter().enumerate().find_map(|(index, result)| {
            let MultiResult::Error(code) = result else { return None };
            (code != ErrorCode::OK && code != ErrorCode::RUNTIME_INCONSISTENCY).then_some((index, code))
        })
    }
}

impl Encode for MultiResponse {
    fn encoded_len(&self) -> usize {
        match &self.results.0 {
            Answers::Own(results) => HEADER_LEN + results.iter().map(MultiResult::item_len).sum::<usize>(),
            Answers::Frame { items, .. } => items.len(),
        }
    }
    fn encode(&self, out: &mut BytesMut) {
        match &self.results.0 {
            Answers::Own(results) => {
                results.iter().for_each(|result| result.encode_item(out));
                Header::END.encode(out);
            }
            Answers::Frame { items, .. } => out.extend_from_slice(items),
        }
    }
}

impl Decode<'_> for MultiResponse {
    const LEN_MIN: usize = HEADER_LEN;
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = input.rest();
        let len = check_items(input, |op, input| {
            MultiResult::skip_item(op, input).map_err(|e| e.at("MultiResponse", "results"))
        })?;
        let items = input.share(start);
        Ok(Self { results: Results(Answers::Frame { len, items }) })
    }
}
