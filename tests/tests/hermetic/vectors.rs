//! Frames of real servers and of the Java client, decoded and encoded again; see `tests/vectors/README.md`.

#[path = "vectors/fields.rs"]
mod fields;
#[path = "vectors/meaning.rs"]
mod meaning;
#[path = "vectors/table.rs"]
mod table;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use zk_proto::jute::{Decode, Encode, Reader, decode_from, encode_to_bytes};
use zk_proto::multi::{MultiResponse, MultiResult};
use zk_proto::ops::{self, ReplyBody, RequestBody};
use zk_proto::records::{
    ConnectRequest, ConnectResponse, GetAclResponse, GetChildren2Response, GetDataResponse, ReplyHeader, RequestHeader,
    StatResponse, WatcherEvent, WhoAmIResponse,
};
use zk_proto::session::xid;
use zk_proto::{DecodeError, ErrorCode, OpCode, Stat};

const VERSIONS: [&str; 2] = ["3.8.0", "3.9.3"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of hex digits: {text}");
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// One annotated vector.
pub(crate) struct Vector {
    /// What it is: `request`, `reply`, `refused`, `connect-request`, `connect-response`, `notification`.
    pub(crate) kind: String,
    /// How its bytes fit the record: exactly (empty), `lossy` or `broken`.
    mark: String,
    /// The servers it comes from, the first by its bytes, the others by having done the same.
    pub(crate) versions: Vec<String>,
    /// What was done; an entry of the file is a scene on a version.
    pub(crate) scene: String,
    /// The operation: its own for a request, its request's for a reply.
    op: Option<OpCode>,
    /// Where it stands.
    place: String,
    /// What the recorder's own schema read in the bytes, a field a line: `path "/a"`.
    meanings: Vec<String>,
    frame: Bytes,
}

/// The vectors of a file; `None` when there is no such file.
pub(crate) fn load(name: &str) -> Option<Vec<Vector>> {
    let text = std::fs::read_to_string(folder().join(name)).ok()?;
    let mut vectors: Vec<(Vector, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let place = format!("tests/tests/vectors/{name}:{number}");
        if let Some(head) = line.strip_prefix('[') {
            vectors.push((heading(head, place), String::new()));
        } else {
            let (bytes, meaning) = line.split_once(" | ").unwrap_or_else(|| panic!("{place}: no meaning"));
            assert!(!meaning.trim().is_empty(), "{place}: no meaning");
            let (vector, hex) = vectors.last_mut().unwrap_or_else(|| panic!("{place}: bytes before the first [kind]"));
            hex.push_str(bytes);
            vector.meanings.push(meaning.to_owned());
        }
    }
    let mut vectors: Vec<Vector> =
        vectors.into_iter().map(|(vector, bytes)| Vector { frame: hex(&bytes), ..vector }).collect();
    for at in 0..vectors.len() {
        vectors[at].op = op_at(&vectors, at);
    }
    Some(vectors)
}

/// `kind mark] source: VERSION SETUP, "SCENE"; alike: VERSION, VERSION (SETUP)`.
fn heading(line: &str, place: String) -> Vector {
    let (kind, source) = line.split_once("] source: ").unwrap_or_else(|| panic!("{place}: no `] source: `"));
    let (kind, mark) = kind.split_once(' ').unwrap_or((kind, ""));
    let (source, alike) = source.split_once("; alike: ").unwrap_or((source, ""));
    let scene = source.split_once('"').and_then(|(_, scene)| scene.strip_suffix('"'));
    let scene = scene.unwrap_or_else(|| panic!("{place}: which scene?")).to_owned();
    let sources = [source].into_iter().chain(alike.split(", ").filter(|alike| !alike.is_empty()));
    let versions = sources.map(|source| source.split(' ').next().unwrap_or_default().to_owned()).collect();
    let (kind, mark) = (kind.to_owned(), mark.to_owned());
    Vector { kind, mark, versions, scene, op: None, place, meanings: Vec::new(), frame: Bytes::new() }
}

/// The operation of a request, or of the request that a reply answers: the one of its number, else the one before it.
fn op_at(vectors: &[Vector], at: usize) -> Option<OpCode> {
    let (before, own) = (&vectors[..at], vectors.get(at)?);
    let request = match own.kind.as_str() {
        "request" => own,
        "reply" | "refused" => {
            let requests =
                || before.iter().rev().filter(|vector| vector.kind == "request" && vector.scene == own.scene);
            requests().find(|request| request.frame[..4] == own.frame[..4]).or_else(|| requests().next())?
        }
        _ => return None,
    };
    Some(decode_from::<RequestHeader>(&request.frame).unwrap_or_else(|error| panic!("{}: {error}", request.place)).op)
}

/// Every vector, file by file.
pub(crate) fn all() -> Vec<(String, Vec<Vector>)> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".hex")).collect();
    names.sort();
    names.into_iter().map(|name| (name.trim_end_matches(".hex").to_owned(), load(&name).unwrap())).collect()
}

