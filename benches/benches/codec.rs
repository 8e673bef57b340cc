//! Codec paths of a notification: the event's frame, the read it causes, the reply.

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use std::{hint::black_box, time::Duration};
use zk_proto::{
    ErrorCode, Stat, Zxid,
    frame::{REQUEST_LEN_MAX, Splitter},
    jute::{Decode, Encode, Reader, decode_from, encode_to_bytes},
    ops,
    records::{GetDataRequest, GetDataResponse, ReplyHeader, WatcherEvent},
    session::EncodedRequest,
};

const PATH: &str = "/config/app/limits/k0042";

fn frame(xid: i32, body: &impl Encode) -> Bytes {
    let mut frame = encode_to_bytes(&ReplyHeader { xid, zxid: Zxid(5), err: ErrorCode::OK });
    body.encode(&mut frame);
    frame.freeze()
}

fn event() -> Bytes {
    let event = WatcherEvent {
        event_type: zk_proto::EventType::NODE_DATA_CHANGED,
        state: zk_proto::watch::KeeperState::SYNC_CONNECTED,
        path: PATH.into(),
    };
    frame(-1, &event)
}

fn reply() -> Option<Bytes> {
    let stat: Stat = decode_from(&Bytes::from_static(&[0; 68])).ok()?;
    Some(frame(7, &GetDataResponse { data: Some(Bytes::from_static(&[b'.'; 100])), stat }))
}

fn main() {
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(2)).configure_from_args();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    let event = event();
    group.bench_function("decode a watch event", |bencher| {
        bencher.iter(|| {
            let mut reader = Reader::new(black_box(&event));
            let header = ReplyHeader::decode(&mut reader);
            (header, WatcherEvent::decode(&mut reader))
        });
    });
    if let Some(reply) = reply() {
        group.bench_function("decode a getData reply of 100 bytes", |bencher| {
            bencher.iter(|| {
                let mut reader = Reader::new(black_box(&reply));
                let header = ReplyHeader::decode(&mut reader);
                (header, GetDataResponse::decode(&mut reader))
            });
        });
        let mut framed = BytesMut::new();
        framed.extend_from_slice(&u32::try_from(reply.len()).unwrap_or(0).to_be_bytes());
        framed.extend_from_slice(&reply);
        let mut splitter = Splitter::new(REQUEST_LEN_MAX);
        let mut inbox = BytesMut::with_capacity(16 * 1024);
        group.bench_function("split a reply off the inbox", |bencher| {
            bencher.iter(|| {
                inbox.extend_from_slice(black_box(&framed));
                splitter.next_frame(&mut inbox)
            });
        });
    }
    group.bench_function("encode getData", |bencher| {
        bencher.iter(|| {
            let request = GetDataRequest { path: black_box(PATH).into(), watch: false };
            EncodedRequest::new::<ops::GetData>(&request, REQUEST_LEN_MAX)
        });
    });
    group.finish();
    criterion.final_summary();
}
