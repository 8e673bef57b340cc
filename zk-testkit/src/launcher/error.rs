//! What can go wrong with a real server. One line each: what, where, and what to do.
//!
//! Must not know how servers are started.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::Version;

/// Why a real server could not be had, started, or reached. [`Debug`](fmt::Debug) prints the same line as `Display`,
/// because that is what a failing test shows.
#[non_exhaustive]
pub enum LauncherError {
    /// This cannot be a version.
    BadVersion {
        /// What was asked for.
        version: Version,
    },
    /// There is no Java here.
    NoJava,
    /// The jars of this version are not here and cannot be fetched.
    NoServer {
        /// What was asked for.
        version: Version,
        /// Why `mvn` did not bring it.
        because: FetchFailure,
    },
    /// A port that was free a moment ago was not when the server wanted it, several times in a row.
    PortTaken {
        /// Index of the server in its ensemble.
        server: usize,
        /// The last lines of its log.
        log: String,
    },
    /// The server ended instead of serving.
    Exited {
        /// Index of the server in its ensemble.
        server: usize,
        /// Its exit code; `None` if a signal ended it.
        code: Option<i32>,
        /// The last lines of its log.
        log: String,
    },
    /// The server runs, and does not serve.
    NotServing {
        /// Index of the server in its ensemble.
        server: usize,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// The ensemble has no leader.
    NoLeader {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The server has no process now; start it first.
    NotRunning {
        /// Index of the server in its ensemble.
        server: usize,
    },
    /// The server did not end though it was told to.
    StillRunning {
        /// Index of the server in its ensemble.
        server: usize,
        /// How long it was waited for.
        waited: Duration,
    },
    /// No answer to a four-letter word.
    NoAnswer {
        /// The client port that was asked.
        addr: SocketAddr,
        /// The word.
        word: String,
        /// What happened instead.
        source: io::Error,
    },
    /// A file or a process could not be handled.
    Io {
        /// What was tried, with its path.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Why `mvn` did not bring the jars.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchFailure {
    /// There is no `mvn` in the path.
    NoMaven,
    /// `mvn` failed; its first error.
    Refused(String),
    /// It took longer than this.
    TooSlow(Duration),
}

impl LauncherError {
    /// Wraps what the system said; for `map_err`.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl fmt::Display for LauncherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadVersion { version } => {
                write!(f, "{:?} is no version of ZooKeeper: ask for one such as 3.9.5", version.as_str())
            }
            Self::NoJava => f.write_str(
                "no java: install a JRE 11 or newer (apt-get install default-jre-headless) or set JAVA_HOME",
            ),
            Self::NoServer { version, because } => no_server(f, version, because),
            Self::PortTaken { server, log } => {
                write!(f, "server {server} found a port taken again and again; its log: {}", one_line(log))
            }
            Self::Exited { server, code: Some(code), log } => {
                write!(f, "server {server} ended with code {code}; its log: {}", one_line(log))
            }
            Self::Exited { server, code: None, log } => {
                write!(f, "server {server} was ended by a signal; its log: {}", one_line(log))
            }
            Self::NotServing { server, waited, log } => {
                write!(f, "server {server} does not serve after {waited:?}; its log: {}", one_line(log))
            }
            Self::NoLeader { waited } => {
                write!(f, "no leader after {waited:?}: is more than half of the servers running?")
            }
            Self::NotRunning { server } => write!(f, "server {server} is not running: start it first"),
            Self::StillRunning { server, waited } => {
                write!(f, "server {server} still runs {waited:?} after it was told to end: try kill_9")
            }
            Self::NoAnswer { addr, word, source } => {
                write!(f, "no answer to `{word}` from {addr} ({source}): is the server running, and not paused?")
            }
            Self::Io { doing, source } => write!(f, "cannot {doing}: {source}"),
        }
    }
}

impl fmt::Debug for LauncherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for LauncherError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoAnswer { source, .. } | Self::Io { source, .. } => Some(source),
            Self::BadVersion { .. }
            | Self::NoJava
            | Self::NoServer { .. }
            | Self::PortTaken { .. }
            | Self::Exited { .. }
            | Self::NotServing { .. }
            | Self::NoLeader { .. }
            | Self::NotRunning { .. }
            | Self::StillRunning { .. } => None,
        }
    }
}

/// Says what would help here; Debian's package would only for the release line it has.
fn no_server(f: &mut fmt::Formatter<'_>, version: &Version, because: &FetchFailure) -> fmt::Result {
    match because {
        FetchFailure::NoMaven => {
            write!(f, "no ZooKeeper {version} here: install maven (apt-get install maven)")?;
        }
        FetchFailure::Refused(error) => {
            write!(f, "no ZooKeeper {version} here: mvn says {:?}; check version and network", one_line(error))?;
        }
        FetchFailure::TooSlow(limit) => {
            write!(f, "no ZooKeeper {version} here: mvn took longer than {limit:?}; check the network")?;
        }
    }
    f.write_str(", or set ZK_HOME to an unpacked distribution")?;
    if version.is_any() || version.line() == super::jars::DEBIAN_LINE {
        f.write_str(", or apt-get install zookeeper")?;
    }
    Ok(())
}

/// A log's lines as one, so that an error stays one line.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "(empty)".into() } else { lines.join(" | ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_do() {
        let error = |version, because| LauncherError::NoServer { version, because }.to_string();
        assert_eq!(
            error(Version::V3_9, FetchFailure::NoMaven),
            "no ZooKeeper 3.9.5 here: install maven (apt-get install maven), or set ZK_HOME to an unpacked distribution"
        );
        assert_eq!(
            error(Version::V3_8, FetchFailure::TooSlow(Duration::from_secs(5))),
            "no ZooKeeper 3.8.6 here: mvn took longer than 5s; check the network, or set ZK_HOME to an unpacked \
             distribution, or apt-get install zookeeper"
        );
    }

    #[test]
    fn an_error_is_one_line() {
        let log = "WARN first\n\n  at second\n".to_owned();
        let error = LauncherError::Exited { server: 1, code: Some(3), log };
        assert_eq!(error.to_string(), "server 1 ended with code 3; its log: WARN first | at second");
    }
}