/// The vectors of a scene on a version, in the order of the wire.
fn scene(file: &str, scene: &str, version: &str) -> Vec<Vector> {
    let vectors = load(&format!("{file}.hex")).unwrap_or_else(|| panic!("no {file}.hex"));
    let own = |vector: &Vector| vector.scene == scene && vector.versions.iter().any(|known| known == version);
    let vectors: Vec<Vector> = vectors.into_iter().filter(own).collect();
    assert!(!vectors.is_empty(), "{file}.hex: no {scene:?} on {version}");
    vectors
}

/// Operations that are no row of [`ops::TABLE`]: their vectors are a header, or bytes that nobody reads.
fn in_table(op: OpCode) -> bool {
    ops::TABLE.iter().any(|(known, ..)| *known == op)
}

/// Decodes a record, encodes it again, and gives the bytes.
fn recode<'a, T: Encode + Decode<'a>>(bytes: &'a Bytes) -> Result<BytesMut, DecodeError> {
    decode_from::<T>(bytes).map(|record| encode_to_bytes(&record))
}

/// A frame of the given kind, decoded and encoded again.
fn recode_frame(kind: &str, op: Option<OpCode>, frame: &Bytes) -> Result<BytesMut, DecodeError> {
    let mut reader = Reader::new(frame);
    Ok(match kind {
        "connect-request" => recode::<ConnectRequest<'_>>(frame)?,
        "connect-response" => recode::<ConnectResponse>(frame)?,
        "request" => {
            let header = RequestHeader::decode(&mut reader)?;
            let mut out = encode_to_bytes(&header);
            let body = frame.slice(8..);
            RequestBody::decode(header.op, &body).expect("the table has every operation")?.encode(&mut out);
            out
        }
        "reply" => {
            let header = ReplyHeader::decode(&mut reader)?;
            assert_eq!(header.err, ErrorCode::OK, "an error is `refused`");
            let mut out = encode_to_bytes(&header);
            let op = op.expect("a reply belongs to an operation");
            ReplyBody::decode(op, &frame.slice(16..)).expect("the table has every operation")?.encode(&mut out);
            out
        }
        "refused" => {
            let header = ReplyHeader::decode(&mut reader)?;
            assert_ne!(header.err, ErrorCode::OK, "no error is a `reply`");
            assert!(header.err.name().is_some(), "{:?} has no name", header.err);
            encode_to_bytes(&header)
        }
        "notification" => {
            let header = ReplyHeader::decode(&mut reader)?;
            assert_eq!(header.xid, xid::NOTIFICATION);
            let mut out = encode_to_bytes(&header);
            WatcherEvent::decode(&mut reader)?.encode(&mut out);
            out
        }
        other => panic!("no kind of frame: {other}"),
    })
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The frame decodes, and encodes to the same bytes: nothing is lost and nothing is left over.
fn check(place: &str, kind: &str, op: Option<OpCode>, frame: &Bytes) {
    match recode_frame(kind, op, frame) {
        Ok(again) => assert_eq!(hex_of(&again), hex_of(frame), "{place}: {kind} {op:?} changed"),
        Err(error) => panic!("{place}: {kind} {op:?}: {error}"),
    }
}

/// As [`check`], for what stands in the files: some vectors are known not to come back.
fn check_vector(vector: &Vector) {
    let Vector { kind, mark, op, place, meanings, frame, .. } = vector;
    match mark.as_str() {
        "" => check(place, kind, *op, frame),
        // More than the record holds: read, or refused, but not given back. Null where it has no meaning may be.
        "lossy" => {
            let again = recode_frame(kind, *op, frame);
            let lost = again.is_err() || again.is_ok_and(|again| again != *frame);
            assert!(
                lost || meanings.iter().any(|line| line.ends_with(" null")),
                "{place}: nothing is lost, {kind} will do"
            );
        }
        "broken" => assert!(recode_frame(kind, *op, frame).is_err(), "{place}: this {kind} can be read"),
        other => panic!("{place}: no mark: {other}"),
    }
}

// goal: P1
#[test]
fn every_vector_decodes_and_encodes_to_the_same_bytes() {
    let mut count = 0;
    for (file, vectors) in all() {
        for vector in vectors {
            if vector.op.is_none_or(in_table) {
                check_vector(&vector);
            } else {
                let known = ["unknown", "deleteContainer"].contains(&file.as_str());
                assert!(known, "{}: {:?} is not in the table of operations", vector.place, vector.op);
            }
            count += 1;
        }
    }
    assert!(count >= 6 * ops::TABLE.len(), "{count} vectors");
}

/// The check itself: one byte less, one byte more, one bit changed.
#[test]
fn a_damaged_vector_is_noticed() {
    let Vector { frame, .. } = scene("getData", "getData", "3.9.5").into_iter().find(|v| v.kind == "reply").unwrap();
    let same = |frame: &Bytes| recode_frame("reply", Some(OpCode::GET_DATA), frame).is_ok_and(|again| again == *frame);
    assert!(same(&frame));
    for cut in 16..frame.len() {
        assert!(!same(&frame.slice(..cut)), "cut at {cut}");
    }
    let longer: Bytes = frame.iter().copied().chain([0]).collect();
    assert!(!same(&longer));
    let other = recode_frame("reply", Some(OpCode::GET_CHILDREN), &frame);
    assert!(other.is_err() || other.is_ok_and(|again| again != frame), "the bytes of another operation");
}

/// A request of a recording with its answer.
struct Exchange {
    op: OpCode,
    err: ErrorCode,
    body: Bytes,
}

/// One recorded session.
#[derive(Default)]
struct Recording {
    connects: usize,
    exchanges: Vec<Exchange>,
    notifications: Vec<(ReplyHeader, WatcherEvent)>,
}

/// Replays a recording: every frame is checked, every reply is matched to its request.
fn replay(version: &str) -> Recording {
    let name = format!("java-{version}.jsonl");
    let mut recording = Recording::default();
    let mut pending: HashMap<(u64, i32), OpCode> = HashMap::new();
    let mut greeted: HashMap<(u64, bool), bool> = HashMap::new();
    for (number, line) in (1..).zip(read(&name).lines()) {
        let place = format!("tests/tests/vectors/{name}:{number}");
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let (conn, from_client) = (line["conn"].as_u64().unwrap(), line["dir"] == "c2s");
        let frame = hex(line["frame"].as_str().unwrap());
        if greeted.insert((conn, from_client), true).is_none() {
            check(&place, if from_client { "connect-request" } else { "connect-response" }, None, &frame);
            recording.connects += 1;
            continue;
        }
        assert!(greeted.contains_key(&(conn, !from_client)), "{place}: frames before the greeting was answered");
        if from_client {
            check(&place, "request", None, &frame);
            let header: RequestHeader = decode_from(&frame).unwrap();
            assert!(pending.insert((conn, header.xid), header.op).is_none(), "{place}: the xid is in use");
            continue;
        }
        let header: ReplyHeader = decode_from(&frame).unwrap();
        if header.xid == xid::NOTIFICATION {
            check(&place, "notification", None, &frame);
            let mut reader = Reader::new(&frame);
            ReplyHeader::decode(&mut reader).unwrap();
            recording.notifications.push((header, WatcherEvent::decode(&mut reader).unwrap()));
            continue;
        }
        let op = pending.remove(&(conn, header.xid)).unwrap_or_else(|| panic!("{place}: a reply to nothing"));
        check(&place, if header.err == ErrorCode::OK { "reply" } else { "refused" }, Some(op), &frame);
        recording.exchanges.push(Exchange { op, err: header.err, body: frame.slice(16..) });
    }
    assert!(pending.is_empty(), "{name}: requests without a reply: {pending:?}");
    recording
}

// goal: P1, P6
#[test]
fn recorded_sessions_decode_completely_and_encode_to_the_same_bytes() {
    for version in VERSIONS {
        let Recording { connects, exchanges, notifications } = replay(version);
        assert_eq!((connects, exchanges.len(), notifications.len()), (2, 63, 9), "frames of {version}");
    }
}

impl Recording {
    /// Answers to an operation, in order.
    fn replies<T: for<'a> Decode<'a>>(&self, op: OpCode) -> Vec<Result<T, ErrorCode>> {
        let replies = self.exchanges.iter().filter(|exchange| exchange.op == op);
        replies
            .map(|exchange| match exchange.err {
                ErrorCode::OK => Ok(decode_from(&exchange.body).unwrap()),
                code => Err(code),
            })
            .collect()
    }
}

/// What the Java client printed for a step.
fn step<'a>(steps: &'a str, name: &str) -> &'a str {
    let mut lines = steps.lines().filter_map(|line| line.split_once('\t'));
    let (_, result) = lines.find(|(step, _)| *step == name).unwrap_or_else(|| panic!("no step {name}"));
    result.trim_end_matches("\\n")
}

