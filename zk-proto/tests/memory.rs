//! What reading costs in memory: nothing for what a client reads all day, and never more than twice what a peer sent.
//!
//! `allocation_counter` counts for this thread alone, so the tests run side by side.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test: a panic is its failure"
)]

use allocation_counter::{AllocationInfo, measure};
use bytes::{Bytes, BytesMut};
use std::{hint::black_box, time::Duration};
use zk_proto::{
    ErrorCode, EventType, OpCode, Session, SessionConfig, SessionId, Stat, Zxid,
    frame::{Frame, REPLY_LEN_MAX, REQUEST_LEN_MAX, Splitter},
    jute::{Decode, Encode, List, Reader, Tail, decode_from, encode_to_bytes},
    multi::{MultiResponse, MultiResult},
    ops::{self, ReplyBody, RequestBody},
    records::{
        ConnectResponse, GetChildren2Response, GetDataRequest, GetDataResponse, ReplyHeader, SecretBytes, WatcherEvent,
    },
    session::{EncodedRequest, Event},
    watch::KeeperState,
};

const NOW: Duration = Duration::from_secs(1);

/// A reply or a notification as it comes from the server, length prefix included.
fn framed(xid: i32, body: &impl Encode) -> BytesMut {
    let header = ReplyHeader { xid, zxid: Zxid(5), err: ErrorCode::OK };
    let mut out = BytesMut::new();
    encode_u32(&mut out, header.encoded_len() + body.encoded_len());
    header.encode(&mut out);
    body.encode(&mut out);
    out
}

fn encode_u32(out: &mut BytesMut, len: usize) {
    i32::try_from(len).unwrap().encode(out);
}

/// The payload as the splitter cuts it off an inbox.
fn split(stream: &[u8]) -> Bytes {
    let mut inbox = BytesMut::from(stream);
    match Splitter::new(REPLY_LEN_MAX).next_frame(&mut inbox) {
        Ok(Some(Frame::Whole(frame))) => frame,
        other => panic!("{other:?}"),
    }
}

fn event() -> WatcherEvent {
    WatcherEvent {
        event_type: EventType::NODE_DATA_CHANGED,
        state: KeeperState::SYNC_CONNECTED,
        path: "/config/app/limits/k0042".into(),
    }
}

fn stat() -> Stat {
    decode_from(&Bytes::from_static(&[0; 68])).unwrap()
}

fn get_data_reply() -> GetDataResponse {
    GetDataResponse { data: Some(Bytes::from_static(&[b'.'; 100])), stat: stat() }
}

/// Reads a frame's header and its body, and looks at it. Nothing is allocated.
fn reads_without_allocating<T: for<'a> Decode<'a>>(xid: i32, body: &impl Encode, look: impl Fn(&T)) {
    let frame = split(&framed(xid, body));
    let used = measure(|| {
        let mut reader = Reader::new(&frame);
        let header = ReplyHeader::decode(&mut reader).unwrap();
        assert_eq!(header.xid, xid);
        look(&T::decode(&mut reader).unwrap());
    });
    assert_eq!((used.count_total, used.bytes_total), (0, 0), "{}", std::any::type_name::<T>());
}

// goal: P2
#[test]
fn what_a_client_reads_all_day_allocates_nothing() {
    reads_without_allocating::<WatcherEvent>(-1, &event(), |event| assert!(event.path.as_str().starts_with("/config")));
    reads_without_allocating::<GetDataResponse>(1, &get_data_reply(), |reply| {
        assert_eq!(reply.data.as_ref().map(Bytes::len), Some(100));
    });
}

