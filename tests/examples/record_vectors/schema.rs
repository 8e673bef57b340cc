//! The records and operations of ZooKeeper's client protocol, written as in `zookeeper.jute`.
//!
//! Must not know zk-proto: this is the second opinion that its records are checked against.

use std::sync::LazyLock;

/// `?` marks a field that may be null, or, on the last field of a record, may be missing.
const RECORDS: &str = "
    class Id { ustring scheme; ustring id; }
    class ACL { int perms; Id id; }
    class Stat { long czxid; long mzxid; long ctime; long mtime; int version; int cversion; int aversion; \
        long ephemeralOwner; int dataLength; int numChildren; long pzxid; }
    class ConnectRequest { int protocolVersion; long lastZxidSeen; int timeOut; long sessionId; buffer? passwd; \
        boolean? readOnly; }
    class ConnectResponse { int protocolVersion; int timeOut; long sessionId; buffer? passwd; boolean? readOnly; }
    class RequestHeader { int xid; int op; }
    class ReplyHeader { int xid; long zxid; int err; }
    class MultiHeader { int type; boolean done; int err; }
    class Empty { }
    class WatcherEvent { int type; int state; ustring path; }
    class CreateRequest { ustring path; buffer? data; vector<ACL> acl; int flags; }
    class CreateTTLRequest { ustring path; buffer? data; vector<ACL> acl; int flags; long ttl; }
    class CreateResponse { ustring path; }
    class Create2Response { ustring path; Stat stat; }
    class PathRequest { ustring path; }
    class PathVersionRequest { ustring path; int version; }
    class PathWatchRequest { ustring path; boolean watch; }
    class StatResponse { Stat stat; }
    class GetDataResponse { buffer? data; Stat stat; }
    class SetDataRequest { ustring path; buffer? data; int version; }
    class GetACLResponse { vector<ACL> acl; Stat stat; }
    class SetACLRequest { ustring path; vector<ACL> acl; int version; }
    class GetChildrenResponse { vector<ustring> children; }
    class GetChildren2Response { vector<ustring> children; Stat stat; }
    class SyncResponse { ustring? path; }
    class ReconfigRequest { ustring? joiningServers; ustring? leavingServers; ustring? newMembers; \
        long curConfigId; }
    class WatchesRequest { ustring path; int watcherType; }
    class AddWatchRequest { ustring path; int mode; }
    class ErrorResponse { int err; }
    class AuthPacket { int authType; ustring scheme; buffer auth; }
    class SetWatches { long relativeZxid; vector<ustring> data; vector<ustring> exist; vector<ustring> child; }
    class SetWatches2 { long relativeZxid; vector<ustring> data; vector<ustring> exist; vector<ustring> child; \
        vector<ustring> persistent; vector<ustring> recursive; }
    class SaslRequest { buffer token; }
    class SaslResponse { buffer? token; }
    class GetEphemeralsResponse { vector<ustring> paths; }
    class GetAllChildrenNumberResponse { int total; }
    class ClientInfo { ustring scheme; ustring user; }
    class WhoAmIResponse { vector<ClientInfo> identities; }
";

