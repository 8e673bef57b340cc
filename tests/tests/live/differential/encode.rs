//! From the words of a step to the bytes of a request, by zk-proto's records.
//!
//! Must not know connections or replies.

use std::{borrow::Cow, str::FromStr};

use bytes::{BufMut, BytesMut};
use zk_proto::{
    Acl, AuthId, OpCode, Permissions, WatchMode, Zxid,
    create::{ContainerFlags, CreateFlags, Ttl, TtlFlags},
    jute::{Encode, Label, List, Text},
    multi::{MultiOp, MultiReadRequest, MultiRequest, ReadOp},
    records::{
        AddWatchRequest, AuthPacket, CreateContainerRequest, CreateRequest, CreateTtlRequest, DataRef, Empty,
        GetDataRequest, PathRequest, PathVersionRequest, ReconfigRequest, RequestHeader, SaslRequest, Secret,
        SetAclRequest, SetDataRequest, SetWatches2Request, SetWatchesRequest, Str, WatchesRequest,
    },
    watch::WatcherType,
};

use super::script::Step;

/// What words are relative to.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The znode that a script lives under.
    pub root: &'a str,
    /// The last transaction before the script.
    pub base: Zxid,
    /// The last transaction that a reply has told of.
    pub last: Zxid,
}

/// Words, one after the other.
struct Words<'a> {
    words: Box<dyn Iterator<Item = &'a str> + 'a>,
    context: &'a Context<'a>,
}

impl<'a> Words<'a> {
    fn new(words: impl Iterator<Item = &'a str> + 'a, context: &'a Context<'a>) -> Self {
        Self { words: Box::new(words), context }
    }

    fn word(&mut self) -> &'a str {
        self.words.next().expect("one more word")
    }

    fn number<T: FromStr>(&mut self) -> T {
        let word = self.word();
        word.parse().unwrap_or_else(|_| panic!("not such a number: {word}"))
    }

    fn path(&mut self) -> Str<'a> {
        path(self.word(), self.context.root)
    }

    fn data(&mut self) -> DataRef<'a> {
        match self.word() {
            "-" => None,
            "_" => Some(b""),
            text => Some(text.as_bytes()),
        }
    }

    fn zxid(&mut self) -> Zxid {
        let word = self.word();
        match word.split_at(1) {
            ("+", since) => Zxid(self.context.base.0 + since.parse::<i64>().unwrap()),
            ("@", ago) => Zxid(self.context.last.0 - ago.parse::<i64>().unwrap()),
            _ => Zxid(word.parse().unwrap()),
        }
    }

    /// The paths behind a letter: `d/a d/b` is two of `d`.
    fn paths(&self, words: &[&'a str], letter: char) -> List<'a, Text> {
        let words = words.iter().filter_map(|word| word.strip_prefix(letter));
        List::of_texts(words.map(|word| path(word, self.context.root)))
    }

    fn create(&mut self) -> CreateRequest<'a> {
        let (path, flags, acl, data) = (self.path(), self.number(), acl(self.word()), self.data());
        CreateRequest { path, data, acl: acl.into(), flags: CreateFlags::raw(flags) }
    }

    fn container(&mut self) -> CreateContainerRequest<'a> {
        let CreateRequest { path, data, acl, flags } = self.create();
        CreateContainerRequest { path, data, acl, flags: ContainerFlags::raw(flags.number()) }
    }

    fn create_ttl(&mut self) -> CreateTtlRequest<'a> {
        let (path, flags, ttl_ms, acl, data) =
            (self.path(), self.number(), self.number(), acl(self.word()), self.data());
        let (flags, ttl) = (TtlFlags::raw(flags), Ttl::raw(ttl_ms));
        CreateTtlRequest { path, data, acl: acl.into(), flags, ttl }
    }

    fn path_version(&mut self) -> PathVersionRequest<'a> {
        PathVersionRequest { path: self.path(), version: self.number() }
    }

    fn set(&mut self) -> SetDataRequest<'a> {
        let (path, data, version) = (self.path(), self.data(), self.number());
        SetDataRequest { path, data, version }
    }

    fn read(&mut self) -> GetDataRequest<'a> {
        GetDataRequest { path: self.path(), watch: self.word() == "w" }
    }
}

