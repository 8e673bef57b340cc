//! DIGEST-MD5 by recorded exchanges and by a client of its own, what a failure costs, and servers that insist.

use bytes::{Buf, BytesMut};
use md5::{Digest, Md5};
use zk_proto::{
    Acl, AuthId, ErrorCode, OpCode, Permissions,
    jute::{Decode, Encode, Label, Reader, encode_to_bytes},
    ops,
    records::{AuthPacket, Empty, PathRequest, ReplyHeader, RequestHeader, SaslRequest, SaslResponse, Secret},
};

use super::{Client, Script};
use crate::server::{
    Profile,
    model::{Model, ModelConfig, SaslConfig, sasl::Exchange},
};

fn config(allow_failed_clients: bool, required: &[&str]) -> ModelConfig {
    let users = [("bob".to_owned(), "secret".to_owned()), ("zoé".to_owned(), "pässword".to_owned())];
    ModelConfig {
        profile: Profile::V3_9,
        sasl: Some(SaslConfig { users: users.into(), allow_failed_clients, nonce_seed: 7 }),
        required_schemes: required.iter().map(|scheme| (*scheme).to_owned()).collect(),
        ..ModelConfig::default()
    }
}

fn script(allow_failed_clients: bool, required: &[&str]) -> Script {
    let mut script = Script::new(Profile::V3_9);
    script.model = Model::new(config(allow_failed_clients, required));
    script
}

/// What one request is answered with: error code, what is behind the header, and whether the connection ended.
struct Answered {
    header: ReplyHeader,
    body: Vec<u8>,
    closed: bool,
}

impl Answered {
    fn token(&self) -> Option<String> {
        let response = SaslResponse::decode(&mut Reader::new(&self.body.clone().into())).unwrap();
        response.token.map(|token| String::from_utf8(token.0.to_vec()).unwrap())
    }
}

impl Script {
    fn ask(&mut self, client: &Client, op: OpCode, body: &impl Encode) -> Answered {
        let mut payload = encode_to_bytes(&RequestHeader { xid: 9, op });
        body.encode(&mut payload);
        let (mut bytes, closed) = self.exchange(client.conn, &payload);
        assert_eq!(usize::try_from(bytes.get_u32()).unwrap(), bytes.len(), "one frame");
        let frame = bytes.freeze();
        let header = ReplyHeader::decode(&mut Reader::new(&frame)).unwrap();
        Answered { header, body: frame[16..].to_vec(), closed }
    }

    fn step(&mut self, client: &Client, token: &[u8]) -> Answered {
        let answered = self.ask(client, OpCode::SASL, &SaslRequest { token: Secret(token) });
        assert_eq!((answered.header.xid, answered.header.zxid.0), (9, 0));
        answered
    }

    /// The whole exchange as a client does it; gives the last answer.
    fn prove(&mut self, client: &Client, proof: &Proof<'_>) -> Answered {
        let challenge = self.step(client, b"").token().expect("a challenge");
        self.step(client, proof.answer(nonce_of(&challenge)).as_bytes())
    }
}

fn nonce_of(challenge: &str) -> &str {
    challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap()
}

/// The client's side, with every part to be got wrong.
struct Proof<'a> {
    user: &'a str,
    /// What is hashed of user and password: ISO 8859-1 where that is possible.
    hashed: Vec<u8>,
    realm: &'a str,
    uri: &'a str,
    nc: &'a str,
    extra: &'a str,
}

impl Proof<'_> {
    fn of(user: &'static str, password: &str) -> Proof<'static> {
        let latin = |text: &str| text.chars().map(|c| u8::try_from(c).unwrap()).collect::<Vec<u8>>();
        let hashed = [latin(user), b":zk-sasl-md5:".to_vec(), latin(password)].concat();
        Proof { user, hashed, realm: "zk-sasl-md5", uri: "zookeeper/zk-sasl-md5", nc: "00000001", extra: "" }
    }

    fn digest(&self, nonce: &str, start: &str) -> String {
        let hex = |bytes: &[u8]| Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let session = [&Md5::digest(&self.hashed)[..], b":", nonce.as_bytes(), b":abc"].concat();
        let (nc, uri) = (self.nc, hex(format!("{start}{}", self.uri).as_bytes()));
        hex(format!("{}:{nonce}:{nc}:abc:auth:{uri}", hex(&session)).as_bytes())
    }

    fn answer(&self, nonce: &str) -> String {
        let Self { user, realm, uri, nc, extra, .. } = self;
        let response = self.digest(nonce, "AUTHENTICATE:");
        format!(
            "charset=utf-8,username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",nc={nc},cnonce=\"abc\",\
             digest-uri=\"{uri}\",maxbuf=65536,response={response},qop=auth{extra}"
        )
    }
}

fn is_failure(answered: &Answered, code: ErrorCode) -> bool {
    answered.header.err == code && answered.body == [0xff; 4] && answered.closed
}

