//! Members that lag, lose each other and find each other again.

use std::time::Duration;

use zk_proto::{
    ErrorCode, OpCode, SessionId, Zxid,
    jute::{Encode, Tail, encode_to_bytes},
    ops,
    records::{ConnectRequest, Empty, GetDataRequest, RequestHeader, Secret, SetDataRequest, SyncRequest},
};

use super::{Client, Script, plain};
use crate::server::model::{Edit, Lag, LocalSessions, ModelConfig, Role};

const ELECTION: Duration = Duration::from_secs(1);

fn three() -> Script {
    with(ModelConfig::default())
}

fn with(config: ModelConfig) -> Script {
    Script::with(ModelConfig { members: 3, election: ELECTION, ..config })
}

impl Script {
    fn client_at(&mut self, member: usize) -> Client {
        self.resume_at(member, SessionId::NONE, &[0; 16]).expect("new sessions are granted")
    }

    /// Sends a request; gives the xids and errors of what comes back now.
    fn post(&mut self, client: &mut Client, op: OpCode, body: &impl Encode) -> Vec<String> {
        client.xid += 1;
        let mut payload = encode_to_bytes(&RequestHeader { xid: client.xid, op });
        body.encode(&mut payload);
        let (bytes, closed) = self.exchange(client.conn, &payload);
        client.closed |= closed;
        client.replies(bytes)
    }

    /// Replies and events that have come meanwhile, in order.
    fn heard(&mut self, client: &mut Client) -> Vec<String> {
        let output = self.model.take_output(client.conn);
        client.closed |= output.close.is_some();
        client.replies(output.bytes)
    }

    /// The length of the answer to a reader, its prefix included.
    fn greet_read_only(&mut self, member: usize) -> usize {
        let conn = self.model.open(self.now, member, Self::peer());
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: 2000,
            session_id: SessionId::NONE,
            password: Some(Secret(&[0; 16])),
            read_only: Tail(Some(true)),
        };
        self.exchange(conn, &encode_to_bytes(&request)).0.len()
    }

    fn data(&mut self, client: &mut Client, path: &str) -> Result<Vec<u8>, ErrorCode> {
        let request = GetDataRequest { path: path.into(), watch: false };
        self.call::<ops::GetData>(client, &request).map(|reply| reply.data.unwrap_or_default().to_vec())
    }
}

impl Client {
    fn replies(&mut self, bytes: bytes::BytesMut) -> Vec<String> {
        let mut rest = bytes;
        let mut lines = Vec::new();
        while rest.len() >= 20 {
            let len = usize::try_from(u32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap() + 4;
            let frame = rest.split_to(len);
            let number = |at: usize| i32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
            let zxid = i64::from_be_bytes(frame[8..16].try_into().unwrap());
            lines.push(format!("{}: {} @{}", number(4), number(16), zxid & 0xFFFF_FFFF));
        }
        lines
    }
}

fn set(path: &str) -> SetDataRequest<'_> {
    SetDataRequest { path: path.into(), data: Some(b"new"), version: -1 }
}

fn get(path: &str) -> GetDataRequest<'_> {
    GetDataRequest { path: path.into(), watch: false }
}

#[test]
fn a_member_that_lags_shows_its_own_state_and_zxid() {
    let mut script = three();
    script.model.apply(script.now, &[Edit::Create("/a", b"old")]).unwrap();
    let mut client = script.client_at(0);
    let applied = script.model.applied(0);
    script.model.set_lag(script.now, 0, Some(Lag::Held));
    script.model.apply(script.now, &[Edit::Set("/a", b"new"), Edit::Create("/b", b"")]).unwrap();
    assert_eq!(script.data(&mut client, "/a").unwrap(), b"old");
    assert_eq!(client.zxid, applied);
    assert_eq!(script.data(&mut client, "/b"), Err(ErrorCode::NO_NODE));
    assert_eq!(script.model.commits_behind(0), 1);
    assert_eq!(script.model.apply_commits(script.now, 0, 5), 1);
    assert_eq!(script.data(&mut client, "/a").unwrap(), b"new");
    assert_eq!(client.zxid, script.model.zxid());
}

#[test]
fn watches_fire_when_their_member_applies() {
    let mut script = three();
    script.model.apply(script.now, &[Edit::Create("/a", b"")]).unwrap();
    let (mut slow, mut quick) = (script.client_at(0), script.client_at(1));
    script.model.set_lag(script.now, 0, Some(Lag::Held));
    script.watch::<ops::GetData>(&mut slow, "/a").unwrap();
    script.watch::<ops::GetData>(&mut quick, "/a").unwrap();
    let zxid = script.model.apply(script.now, &[Edit::Set("/a", b"1")]).unwrap();
    assert_eq!(script.seen(&mut quick), [format!("DATA_CHANGED /a @{}", zxid.0)]);
    assert!(script.seen(&mut slow).is_empty());
    script.model.apply(script.now, &[Edit::Delete("/a")]).unwrap();
    script.model.apply_commits(script.now, 0, 1);
    assert_eq!(script.seen(&mut slow), [format!("DATA_CHANGED /a @{}", zxid.0)], "with the zxid of the commit");
    script.watch::<ops::GetData>(&mut slow, "/a").unwrap();
    script.model.set_lag(script.now, 0, None);
    assert_eq!(plain(&script.seen(&mut slow)), ["DELETED /a"]);
}