/// A path below the script's root (`/` is the root itself), or as it stands behind `abs:`; `%41` is `A`. `null` is
/// encoded as the empty string, see [`payload`].
fn path<'a>(word: &'a str, root: &str) -> Str<'a> {
    let whole = match (word.strip_prefix("abs:"), word) {
        (Some(absolute), _) => absolute.to_owned(),
        (None, "null") => return Cow::Borrowed(""),
        (None, "/") => root.to_owned(),
        (None, below) => format!("{root}{below}"),
    };
    let mut parts = whole.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push(char::from(u8::from_str_radix(&part[..2], 16).expect("two hex digits")));
        text.push_str(&part[2..]);
    }
    Cow::Owned(text)
}

/// `open`, or entries of permissions and who: `31=digest:bob`, joined by `,`.
fn acl(word: &str) -> Vec<Acl> {
    let word = match word {
        "none" => return Vec::new(),
        "open" => "31=world:anyone",
        other => other,
    };
    let entry = |text: &str| {
        let (bits, who) = text.split_once('=').expect("permissions=who");
        let (scheme, id) = who.split_once(':').expect("scheme:id");
        // user:secret, as an ACL names it
        let id = match id {
            "bob" => "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=",
            "eve" => "eve:vcGMCUlWFMiXiG/KAGnEJMiG2ww=",
            other => other,
        };
        let id = AuthId { scheme: Label::from(scheme), id: Label::from(id) };
        Acl { permissions: Permissions(bits.parse().unwrap()), id }
    };
    word.split(',').map(entry).collect()
}

/// A request's opcode, and its payload under an xid.
pub fn payload(step: &Step, xid: i32, context: &Context<'_>) -> (OpCode, BytesMut) {
    let (op, mut body) = body(step, context);
    if step.arguments().next() == Some("null") {
        body[..4].copy_from_slice(&[0xFF; 4]);
    }
    let fixed = match step.verb() {
        "ping" => -2,
        "auth" => -4,
        _ => xid,
    };
    let header = RequestHeader { xid: step.modifier("xid").unwrap_or(fixed), op };
    let mut payload = zk_proto::jute::encode_to_bytes(&header);
    payload.put_slice(&body);
    let cut = usize::try_from(step.modifier("cut").unwrap_or(0)).unwrap();
    payload.truncate((payload.len() - cut.min(payload.len())).max(header.encoded_len()));
    (op, payload)
}

fn body(step: &Step, context: &Context<'_>) -> (OpCode, BytesMut) {
    let mut words = Words::new(step.arguments(), context);
    let w = &mut words;
    match step.verb() {
        "create" => record(OpCode::CREATE, &w.create()),
        "create2" => record(OpCode::CREATE2, &w.create()),
        "container" => record(OpCode::CREATE_CONTAINER, &w.container()),
        "ttl" => record(OpCode::CREATE_TTL, &w.create_ttl()),
        "delete" => record(OpCode::DELETE, &w.path_version()),
        "check" => record(OpCode::CHECK, &w.path_version()),
        "set" => record(OpCode::SET_DATA, &w.set()),
        "setacl" => {
            let (path, acl, version) = (w.path(), acl(w.word()), w.number());
            record(OpCode::SET_ACL, &SetAclRequest { path, acl: acl.into(), version })
        }
        "exists" => record(OpCode::EXISTS, &w.read()),
        "get" => record(OpCode::GET_DATA, &w.read()),
        "ls" => record(OpCode::GET_CHILDREN, &w.read()),
        "ls2" => record(OpCode::GET_CHILDREN2, &w.read()),
        "getacl" => record(OpCode::GET_ACL, &PathRequest { path: w.path() }),
        "sync" => record(OpCode::SYNC, &PathRequest { path: w.path() }),
        "ephemerals" => record(OpCode::GET_EPHEMERALS, &PathRequest { path: w.path() }),
        "count" => record(OpCode::GET_ALL_CHILDREN_NUMBER, &PathRequest { path: w.path() }),
        "multi" => record(OpCode::MULTI, &multi(step, context)),
        "multiread" => record(OpCode::MULTI_READ, &multi_read(step, context)),
        "multi-of-reads" => record(OpCode::MULTI, &multi_read(step, context)),
        "multiread-of-writes" => record(OpCode::MULTI_READ, &multi(step, context)),
        "ping" => record(OpCode::PING, &Empty {}),
        "whoami" => record(OpCode::WHO_AM_I, &Empty {}),
        "close" => record(OpCode::CLOSE_SESSION, &Empty {}),
        "unknown" => record(OpCode(w.number()), &Empty {}),
        "sasl" => record(OpCode::SASL, &SaslRequest { token: Secret(b"") }),
        "reconfig" => {
            let (joining_servers, leaving_servers, new_members) = (None, None, None);
            let request = ReconfigRequest { joining_servers, leaving_servers, new_members, config_id: -1 };
            record(OpCode::RECONFIG, &request)
        }
        "auth" => {
            let (scheme, auth) = (w.word(), w.data().unwrap_or_default());
            let packet = AuthPacket { auth_type: 0, scheme: scheme.into(), auth: Some(Secret(auth)) };
            record(OpCode::AUTH, &packet)
        }
        _ => watch_body(step.verb(), w),
    }
}

