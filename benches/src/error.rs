//! Why a measurement could not be made: one line each. Must not know how measurements work.

use std::{fmt, io};
use zk_config::MirrorError;
use zk_proto::{DecodeError, ErrorCode, frame::TooLarge};
use zk_testkit::launcher::LauncherError;

/// Why it could not be done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The system refused.
    Io { doing: String, source: io::Error },
    /// The server refused a request of the raw socket.
    Refused { doing: String, code: ErrorCode },
    /// The server sent what cannot be read.
    Decode { doing: String, source: DecodeError },
    /// The raw socket's request is too large.
    TooLarge(TooLarge),
    /// The client under measurement failed.
    Client(zk_client::Error),
    /// The mirror under measurement failed.
    Mirror(MirrorError),
    /// No server could be started.
    Launcher(LauncherError),
    /// A watcher process did not do its part.
    Watcher { name: String, what: String },
    /// The tree is not what it should be.
    Tree { root: String, what: String },
    /// A combination of arguments that has no meaning.
    Usage(&'static str),
}

impl Failure {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { doing: doing.into(), source }
    }

    pub(crate) fn decode(doing: impl Into<String>) -> impl FnOnce(DecodeError) -> Self {
        |source| Self::Decode { doing: doing.into(), source }
    }

    /// What the user is told, on one line.
    pub(crate) fn line(&self) -> String {
        self.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" | ")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, source } => write!(f, "cannot {doing}: {source}"),
            Self::Refused { doing, code } => write!(f, "cannot {doing}: {code}"),
            Self::Decode { doing, source } => write!(f, "cannot {doing}: {source}"),
            Self::TooLarge(size) => write!(f, "a request is too large: {size}"),
            Self::Client(error) => error.fmt(f),
            Self::Mirror(error) => error.fmt(f),
            Self::Launcher(error) => error.fmt(f),
            Self::Watcher { name, what } => write!(f, "the watcher {name} {what}"),
            Self::Tree { root, what } => write!(f, "{root} {what}"),
            Self::Usage(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}

impl From<zk_client::Error> for Failure {
    fn from(error: zk_client::Error) -> Self {
        Self::Client(error)
    }
}

impl From<MirrorError> for Failure {
    fn from(error: MirrorError) -> Self {
        Self::Mirror(error)
    }
}

impl From<LauncherError> for Failure {
    fn from(error: LauncherError) -> Self {
        Self::Launcher(error)
    }
}

impl From<TooLarge> for Failure {
    fn from(error: TooLarge) -> Self {
        Self::TooLarge(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::Tree { root: "/a".into(), what: "has\n  two lines".into() };
        assert_eq!(failure.line(), "/a has | two lines");
    }
}
