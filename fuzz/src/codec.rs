//! Targets of the codec: splitter, headers, every record, lists, and the way there and back.

use super::memory::bounded;
use arbitrary::{Arbitrary, Unstructured};
use bytes::{Bytes, BytesMut};
use zk_proto::{
    OpCode,
    frame::{Frame, Splitter},
    jute::{Decode, Encode, decode_from, decode_with_rest, encode_to_bytes},
    multi::{MultiReadRequest, MultiRequest, MultiResponse},
    ops::{self, ReplyBody, RequestBody},
    path::Chroot,
    records::{ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, WatcherEvent},
};

/// As much of a stream as is cut: a few frames below and above the splitter's limit.
const FRAMES_BYTES_MAX: usize = 512;

/// The splitter: any chunking gives the same frames, and memory follows the bytes that arrived.
pub fn frames(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    // Long streams say nothing that short ones do not, and take long byte by byte.
    let stream = stream.get(..FRAMES_BYTES_MAX).unwrap_or(stream);
    let split = |chunk: usize| {
        let (mut splitter, mut inbox, mut frames) = (Splitter::new(64), BytesMut::new(), Vec::new());
        for chunk in stream.chunks(chunk) {
            inbox.extend_from_slice(chunk);
            loop {
                match bounded(inbox.len(), || splitter.next_frame(&mut inbox)) {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(_) => return frames,
                }
            }
            assert!(inbox.capacity() <= 4 * stream.len() + 4096);
        }
        frames
    };
    let whole = split(stream.len().max(1));
    assert_eq!(whole, split(usize::from(*first).max(1)));
    assert_eq!(whole, split(1));
    let kept: usize = whole
        .iter()
        .map(|frame| match frame {
            Frame::Whole(bytes) => bytes.len(),
            Frame::Oversize { head, .. } => head.len(),
        })
        .sum();
    assert!(kept <= stream.len());
}

/// Decodes within the bounds of memory, looks at everything, encodes, decodes again: nothing may change. Also, a value
/// can be skipped if and only if it can be decoded.
fn there_and_back<'a, T: Decode<'a> + Encode + PartialEq + std::fmt::Debug>(
    bytes: &'a Bytes,
    again: impl FnOnce(&Bytes, &BytesMut),
) {
    let decoded = bounded(bytes.len(), || {
        let decoded = decode_with_rest::<T>(bytes);
        let skipped = T::skip(&mut zk_proto::jute::Reader::new(bytes));
        match &decoded {
            Ok((value, rest)) => {
                look_at(value);
                assert!(rest.len() <= bytes.len());
                assert_eq!(skipped, Ok(()));
            }
            Err(error) => assert_eq!(skipped.map_err(|error| error.fault), Err(error.fault)),
        }
        decoded
    });
    if let Ok((value, _)) = decoded {
        let once = encode_to_bytes(&value);
        assert_eq!(once.len(), value.encoded_len());
        again(&once.clone().freeze(), &once);
    }
}

/// [`there_and_back`] for a record that owns what it has.
fn record<T: for<'a> Decode<'a> + Encode + PartialEq + std::fmt::Debug>(bytes: &Bytes) {
    there_and_back::<T>(bytes, |once, expected| {
        let value: T = decode_from(once).expect("what we wrote can be read");
        assert_eq!(&encode_to_bytes(&value), expected);
    });
}

/// [`there_and_back`] for a record that borrows from its frame.
macro_rules! borrowed_record {
    ($type:ident, $bytes:expr) => {
        there_and_back::<$type<'_>>($bytes, |once, expected| {
            let value: $type<'_> = decode_from(once).expect("what we wrote can be read");
            assert_eq!(&encode_to_bytes(&value), expected);
        })
    };
}

/// Both connect records, which have no header.
pub fn connect(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    record::<ConnectResponse>(&bytes);
    borrowed_record!(ConnectRequest, &bytes);
}