fn watch_body(verb: &str, w: &mut Words<'_>) -> (OpCode, BytesMut) {
    match verb {
        "addwatch" => {
            let (path, mode) = (w.path(), WatchMode(w.number()));
            record(OpCode::ADD_WATCH, &AddWatchRequest { path, mode })
        }
        "rmwatch" | "chkwatch" => {
            let (path, watcher_type) = (w.path(), WatcherType(w.number()));
            let op = if verb == "rmwatch" { OpCode::REMOVE_WATCHES } else { OpCode::CHECK_WATCHES };
            record(op, &WatchesRequest { path, watcher_type })
        }
        "setwatches" | "setwatches2" => {
            let relative_zxid = w.zxid();
            let rest: Vec<&str> = w.words.by_ref().collect();
            let [data, exist, child, persistent, recursive] =
                ['d', 'e', 'c', 'p', 'r'].map(|letter| w.paths(&rest, letter));
            if verb == "setwatches" {
                return record(OpCode::SET_WATCHES, &SetWatchesRequest { relative_zxid, data, exist, child });
            }
            let request = SetWatches2Request { relative_zxid, data, exist, child, persistent, recursive };
            record(OpCode::SET_WATCHES2, &request)
        }
        other => panic!("no such verb: {other}"),
    }
}

fn record(op: OpCode, record: &impl Encode) -> (OpCode, BytesMut) {
    (op, zk_proto::jute::encode_to_bytes(record))
}

/// The parts that begin with `+`.
fn parts(step: &Step) -> Vec<Vec<&str>> {
    let words: Vec<&str> = step.arguments().collect();
    words.split(|word| *word == "+").skip(1).map(<[&str]>::to_vec).collect()
}

fn multi<'a>(step: &'a Step, context: &'a Context<'a>) -> MultiRequest<'a> {
    let op = |part: Vec<&'a str>| {
        let mut w = Words::new(part.into_iter(), context);
        match w.word() {
            "create" => MultiOp::Create(w.create()),
            "create2" => MultiOp::Create2(w.create()),
            "container" => MultiOp::CreateContainer(w.container()),
            "ttl" => MultiOp::CreateTtl(w.create_ttl()),
            "delete" => MultiOp::Delete(w.path_version()),
            "set" => MultiOp::SetData(w.set()),
            "check" => MultiOp::Check(w.path_version()),
            other => panic!("not in a multi: {other}"),
        }
    };
    MultiRequest { ops: parts(step).into_iter().map(op).collect() }
}

fn multi_read<'a>(step: &'a Step, context: &'a Context<'a>) -> MultiReadRequest<'a> {
    let op = |part: Vec<&'a str>| {
        let mut w = Words::new(part.into_iter(), context);
        match w.word() {
            "get" => ReadOp::GetData(w.read()),
            "ls" => ReadOp::GetChildren(w.read()),
            other => panic!("not in a multiRead: {other}"),
        }
    };
    MultiReadRequest { ops: parts(step).into_iter().map(op).collect() }
}