/// What is asked behind a write waits for it, and sees it; pings too.
#[test]
fn writes_and_syncs_wait_until_their_member_has_them() {
    let mut script = three();
    script.model.apply(script.now, &[Edit::Create("/a", b"")]).unwrap();
    let mut client = script.client_at(0);
    script.model.set_lag(script.now, 0, Some(Lag::Held));
    let base = script.model.zxid().0 & 0xFFFF_FFFF;
    assert_eq!(script.post(&mut client, OpCode::GET_DATA, &get("/a")), [format!("1: 0 @{base}")]);
    assert!(script.post(&mut client, OpCode::SET_DATA, &set("/a")).is_empty());
    assert_eq!(&script.model.get("/a").unwrap().0[..], b"new", "the leader has it");
    assert!(script.post(&mut client, OpCode::GET_DATA, &get("/a")).is_empty());
    assert!(script.post(&mut client, OpCode::PING, &Empty {}).is_empty());
    assert!(script.post(&mut client, OpCode::SET_DATA, &set("/none")).is_empty());
    assert!(script.post(&mut client, OpCode::SYNC, &SyncRequest { path: Some("/a".into()) }).is_empty());
    script.model.apply_commits(script.now, 0, 1);
    let first = base + 1;
    assert_eq!(
        script.heard(&mut client),
        [format!("2: 0 @{first}"), format!("3: 0 @{first}"), format!("-2: 0 @{first}")]
    );
    script.model.apply_commits(script.now, 0, 1);
    let second = base + 2;
    assert_eq!(script.heard(&mut client), [format!("5: -101 @{second}"), format!("6: 0 @{second}")]);
}

#[test]
fn a_new_session_and_the_end_of_one_wait_too() {
    let mut script = three();
    let mut client = script.client_at(0);
    script.create(&mut client, "/e", 1).unwrap();
    script.model.set_lag(script.now, 0, Some(Lag::Held));
    let (conn, bytes, closed) = script.greet_at(0, SessionId::NONE, &[0; 16], Zxid(0));
    assert!(bytes.is_empty() && !closed, "no answer yet");
    assert!(script.post(&mut client, OpCode::CLOSE_SESSION, &Empty {}).is_empty());
    assert!(script.model.get("/e").is_none() && script.model.get_at(0, "/e").is_some());
    script.model.apply_commits(script.now, 0, 1);
    assert_eq!(script.model.take_output(conn).bytes.len(), 41);
    assert!(script.heard(&mut client).is_empty() && !client.closed);
    script.model.apply_commits(script.now, 0, 1);
    assert_eq!(script.heard(&mut client).len(), 1);
    assert!(client.closed && script.model.get_at(0, "/e").is_none());
}

#[test]
fn who_has_seen_more_is_hung_up_on() {
    let mut script = three();
    let client = script.client_at(1);
    script.model.set_lag(script.now, 0, Some(Lag::Held));
    let seen = script.model.apply(script.now, &[Edit::Create("/a", b"")]).unwrap();
    let (_, bytes, closed) = script.greet_at(0, client.session, &client.password, seen);
    assert!(bytes.is_empty() && closed);
    let (_, bytes, closed) = script.greet_at(0, client.session, &client.password, Zxid(seen.0 - 1));
    assert!(bytes.len() == 41 && !closed);
}

/// As in a real ensemble (tests/tests/live/ensemble.rs).
#[test]
fn a_session_that_moved_leaves_reads_behind_and_takes_the_writes_along() {
    let mut script = three();
    let mut old = script.client_at(0);
    let mut new = script.resume_at(1, old.session, &old.password).unwrap();
    assert_eq!(script.data(&mut old, "/").unwrap(), b"");
    assert!(script.post(&mut old, OpCode::SET_DATA, &set("/")).is_empty());
    assert!(old.closed, "without an answer");
    script.create(&mut new, "/a", 0).unwrap();
}

#[test]
fn expiry_is_the_ensembles_and_reaches_a_member_with_its_commits() {
    let mut script = three();
    let mut client = script.client_at(0);
    script.model.set_lag(script.now, 0, Some(Lag::Held));
    script.model.expire(script.now, client.session);
    assert_eq!(script.data(&mut client, "/").unwrap(), b"", "its member has not heard of it");
    assert!(!client.closed);
    script.model.apply_commits(script.now, 0, 1);
    script.heard(&mut client);
    assert!(client.closed);
}