/// Opcode, name, first version, request, reply; in the order of the opcodes.
const OPERATIONS: &str = "
    1 create 3.0 CreateRequest CreateResponse
    2 delete 3.0 PathVersionRequest Empty
    3 exists 3.0 PathWatchRequest StatResponse
    4 getData 3.0 PathWatchRequest GetDataResponse
    5 setData 3.0 SetDataRequest StatResponse
    6 getACL 3.0 PathRequest GetACLResponse
    7 setACL 3.0 SetACLRequest StatResponse
    8 getChildren 3.0 PathWatchRequest GetChildrenResponse
    9 sync 3.0 PathRequest SyncResponse
    11 ping 3.0 Empty Empty
    12 getChildren2 3.3 PathWatchRequest GetChildren2Response
    13 check 3.4 PathVersionRequest Empty
    14 multi 3.4 multi multi
    15 create2 3.5.0 CreateRequest Create2Response
    16 reconfig 3.5.0 ReconfigRequest GetDataResponse
    17 checkWatches 3.5.0 WatchesRequest Empty
    18 removeWatches 3.5.0 WatchesRequest Empty
    19 createContainer 3.5.1 CreateRequest Create2Response
    20 deleteContainer 3.5.1 PathRequest Empty
    21 createTTL 3.5.3 CreateTTLRequest Create2Response
    22 multiRead 3.6.0 multi multi
    100 auth 3.0 AuthPacket Empty
    101 setWatches 3.0 SetWatches Empty
    102 sasl 3.4 SaslRequest SaslResponse
    103 getEphemerals 3.6.0 PathRequest GetEphemeralsResponse
    104 getAllChildrenNumber 3.6.0 PathRequest GetAllChildrenNumberResponse
    105 setWatches2 3.6.0 SetWatches2 Empty
    106 addWatch 3.6.0 AddWatchRequest ErrorResponse
    107 whoAmI 3.7.0 Empty WhoAmIResponse
    -11 closeSession 3.0 Empty Empty
    0 notification 3.0 Empty Empty
    -10 createSession 3.0 Empty Empty
    999 unknown none Empty Empty
";

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Bool,
    Int,
    Long,
    Buffer,
    Str,
    List(Box<Self>),
    Record(String),
}

/// A field of a record.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) ty: Type,
    pub(crate) name: String,
    /// May be null or, as the last field, missing.
    pub(crate) optional: bool,
}

/// An operation and its two records; `multi` stands for a list behind headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) code: i32,
    pub(crate) name: &'static str,
    pub(crate) since: &'static str,
    pub(crate) request: &'static str,
    pub(crate) reply: &'static str,
}

/// Every operation.
pub(crate) static OPS: LazyLock<Vec<Op>> = LazyLock::new(|| OPERATIONS.lines().filter_map(operation).collect());

/// Those that no client sends; they have no row in the table of operations.
pub(crate) const INTERNAL: [&str; 3] = ["notification", "createSession", "unknown"];

fn operation(line: &'static str) -> Option<Op> {
    let mut words = line.split_whitespace();
    let mut next = || words.next();
    Some(Op { code: next()?.parse().ok()?, name: next()?, since: next()?, request: next()?, reply: next()? })
}

/// The operation of this name.
pub(crate) fn op(name: &str) -> Op {
    *OPS.iter().find(|op| op.name == name).unwrap_or_else(|| panic!("no operation {name}"))
}

/// The operation with this number.
pub(crate) fn op_of(code: i32) -> Option<Op> {
    OPS.iter().find(|op| op.code == code).copied()
}

/// The fields of a record, in the order of the wire.
pub(crate) fn fields(record: &str) -> Vec<Field> {
    let head = format!("class {record} {{");
    let line = RECORDS.lines().find_map(|line| line.trim().strip_prefix(&head));
    let line = line.unwrap_or_else(|| panic!("no record {record}"));
    line.trim_end_matches([' ', '}']).split(';').filter(|field| !field.trim().is_empty()).map(field).collect()
}

fn field(text: &str) -> Field {
    let (ty, name) = text.trim().rsplit_once(' ').unwrap_or_else(|| panic!("no field: {text:?}"));
    let (ty, optional) = ty.strip_suffix('?').map_or((ty, false), |ty| (ty, true));
    Field { ty: type_of(ty), name: name.to_owned(), optional }
}

fn type_of(text: &str) -> Type {
    match text {
        "boolean" => Type::Bool,
        "int" => Type::Int,
        "long" => Type::Long,
        "buffer" => Type::Buffer,
        "ustring" => Type::Str,
        _ => match text.strip_prefix("vector<").and_then(|rest| rest.strip_suffix('>')) {
            Some(item) => Type::List(Box::new(type_of(item))),
            None => Type::Record(text.to_owned()),
        },
    }
}
