//! The answers to `wchs`, `wchp` and `wchc`: who watches what, in the server's data table.
//!
//! That table has one-shot watches of `getData` and `exists`, and all persistent watches; not those of `getChildren`.

use super::{
    WordError,
    text::{lines, some_of},
};
use crate::id::SessionId;
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::fmt;

const CONNECTIONS: &str = " connections watching ";
const PATHS: &str = " paths";
const TOTAL: &str = "Total watches:";

/// The answer to `wchs`: numbers of watches, without those that `getChildren` left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchSummary {
    /// Connections that watch something.
    pub connections: i64,
    /// Paths that somebody watches.
    pub paths: i64,
    /// Pairs of a connection and a path.
    pub watches: i64,
}

impl WatchSummary {
    /// Reads the answer.
    ///
    /// # Errors
    /// A refusal, or a line that is missing or cannot be read; see [`WordError`].
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let (mut counts, mut total) = (None, None);
        for line in lines(text)? {
            let expected = "whole numbers of connections, paths and watches";
            if let Some((connections, rest)) = line.text.split_once(CONNECTIONS) {
                let paths = rest.trim_end().strip_suffix(PATHS).ok_or_else(|| line.malformed(expected))?;
                counts = Some((line.integer(connections, expected)?, line.integer(paths, expected)?));
            } else if let Some(watches) = line.text.strip_prefix(TOTAL) {
                total = Some(line.integer(watches, expected)?);
            }
        }
        let (connections, paths) = counts.ok_or(WordError::Missing { line: "n connections watching n paths" })?;
        let watches = total.ok_or(WordError::Missing { line: "Total watches:n" })?;
        Ok(Self { connections, paths, watches })
    }
}

impl fmt::Display for WatchSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}{CONNECTIONS}{}{PATHS}", self.connections, self.paths)?;
        writeln!(f, "{TOTAL}{}", self.watches)
    }
}

/// The answer to `wchp`: each watched path with the sessions that watch it, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchesByPath(pub Vec<(String, Vec<SessionId>)>);

impl WatchesByPath {
    /// Reads the answer.
    ///
    /// # Errors
    /// A refusal, a line that cannot be read, or a text without any path; see [`WordError`].
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let mut paths: Vec<(String, Vec<SessionId>)> = Vec::new();
        for line in lines(text)? {
            if let Some(session) = line.text.strip_prefix('\t') {
                let expected = "a session such as 0x1000007a7cb0000, below a path";
                let (_, sessions) = paths.last_mut().ok_or_else(|| line.malformed(expected))?;
                sessions.push(SessionId(line.hex(session, expected)?));
            } else if line.text.starts_with('/') {
                paths.push((line.text.to_owned(), Vec::new()));
            }
        }
        some_of(text, paths.is_empty(), "/path")?;
        Ok(Self(paths))
    }
}

impl fmt::Display for WatchesByPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, sessions) in &self.0 {
            writeln!(f, "{path}")?;
            for session in sessions {
                writeln!(f, "\t{session}")?;
            }
        }
        writeln!(f)
    }
}

/// The answer to `wchc`: each session that watches something with the paths, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchesBySession(pub Vec<(SessionId, Vec<String>)>);

impl WatchesBySession {
    /// Reads the answer.
    ///
    /// # Errors
    /// A refusal, a line that cannot be read, or a text without any session; see [`WordError`].
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let mut sessions: Vec<(SessionId, Vec<String>)> = Vec::new();
        for line in lines(text)? {
            if let Some(path) = line.text.strip_prefix('\t') {
                let (_, paths) = sessions.last_mut().ok_or_else(|| line.malformed("a session above the path"))?;
                paths.push(path.to_owned());
            } else if line.text.starts_with("0x") {
                let session = line.hex(line.text, "a session such as 0x1000007a7cb0000")?;
                sessions.push((SessionId(session), Vec::new()));
            }
        }
        some_of(text, sessions.is_empty(), "0x<session>")?;
        Ok(Self(sessions))
    }
}

impl fmt::Display for WatchesBySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (session, paths) in &self.0 {
            writeln!(f, "{session}")?;
            for path in paths {
                writeln!(f, "\t{path}")?;
            }
        }
        writeln!(f)
    }
}
