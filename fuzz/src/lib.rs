//! What each fuzz target does with its bytes. A target panics when a promise is broken, and does nothing else.
//!
//! Knows nothing of a fuzzer: the same functions are replayed over the committed corpora by a plain `cargo test`
//! (`tests/tests/hermetic/corpora.rs`).

use bytes::{Bytes, BytesMut};
use std::time::Duration;
use zk_proto::{
    OpCode, Session, SessionConfig,
    frame::{Frame, Splitter},
    jute::{Decode, Encode, decode_from, encode_to_bytes},
    ops,
    path::{Chroot, validate},
    records::{ConnectRequest, ConnectResponse, GetDataRequest, ReplyHeader, RequestHeader, WatcherEvent},
    session::{Change, EncodedRequest, Event, State, WatchKind},
};
use zk_testkit::server::model::{Model, ModelConfig};

/// A target's name and function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("frames", frames),
    ("replies", replies),
    ("requests", requests),
    ("connect_reply", connect_reply),
    ("event", event),
    ("session", session),
    ("server", server),
    ("texts", texts),
];

/// The splitter: any chunking gives the same frames, and memory follows the bytes that arrived.
pub fn frames(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    let split = |chunk: usize| {
        let (mut splitter, mut inbox, mut frames) = (Splitter::new(64), BytesMut::new(), Vec::new());
        for chunk in stream.chunks(chunk) {
            inbox.extend_from_slice(chunk);
            loop {
                match splitter.next_frame(&mut inbox) {
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

/// The body of every reply.
pub fn replies(data: &[u8]) {
    let Some((op, body)) = opcode(data) else { return };
    if let Some(Ok(once)) = ops::recode_reply(op, &body) {
        let once = once.freeze();
        let twice = ops::recode_reply(op, &once).expect("the same opcode").expect("what we wrote can be read");
        assert_eq!(twice, once, "{op}");
    }
}

/// The body of every request.
pub fn requests(data: &[u8]) {
    let Some((op, body)) = opcode(data) else { return };
    if let Some(Ok(once)) = ops::recode_request(op, &body) {
        let once = once.freeze();
        let twice = ops::recode_request(op, &once).expect("the same opcode").expect("what we wrote can be read");
        assert_eq!(twice, once, "{op}");
    }
}

/// An opcode of the table by its first byte, and the body behind it.
fn opcode(data: &[u8]) -> Option<(OpCode, Bytes)> {
    let (first, body) = data.split_first()?;
    let (op, _) = ops::TABLE.get(usize::from(*first) % ops::TABLE.len())?;
    Some((*op, Bytes::copy_from_slice(body)))
}

/// Records without a header, and headers.
pub fn connect_reply(data: &[u8]) {
    fn twice<T: for<'a> Decode<'a> + Encode>(bytes: &Bytes) {
        if let Ok(value) = decode_from::<T>(bytes) {
            let once = encode_to_bytes(&value).freeze();
            let again: T = decode_from(&once).expect("what we wrote can be read");
            assert_eq!(encode_to_bytes(&again), once);
        }
    }
    let bytes = Bytes::copy_from_slice(data);
    twice::<ConnectResponse>(&bytes);
    twice::<ReplyHeader>(&bytes);
    twice::<RequestHeader>(&bytes);
    if let Ok(request) = decode_from::<ConnectRequest<'_>>(&bytes) {
        let once = encode_to_bytes(&request);
        assert_eq!(once.len(), request.encoded_len());
    }
}

/// A watched event, with a path that may be anything.
pub fn event(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(event) = decode_from::<WatcherEvent>(&bytes) {
        let path = event.path.as_str();
        let chroot = Chroot::new("/a").expect("a path");
        assert_eq!(chroot.to_client(path), chroot.text_to_client(&event.path).as_str());
    }
}

/// The session machine with a script: a byte says what happens, and for a read how much of the rest arrives.
pub fn session(data: &[u8]) {
    let mut session: Session<usize> = Session::new(SessionConfig { reply_len_max: 256, ..SessionConfig::default() });
    let (mut now, mut inbox, mut rest) = (Duration::ZERO, BytesMut::new(), data);
    let (mut submitted, mut ended) = (0_usize, 0_usize);
    while let Some((step, behind)) = rest.split_first() {
        rest = behind;
        match step % 8 {
            0 => {
                inbox.clear();
                session.handle_dialed(now, Duration::from_secs(1));
            }
            1 => session.handle_closed(),
            2 => {
                now += Duration::from_millis(u64::from(*step) * 50);
                session.handle_timeout(now);
            }
            3 => {
                let request = GetDataRequest { path: "/a".into(), watch: true };
                let encoded = EncodedRequest::new::<ops::GetData>(&request, 1024).expect("small");
                let change = Change::Set(WatchKind::Data, "/a".into());
                session.submit(now, encoded, Some(change), submitted);
                submitted += 1;
            }
            4 if *step > 250 => session.close(now),
            _ => {
                let (arrived, behind) = rest.split_at(usize::from(step / 4).min(rest.len()));
                rest = behind;
                inbox.extend_from_slice(arrived);
                session.handle_bytes(now, &mut inbox);
            }
        }
        while let Some(event) = session.poll_event() {
            ended += usize::from(matches!(event, Event::Reply { .. } | Event::Interrupted { .. }));
        }
        while session.poll_transmit().is_some() {}
        assert!(session.poll_timeout().is_none() || session.state() != State::Ended);
        assert!(ended <= submitted && submitted - ended <= session.queued(), "every request ends once");
    }
}

/// The server's model: whatever a client sends, before or behind a good greeting, it answers or hangs up.
pub fn server(data: &[u8]) {
    let Some((first, sent)) = data.split_first() else { return };
    let (mut model, now) = (Model::new(ModelConfig::default()), Duration::ZERO);
    let conn = model.open(now, 0, std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut inbox = BytesMut::new();
    if first % 2 == 0 {
        let mut client: Session<()> = Session::new(SessionConfig::default());
        client.handle_dialed(now, Duration::from_secs(1));
        inbox.extend(client.poll_transmit().map(BytesMut::freeze));
        model.handle_bytes(now, conn, &mut inbox);
    }
    inbox.extend_from_slice(sent);
    model.handle_bytes(now, conn, &mut inbox);
    model.handle_timeout(Duration::from_secs(100));
}

/// Paths and connect strings.
pub fn texts(data: &[u8]) {
    let text = zk_proto::jute::decode_utf8(data);
    if validate(&text).is_ok() && text != "/" {
        let parent = zk_proto::path::parent(&text).expect("only the root has no parent");
        assert!(validate(parent).is_ok());
        let chroot = Chroot::new(&text).expect("a path");
        assert_eq!(chroot.to_client(&chroot.to_server("/x")), "/x");
        assert_eq!(chroot.to_client(&chroot.to_server("/")), "/");
    }
    if let Ok(parsed) = text.parse::<zk_client::ConnectString>() {
        let hosts: Vec<String> = parsed.hosts().iter().map(ToString::to_string).collect();
        let again = format!("{}{}", hosts.join(","), parsed.chroot());
        assert_eq!(again.parse::<zk_client::ConnectString>().as_ref(), Ok(&parsed), "{again}");
    }
}
