//! What a server says, as text without what must differ between two servers: zxids become distances from the
//! script's start, session ids the order of their first use, times a verdict, sets are sorted. Nothing else is lost.
//!
//! Must not know connections.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use zk_proto::{
    Acl, OpCode, SessionId, Stat, Zxid,
    jute::{Decode, Reader, decode_from, encode_to_bytes},
    multi::{MultiResponse, MultiResult},
    ops::ReplyBody,
    records::{
        AddWatchResponse, ConnectResponse, Create2Response, CreateResponse, Empty, GetAclResponse,
        GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse, GetDataResponse,
        GetEphemeralsResponse, ReplyHeader, SaslResponse, StatResponse, SyncResponse, WatcherEvent, WhoAmIResponse,
    },
};

/// A server's clock and ours are the same.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(3600);

/// What has been seen of one server in one script.
#[derive(Debug)]
pub struct Eyes {
    root: String,
    base: Zxid,
    sessions: Vec<SessionId>,
    /// The time of each transaction, as the first stat told it.
    times: BTreeMap<i64, i64>,
}

impl Eyes {
    pub fn new(root: &str, base: Zxid) -> Self {
        Self { root: root.to_owned(), base, sessions: Vec::new(), times: BTreeMap::new() }
    }

    /// Gives a session its number.
    pub fn meet(&mut self, session: SessionId) {
        if session != SessionId::NONE && !self.sessions.contains(&session) {
            self.sessions.push(session);
        }
    }

    fn session(&self, session: SessionId) -> String {
        match self.sessions.iter().position(|known| *known == session) {
            Some(index) => format!("S{index}"),
            None if session == SessionId::NONE => "none".into(),
            None => format!("stranger {session}"),
        }
    }

    pub fn zxid(&self, zxid: Zxid) -> String {
        match zxid {
            Zxid(told @ ..=0) => told.to_string(),
            before if before <= self.base => "before".into(),
            since => format!("{:+}", since.0 - self.base.0),
        }
    }

    /// An answer to a ConnectRequest. The password is of the session's first answer.
    pub fn greeting(&mut self, response: &ConnectResponse, first_password: &Bytes, body: &Bytes) -> String {
        let password = response.password.as_ref().map(|password| &password.0);
        let password = match password {
            Some(bytes) if bytes.iter().all(|byte| *byte == 0) => format!("{} zeros", bytes.len()),
            Some(bytes) if bytes == first_password => format!("its {}", bytes.len()),
            other => format!("{other:?}"),
        };
        let (timeout, session) = (response.timeout_ms, self.session(response.session_id));
        let read_only = response.read_only.0;
        let exact = exactness(&encode_to_bytes(response), body);
        format!(
            "greeting {} timeout={timeout} {session} password={password} ro={read_only:?}{exact}",
            response.protocol_version
        )
    }

    /// Any frame with a reply's header, to a request with this opcode; a notification whatever the request.
    pub fn frame(&mut self, op: OpCode, frame: &Bytes) -> String {
        let mut reader = Reader::new(frame);
        let Ok(header) = ReplyHeader::decode(&mut reader) else { return format!("short frame {frame:02x?}") };
        let body = frame.slice(frame.len() - reader.remaining()..);
        let zxid = self.zxid(header.zxid);
        if header.xid == -1 {
            let Ok(event) = decode_from::<WatcherEvent>(&body) else { return format!("bad event {body:02x?}") };
            let exact = exactness(&encode_to_bytes(&event), &body);
            let (event_type, path) = (event.event_type.name().unwrap_or("?"), self.shorten(&event.path));
            return format!("event {event_type} {path} state={} zxid={zxid}{exact}", event.state.0);
        }
        let head = format!("reply xid={} zxid={zxid} err={}", header.xid, header.err.0);
        if header.err.0 != 0 {
            return if body.is_empty() { head } else { format!("{head} behind it {body:02x?}") };
        }
        let shown = self.body(op, &body).unwrap_or_else(|error| format!("unreadable ({error}) {body:02x?}"));
        let again = ReplyBody::decode(op, &body)
            .and_then(Result::ok)
            .map_or_else(|| BytesMut::from(&body[..]), |reply| encode_to_bytes(&reply));
        format!("{head} {shown}{}", exactness(&again, &body))
    }