// goal: P2
#[test]
fn lists_are_read_without_allocating() {
    let names = || List::of_texts((0..100).map(|index| format!("k{index:04}")));
    let count = |names: &List<'_, _>| {
        assert_eq!(names.iter().filter(|name: &zk_proto::jute::Text| name.starts_with('k')).count(), 100)
    };
    reads_without_allocating::<GetChildren2Response>(
        1,
        &GetChildren2Response { children: names(), stat: stat() },
        |reply| {
            count(&reply.children);
        },
    );
    let results = (0..100).map(|_| MultiResult::GetData(get_data_reply())).chain([MultiResult::GetChildren(names())]);
    reads_without_allocating::<MultiResponse>(1, &MultiResponse { results: results.collect() }, |reply| {
        let mut data_len = 0;
        for result in reply.results.iter() {
            match result {
                MultiResult::GetData(reply) => data_len += reply.data.map_or(0, |data| data.len()),
                MultiResult::GetChildren(names) => count(&names),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((reply.results.len(), data_len), (101, 10_000));
    });
}

/// A session that stands, and its inbox.
struct Up {
    session: Session<u32>,
    inbox: BytesMut,
}

impl Up {
    fn new() -> Self {
        let mut up =
            Self { session: Session::new(SessionConfig::default()), inbox: BytesMut::with_capacity(16 * 1024) };
        up.session.handle_dialed(NOW, NOW);
        let accept = ConnectResponse {
            protocol_version: 0,
            timeout_ms: 10_000,
            session_id: SessionId(7),
            password: Some(SecretBytes(Bytes::from_static(&[1; 16]))),
            read_only: Tail(Some(false)),
        };
        let mut bytes = BytesMut::new();
        encode_u32(&mut bytes, accept.encoded_len());
        accept.encode(&mut bytes);
        assert!(up.session.poll_transmit().is_some());
        assert!(matches!(up.receive(&bytes), Some(Event::Established(_))));
        up
    }

    /// Bytes arrive as the driver reads them; the event that they make.
    fn receive(&mut self, bytes: &[u8]) -> Option<Event<u32>> {
        self.inbox.extend_from_slice(bytes);
        self.session.handle_bytes(NOW, &mut self.inbox);
        let event = self.session.poll_event();
        assert!(!self.session.has_events());
        event
    }

    fn get_data(&mut self, ticket: u32) {
        let request = GetDataRequest { path: "/config/app/limits/k0042".into(), watch: false };
        let request = EncodedRequest::new::<ops::GetData>(&request, REQUEST_LEN_MAX).unwrap();
        self.session.submit(NOW, request, None, ticket);
        assert!(self.session.poll_transmit().is_some());
    }
}

fn total(used: &AllocationInfo) -> (u64, u64) {
    (used.count_total, used.bytes_total)
}

/// The greeting has made a shared buffer of the inbox already; frames that are gone give their room back, so there is
/// no second buffer either.
// goal: P2
#[test]
fn an_event_through_the_session_allocates_nothing() {
    let mut up = Up::new();
    let bytes = framed(-1, &event());
    for round in 0..1000 {
        let used = measure(|| assert!(matches!(up.receive(&bytes), Some(Event::Watch(_)))));
        assert!(total(&used) == (0, 0), "round {round}: {used:?}");
    }
}

/// The reply costs nothing; the request costs its own buffer, and nothing in the session.
// goal: P2
#[test]
fn a_get_data_round_through_the_session_allocates_its_request() {
    let mut up = Up::new();
    for round in 1..1000 {
        let sent = measure(|| up.get_data(7));
        let bytes = framed(round, &get_data_reply());
        let used =
            measure(|| assert!(matches!(up.receive(&bytes), Some(Event::Reply { ticket: 7, result: Ok(_), .. }))));
        assert!(total(&used) == (0, 0), "round {round}: {used:?}");
        assert!(round == 1 || sent.count_total == 1, "round {round}: {sent:?}");
    }
}

/// Somebody keeps every frame: then an inbox is left behind when it is full, two allocations for each, buffer and count.
#[test]
fn frames_that_are_kept_cost_an_inbox_when_it_is_full() {
    let mut up = Up::new();
    let bytes = framed(-1, &event());
    let (frames, mut kept) = (1000, Vec::with_capacity(1000));
    let used = measure(|| {
        for _ in 0..frames {
            kept.push(up.receive(&bytes));
        }
    });
    let inboxes = u64::try_from(frames * bytes.len()).unwrap().div_ceil(16 * 1024);
    assert!(used.count_total <= 2 * inboxes + 2, "{used:?} for {inboxes} inboxes");
}

/// What handling anything may cost beside its length, in bytes.
const ALLOWANCE_BYTES: usize = 4096;

/// Beginnings that lead a decoder to its vectors and strings: fields that are zero, empty or null, and the items of
/// transactions and of their results.
fn beginnings() -> Vec<Vec<u8>> {
    let zeros = (0..=80).map(|len| vec![0; len]);
    let items = [1, 2, 4, 5, 8, 13, 15, 19, 21, -1].into_iter().flat_map(|kind: i32| {
        let header = [&kind.to_be_bytes()[..], &[0; 5]].concat();
        (0..=12).map(move |len| [&header[..], &vec![0; len]].concat())
    });
    zeros.chain(items).collect()
}

/// What follows: counts and lengths that lie, and honest ones of what grows most when it is read.
fn endings() -> Vec<Vec<u8>> {
    let counted = |count: i32, rest: &[u8]| [&count.to_be_bytes()[..], rest].concat();
    let empty = vec![0; 1024];
    let garbage = vec![0xff; 1024];
    let surrogates = b"\xed\xa0\xbd\xed\xb8\x80".repeat(100);
    let lone = b"\xed\xa0\xbda".repeat(200);
    let strings = |text: &[u8]| counted(1, &counted(i32::try_from(text.len()).unwrap(), text));
    let text = |text: &[u8]| counted(i32::try_from(text.len()).unwrap(), text);
    vec![
        vec![],
        counted(i32::MAX, &[0; 36]),
        counted(i32::MAX / 4, &[0; 36]),
        counted(9, &[0; 36]),
        counted(i32::MAX, &[0xff; 36]),
        counted(i32::MAX, &empty),
        counted(256, &empty),
        counted(85, &empty), // of ACL entries, which take 12 bytes
        counted(1024, &empty),
        text(&garbage),
        text(&surrogates),
        text(&lone),
        strings(&garbage),
        strings(&surrogates),
        strings(&lone),
        garbage,
    ]
}

/// Both decoders of an opcode, each within its bound. Every item of a list is looked at: it is made only then.
fn decodes_within_bounds(op: OpCode, body: &Bytes) {
    let limit = u64::try_from(2 * body.len() + ALLOWANCE_BYTES).unwrap();
    let request = measure(|| {
        if let Some(Ok(request)) = RequestBody::decode(op, body) {
            black_box(request == request.clone());
        }
    });
    let reply = measure(|| {
        if let Some(Ok(reply)) = ReplyBody::decode(op, body) {
            black_box(reply == reply.clone());
        }
    });
    for (what, used) in [("request", request), ("reply", reply)] {
        let head = &body[..body.len().min(120)];
        assert!(used.bytes_max <= limit, "{op:?} {what}: {used:?}, over {limit}, for {} bytes {head:02x?}", body.len());
    }
}

// goal: P2
#[test]
fn hostile_bodies_of_every_opcode_cost_at_most_twice_their_length() {
    let endings = endings();
    for beginning in beginnings() {
        for ending in &endings {
            let body = Bytes::from([&beginning[..], ending].concat());
            ops::TABLE.iter().for_each(|(op, _)| decodes_within_bounds(*op, &body));
        }
    }
}

// goal: P2
#[test]
fn bodies_cut_at_every_byte_cost_at_most_twice_their_length() {
    let beginnings = beginnings();
    for beginning in beginnings.iter().step_by(4) {
        for ending in endings().iter().filter(|ending| ending.len() <= 40) {
            let body = Bytes::from([&beginning[..], ending].concat());
            for cut in beginning.len()..=body.len() {
                ops::TABLE.iter().for_each(|(op, _)| decodes_within_bounds(*op, &body.slice(..cut)));
            }
        }
    }
}

/// Goal P2 in its own words.
// goal: P2
#[test]
fn a_count_of_two_billion_in_40_bytes_allocates_less_than_64_kib() {
    for at in 0..=36 {
        let mut bytes = [0; 40];
        bytes[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
        let body = Bytes::copy_from_slice(&bytes);
        for (op, _) in ops::TABLE {
            let used = measure(|| drop(black_box((RequestBody::decode(*op, &body), ReplyBody::decode(*op, &body)))));
            assert!(used.bytes_max < 64 * 1024, "{op:?}, count at {at}: {used:?}");
        }
    }
    let bytes = encode_to_bytes(&i32::MAX).freeze();
    assert!(decode_from::<GetChildren2Response>(&bytes).is_err());
}

/// `BytesMut::split_to` makes a shared buffer of a fresh inbox: its shares need a count, 40 bytes on 64-bit machines.
#[test]
fn the_first_frame_of_an_inbox_allocates_its_count() {
    let mut inbox = BytesMut::with_capacity(1024);
    inbox.extend_from_slice(&[&framed(-1, &event())[..], &framed(-1, &event())].concat());
    let mut splitter = Splitter::new(REPLY_LEN_MAX);
    let mut cut = || measure(|| assert!(matches!(splitter.next_frame(&mut inbox), Ok(Some(Frame::Whole(_))))));
    let (first, second) = (cut(), cut());
    assert_eq!((first.count_total, second.count_total), (1, 0), "{first:?}");
    assert!(first.bytes_total <= 40, "{first:?}");
}
