//! Scenes of identities: auth packets, SASL, and servers that insist.

use crate::client::{Client, Done, Stage, frame};
use crate::md5::hex_md5;
use crate::value::{Value, acl, args, open, request};

/// The user of these scenes, and the password, which is no secret.
const USER: (&str, &str) = ("bob", "secret");

/// What is played on a server of any version.
pub(crate) fn play(stage: &Stage<'_>) -> Done {
    let mut client = stage.session()?;
    let c = &mut client;
    let why = "The scheme, and what proves the identity in it: `user:password`. The xid is -4. The reply is a \
        header with zxid 0; it may overtake others.";
    c.scene("auth", why).ok("auth", args![0, "digest", "bob:secret"])?;
    let other = frame(77, "auth", &request("auth", args![0, "digest", "ann:secret"]));
    c.scene("other xid", "Unlike a ping, an auth packet gets its own number back.").raw(0, "auth", other)?;
    c.scene("ip", "Everybody has their address already: a harmless yes.").ok("auth", args![0, "ip", ""])?;
    let why = "Data without a colon is a user's name and password in one.";
    c.scene("no colon", why).ok("auth", args![0, "digest", "nocolon"])?;
    if stage.at_least(7) {
        let why = "Everybody is somebody by their address; of a digest only the user's name is told.";
        c.scene("digest", why).ok("whoAmI", args![])?;
    }
    c.must("create", args!["/auth", "", open(), 0])?;
    let why = "The scheme `auth` stands for all of the connection's identities.";
    c.scene("auth expanded", why).ok("setACL", args!["/auth", acl(31, "auth", ""), -1])?;
    let why = "What it was expanded to: the user and a hash, which ADMIN permission shows.";
    c.scene("digest", why).ok("getACL", args!["/auth"])?;
    let mut c = stage.session()?;
    c.scene("scheme unknown", "AUTH_FAILED is final.").then_closed().answered(-115, "auth", args![0, "nobody", "x"])?;
    let mut c = stage.session()?;
    c.scene("data null", "digest needs data.").then_closed().answered(-115, "auth", args![0, "digest", Value::Null])?;
    let mut c = stage.session()?;
    c.scene("no SASL here", "A server without SASL says yes, with a null token.").ok("sasl", args![""])?;
    c.scene("token null", "A token of null ends the connection.").unanswered("sasl", args![Value::Null])?;
    Ok(())
}

/// On a server whose JAAS file knows `bob`.
pub(crate) fn sasl(stage: &Stage<'_>) -> Done {
    let mut client = stage.session()?;
    let c = &mut client;
    let challenge = c
        .scene(
            "sasl",
            "DIGEST-MD5 begins with an empty token; the reply is the challenge, behind a header with zxid 0.",
        )
        .ok("sasl", args![""])?;
    let answer = answer(&challenge.body()[4..], USER.1)?;
    let why = "What proves the password, and what proves that the server knows it too.";
    c.scene("response", why).ok("sasl", args![answer])?;
    if stage.at_least(7) {
        c.scene("sasl", "The identity is the user's name.").ok("whoAmI", args![])?;
    }
    c.scene("second exchange", "One is all a connection gets.").then_closed().answered(-115, "sasl", args![""])?;
    let mut client = stage.session()?;
    let challenge = client.must("sasl", args![""])?;
    let wrong = self::answer(&challenge.body()[4..], "wrong")?;
    client
        .scene(
            "wrong password",
            "AUTH_FAILED, and behind the error a null token: a body may follow an error. Ignore it.",
        )
        .then_closed()
        .answered(-115, "sasl", args![wrong])?;
    Ok(())
}

/// On a server that demands SASL.
pub(crate) fn sasl_required(stage: &Stage<'_>) -> Done {
    let why = "A server with `sessionRequireClientSASLAuth` answers nothing before the exchange, not even this.";
    stage.session()?.scene("SASL required", why).then_closed().answered(-124, "ping", args![])?;
    let mut client = stage.session()?;
    let challenge = client.must("sasl", args![""])?;
    let wrong = answer(&challenge.body()[4..], "wrong")?;
    let why = "Where SASL is required, a wrong password is -124.";
    client.scene("wrong password where required", why).then_closed().answered(-124, "sasl", args![wrong])?;
    Ok(())
}

/// On a server that demands a digest, 3.7 and later.
pub(crate) fn required(stage: &Stage<'_>) -> Done {
    let why =
        "A server with `enforce.auth` answers nothing before a connection has one of the identities that it wants.";
    stage.session()?.scene("auth required", why).then_closed().answered(-124, "getData", args!["/", false])?;
    Ok(())
}

/// The client's answer to a DIGEST-MD5 challenge, RFC 2831, with what ZooKeeper has fixed.
fn answer(challenge: &[u8], password: &str) -> Done<Vec<u8>> {
    const REALM: &str = "zk-sasl-md5";
    const CNONCE: &str = "0123456789abcdef";
    let challenge = String::from_utf8(challenge.to_vec())?;
    let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("no nonce")?;
    let user = USER.0;
    let mut a1 = crate::md5::md5(format!("{user}:{REALM}:{password}").as_bytes()).to_vec();
    a1.extend(format!(":{nonce}:{CNONCE}").bytes());
    let a2 = format!("AUTHENTICATE:zookeeper/{REALM}");
    let middle = format!("{nonce}:00000001:{CNONCE}:auth");
    let response = hex_md5(format!("{}:{middle}:{}", hex_md5(&a1), hex_md5(a2.as_bytes())).as_bytes());
    let text = format!(
        "charset=utf-8,username=\"{user}\",realm=\"{REALM}\",nonce=\"{nonce}\",nc=00000001,cnonce=\"{CNONCE}\",\
         digest-uri=\"zookeeper/{REALM}\",maxbuf=65536,response={response},qop=auth"
    );
    Ok(text.into_bytes())
}

/// A connection that may do everything, on a server with [`SUPER`].
pub(crate) fn superuser<'s>(stage: &'s Stage<'s>) -> Done<Client<'s>> {
    let mut client = stage.session()?;
    client.must("auth", args![0, "digest", "super:secret"])?;
    Ok(client)
}

/// The server's setting for [`superuser`]: the hash of `super:secret`.
pub(crate) const SUPER: (&str, &str) =
    ("zookeeper.DigestAuthenticationProvider.superDigest", "super:lK75jTNcA+U9vtVEw5vB51mj/w4=");
