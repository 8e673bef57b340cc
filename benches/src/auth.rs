//! Who we are, for servers that ask: from the environment, so that no password stands on a command line.
//!
//! Must not know what it is good for.

use crate::error::Failure;

/// `scheme:credentials`, such as `digest:user:password`.
const VARIABLE: &str = "ZK_BENCH_AUTH";

/// Scheme and credentials, if any are set. Other processes of ours inherit them.
pub(crate) fn find() -> Result<Option<(String, Vec<u8>)>, Failure> {
    match std::env::var(VARIABLE) {
        Err(_) => Ok(None),
        Ok(text) => parse(&text).map(Some),
    }
}

fn parse(text: &str) -> Result<(String, Vec<u8>), Failure> {
    // The text is a secret and is not repeated.
    let (scheme, credentials) =
        text.split_once(':').ok_or(Failure::Usage("ZK_BENCH_AUTH is not scheme:credentials"))?;
    Ok((scheme.to_owned(), credentials.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_ends_at_the_first_colon() {
        let (scheme, credentials) = parse("digest:ann:secret").unwrap();
        assert_eq!((scheme.as_str(), credentials.as_slice()), ("digest", &b"ann:secret"[..]));
        assert!(!parse("secret").unwrap_err().line().contains("secret"));
    }
}
