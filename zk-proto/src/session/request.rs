//! Requests as bytes: encoded once where they are made, numbered when they are sent.

use crate::{
    code::OpCode,
    frame::{PREFIX_LEN, TooLarge},
    jute::Encode,
    multi,
    ops::{Op, RequestBody},
};
use bytes::{Buf as _, BufMut, BytesMut};
use core::fmt;

/// Xids that are no request's number (protocol.md section 2.5). Requests count from 1.
pub mod xid {
    /// A watched event.
    pub const NOTIFICATION: i32 = -1;
    /// A ping and its answer.
    pub const PING: i32 = -2;
    /// An auth packet and its answer.
    pub const AUTH: i32 = -4;
}

const HEADER_LEN: usize = 8;

/// A request as a whole frame, but for its xid, which the session fills in when it sends.
#[derive(Clone)]
pub struct EncodedRequest {
    /// Opcode and body.
    bytes: BytesMut,
    op: OpCode,
}

impl EncodedRequest {
    /// Encodes a request.
    ///
    /// # Errors
    /// [`TooLarge`] when the frame would be longer than `limit` bytes: a server closes the connection on
    /// such a frame. Nothing was written then.
    pub fn new<O: Op>(request: &O::Request<'_>, limit: usize) -> Result<Self, TooLarge> {
        Self::encode(O::CODE, request, limit)
    }

    /// [`new`](Self::new) for an operation that is known at run time only.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_body(body: &RequestBody<'_>, limit: usize) -> Result<Self, TooLarge> {
        Self::encode(body.op(), body, limit)
    }

    fn encode(op: OpCode, request: &impl Encode, limit: usize) -> Result<Self, TooLarge> {
        let body_len = body_len(request, limit)?;
        let mut bytes = BytesMut::with_capacity(4 + body_len);
        bytes.put_i32(op.0);
        request.encode(&mut bytes);
        Ok(Self { bytes, op })
    }

    /// Several plain reads as one multiRead (since 3.6.0), in this order. `None` for requests that a multiRead cannot carry:
    /// it takes getData and getChildren, and sets no watch whatever they say.
    #[must_use]
    pub fn multi_read<'a>(reads: impl IntoIterator<Item = &'a Self> + Clone) -> Option<Self> {
        let body = |read: &'a Self| read.bytes.get(4..).unwrap_or_default();
        let len = reads.clone().into_iter().map(|read| multi::HEADER_LEN + body(read).len()).sum::<usize>();
        let mut bytes = BytesMut::with_capacity(4 + len + multi::HEADER_LEN);
        bytes.put_i32(OpCode::MULTI_READ.0);
        for read in reads {
            if !matches!(read.op, OpCode::GET_DATA | OpCode::GET_CHILDREN) {
                return None;
            }
            multi::put_read(&mut bytes, read.op, body(read));
        }
        multi::put_end(&mut bytes);
        Some(Self { bytes, op: OpCode::MULTI_READ })
    }

    /// How long the frame is that carries it, its length prefix not counted.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        4 + self.bytes.len()
    }

    /// The operation.
    #[must_use]
    pub const fn op(&self) -> OpCode {
        self.op
    }

    pub(super) fn append_to(&self, outbox: &mut BytesMut, xid: i32) {
        outbox.reserve(PREFIX_LEN + 4 + self.bytes.len());
        outbox.put_u32(frame_len(4 + self.bytes.len()));
        outbox.put_i32(xid);
        outbox.put_slice(&self.bytes);
    }

    /// The first frame of an outbox as the request that it was made of, and its xid. Of a ConnectRequest, which has
    /// neither, it makes something with an xid of zero.
    pub(super) fn take_back(outbox: &mut BytesMut) -> Option<(i32, Self)> {
        let len = usize::try_from(outbox.try_get_u32().ok()?).ok()?;
        let mut bytes = (len <= outbox.len()).then(|| outbox.split_to(len))?;
        let xid = bytes.try_get_i32().ok()?;
        let op = OpCode(i32::from_be_bytes(*bytes.first_chunk()?));
        Some((xid, Self { bytes, op }))
    }
}

/// The xid of each frame of an outbox; of a ConnectRequest, which has none, zero.
pub(super) fn xids(mut outbox: &[u8]) -> impl Iterator<Item = i32> {
    core::iter::from_fn(move || {
        let (prefix, rest) = outbox.split_first_chunk()?;
        let (frame, behind) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*prefix)).ok()?)?;
        outbox = behind;
        Some(i32::from_be_bytes(*frame.first_chunk()?))
    })
}

/// Never the body: it may hold a value or a secret.
impl fmt::Debug for EncodedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedRequest({:?}, {} bytes)", self.op, self.bytes.len())
    }
}

/// How long a request's body is, if a server takes its frame.
pub(super) fn body_len(request: &impl Encode, limit: usize) -> Result<usize, TooLarge> {
    let body_len = request.encoded_len();
    let len = HEADER_LEN + body_len;
    if len > limit { Err(TooLarge { len, limit }) } else { Ok(body_len) }
}

pub(super) fn put_header(outbox: &mut BytesMut, xid: i32, op: OpCode, body_len: usize) {
    outbox.reserve(PREFIX_LEN + HEADER_LEN + body_len);
    outbox.put_u32(frame_len(HEADER_LEN + body_len));
    outbox.put_i32(xid);
    outbox.put_i32(op.0);
}

/// Frames are checked against a limit far below this type's before they get here.
fn frame_len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