/// A stat as the Java client prints it: its fields in wire order.
fn stat_text(s: &Stat) -> String {
    let Stat { czxid, mzxid, ctime, mtime, version, cversion, aversion, .. } = s;
    let head = format!("ok {},{},{ctime},{mtime},{version},{cversion},{aversion}", czxid.0, mzxid.0);
    format!("{head},{},{},{},{}", s.ephemeral_owner.0, s.data_length, s.num_children, s.pzxid.0)
}

/// Two fields of the same type that change places would survive the way there and back.
#[test]
fn decoded_replies_say_what_the_java_client_saw() {
    for version in VERSIONS {
        let (recording, steps) = (replay(version), read(&format!("java-{version}.steps.tsv")));
        let stats = |op| recording.replies::<StatResponse>(op);
        let nth = |op, n: usize| stat_text(&stats(op)[n].as_ref().unwrap().stat);
        assert_eq!(nth(OpCode::EXISTS, 0), step(&steps, "exists yes"));
        assert_eq!(stats(OpCode::EXISTS)[1], Err(ErrorCode::NO_NODE));
        assert_eq!(nth(OpCode::SET_ACL, 0), step(&steps, "setACL"));
        assert_eq!(nth(OpCode::SET_ACL, 2), step(&steps, "trigger setACL"));
        assert_eq!(nth(OpCode::SET_DATA, 0), step(&steps, "setData"));
        assert_eq!(nth(OpCode::SET_DATA, 3), step(&steps, "trigger setData"));

        let data = recording.replies::<GetDataResponse>(OpCode::GET_DATA);
        assert_eq!(data[0].as_ref().unwrap().data.as_deref(), Some(&b"one"[..]));
        assert_eq!(step(&steps, "getData"), "ok one");
        assert_eq!(data[2].as_ref().unwrap().data, None, "null is not empty");
        assert_eq!(step(&steps, "getData null"), "ok null");

        let children = recording.replies::<GetChildren2Response>(OpCode::GET_CHILDREN2).remove(0).unwrap();
        let mut names = children.children.to_strings();
        names.sort();
        assert_eq!(format!("ok [{}]", names.join(", ")), step(&steps, "getChildren2"));

        let acl = recording.replies::<GetAclResponse>(OpCode::GET_ACL).remove(1).unwrap().acl;
        let acl: Vec<String> =
            acl.iter().map(|acl| format!("{},s{{'{},'{}}}\\n", acl.permissions.0, acl.id.scheme, acl.id.id)).collect();
        assert_eq!(format!("ok [{}]", acl.join(", ")), step(&steps, "getACL mine"));

        let who = recording.replies::<WhoAmIResponse>(OpCode::WHO_AM_I).remove(1).unwrap().identities;
        let mut who: Vec<String> = who.iter().map(|who| format!("'{},'{}\\n", who.scheme, who.user)).collect();
        who.sort();
        assert_eq!(format!("ok [{}]", who.join(", ")), step(&steps, "whoAmI digest"));
    }
}

