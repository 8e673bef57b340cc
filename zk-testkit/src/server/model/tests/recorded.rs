//! The frames of the official Java client against real servers, played back: the answers must be the same bytes, but
//! for times and for orders that ZooKeeper leaves open.

use std::collections::{HashMap, VecDeque};

use bytes::{Buf, Bytes, BytesMut};
use zk_proto::{
    OpCode, SessionId, Zxid,
    frame::REPLY_HEADER_LEN,
    jute::{Decode, Encode, List, Reader, Text, decode_from},
    multi::{MultiResponse, MultiResult},
    records::{
        ConnectResponse, GetChildren2Response, GetChildrenResponse, GetEphemeralsResponse, RequestHeader,
        WhoAmIResponse,
    },
};

use super::Script;
use crate::server::{
    Profile,
    model::{Model, ModelConfig},
};

/// Times on the recordings' servers begin with these bytes, whatever the second.
fn without_times(frame: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let mut at = 0;
    while at + 8 <= frame.len() {
        if frame[at..].starts_with(prefix) {
            frame[at..at + 8].fill(0);
            at += 8;
        } else {
            at += 1;
        }
    }
    frame
}

/// A reply whose lists of names are sorted.
fn sorted(op: Option<OpCode>, frame: &Bytes) -> Bytes {
    fn again<T: Encode + for<'a> Decode<'a>>(frame: &Bytes, sort: impl FnOnce(&mut T)) -> Bytes {
        let (head, body) = (frame.slice(..REPLY_HEADER_LEN), frame.slice(REPLY_HEADER_LEN..));
        if body.is_empty() {
            return frame.clone();
        }
        let mut reply: T = decode_from(&body).unwrap();
        sort(&mut reply);
        let mut out = BytesMut::from(&head[..]);
        reply.encode(&mut out);
        out.freeze()
    }
    match op {
        Some(OpCode::GET_CHILDREN) => {
            again(frame, |reply: &mut GetChildrenResponse| reply.children = by_name(&reply.children))
        }
        Some(OpCode::GET_CHILDREN2) => {
            again(frame, |reply: &mut GetChildren2Response| reply.children = by_name(&reply.children))
        }
        Some(OpCode::GET_EPHEMERALS) => {
            again(frame, |reply: &mut GetEphemeralsResponse| reply.paths = by_name(&reply.paths))
        }
        Some(OpCode::WHO_AM_I) => again(frame, |reply: &mut WhoAmIResponse| {
            let mut identities = reply.identities.to_vec();
            identities.sort_by(|one, other| one.scheme.cmp(&other.scheme));
            reply.identities = identities.into();
        }),
        Some(OpCode::MULTI_READ) => again(frame, |reply: &mut MultiResponse| {
            let sorted = reply.results.iter().map(|result| {
                if let MultiResult::GetChildren(names) = &result {
                    MultiResult::GetChildren(by_name(names))
                } else {
                    result
                }
            });
            reply.results = sorted.collect();
        }),
        _ => frame.clone(),
    }
}

fn by_name(names: &List<'_, Text>) -> List<'static, Text> {
    let mut names = names.to_strings();
    names.sort();
    List::of_texts(names)
}

fn unhex(hex: &str) -> Bytes {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn field<'a>(line: &'a str, name: &str) -> &'a str {
    line.split_once(&format!("\"{name}\": \"")).and_then(|(_, rest)| rest.split_once('"')).unwrap().0
}

fn play(recording: &str, profile: Profile) {
    let path = format!("{}/../tests/tests/vectors/{recording}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let frames: Vec<(bool, Bytes)> =
        text.lines().map(|line| (field(line, "dir") == "c2s", unhex(field(line, "frame")))).collect();
    // the first answers tell the session, the zxid and the time of the recording
    let mut from_server = frames.iter().filter(|(from_client, _)| !from_client).map(|(_, frame)| frame);
    let greeting: ConnectResponse = decode_from(from_server.next().unwrap()).unwrap();
    let first_zxid = from_server.next().unwrap().slice(4..12).get_i64();
    let looks_like_time = |bytes: &&[u8]| bytes.starts_with(&[0, 0, 1]) && bytes[3] > 0x90;
    let stat_time = frames.iter().find_map(|(_, frame)| frame.windows(5).find(looks_like_time));
    let time_prefix = stat_time.unwrap().to_vec();
    let wall_base_ms = Bytes::from([&time_prefix[..], &[1, 2, 3]].concat()).get_i64();
    let mut script = Script::new(profile.clone());
    script.model = Model::new(ModelConfig {
        profile,
        first_session: SessionId(greeting.session_id.0),
        wall_base_ms,
        ..ModelConfig::default()
    });
    script.model.advance_zxid(std::time::Duration::ZERO, Zxid(first_zxid - 1));
    let conn = script.model.open(script.now, 0, Script::peer());
    let (mut ops, mut answers, mut wrong) = (HashMap::new(), VecDeque::new(), Vec::new());
    for (index, (from_client, frame)) in frames.iter().enumerate() {
        if *from_client {
            if let Ok(header) = RequestHeader::decode(&mut Reader::new(frame)) {
                ops.insert(header.xid, header.op);
            }
            let (mut bytes, _) = script.exchange(conn, frame);
            while !bytes.is_empty() {
                let len = usize::try_from(bytes.get_u32()).unwrap();
                answers.push_back(bytes.split_to(len).freeze());
            }
            continue;
        }
        let normal = |frame: &Bytes| {
            let op = ops.get(&frame.clone().get_i32()).copied();
            without_times(&sorted(op, frame), &time_prefix)
        };
        let ours = answers.pop_front().unwrap_or_default();
        if ours.is_empty() || normal(&ours) != normal(frame) {
            wrong.push(format!("line {}:\n real {:02x?}\n ours {:02x?}", index + 1, normal(frame), ours.to_vec()));
        }
    }
    assert!(wrong.is_empty() && answers.is_empty(), "{}\n{} too many", wrong.join("\n"), answers.len());
}

#[test]
fn like_3_9_3() {
    play("java-3.9.3.jsonl", Profile::V3_9.with_ttl());
}

#[test]
fn like_3_8_0() {
    play("java-3.8.0.jsonl", Profile::V3_8_0.with_ttl());
}
