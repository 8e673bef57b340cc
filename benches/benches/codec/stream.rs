//! A recorded conversation of the Java client with a server, both directions: split, and every frame decoded.

use super::{Outcome, Workload};
use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use std::{collections::HashMap, hint::black_box, path::Path};
use zk_proto::{
    ErrorCode, OpCode,
    frame::{Frame, REPLY_LEN_MAX, Splitter},
    jute::{Decode, Reader, decode_from},
    ops::{ReplyBody, RequestBody},
    records::{ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, WatcherEvent},
    session::xid,
};

/// A line of the record.
#[derive(Deserialize)]
struct Line {
    conn: u32,
    dir: String,
    frame: String,
}

/// What a frame is, which a reader knows by what it asked for.
#[derive(Clone, Copy)]
enum Kind {
    Greeting,
    Greeted,
    Request,
    Reply(OpCode),
}

fn hex(text: &str) -> Outcome<Vec<u8>> {
    let digit = |index: usize| text.get(index..index + 2).map(|pair| u8::from_str_radix(pair, 16));
    (0..text.len()).step_by(2).map(|index| Ok(digit(index).ok_or("odd number of digits")??)).collect()
}

/// The frames with their prefixes, one behind the other, and what each is.
fn recorded() -> Outcome<(Vec<u8>, Vec<Kind>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tests/vectors/java-3.9.3.jsonl");
    let (mut stream, mut kinds) = (Vec::new(), Vec::new());
    let mut asked: HashMap<(u32, i32), OpCode> = HashMap::new();
    let mut greeted = HashMap::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let Line { conn, dir, frame } = serde_json::from_str(line)?;
        let frame = Bytes::from(hex(&frame)?);
        stream.extend_from_slice(&u32::try_from(frame.len())?.to_be_bytes());
        stream.extend_from_slice(&frame);
        let from_client = dir == "c2s";
        let first = greeted.insert((conn, from_client), ()).is_none();
        kinds.push(match (first, from_client) {
            (true, true) => Kind::Greeting,
            (true, false) => Kind::Greeted,
            (false, true) => {
                let header: RequestHeader = decode_from(&frame)?;
                asked.insert((conn, header.xid), header.op);
                Kind::Request
            }
            (false, false) => {
                let header: ReplyHeader = decode_from(&frame)?;
                Kind::Reply(asked.get(&(conn, header.xid)).copied().unwrap_or(OpCode::PING))
            }
        });
    }
    Ok((stream, kinds))
}

/// Whether the frame could be read.
fn decode(kind: Kind, frame: &Bytes) -> bool {
    match kind {
        Kind::Greeting => decode_from::<ConnectRequest<'_>>(frame).is_ok(),
        Kind::Greeted => decode_from::<ConnectResponse>(frame).is_ok(),
        Kind::Request => {
            let Ok(header) = decode_from::<RequestHeader>(frame) else { return false };
            let body = frame.slice(8..);
            black_box(RequestBody::decode(header.op, &body)).is_some_and(|body| body.is_ok())
        }
        Kind::Reply(op) => {
            let mut reader = Reader::new(frame);
            match ReplyHeader::decode(&mut reader) {
                Ok(ReplyHeader { xid: xid::NOTIFICATION, .. }) => WatcherEvent::decode(&mut reader).is_ok(),
                Ok(ReplyHeader { err: ErrorCode::OK, .. }) => {
                    black_box(ReplyBody::decode(op, &frame.slice(16..))).is_some_and(|body| body.is_ok())
                }
                Ok(_) => true,
                Err(_) => false,
            }
        }
    }
}

/// Splits the stream and reads each frame; how many could be read.
fn read(inbox: &mut BytesMut, stream: &[u8], kinds: &[Kind]) -> usize {
    inbox.extend_from_slice(stream);
    let mut splitter = Splitter::new(REPLY_LEN_MAX);
    let mut frames = std::iter::from_fn(|| match splitter.next_frame(inbox) {
        Ok(Some(Frame::Whole(frame))) => Some(frame),
        Ok(_) | Err(_) => None,
    });
    kinds.iter().filter(|kind| frames.next().is_some_and(|frame| decode(**kind, &frame))).count()
}

pub(super) fn stream() -> Outcome<Vec<Workload>> {
    let (stream, kinds) = recorded()?;
    let (len, frames) = (stream.len(), kinds.len());
    let mut inbox = BytesMut::with_capacity(2 * len);
    if read(&mut inbox, &stream, &kinds) != frames {
        return Err("a frame of the record cannot be read".into());
    }
    let copied = stream.clone();
    let mut copy = Vec::with_capacity(len);
    let by_hand = stream.clone();
    Ok(vec![
        Workload::new("reference", format!("recorded stream of {frames} frames, copied"), len, move || {
            copy.clear();
            copy.extend_from_slice(black_box(&copied));
            black_box(&copy);
        }),
        Workload::new("reference", format!("recorded stream of {frames} frames, lengths followed"), len, move || {
            let mut rest = black_box(&by_hand[..]);
            while let Ok(len) = rest.try_get_u32() {
                rest = black_box(rest.get(len as usize..).unwrap_or_default());
            }
        }),
        Workload::new("stream", format!("recorded stream of {frames} frames, split and decoded"), len, move || {
            black_box(read(&mut inbox, black_box(&stream), &kinds));
        }),
    ])
}
