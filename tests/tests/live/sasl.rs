//! DIGEST-MD5 side by side: a real server and the in-process one are told the same, right and wrong, and must answer alike.

use std::{fs, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use zk_testkit::{
    launcher::{Ensemble, Version},
    server::TestServer,
};
use zk_tests::real;

use super::scene::{Done, Failure, PATIENCE};

#[path = "../../examples/record_vectors/md5.rs"]
mod md5;

/// Who may come in. A name and a password beyond ASCII show in which charset they are hashed.
const USERS: [(&str, &str); 3] = [("bob", "secret"), ("zo\u{e9}", "p\u{e4}ss"), ("eve", "\u{20ac}uro")];

/// Directives of an answer that may be got wrong; the response is right for what they say.
#[derive(Clone, Debug)]
struct Answer {
    user: &'static str,
    password: &'static str,
    realm: Option<&'static str>,
    uri: &'static str,
    nc: &'static str,
    qop: &'static str,
    start: &'static str,
    extra: &'static str,
    /// Whether user and password are hashed as UTF-8 in any case.
    hashes_utf8: bool,
    /// A directive that is left out.
    without: &'static str,
}

const BOB: Answer = Answer {
    user: "bob",
    password: "secret",
    realm: Some("zk-sasl-md5"),
    uri: "zookeeper/zk-sasl-md5",
    nc: "00000001",
    qop: ",qop=auth",
    start: "charset=utf-8",
    extra: "",
    hashes_utf8: false,
    without: "",
};

fn answers() -> Vec<Answer> {
    let (zoe, eve) = (USERS[1], USERS[2]);
    vec![
        BOB,
        Answer { password: "Secret", ..BOB },
        Answer { user: "nobody", ..BOB },
        Answer { user: zoe.0, password: zoe.1, ..BOB },
        Answer { user: zoe.0, password: zoe.1, hashes_utf8: true, ..BOB },
        Answer { user: eve.0, password: eve.1, ..BOB },
        Answer { realm: None, ..BOB },
        Answer { realm: Some(""), ..BOB },
        Answer { realm: Some("other"), ..BOB },
        Answer { uri: "zookeeper/localhost", ..BOB },
        Answer { uri: "ZooKeeper/zk-sasl-md5", ..BOB },
        Answer { nc: "00000002", ..BOB },
        Answer { nc: "1", ..BOB },
        Answer { qop: "", ..BOB },
        Answer { qop: ",qop=auth-int", ..BOB },
        Answer { start: "charset=latin-1", ..BOB },
        Answer { start: "x=y", ..BOB },
        Answer { start: "CHARSET=utf-8", ..BOB },
        Answer { extra: ",nc=00000001", ..BOB },
        Answer { extra: ",nc=00000002", ..BOB },
        Answer { extra: ",username=\"eve\"", ..BOB },
        Answer { start: "username=\"eve\"", ..BOB },
        Answer { extra: ",realm=\"other\"", ..BOB },
        Answer { extra: ",qop=auth-int", ..BOB },
        Answer { extra: ",response=00", ..BOB },
        Answer { extra: ",digest-uri=\"x\"", ..BOB },
        Answer { extra: ",charset=x", ..BOB },
        Answer { nc: "x", ..BOB },
        Answer { start: "charset=utf-8,x", ..BOB },
        Answer { start: "x", ..BOB },
        Answer { start: "x=1 y=2", ..BOB },
        Answer { start: "x=\"1\"y=2", ..BOB },
        Answer { start: "x=,y=1", ..BOB },
        Answer { start: "", ..BOB },
        Answer { start: "=1", ..BOB },
        Answer { without: "username", ..BOB },
        Answer { without: "nonce", ..BOB },
        Answer { without: "cnonce", ..BOB },
        Answer { without: "nc", ..BOB },
        Answer { without: "digest-uri", ..BOB },
        Answer { without: "response", ..BOB },
        Answer { extra: ",authzid=\"eve\"", ..BOB },
        Answer { extra: ",cipher=x", ..BOB },
        Answer { extra: ",maxbuf=65536", ..BOB },
        Answer { extra: ",maxbuf=-1", ..BOB },
        Answer { extra: ",maxbuf=99999999999", ..BOB },
        Answer { extra: ",maxbuf=x", ..BOB },
        Answer { extra: ", , x = \"y\\\"\" ", ..BOB },
        Answer { extra: ",x", ..BOB },
        Answer { extra: ",x=\"", ..BOB },
        Answer { extra: ",", ..BOB },
        Answer { extra: ",unknown=1,unknown=2", ..BOB },
    ]
}

impl Answer {
    fn text(&self, nonce: &str) -> String {
        let Self { user, password, realm, uri, nc, qop, start, extra, hashes_utf8, without } = self;
        let hashed = |text: &str| -> Vec<u8> {
            let latin: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
            latin.ok().filter(|_| !hashes_utf8).unwrap_or_else(|| text.as_bytes().to_vec())
        };
        let secret = [&hashed(user)[..], b":", realm.unwrap_or_default().as_bytes(), b":", &hashed(password)].concat();
        let a1 = [&md5::md5(&secret)[..], b":", nonce.as_bytes(), b":abcdef"].concat();
        let a2 = md5::hex_md5(format!("AUTHENTICATE:{uri}").as_bytes());
        let middle = format!("{nonce}:{nc}:abcdef:{}", if qop.contains("int") { "auth-int" } else { "auth" });
        let response = md5::hex_md5(format!("{}:{middle}:{a2}", md5::hex_md5(&a1)).as_bytes());
        let realm = realm.map(|realm| format!("realm=\"{realm}\"")).unwrap_or_default();
        let directives = [
            (*start).to_owned(),
            format!("username=\"{user}\""),
            realm,
            format!("nonce=\"{nonce}\""),
            format!("nc={nc}"),
            "cnonce=\"abcdef\"".to_owned(),
            format!("digest-uri=\"{uri}\""),
            format!("response={response}"),
        ];
        let kept = |directive: &&String| !directive.is_empty() && directive.split('=').next() != Some(without);
        let directives: Vec<&str> = directives.iter().filter(kept).map(String::as_str).collect();
        format!("{}{qop}{extra}", directives.join(","))
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).expect("short").to_be_bytes()[..], payload].concat()
}