/// Both headers.
pub fn header(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    record::<ReplyHeader>(&bytes);
    record::<RequestHeader>(&bytes);
}

/// The body of every reply.
pub fn replies(data: &[u8]) {
    let Some((op, body)) = opcode(data) else { return };
    let decode = |body: &Bytes| ReplyBody::decode(op, body).expect("an opcode of the table");
    let decoded = bounded(body.len(), || decode(&body).inspect(look_at));
    if let Ok(once) = decoded.map(|reply| encode_to_bytes(&reply)) {
        let twice = decode(&once.clone().freeze()).expect("what we wrote can be read");
        assert_eq!(encode_to_bytes(&twice), once, "{op}");
    }
}

/// The body of every request.
pub fn requests(data: &[u8]) {
    let Some((op, body)) = opcode(data) else { return };
    let decoded =
        bounded(body.len(), || RequestBody::decode(op, &body).expect("an opcode of the table").inspect(look_at));
    if let Ok(once) = decoded.map(|request| encode_to_bytes(&request)) {
        let bytes = once.clone().freeze();
        let twice = RequestBody::decode(op, &bytes).expect("the same opcode").expect("what we wrote can be read");
        assert_eq!(encode_to_bytes(&twice), once, "{op}");
    }
}

/// Looks at every item of a record's lists: they are made when they are compared.
fn look_at<T: PartialEq + std::fmt::Debug>(value: &T) {
    let itself = value;
    assert!(value.eq(itself), "{value:?}");
}

/// An opcode of the table by its first byte, and the body behind it.
fn opcode(data: &[u8]) -> Option<(OpCode, Bytes)> {
    let (first, body) = data.split_first()?;
    let (op, _) = ops::TABLE.get(usize::from(*first) % ops::TABLE.len())?;
    Some((*op, Bytes::copy_from_slice(body)))
}

/// A watched event, with a path that may be anything.
pub fn event(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    record::<WatcherEvent>(&bytes);
    if let Ok(event) = decode_from::<WatcherEvent>(&bytes) {
        let path = event.path.as_str();
        let chroot = Chroot::new("/a").expect("a path");
        assert_eq!(chroot.to_client(path), chroot.text_to_client(&event.path).as_str());
    }
}

/// Transactions, batches of reads, and their results; the number of items that a list says it has are there.
pub fn multi(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    borrowed_record!(MultiRequest, &bytes);
    borrowed_record!(MultiReadRequest, &bytes);
    record::<MultiResponse>(&bytes);
    if let Ok(request) = decode_from::<MultiRequest<'_>>(&bytes) {
        assert_eq!(request.ops.iter().count(), request.ops.len());
    }
    if let Ok(response) = decode_from::<MultiResponse>(&bytes) {
        assert_eq!(response.results.iter().count(), response.results.len());
        if let Some((index, _)) = response.failure() {
            assert!(index < response.results.len());
        }
    }
}

/// Records made by `arbitrary`: encoded, decoded, encoded again, equal at every step.
pub fn round_trip(data: &[u8]) {
    let mut u = Unstructured::new(data);
    while let (false, Ok(request)) = (u.is_empty(), RequestBody::arbitrary(&mut u)) {
        let once = encode_to_bytes(&request).freeze();
        assert_eq!(once.len(), request.encoded_len());
        let read =
            RequestBody::decode(request.op(), &once).expect("it has an opcode").expect("what we wrote can be read");
        assert_eq!(read, request);
        assert_eq!(encode_to_bytes(&read), once);
        let Ok(reply) = ReplyBody::arbitrary(&mut u) else { return };
        let once = encode_to_bytes(&reply).freeze();
        assert_eq!(once.len(), reply.encoded_len());
        let read = ReplyBody::decode(reply.op(), &once).expect("it has an opcode").expect("what we wrote can be read");
        assert_eq!(read, reply);
        assert_eq!(encode_to_bytes(&read), once);
    }
}