#[test]
fn who_proves_a_password_has_an_identity() {
    let mut script = script(false, &[]);
    let mut client = script.client();
    let challenge = script.step(&client, b"").token().unwrap();
    let nonce = nonce_of(&challenge).to_owned();
    let expected = format!("realm=\"zk-sasl-md5\",nonce=\"{nonce}\",charset=utf-8,algorithm=md5-sess");
    assert_eq!((challenge, nonce.len()), (expected, 40));
    let bob = Proof::of("bob", "secret");
    let proven = script.step(&client, bob.answer(&nonce).as_bytes());
    assert!(!proven.closed && proven.header.err == ErrorCode::OK);
    assert_eq!(proven.token().unwrap(), format!("rspauth={}", bob.digest(&nonce, ":")));
    let me = script.call::<ops::WhoAmI>(&mut client, &Empty {}).unwrap();
    let me: Vec<_> = me.identities.iter().map(|id| (id.scheme.to_string(), id.user.to_string())).collect();
    assert_eq!(me, [("ip".into(), "127.0.0.1".into()), ("sasl".into(), "bob".into())]);
    let again = script.step(&client, bob.answer(&nonce).as_bytes());
    assert!(is_failure(&again, ErrorCode::AUTH_FAILED), "one exchange is all there is");
}

#[test]
fn acls_know_the_identity() {
    let mut script = script(false, &[]);
    let (mut bob, mut other) = (script.client(), script.client());
    script.prove(&bob, &Proof::of("bob", "secret"));
    script.create(&mut bob, "/bobs", 0).unwrap();
    let acl = |scheme, id: &'static str| {
        let id = AuthId { scheme: Label::from_static(scheme), id: Label::from_static(id) };
        [Acl { permissions: Permissions(31), id }]
    };
    let mut set = |script: &mut Script, acl: &[Acl]| {
        let request = zk_proto::records::SetAclRequest { path: "/bobs".into(), acl: acl.into(), version: -1 };
        script.call::<ops::SetAcl>(&mut bob, &request).map(|_| ())
    };
    assert_eq!(set(&mut script, &acl("sasl", "a@b@c")), Err(ErrorCode::INVALID_ACL));
    set(&mut script, &acl("sasl", "bob")).unwrap();
    set(&mut script, &acl("auth", "")).unwrap();
    let got = script.call::<ops::GetAcl>(&mut bob, &PathRequest { path: "/bobs".into() }).unwrap();
    assert_eq!(got.acl.to_vec(), acl("sasl", "bob"));
    assert_eq!(script.set(&mut other, "/bobs", -1), Err(ErrorCode::NO_AUTH));
    assert_eq!(script.set(&mut bob, "/bobs", -1), Ok(1));
}

#[test]
fn without_sasl_nobody_can_name_it() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    let answered = script.step(&client, b"");
    assert!(answered.header.err == ErrorCode::OK && answered.token().is_none() && !answered.closed);
    script.create(&mut client, "/a", 0).unwrap();
    let id = AuthId { scheme: Label::from_static("sasl"), id: Label::from_static("bob") };
    let acl = [Acl { permissions: Permissions(31), id }];
    let request = zk_proto::records::SetAclRequest { path: "/a".into(), acl: acl.as_slice().into(), version: -1 };
    assert_eq!(script.call::<ops::SetAcl>(&mut client, &request).unwrap_err(), ErrorCode::INVALID_ACL);
}

#[test]
fn whatever_is_wrong_with_an_answer_ends_the_connection() {
    let bob = || Proof::of("bob", "secret");
    let wrong = [
        ("password", Proof::of("bob", "Secret")),
        ("user", Proof::of("eve", "secret")),
        ("realm", Proof { realm: "other", ..bob() }),
        ("empty realm", Proof { realm: "", ..bob() }),
        ("host", Proof { uri: "zookeeper/localhost", ..bob() }),
        ("count", Proof { nc: "00000002", ..bob() }),
        ("twice", Proof { extra: ",response=00", ..bob() }),
        ("form", Proof { extra: ",x=", ..bob() }),
    ];
    for (what, proof) in wrong {
        let mut script = script(false, &[]);
        let client = script.client();
        assert!(is_failure(&script.prove(&client, &proof), ErrorCode::AUTH_FAILED), "{what}");
    }
    let mut script = script(false, &[]);
    let (one, two) = (script.client(), script.client());
    let other = script.step(&one, b"").token().unwrap();
    script.step(&two, b"");
    let answered = script.step(&two, bob().answer(nonce_of(&other)).as_bytes());
    assert!(is_failure(&answered, ErrorCode::AUTH_FAILED), "a nonce is good for one connection");
    let three = script.client();
    assert!(script.step(&three, b"hello").token().unwrap().starts_with("realm="), "what comes first is not looked at");
    let mut request = encode_to_bytes(&RequestHeader { xid: 9, op: OpCode::SASL });
    let strange = bob().answer("x").replace("65536", "many");
    SaslRequest { token: Secret(strange.as_bytes()) }.encode(&mut request);
    assert_eq!(script.exchange(three.conn, &request), (BytesMut::new(), true), "a server stumbles over it");
}