#[test]
fn decoded_transactions_say_what_the_java_client_saw() {
    for version in VERSIONS {
        let (recording, steps) = (replay(version), read(&format!("java-{version}.steps.tsv")));
        let multis: Vec<MultiResponse> =
            recording.replies(OpCode::MULTI).into_iter().map(|multi| multi.unwrap()).collect();
        let counts: Vec<usize> = multis.iter().map(|multi| multi.results.len()).collect();
        assert_eq!(counts, [4, 3, 2, 3], "the empty one never left the client");
        assert_eq!(multis[1].failure(), Some((1, ErrorCode::NODE_EXISTS)));
        assert_eq!(step(&steps, "multi fails"), "error -110 NODEEXISTS");
        assert!(multis[0].failure().is_none());
        let reads: MultiResponse = recording.replies(OpCode::MULTI_READ).remove(0).unwrap();
        let first = reads.results.iter().next();
        assert!(matches!(first, Some(MultiResult::GetData(_))), "{first:?}");
    }
}

// goal: W3
#[test]
fn events_carry_a_zxid_on_3_9_and_none_on_3_8() {
    for version in VERSIONS {
        let (recording, steps) = (replay(version), read(&format!("java-{version}.steps.tsv")));
        for (header, event) in &recording.notifications {
            assert_eq!(header.zxid.is_some(), version == "3.9.3");
            let kind = match event.event_type {
                zk_proto::EventType::NODE_CREATED => "NodeCreated",
                zk_proto::EventType::NODE_DELETED => "NodeDeleted",
                zk_proto::EventType::NODE_DATA_CHANGED => "NodeDataChanged",
                zk_proto::EventType::NODE_CHILDREN_CHANGED => "NodeChildrenChanged",
                other => panic!("{other:?}"),
            };
            let seen = steps.lines().any(|line| {
                line.starts_with("event")
                    && line.contains(kind)
                    && line.ends_with(&format!(" {} zxid={}", event.path, header.zxid.0))
            });
            assert!(seen, "{version}: no step saw {kind} {} {}", event.path, header.zxid.0);
        }
    }
}