async fn receive(stream: &mut TcpStream) -> Result<Option<Vec<u8>>, Failure> {
    let read = async {
        let len = stream.read_u32().await.ok()?;
        let mut frame = vec![0; len.try_into().ok()?];
        stream.read_exact(&mut frame).await.ok().map(|_| frame)
    };
    Ok(timeout(PATIENCE, read).await?)
}

async fn sasl(stream: &mut TcpStream, xid: i32, token: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let payload = [&xid.to_be_bytes()[..], &102_i32.to_be_bytes(), &frame(token)].concat();
    stream.write_all(&frame(&payload)).await?;
    receive(stream).await
}

/// The bytes that come back: to the challenge, to the answer, to whoAmI, and to a right answer and no answer once all is over;
/// `None` where the connection has ended.
async fn play(addr: SocketAddr, first: &[u8], answer: &Answer) -> Result<Vec<Option<String>>, Failure> {
    let mut stream = TcpStream::connect(addr).await?;
    let greeting = [&[0; 12][..], &10_000_i32.to_be_bytes(), &[0; 8], &16_i32.to_be_bytes(), &[0; 17]].concat();
    stream.write_all(&frame(&greeting)).await?;
    receive(&mut stream).await?.ok_or("no session")?;
    let challenge = sasl(&mut stream, 1, first).await?;
    let text = String::from_utf8_lossy(challenge.as_deref().unwrap_or_default()).into_owned();
    let nonce = text.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("none");
    let mut seen = vec![challenge.as_ref().map(|_| text.replace(nonce, "NONCE"))];
    let proof = sasl(&mut stream, 2, answer.text(nonce).as_bytes()).await.unwrap_or_default();
    let show = |frame: Vec<u8>| String::from_utf8_lossy(&frame).split("rspauth=").next().unwrap_or_default().to_owned();
    seen.push(proof.map(show));
    if seen.last().is_some_and(Option::is_some) {
        let who = [&3_i32.to_be_bytes()[..], &107_i32.to_be_bytes()].concat();
        if stream.write_all(&frame(&who)).await.is_ok() {
            // without the header's zxid, which is that of everybody's transactions; the order of identities is open
            let identities = receive(&mut stream).await?.map(|frame| {
                let text = String::from_utf8_lossy(&frame[16..]).into_owned();
                let who = ["bob", "zo\u{e9}", "eve"].iter().find(|user| text.contains(**user));
                format!("{} {who:?}", frame.len())
            });
            seen.push(identities);
        }
        for (xid, token) in [(4, BOB.text(nonce)), (5, String::new())] {
            let again = sasl(&mut stream, xid, token.as_bytes()).await.unwrap_or_default();
            seen.push(again.map(show));
        }
    }
    Ok(seen)
}

async fn start(settings: &[(&str, &str)]) -> Result<Ensemble, Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jaas.conf");
    let users: String = USERS.iter().map(|(user, password)| format!("  user_{user}=\"{password}\"\n")).collect();
    let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
    fs::write(&file, format!("Server {{\n  {module} required\n{users};\n}};\n").replace("\n;", ";"))?;
    let provider = "org.apache.zookeeper.server.auth.SASLAuthenticationProvider";
    let mut launcher = real(Version::V3_9)
        .system_property("java.security.auth.login.config", file.display().to_string())
        .system_property("zookeeper.authProvider.1", provider)
        .system_property("file.encoding", "UTF-8");
    for (key, value) in settings {
        launcher = launcher.system_property(*key, *value);
    }
    Ok(launcher.start().await?)
}

/// Plays every answer against both, and holds one against the other.
async fn compare(settings: &[(&str, &str)], ours: &TestServer) -> Done {
    let ensemble = start(settings).await?;
    let theirs = ensemble.server(0).ok_or("one server")?.addr();
    let mut wrong = Vec::new();
    let firsts = [(&b""[..], answers()), (b"hello", vec![BOB])];
    for (first, answer) in firsts.iter().flat_map(|(first, answers)| answers.iter().map(|answer| (*first, answer))) {
        let (real, own) = (play(theirs, first, answer).await?, play(ours.addr(), first, answer).await?);
        if real != own {
            wrong.push(format!("{answer:?}\n real {real:?}\n ours {own:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn ours() -> zk_testkit::server::Builder {
    USERS.iter().fold(TestServer::builder(), |builder, (user, password)| builder.sasl_user(user, password))
}

#[tokio::test]
async fn answers_are_a_real_servers() -> Done {
    compare(&[], &ours().start().await?).await
}

#[tokio::test]
async fn so_they_are_where_sasl_is_required() -> Done {
    compare(&[("zookeeper.sessionRequireClientSASLAuth", "true")], &ours().require_sasl().start().await?).await
}

#[tokio::test]
async fn so_they_are_where_failed_clients_are_allowed() -> Done {
    let server = ours().allow_sasl_failed_clients().start().await?;
    compare(&[("zookeeper.allowSaslFailedClients", "true")], &server).await
}
