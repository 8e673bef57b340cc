//! DIGEST-MD5 (RFC 2831) as Java's server does it inside ZooKeeper: challenge, check, and the proof that goes back.
//!
//! Must not know connections, users or replies: who asks for a password passes a function that knows it. Source:
//! protocol.md section 6.3; oddities are those of the JDK's `DigestMD5Server`, found by asking real servers.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use zk_proto::jute::decode_utf8;

/// Realm and host of every ZooKeeper: hard-wired, whatever the server's name is.
const REALM: &str = "zk-sasl-md5";

/// What the password is good for: the service, and the host that is none.
const DIGEST_URI: &str = "zookeeper/zk-sasl-md5";

/// Number of random bytes in a nonce of the JDK.
pub(super) const NONCE_LEN: usize = 30;

/// The answer was no good; a server does not say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// A client that has shown that it knows the password.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proven {
    pub(super) user: String,
    /// `rspauth=..`: the server knows it too.
    pub(super) proof: String,
}

/// What the exchange begins with. There is no `qop` directive, which stands for `auth`.
pub(super) fn challenge(nonce: &str) -> String {
    format!("realm=\"{REALM}\",nonce=\"{nonce}\",charset=utf-8,algorithm=md5-sess")
}

/// Checks the answer to a challenge.
///
/// # Errors
/// It is not well-formed, answers something else, or the password is wrong.
pub(super) fn check(
    token: &[u8],
    nonce: &str,
    password: impl FnOnce(&str) -> Option<String>,
) -> Result<Proven, Refused> {
    let answer = Answer::parse(token).ok_or(Refused)?;
    let is_fit = answer.charset.as_deref().is_none_or(|charset| charset == "utf-8")
        && answer.realm == REALM
        && answer.nonce == nonce
        && answer.digest_uri.eq_ignore_ascii_case(DIGEST_URI)
        && u32::from_str_radix(&answer.nc, 16) == Ok(1)
        && answer.qop == "auth"
        && answer.maxbuf.as_deref().is_none_or(|len| len.parse::<u32>().is_ok());
    let password = password(&answer.user).filter(|_| is_fit).ok_or(Refused)?;
    let secret = answer.secret(&password);
    if answer.digest(&secret, "AUTHENTICATE:") != answer.response {
        return Err(Refused);
    }
    let proof = format!("rspauth={}", answer.digest(&secret, ":"));
    Ok(Proven { user: answer.user, proof })
}

/// The directives of an answer that matter here.
#[derive(Debug)]
struct Answer {
    user: String,
    realm: String,
    nonce: String,
    cnonce: String,
    nc: String,
    qop: String,
    digest_uri: String,
    response: String,
    charset: Option<String>,
    authzid: Option<String>,
    maxbuf: Option<String>,
}

impl Answer {
    fn parse(token: &[u8]) -> Option<Self> {
        let text = decode_utf8(token);
        let mut directives = directives(&text)?;
        let mut take = |name: &str| {
            let at = directives.iter().position(|(key, _)| key.eq_ignore_ascii_case(name))?;
            let (_, value) = directives.swap_remove(at);
            Some(value)
        };
        let answer = Self {
            user: take("username")?,
            realm: take("realm").unwrap_or_default(),
            nonce: take("nonce")?,
            cnonce: take("cnonce")?,
            nc: take("nc")?,
            qop: take("qop").unwrap_or_else(|| "auth".to_owned()),
            digest_uri: take("digest-uri")?,
            response: take("response")?,
            charset: take("charset"),
            authzid: take("authzid"),
            maxbuf: take("maxbuf"),
        };
        // a directive that comes twice is refused
        let again = ["username", "realm", "nonce", "cnonce", "nc", "qop", "digest-uri", "response", "charset"];
        again.iter().chain(&["authzid", "maxbuf"]).all(|name| take(name).is_none()).then_some(answer)
    }

    /// `H(A1)` in hexadecimal: the session's key.
    fn secret(&self, password: &str) -> String {
        let user = [&*hashed_form(&self.user), b":", &hashed_form(&self.realm), b":", &hashed_form(password)].concat();
        let mut a1 = Md5::digest(user).to_vec();
        a1.extend_from_slice(format!(":{}:{}", self.nonce, self.cnonce).as_bytes());
        if let Some(authzid) = &self.authzid {
            a1.extend_from_slice(format!(":{authzid}").as_bytes());
        }
        hex_md5(&a1)
    }

    /// The digest that one side proves its knowledge with; the sides differ in what stands before the URI.
    fn digest(&self, secret: &str, before_uri: &str) -> String {
        let a2 = hex_md5(format!("{before_uri}{}", self.digest_uri).as_bytes());
        let Self { nonce, nc, cnonce, qop, .. } = self;
        hex_md5(format!("{secret}:{nonce}:{nc}:{cnonce}:{qop}:{a2}").as_bytes())
    }
}

/// RFC 2831: what fits in ISO 8859-1 is hashed in it, whatever the charset.
fn hashed_form(text: &str) -> Vec<u8> {
    let latin: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    latin.unwrap_or_else(|_| text.as_bytes().to_vec())
}

fn hex_md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a string cannot fail
        hex
    })
}

/// Names and values of `name=value,name="value"`, with blanks between and `\` before what is quoted.
fn directives(text: &str) -> Option<Vec<(&str, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_matches(is_blank);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start_matches(is_blank);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find([',', ' ', '\t', '\r', '\n']).unwrap_or(after.len());
                let (value, after) = after.split_at_checked(end)?;
                (value.to_owned(), after)
            }
        };
        found.push((name.trim_matches(is_blank), value));
        let after = after.trim_start_matches(is_blank);
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start_matches(is_blank),
            None if after.is_empty() => after,
            None => return None,
        };
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

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_names_and_values() {
        let found = directives("a=1, b = \"x,\\\"y\\\\\" ,\tc=,d=\"\"").unwrap();
        assert_eq!(found, [("a", "1".into()), ("b", "x,\"y\\".into()), ("c", "".into()), ("d", "".into())]);
        for broken in ["a", "a=\"x", "a=\"x\\", "a=1 b=2", "a=\"x\"y"] {
            assert_eq!(directives(broken), None, "{broken}");
        }
        assert_eq!(directives(""), Some(vec![]));
    }

    #[test]
    fn names_are_hashed_in_latin_1_where_they_fit() {
        assert_eq!(hashed_form("é"), [0xe9]);
        assert_eq!(hashed_form("é€"), "é€".as_bytes());
    }

    /// The example of RFC 2831 section 4, with what ZooKeeper hard-wires replaced.
    #[test]
    fn the_formula_is_that_of_the_rfc() {
        let answer = Answer {
            user: "chris".into(),
            realm: "elwood.innosoft.com".into(),
            nonce: "OA6MG9tEQGm2hh".into(),
            cnonce: "OA6MHXh6VqTrRk".into(),
            nc: "00000001".into(),
            qop: "auth".into(),
            digest_uri: "imap/elwood.innosoft.com".into(),
            response: String::new(),
            charset: None,
            authzid: None,
            maxbuf: None,
        };
        let secret = answer.secret("secret");
        assert_eq!(answer.digest(&secret, "AUTHENTICATE:"), "d388dad90d4bbd760a152321f2143af7");
        assert_eq!(answer.digest(&secret, ":"), "ea40f60335c427b5527b84dbabcdfffd");
    }
}
