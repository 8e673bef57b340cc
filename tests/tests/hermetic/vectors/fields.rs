//! Fields of the same type that change places would come back unchanged: here zk-proto's names are held against what the
//! recorder's schema read in the same bytes.

use zk_proto::OpCode;
use zk_proto::jute::decode_from;
use zk_proto::records::{
    ConnectRequest, ConnectResponse, Create2Response, GetAclResponse, GetChildren2Response, GetDataResponse,
    ReconfigRequest, SetWatches2Request, SetWatchesRequest, Stat, StatResponse,
};

use super::{Vector, all};

/// Vectors of a kind that come back unchanged.
fn vectors(kind: &str) -> Vec<Vector> {
    let vectors = all().into_iter().flat_map(|(_, vectors)| vectors);
    vectors.filter(|vector| vector.kind == kind && vector.mark.is_empty()).collect()
}

fn requests(op: OpCode) -> Vec<Vector> {
    let vectors: Vec<Vector> = vectors("request").into_iter().filter(|vector| vector.op == Some(op)).collect();
    assert!(!vectors.is_empty(), "{op:?}");
    vectors
}

impl Vector {
    /// What the recorder read in these fields, in its order of them.
    fn says(&self, fields: &[&str]) -> Vec<&str> {
        let named = |line: &&String| fields.contains(&line.split([' ', '[', '.']).next().unwrap_or_default());
        self.meanings.iter().filter(named).map(String::as_str).filter(|line| !line.contains(".count ")).collect()
    }

    fn agrees(&self, fields: &[&str], decoded: &[String]) {
        assert_eq!(self.says(fields), decoded, "{}", self.place);
    }
}

const STAT: [&str; 11] = [
    "czxid",
    "mzxid",
    "ctime",
    "mtime",
    "version",
    "cversion",
    "aversion",
    "ephemeralOwner",
    "dataLength",
    "numChildren",
    "pzxid",
];

fn stat_lines(stat: &Stat) -> Vec<String> {
    vec![
        format!("czxid {:#x}", stat.czxid.0),
        format!("mzxid {:#x}", stat.mzxid.0),
        format!("ctime {}", stat.ctime),
        format!("mtime {}", stat.mtime),
        format!("version {}", stat.version),
        format!("cversion {}", stat.cversion),
        format!("aversion {}", stat.aversion),
        format!("ephemeralOwner {:#x}", stat.ephemeral_owner.0),
        format!("dataLength {}", stat.data_length),
        format!("numChildren {}", stat.num_children),
        format!("pzxid {:#x}", stat.pzxid.0),
    ]
}

// goal: P1
#[test]
fn stats() {
    let mut count = 0;
    for vector in vectors("reply") {
        let body = vector.frame.slice(16..);
        let stat = match vector.op {
            Some(OpCode::EXISTS | OpCode::SET_DATA | OpCode::SET_ACL) => {
                decode_from::<StatResponse>(&body).unwrap().stat
            }
            Some(OpCode::GET_DATA | OpCode::RECONFIG) => decode_from::<GetDataResponse>(&body).unwrap().stat,
            Some(OpCode::GET_ACL) => decode_from::<GetAclResponse>(&body).unwrap().stat,
            Some(OpCode::GET_CHILDREN2) => decode_from::<GetChildren2Response>(&body).unwrap().stat,
            Some(OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL) => {
                decode_from::<Create2Response>(&body).unwrap().stat
            }
            _ => continue,
        };
        vector.agrees(&STAT, &stat_lines(&stat));
        count += 1;
    }
    assert!(count > 30, "{count} stats");
}

// goal: P1
#[test]
fn greetings() {
    let fields = ["protocolVersion", "lastZxidSeen", "timeOut", "sessionId"];
    for vector in vectors("connect-request") {
        let request: ConnectRequest<'_> = decode_from(&vector.frame).unwrap();
        let decoded = [
            format!("protocolVersion {}", request.protocol_version),
            format!("lastZxidSeen {:#x}", request.last_zxid_seen.0),
            format!("timeOut {}", request.timeout_ms),
            format!("sessionId {:#x}", request.session_id.0),
        ];
        vector.agrees(&fields, &decoded);
    }
    for vector in vectors("connect-response") {
        let response: ConnectResponse = decode_from(&vector.frame).unwrap();
        let decoded = [
            format!("protocolVersion {}", response.protocol_version),
            format!("timeOut {}", response.timeout_ms),
            format!("sessionId {:#x}", response.session_id.0),
        ];
        vector.agrees(&fields, &decoded);
    }
}

/// A list of paths as the recorder writes it.
fn paths<T: ToString>(name: &str, paths: impl IntoIterator<Item = T>) -> Vec<String> {
    paths.into_iter().enumerate().map(|(n, path)| format!("{name}[{n}] {:?}", path.to_string())).collect()
}

// goal: P1
#[test]
fn watches_set_again() {
    let fields = ["data", "exist", "child", "persistent", "recursive"];
    for vector in requests(OpCode::SET_WATCHES) {
        let body = vector.frame.slice(8..);
        let request: SetWatchesRequest<'_> = decode_from(&body).unwrap();
        let lists = [paths("data", &request.data), paths("exist", &request.exist), paths("child", &request.child)];
        vector.agrees(&fields, &lists.concat());
    }
    for vector in requests(OpCode::SET_WATCHES2) {
        let body = vector.frame.slice(8..);
        let request: SetWatches2Request<'_> = decode_from(&body).unwrap();
        let lists = [
            paths("data", &request.data),
            paths("exist", &request.exist),
            paths("child", &request.child),
            paths("persistent", &request.persistent),
            paths("recursive", &request.recursive),
        ];
        vector.agrees(&fields, &lists.concat());
    }
}

// goal: P1
#[test]
fn changes_of_the_configuration() {
    for vector in requests(OpCode::RECONFIG) {
        let body = vector.frame.slice(8..);
        let request: ReconfigRequest<'_> = decode_from(&body).unwrap();
        let text =
            |name: &str, value: Option<String>| value.map_or(format!("{name} null"), |v| format!("{name} {v:?}"));
        let decoded = [
            text("joiningServers", request.joining_servers.as_ref().map(ToString::to_string)),
            text("leavingServers", request.leaving_servers.as_ref().map(ToString::to_string)),
            text("newMembers", request.new_members.as_ref().map(ToString::to_string)),
            format!("curConfigId {}", request.config_id),
        ];
        let fields = ["joiningServers", "leavingServers", "newMembers", "curConfigId"];
        let says: Vec<String> = vector.says(&fields).into_iter().map(|line| line.replace("0x1", "1")).collect();
        assert_eq!(says, decoded, "{}", vector.place);
    }
}
