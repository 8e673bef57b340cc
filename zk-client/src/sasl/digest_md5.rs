//! DIGEST-MD5 (RFC 2831), the client's side, as ZooKeeper's servers want it.
//!
//! Must not know connections. Realm and host are the server's constants, whatever its name is: protocol.md section 6.3.

use super::{SaslExchange, SaslMechanism, SaslStep};
use crate::secret::Secret;
use md5::{Digest as _, Md5};
use std::{borrow::Cow, fmt::Write as _};
use zeroize::Zeroizing;
use zk_proto::session::SaslFailure;

/// What the password is good for: the service, and a host that every server has.
const DIGEST_URI: &str = "zookeeper/zk-sasl-md5";

/// A nonce is used once.
const NONCE_COUNT: &str = "00000001";

/// Random bytes in our nonce; RFC 2831 recommends 8 and more.
const CNONCE_LEN: usize = 16;

/// A challenge is shorter than this (RFC 2831 section 2.1.1).
const CHALLENGE_LEN_MAX: usize = 2048;

/// User and password as `DIGEST-MD5`; the identity is `sasl:user`.
///
/// The password does not travel, and the server proves that it knows it, too. The mechanism is old (MD5): over a network
/// that others use, have `Connector::tls` as well.
#[derive(Clone, Debug)]
pub struct DigestMd5 {
    user: String,
    password: Secret,
}

impl DigestMd5 {
    /// The user and password of the server's JAAS section, `user_NAME="PASSWORD"`.
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
}

impl SaslMechanism for DigestMd5 {
    fn name(&self) -> &str {
        "DIGEST-MD5"
    }

    fn begin(&self, _host: &str) -> Result<Box<dyn SaslExchange>, SaslFailure> {
        let mut random = [0; CNONCE_LEN];
        getrandom::fill(&mut random).map_err(|_| SaslFailure::Mechanism("the system gives no random numbers"))?;
        Ok(Box::new(Exchange { known: self.clone(), cnonce: hex(&random), expected: None }))
    }

    fn reveals_secret(&self) -> bool {
        false
    }
}

struct Exchange {
    known: DigestMd5,
    cnonce: String,
    /// What the server must say to prove itself, once it was answered.
    expected: Option<String>,
}

impl SaslExchange for Exchange {
    fn first(&mut self) -> Result<Vec<u8>, SaslFailure> {
        Ok(Vec::new())
    }

    fn step(&mut self, token: Option<&[u8]>) -> Result<SaslStep, SaslFailure> {
        let token = token.ok_or(SaslFailure::Unavailable)?;
        match &self.expected {
            None => {
                let challenge = Challenge::parse(token).map_err(SaslFailure::Mechanism)?;
                let (answer, expected) = self.answer(&challenge);
                self.expected = Some(expected);
                Ok(SaslStep::Send(answer.into_bytes()))
            }
            Some(expected) if token == expected.as_bytes() => Ok(SaslStep::Done),
            Some(_) => Err(SaslFailure::Mechanism(
                "the server did not prove that it knows the password; somebody may be in its place",
            )),
        }
    }
}

impl Exchange {
    /// The answer, and what the server is to answer to that.
    fn answer(&self, challenge: &Challenge) -> (String, String) {
        let DigestMd5 { user, password } = &self.known;
        let Challenge { realm, nonce, has_charset } = challenge;
        let password = std::str::from_utf8(password.expose()).map_or(Cow::Borrowed(password.expose()), hashed_form);
        let identity = [&*hashed_form(user), b":", &*hashed_form(realm), b":", &*password].concat();
        let mut a1 = Zeroizing::new(Md5::digest(&*Zeroizing::new(identity)).to_vec());
        write_bytes(&mut a1, &[":", nonce, ":", &self.cnonce]);
        let key = Zeroizing::new(hex_md5(&a1));
        let digest = |before_uri: &str| {
            let a2 = hex_md5(format!("{before_uri}{DIGEST_URI}").as_bytes());
            hex_md5(format!("{}:{nonce}:{NONCE_COUNT}:{}:auth:{a2}", *key, self.cnonce).as_bytes())
        };
        let charset = if *has_charset { "charset=utf-8," } else { "" };
        let answer = format!(
            "{charset}username=\"{}\",realm=\"{}\",nonce=\"{}\",nc={NONCE_COUNT},cnonce=\"{}\",\
             digest-uri=\"{DIGEST_URI}\",response={},qop=auth",
            quoted(user),
            quoted(realm),
            quoted(nonce),
            self.cnonce,
            digest("AUTHENTICATE:"),
        );
        (answer, format!("rspauth={}", digest(":")))
    }
}

fn write_bytes(to: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| to.extend_from_slice(part.as_bytes()));
}

/// What a server asks.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    /// The first one, where it offers several.
    realm: String,
    nonce: String,
    has_charset: bool,
}

impl Challenge {
    fn parse(token: &[u8]) -> Result<Self, &'static str> {
        const STRANGE: &str = "the server's challenge is not DIGEST-MD5's; is another mechanism set up there?";
        let text = Some(token).filter(|token| token.len() < CHALLENGE_LEN_MAX).ok_or(STRANGE)?;
        let text = std::str::from_utf8(text).map_err(|_| STRANGE)?;
        let directives = directives(text).ok_or(STRANGE)?;
        let all = |name: &'static str| {
            let named = move |(key, value): &'_ (&str, String)| key.eq_ignore_ascii_case(name).then(|| value.clone());
            directives.iter().filter_map(named).collect::<Vec<_>>()
        };
        let ([nonce], [algorithm]) = (&*all("nonce"), &*all("algorithm")) else { return Err(STRANGE) };
        if !algorithm.eq_ignore_ascii_case("md5-sess") || nonce.is_empty() {
            return Err(STRANGE);
        }
        let protections = all("qop");
        let is_auth = |word: &str| word.trim().eq_ignore_ascii_case("auth");
        if !(protections.is_empty() || protections.iter().any(|qop| qop.split(',').any(is_auth))) {
            return Err("the server wants SASL to protect every frame; ZooKeeper knows no such thing");
        }
        let realm = all("realm").into_iter().next().unwrap_or_default();
        Ok(Self { realm, nonce: nonce.clone(), has_charset: !all("charset").is_empty() })
    }
}

