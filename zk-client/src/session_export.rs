//! A session as text, for another process to go on with.
//!
//! Whoever has the text has the session and everything it may do: it shows only where it is asked for by name.

use std::{fmt, str::FromStr};
use zeroize::Zeroizing;
use zk_proto::{Bytes, SessionId, Zxid, session::Credentials};

/// What stands before the parts; the number changes when they do.
const MARK: &str = "zk-session-1";

/// More bytes than any server's password has; real ones have 16.
const PASSWORD_LEN_MAX: usize = 256;

/// A session and what was seen in it; made by [`Client::export_session`](crate::Client::export_session), taken by
/// [`Connector::resume_export`](crate::Connector::resume_export).
///
/// It holds the session's password. `Debug` does not show it; [`expose_secret`](Self::expose_secret) does.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionExport {
    credentials: Credentials,
    last_zxid: Zxid,
}

/// A text that is no exported session. It does not say what the text was: that may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportError;

impl SessionExport {
    pub(crate) const fn new(credentials: Credentials, last_zxid: Zxid) -> Self {
        Self { credentials, last_zxid }
    }

    /// The session's id and password.
    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The highest zxid seen in the session.
    #[must_use]
    pub const fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The export as text of printable ASCII characters without spaces, **password included**: give it to the other
    /// process through a pipe or a file that nobody else may read, never through arguments, environment or a log.
    /// [`parse`](str::parse) reads it.
    #[must_use]
    pub fn expose_secret(&self) -> String {
        let mut text = format!("{MARK}:{:x}:{:x}:", self.credentials.id.0, self.last_zxid.0);
        for byte in &self.credentials.password {
            text.extend([byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
        }
        text
    }
}

impl FromStr for SessionExport {
    type Err = ExportError;

    fn from_str(text: &str) -> Result<Self, ExportError> {
        let mut parts = text.trim_ascii().split(':');
        let (Some(MARK), Some(id), Some(zxid), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ExportError);
        };
        let number = |digits| u64::from_str_radix(digits, 16).map(u64::cast_signed).map_err(|_| ExportError);
        if password.len() > PASSWORD_LEN_MAX * 2 {
            return Err(ExportError);
        }
        let (pairs, []) = password.as_bytes().as_chunks::<2>() else { return Err(ExportError) };
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        let password = pairs.iter().map(byte).collect::<Option<Vec<u8>>>().ok_or(ExportError)?;
        let credentials =
            Credentials { id: SessionId(number(id)?), password: Bytes::from_owner(Zeroizing::new(password)) };
        Ok(Self { credentials, last_zxid: Zxid(number(zxid)?) })
    }
}

impl fmt::Debug for SessionExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { credentials, last_zxid } = self;
        f.debug_struct("SessionExport")
            .field("id", &credentials.id)
            .field("last_zxid", last_zxid)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an exported session: one begins with {MARK} and has three more parts between colons")
    }
}

impl std::error::Error for ExportError {}

#[cfg(test)]
mod tests {
    use super::*;

    // goal: N14
    #[test]
    fn what_is_exported_comes_back_and_shows_only_when_asked() {
        let credentials = Credentials { id: SessionId(-77), password: Bytes::from_static(&[0xab; 16]) };
        let export = SessionExport::new(credentials, Zxid(0x1_0000_0001));
        let text = export.expose_secret();
        assert_eq!(text.parse(), Ok(export.clone()));
        assert_eq!(format!("{text}\n").parse(), Ok(export.clone()));
        assert!(text.contains("abab") && !format!("{export:?}").contains("abab"), "{export:?}");
    }

    #[test]
    fn other_texts_are_refused() {
        let long = format!("{MARK}:1:1:{}", "00".repeat(PASSWORD_LEN_MAX + 1));
        for text in ["", "zk-session-1", "zk-session-2:1:1:00", "zk-session-1:1:1:0", "zk-session-1:x:1:00", &long] {
            assert_eq!(text.parse::<SessionExport>(), Err(ExportError), "{text}");
        }
        assert_eq!("zk-session-1:1:1:é".parse::<SessionExport>(), Err(ExportError));
        assert_eq!("zk-session-1:1:1:00:".parse::<SessionExport>(), Err(ExportError));
    }
}