    fn body(&mut self, op: OpCode, body: &Bytes) -> Result<String, zk_proto::DecodeError> {
        Ok(match op {
            OpCode::CREATE => self.shorten(&decode_from::<CreateResponse>(body)?.path),
            OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => {
                let Create2Response { path, stat } = decode_from(body)?;
                format!("{} {}", self.shorten(&path), self.stat(&stat))
            }
            OpCode::EXISTS | OpCode::SET_DATA | OpCode::SET_ACL => self.stat(&decode_from::<StatResponse>(body)?.stat),
            OpCode::GET_DATA => self.data(&decode_from(body)?),
            OpCode::GET_CHILDREN => {
                format!("{:?}", sorted(decode_from::<GetChildrenResponse>(body)?.children.to_strings()))
            }
            OpCode::GET_CHILDREN2 => {
                let GetChildren2Response { children, stat } = decode_from(body)?;
                format!("{:?} {}", sorted(children.to_strings()), self.stat(&stat))
            }
            OpCode::GET_ACL => {
                let GetAclResponse { acl, stat } = decode_from(body)?;
                format!("{:?} {}", entries(&acl.to_vec()), self.stat(&stat))
            }
            OpCode::SYNC => format!("{:?}", decode_from::<SyncResponse>(body)?.path.map(|path| self.shorten(&path))),
            OpCode::MULTI | OpCode::MULTI_READ => self.results(&decode_from(body)?),
            OpCode::ADD_WATCH => format!("{:?}", decode_from::<AddWatchResponse>(body)?.err.0),
            OpCode::GET_EPHEMERALS => {
                let paths = decode_from::<GetEphemeralsResponse>(body)?.paths;
                format!("{:?}", sorted(paths.iter().map(|path| self.shorten(&path)).collect()))
            }
            OpCode::GET_ALL_CHILDREN_NUMBER => decode_from::<GetAllChildrenNumberResponse>(body)?.total.to_string(),
            OpCode::WHO_AM_I => {
                let identities = decode_from::<WhoAmIResponse>(body)?.identities;
                format!("{:?}", sorted(identities.iter().map(|who| format!("{}:{}", who.scheme, who.user)).collect()))
            }
            OpCode::SASL => format!("{:?}", decode_from::<SaslResponse>(body)?.token),
            _ => {
                decode_from::<Empty>(body)?;
                String::new()
            }
        })
    }

    fn data(&mut self, reply: &GetDataResponse) -> String {
        format!("{:?} {}", reply.data, self.stat(&reply.stat))
    }

    fn results(&mut self, response: &MultiResponse) -> String {
        let mut text = String::new();
        for result in response.results.iter() {
            let _ = match result {
                MultiResult::Create(path) => write!(text, "[create {}] ", self.shorten(&path)),
                MultiResult::Create2(path, stat) => {
                    write!(text, "[create2 {} {}] ", self.shorten(&path), self.stat(&stat))
                }
                MultiResult::SetData(stat) => write!(text, "[set {}] ", self.stat(&stat)),
                MultiResult::GetData(reply) => write!(text, "[get {}] ", self.data(&reply)),
                MultiResult::GetChildren(names) => write!(text, "[ls {:?}] ", sorted(names.to_strings())),
                plain @ (MultiResult::Delete | MultiResult::Check | MultiResult::Error(_)) => {
                    write!(text, "[{plain:?}] ")
                }
            };
        }
        text
    }

    fn stat(&mut self, stat: &Stat) -> String {
        let Stat { version, cversion, aversion, data_length, num_children, .. } = *stat;
        let times = [self.time(stat.czxid, stat.ctime), self.time(stat.mzxid, stat.mtime)];
        format!(
            "czxid={} mzxid={} pzxid={} v={version} cv={cversion} av={aversion} owner={} len={data_length} \
             children={num_children} times={times:?}",
            self.zxid(stat.czxid),
            self.zxid(stat.mzxid),
            self.zxid(stat.pzxid),
            self.session(stat.ephemeral_owner),
        )
    }

    /// A transaction has one time, transactions are in the order of their times, and it is about now.
    fn time(&mut self, zxid: Zxid, time_ms: i64) -> String {
        if !zxid.is_some() {
            return time_ms.to_string();
        }
        let first = *self.times.entry(zxid.0).or_insert(time_ms);
        let before = self.times.range(..zxid.0).next_back().is_none_or(|(_, before)| *before <= time_ms);
        let after = self.times.range(zxid.0 + 1..).next().is_none_or(|(_, after)| time_ms <= *after);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let apart = now.abs_diff(u128::try_from(time_ms).unwrap_or(0));
        if first != time_ms {
            format!("other than before by {}", time_ms - first)
        } else if !before || !after {
            "out of order".into()
        } else if apart > CLOCKS_APART_MAX.as_millis() {
            format!("{time_ms} is not now")
        } else {
            "ok".into()
        }
    }

    fn shorten(&self, path: &str) -> String {
        match path.strip_prefix(self.root.as_str()) {
            Some("") => "/".into(),
            Some(below) => below.escape_debug().to_string(),
            None => format!("abs:{}", path.escape_debug()),
        }
    }
}

/// An ACL. What became of `auth` is a set in Java, and stands together.
fn entries(acl: &[Acl]) -> Vec<String> {
    let mut entries: Vec<String> =
        acl.iter().map(|acl| format!("{}={}:{}", acl.permissions.0, acl.id.scheme, acl.id.id)).collect();
    let kind = |entry: &String| entry.split(':').next().unwrap_or_default().to_owned();
    for run in entries.chunk_by_mut(|a, b| kind(a) == kind(b) && kind(a).ends_with("digest")) {
        run.sort_unstable();
    }
    entries
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

/// Says so when a record is not all there is, or not written as we write it.
fn exactness(again: &[u8], body: &[u8]) -> String {
    if again == body { String::new() } else { format!(" NOT ITS BYTES {body:02x?}") }
}