#[test]
fn a_member_lags_by_count_and_by_time() {
    let mut script = three();
    let write = |script: &mut Script, path: &str| {
        script.model.apply(script.now, &[Edit::Create(path, b"")]).unwrap();
    };
    script.model.set_lag(script.now, 0, Some(Lag::Commits(2)));
    for path in ["/a", "/b", "/c"] {
        write(&mut script, path);
    }
    assert!(script.model.get_at(0, "/a").is_some() && script.model.get_at(0, "/b").is_none());
    let behind = Duration::from_millis(30);
    script.model.set_lag(script.now, 1, Some(Lag::Time(behind)));
    write(&mut script, "/d");
    assert_eq!(script.model.poll_pace(), Some(behind));
    script.now = behind;
    script.model.handle_timeout(script.now);
    assert!(script.model.get_at(1, "/d").is_some() && script.model.poll_pace().is_none());
}

#[test]
fn a_leader_that_is_lost_is_replaced_after_a_while() {
    let mut script = three();
    let mut client = script.client_at(0);
    assert_eq!([0, 1, 2].map(|member| script.model.role(member)), [Role::Follower, Role::Follower, Role::Leader]);
    script.model.set_lag(script.now, 1, Some(Lag::Held));
    script.create(&mut client, "/a", 0).unwrap();
    script.model.set_up(script.now, 2, false);
    script.heard(&mut client);
    assert!(client.closed && script.model.role(0) == Role::NotServing);
    assert!(script.resume_at(0, client.session, &client.password).is_none());
    script.now += ELECTION;
    script.model.handle_timeout(script.now);
    assert_eq!([0, 1, 2].map(|member| script.model.role(member)), [Role::Leader, Role::Follower, Role::NotServing]);
    assert_eq!(script.model.zxid(), Zxid(2 << 32), "another epoch");
    assert!(script.model.get_at(1, "/a").is_some(), "whoever follows a new leader has read everything first");
    assert!(script.resume_at(1, client.session, &client.password).is_some());
    script.model.set_up(script.now, 2, true);
    assert_eq!(script.model.role(2), Role::Follower);
}

#[test]
fn without_a_quorum_nobody_serves_and_no_session_expires() {
    let mut script = three();
    let client = script.client_at(0);
    script.model.set_up(script.now, 1, false);
    script.model.set_up(script.now, 2, false);
    script.now += Duration::from_secs(3600);
    script.model.handle_timeout(script.now);
    assert_eq!(script.model.role(0), Role::NotServing);
    script.model.set_up(script.now, 1, true);
    script.now += ELECTION;
    script.model.handle_timeout(script.now);
    assert!(script.resume_at(0, client.session, &client.password).is_some(), "it has its whole timeout again");
}

#[test]
fn a_member_apart_serves_readers_what_it_knew() {
    for local_sessions in [LocalSessions::Off, LocalSessions::Upgradable] {
        let mut script = with(ModelConfig { read_only_mode: true, local_sessions, ..ModelConfig::default() });
        script.model.apply(script.now, &[Edit::Create("/a", b"then")]).unwrap();
        script.model.set_cut(script.now, 0, true);
        script.model.apply(script.now, &[Edit::Set("/a", b"now")]).unwrap();
        assert_eq!(script.model.role(0), Role::ReadOnly);
        assert_eq!(&script.model.get_at(0, "/a").unwrap().0[..], b"then");
        let answer = script.greet_read_only(0);
        let expected = if local_sessions == LocalSessions::Off { 20 } else { 41 };
        assert_eq!(answer, expected, "{local_sessions:?}");
        script.model.set_cut(script.now, 0, false);
        assert_eq!(&script.model.get_at(0, "/a").unwrap().0[..], b"now");
        assert!(script.model.connections().is_empty(), "its readers look for it anew");
    }
}

#[test]
fn a_local_session_cannot_move_before_it_owns_an_ephemeral() {
    let mut script = with(ModelConfig { local_sessions: LocalSessions::Upgradable, ..ModelConfig::default() });
    let before = script.model.zxid();
    let mut client = script.client_at(0);
    assert_eq!(script.model.zxid(), before, "no transaction");
    assert!(script.resume_at(1, client.session, &client.password).is_none(), "expired, as far as another can tell");
    script.create(&mut client, "/e", 1).unwrap();
    assert!(script.resume_at(1, client.session, &client.password).is_some());
    let mut script = with(ModelConfig { local_sessions: LocalSessions::On, ..ModelConfig::default() });
    let mut client = script.client_at(0);
    assert_eq!(script.create(&mut client, "/e", 1), Err(ErrorCode::EPHEMERAL_ON_LOCAL_SESSION));
    script.create(&mut client, "/p", 0).unwrap();
}