/// RFC 2831 section 2.1.2.1: what fits in ISO 8859-1 is hashed in it.
fn hashed_form(text: &str) -> Cow<'_, [u8]> {
    let latin: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    latin.map_or(Cow::Borrowed(text.as_bytes()), Cow::Owned)
}

fn hex_md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a string cannot fail
        hex
    })
}

/// The inside of a quoted string.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// `name=value,name="value"`, with commas between them and blanks anywhere.
fn directives(text: &str) -> Option<Vec<(&str, String)>> {
    let is_between = |c: char| c == ',' || c.is_ascii_whitespace();
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(is_between);
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let (name, value) = (name.trim_end(), value.trim_start());
        let (value, after) = match value.strip_prefix('"') {
            Some(inside) => unquoted(inside)?,
            None => {
                let (value, after) = value.split_at(value.find(is_between).unwrap_or(value.len()));
                (value.to_owned(), after)
            }
        };
        if name.is_empty() || name.contains(is_between) || !(after.is_empty() || after.starts_with(is_between)) {
            return None;
        }
        found.push((name, value));
        rest = after.trim_start_matches(is_between);
    }
    Some(found)
}

/// The value up to its closing quote, and what is behind that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = r#"realm="zk-sasl-md5",nonce="OA6MG9tEQGm2hh",charset=utf-8,algorithm=md5-sess"#;

    fn exchange(user: &str, password: &str) -> Exchange {
        Exchange { known: DigestMd5::new(user, password), cnonce: "OA6MHXh6VqTrRk".into(), expected: None }
    }

    /// The numbers come from Python's hashlib, by the formulas of RFC 2831 section 2.1.2.1.
    #[test]
    fn the_formula_is_that_of_the_rfc() {
        let mut exchange = exchange("bob", "secret");
        assert_eq!(exchange.first(), Ok(Vec::new()));
        let Ok(SaslStep::Send(answer)) = exchange.step(Some(CHALLENGE.as_bytes())) else { panic!("no answer") };
        let answer = String::from_utf8(answer).unwrap();
        let expected = "charset=utf-8,username=\"bob\",realm=\"zk-sasl-md5\",nonce=\"OA6MG9tEQGm2hh\",nc=00000001,\
                        cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"zookeeper/zk-sasl-md5\",\
                        response=96a125c56dc925bebf08db539dbced1e,qop=auth";
        assert_eq!(answer, expected);
        assert_eq!(exchange.expected.as_deref(), Some("rspauth=0d9aedacca5153e40ff87d8200c7f433"));
        assert!(exchange.step(Some(b"rspauth=0d9aedacca5153e40ff87d8200c7f433")) == Ok(SaslStep::Done));
    }

    #[test]
    fn a_server_that_proves_nothing_is_not_trusted() {
        for proof in [&b""[..], b"rspauth=", b"rspauth=00000000000000000000000000000000"] {
            let mut exchange = exchange("bob", "secret");
            assert!(exchange.step(Some(CHALLENGE.as_bytes())).is_ok());
            let Err(SaslFailure::Mechanism(why)) = exchange.step(Some(proof)) else { panic!("trusted {proof:?}") };
            assert!(why.contains("did not prove"), "{why}");
        }
        assert!(exchange("bob", "secret").step(None) == Err(SaslFailure::Unavailable));
    }

    #[test]
    fn challenges_are_read_with_suspicion() {
        let parse = |text: &str| Challenge::parse(text.as_bytes());
        let plain = Challenge { realm: String::new(), nonce: "n".into(), has_charset: false };
        assert_eq!(parse("nonce=\"n\",algorithm=md5-sess"), Ok(plain));
        let full = Challenge { realm: "a\"b".into(), nonce: "n\\".into(), has_charset: true };
        let text =
            " realm=\"a\\\"b\" , realm=\"c\",nonce=\"n\\\\\", qop=\"auth-int,auth\", charset=utf-8,algorithm=MD5-sess,";
        assert_eq!(parse(text), Ok(full));
        for strange in [
            "",
            "nonce=\"n\"",
            "algorithm=md5-sess",
            "nonce=\"\",algorithm=md5-sess",
            "nonce=\"n\",nonce=\"m\",algorithm=md5-sess",
            "nonce=\"n\",algorithm=md5",
            "nonce=\"n\",algorithm=md5-sess,qop=\"auth-conf\"",
            "nonce=\"n",
            "nonce=\"n\\",
            "nonce=\"n\"x,algorithm=md5-sess",
            "nonce",
            "=n,algorithm=md5-sess",
        ] {
            assert!(parse(strange).is_err(), "{strange}");
        }
        assert!(Challenge::parse(&[0xff; 8]).is_err());
        assert!(parse(&format!("nonce=\"{}\",algorithm=md5-sess", "n".repeat(CHALLENGE_LEN_MAX))).is_err());
    }

    #[test]
    fn secrets_do_not_show() {
        assert!(!format!("{:?}", DigestMd5::new("bob", "canary")).contains("canary"));
        assert_eq!(quoted("a\"b\\c"), "a\\\"b\\\\c");
        assert_eq!((&*hashed_form("\u{e9}"), &*hashed_form("\u{20ac}")), (&[0xe9][..], "\u{20ac}".as_bytes()));
    }
}
