//! However a stream is cut, the same things happen.

use super::script::{ID, Script, accept_frame, config, event_frame, framed, reply_frame};
use crate::{
    ErrorCode, SessionConfig,
    records::{AddWatchResponse, Empty},
    session::xid,
    watch::EventType,
};
use alloc::{string::String, vec::Vec};
use bytes::BytesMut;

/// A server's side of a connection: greeting, replies, events, a ping's answer, a reply over the limit.
fn stream() -> BytesMut {
    let mut oversize = reply_frame(3, 8, ErrorCode::OK, &Empty {}).split_off(4);
    oversize.resize(70, 0xee);
    let mut stream = accept_frame(ID, 6000);
    for frame in [
        reply_frame(xid::AUTH, 0, ErrorCode::OK, &Empty {}),
        reply_frame(1, 5, ErrorCode::OK, &AddWatchResponse { err: crate::jute::Tail(Some(0)) }),
        event_frame(EventType::NODE_CREATED, "/a/\u{e9}", 6),
        reply_frame(2, 6, ErrorCode::NO_NODE, &Empty {}),
        framed(&oversize),
        reply_frame(xid::PING, 9, ErrorCode::OK, &Empty {}),
        reply_frame(4, 9, ErrorCode::OK, &Empty {}),
        // and the end: a reply to nothing
        reply_frame(9, 9, ErrorCode::OK, &Empty {}),
        reply_frame(5, 9, ErrorCode::OK, &Empty {}),
    ] {
        stream.unsplit(frame);
    }
    stream
}

fn play<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut s = Script::new(SessionConfig { reply_len_max: 64, ..config() });
    s.session.add_auth(s.now, "digest", b"x", "auth");
    ["a", "b", "c", "d", "e"].into_iter().for_each(|ticket| s.call(ticket));
    s.dial();
    let (mut events, mut greeting) = (Vec::new(), accept_frame(ID, 6000).len());
    for chunk in chunks {
        // No server answers what it has not got: what follows the greeting comes behind what that lets out.
        let (head, tail) = chunk.split_at(greeting.min(chunk.len()));
        greeting -= head.len();
        for part in [head, tail] {
            s.receive(part);
            events.extend(s.events());
        }
    }
    events
}

// goal: P5
#[test]
fn a_stream_cut_anywhere_gives_the_same_events() {
    let stream = stream();
    let whole = play([&stream[..]]);
    let expected = [
        "up 0x7 new 6s",
        "auth: ok",
        "a: ok",
        "/a/\u{e9} created (1) 0x6",
        "b: NO_NODE(-101)",
        "c: 70 bytes are over the limit of 64 bytes",
        "bookmark 0x9",
        "d: ok",
        "lost UnexpectedReply { xid: 9 }",
        "e: ConnectionLost Unknown",
    ];
    assert_eq!(whole, expected);
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(play([head, tail]), whole, "cut at {cut}");
    }
    for len in 1..=stream.len() {
        assert_eq!(play(stream.chunks(len)), whole, "chunks of {len}");
    }
}

/// What was whole before the cut was heard; the rest never happened.
#[test]
fn a_stream_that_ends_anywhere_gives_the_first_of_its_events() {
    let stream = stream();
    let whole = play([&stream[..]]);
    let mut most = 0;
    for end in 0..stream.len() {
        let events = play([&stream[..end]]);
        assert!(whole.starts_with(&events), "ended at {end}: {events:?}");
        assert!(events.len() >= most, "ended at {end}");
        most = events.len();
    }
}
