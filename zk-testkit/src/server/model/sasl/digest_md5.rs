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

/// A nonce is used once, whatever a client says.
const NONCE_COUNT: &str = "00000001";

/// Number of random bytes in a nonce of the JDK.
pub(super) const NONCE_LEN: usize = 30;

/// The answer was no good; a server does not say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The exchange has failed.
    Refused,
    /// The server stumbles over it, and hangs up without an answer.
    Stumbled,
}

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
) -> Result<Proven, Failure> {
    let answer = Answer::parse(token).ok_or(Failure::Refused)?;
    let is_fit = answer.charset.as_deref().is_none_or(|charset| charset == "utf-8")
        && answer.realm == REALM
        && answer.nonce == nonce
        && answer.digest_uri.eq_ignore_ascii_case(DIGEST_URI)
        && answer.qop == "auth";
    if answer.maxbuf.as_deref().is_some_and(|len| len.parse::<i32>().is_err()) {
        return Err(Failure::Stumbled);
    }
    let password = password(&answer.user).filter(|_| is_fit).ok_or(Failure::Refused)?;
    let secret = answer.secret(&password);
    if answer.digest(&secret, "AUTHENTICATE:") != answer.response {
        return Err(Failure::Refused);
    }
    let proof = format!("rspauth={}", answer.digest(&secret, ":"));
    Ok(Proven { user: answer.user, proof })
}

/// The directives of an answer that matter here; `nc`, the count of uses of the nonce, does not.
#[derive(Debug)]
struct Answer {
    user: String,
    realm: String,
    nonce: String,
    cnonce: String,
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
            qop: take("qop").unwrap_or_else(|| "auth".to_owned()),
            digest_uri: take("digest-uri")?,
            response: take("response")?,
            charset: take("charset"),
            authzid: take("authzid"),
            maxbuf: take("maxbuf"),
        };
        // a directive that comes twice is refused
        let again = ["username", "realm", "nonce", "cnonce", "qop", "digest-uri", "response", "charset"];
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
        let Self { nonce, cnonce, qop, .. } = self;
        hex_md5(format!("{secret}:{nonce}:{NONCE_COUNT}:{cnonce}:{qop}:{a2}").as_bytes())
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

/// Names and values of `name=value,name="value"`. Commas or blanks are between them, `\` is before what is quoted, and a
/// name alone may stand at the end.
fn directives(text: &str) -> Option<Vec<(&str, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(is_separator);
    while !rest.is_empty() {
        let (name, after) = rest.split_at(rest.find(|c| c == '=' || is_separator(c)).unwrap_or(rest.len()));
        if after.is_empty() {
            found.push((name, String::new()));
            break;
        }
        let value = after.trim_start_matches(is_blank).strip_prefix('=')?.trim_start_matches(is_blank);
        if name.is_empty() || value.is_empty() {
            return None;
        }
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                unquoted(quoted).filter(|(_, after)| after.is_empty() || after.starts_with(is_separator))?
            }
            None => {
                let (value, after) = value.split_at(value.find(is_separator).unwrap_or(value.len()));
                (value.to_owned(), after)
            }
        };
        found.push((name, value));
        rest = after.trim_start_matches(is_separator);
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

const fn is_separator(c: char) -> bool {
    c == ',' || is_blank(c)
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_names_and_values() {
        let found = directives(" a=1, b = \"x,\\\"y\\\\\" ,\tc=,d=\"\" e=2,f").unwrap();
        let expected = [("a", "1"), ("b", "x,\"y\\"), ("c", ""), ("d", ""), ("e", "2"), ("f", "")];
        assert_eq!(found, expected.map(|(name, value)| (name, value.to_owned())));
        for broken in ["a,b=1", "a b=1", "=1", "a=", "a=\"x", "a=\"x\\", "a=\"x\"y"] {
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