#[test]
fn names_in_latin_1_and_uris_in_capitals_are_as_good() {
    let mut script = script(false, &[]);
    let client = script.client();
    let proof = Proof { uri: "ZooKeeper/zk-sasl-md5", ..Proof::of("zoé", "pässword") };
    assert!(script.prove(&client, &proof).token().is_some());
}

#[test]
fn where_failed_clients_are_allowed_they_stay_and_are_nobody() {
    let mut script = script(true, &[]);
    let mut client = script.client();
    let challenge = script.step(&client, b"").token().unwrap();
    let failed = script.step(&client, Proof::of("bob", "wrong").answer(nonce_of(&challenge)).as_bytes());
    assert!(failed.header.err == ErrorCode::OK && failed.token().is_none() && !failed.closed);
    script.create(&mut client, "/a", 0).unwrap();
    let me = script.call::<ops::WhoAmI>(&mut client, &Empty {}).unwrap();
    assert_eq!(me.identities.len(), 1);
    for token in [Proof::of("bob", "secret").answer(nonce_of(&challenge)), String::new()] {
        let again = script.step(&client, token.as_bytes());
        assert!(again.token().is_none() && !again.closed, "the exchange is over");
    }
}

#[test]
fn where_it_is_required_nothing_else_is_carried_out() {
    let required = ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH;
    for op in [OpCode::PING, OpCode::CLOSE_SESSION, OpCode::WHO_AM_I] {
        let mut script = script(true, &["sasl"]);
        let client = script.client();
        let answered = script.ask(&client, op, &Empty {});
        assert_eq!((answered.header.err, answered.header.zxid.0, answered.closed), (required, 0, true), "{op:?}");
        assert!(answered.body.is_empty());
    }
    let mut script = script(true, &["sasl"]);
    let client = script.client();
    assert!(is_failure(&script.prove(&client, &Proof::of("bob", "wrong")), required));
    let mut client = script.client();
    let digest = AuthPacket { auth_type: 0, scheme: "digest".into(), auth: Some(Secret(b"bob:secret")) };
    assert_eq!(script.ask(&client, OpCode::AUTH, &digest).header.err, ErrorCode::OK);
    assert!(script.prove(&client, &Proof::of("bob", "secret")).token().is_some());
    script.create(&mut client, "/a", 0).unwrap();
}

#[test]
fn any_of_the_required_schemes_will_do() {
    let mut script = script(false, &["sasl", "digest"]);
    let mut client = script.client();
    let digest = AuthPacket { auth_type: 0, scheme: "digest".into(), auth: Some(Secret(b"bob:secret")) };
    assert_eq!(script.ask(&client, OpCode::AUTH, &digest).header.err, ErrorCode::OK);
    script.create(&mut client, "/a", 0).unwrap();
}

/// Frames of a recording, in order, with their titles.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tests/vectors/sasl.hex");
    let text = std::fs::read_to_string(path).unwrap();
    let mut frames: Vec<(String, Vec<u8>)> = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            frames.push((line.to_owned(), Vec::new()));
        } else if let Some((hex, _)) = line.split_once('|') {
            let hex: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
            let bytes = hex.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap());
            frames.last_mut().unwrap().1.extend(bytes);
        }
    }
    frames
}

/// The real servers' nonces are put into our connections: then every byte that follows must be theirs.
#[test]
fn recorded_exchanges_are_answered_byte_by_byte() {
    let frames = recorded();
    let nonce =
        |frame: &[u8]| Some(String::from_utf8_lossy(frame).split("nonce=\"").nth(1)?.split('"').next()?.to_owned());
    let mut compared = 0;
    for pair in frames.windows(2) {
        let [(title, request), (reply_title, reply)] = pair else { unreachable!() };
        if !title.starts_with("[request") || reply_title.starts_with("[request") {
            continue;
        }
        let required: &[&str] = if title.contains("SASL required") { &["sasl"] } else { &[] };
        let mut script = script(false, required);
        if !title.contains("with SASL") {
            script = Script::new(Profile::V3_9);
        }
        let client = script.client();
        let conn = script.model.conns.get_mut(&client.conn).unwrap();
        if let Some(nonce) = nonce(request) {
            conn.sasl = Exchange::Challenged { nonce };
        } else if title.contains("second exchange") {
            conn.sasl = Exchange::Over;
        }
        let (mut answer, closed) = script.exchange(client.conn, request);
        answer.advance(4);
        if let (Some(ours), Some(theirs)) = (nonce(&answer), nonce(reply)) {
            assert_eq!(ours.len(), theirs.len());
            let text = String::from_utf8(answer[20..].to_vec()).unwrap().replace(&ours, &theirs);
            answer = BytesMut::from(&[&answer[..20], text.as_bytes()].concat()[..]);
        }
        assert_eq!(answer[..], reply[..], "{title}");
        assert_eq!(closed, reply_title.starts_with("[refused"), "{title}");
        compared += 1;
    }
    assert_eq!(compared, 8, "exchanges in the recording");
}
