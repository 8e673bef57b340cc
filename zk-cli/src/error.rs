//! Why a command ended without doing its work: one line that says what, where, and what to do.
//!
//! Must not know how commands work. Secrets (`--auth`, a malformed connect string) never get into a line.

use std::{fmt::Display, io};
use zk_client::{Error, ErrorCode, Interruption, UsageError, path};

/// The end of a command that did not work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The line for the user.
    Says(String),
    /// The user was told already.
    Told,
    /// Nobody reads our output any more; no fault of ours.
    OutputClosed,
}

impl Failure {
    pub(crate) fn says(why: impl Display) -> Self {
        Self::Says(why.to_string())
    }

    /// Writing to stdout failed.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Says(format!("cannot write the output: {error}"))
        }
    }

    /// An operation on a path failed.
    pub(crate) fn at(doing: &'static str, path: &str, error: &Error) -> Self {
        Self::Says(explain(doing, path, error))
    }
}

/// The line for an error: `doing` is the command's verb.
fn explain(doing: &str, path: &str, error: &Error) -> String {
    match error {
        Error::Refused { code, .. } | Error::Aborted { code, .. } => refused(doing, path, *code),
        Error::Usage(UsageError::RequestTooLarge(_)) => {
            format!(
                "{doing} {path}: {error}; ZooKeeper takes values up to 1 MB (its jute.maxbuffer): store it in parts, \
                 or elsewhere"
            )
        }
        Error::Usage(_) | Error::Unreachable(_) => error.to_string(),
        Error::Interrupted { by: Interruption::AuthFailed, .. } => {
            format!("{doing} {path}: the server does not accept the credentials; check --auth")
        }
        Error::Interrupted { by, .. } if error.maybe_applied() => {
            format!(
                "{doing} {path}: {by}; it may have been carried out: look with `zk stat {path}` before you repeat it"
            )
        }
        Error::Interrupted { by, .. } => format!("{doing} {path}: {by} before it was sent; try again"),
        Error::ReplyTooLarge { .. } | Error::Protocol { .. } | _ => format!("{doing} {path}: {error}"),
    }
}

/// The server said no.
fn refused(doing: &str, path: &str, code: ErrorCode) -> String {
    let parent = path::parent(path).unwrap_or("/");
    let why = match code {
        ErrorCode::NO_NODE if doing == "create" => {
            format!("its parent {parent} does not exist; create that first: zk create {parent}")
        }
        ErrorCode::NO_NODE if path == "/" => {
            "the chroot of the connect string does not exist; create it from a connect string without one".to_owned()
        }
        ErrorCode::NO_NODE => format!("there is no such znode; see what is there: zk ls {parent}"),
        ErrorCode::NODE_EXISTS => format!("it exists already; to change its data: zk set {path} DATA"),
        ErrorCode::NO_AUTH => {
            let whose = if matches!(doing, "create" | "delete") { parent } else { path };
            format!("no permission: the ACL of {whose} does not allow it; say who you are with --auth SCHEME:AUTH")
        }
        ErrorCode::BAD_VERSION => {
            format!("it has another version; somebody else changed it: look with `zk stat {path}`")
        }
        ErrorCode::NOT_EMPTY => format!("it has children; to delete them too: zk deleteall {path}"),
        ErrorCode::NO_CHILDREN_FOR_EPHEMERALS => {
            format!("its parent {parent} is ephemeral, and those cannot have children")
        }
        ErrorCode::UNIMPLEMENTED if doing == "create" => {
            "the server has no such znodes; a time to live needs -Dzookeeper.extendedTypesEnabled=true at the servers"
                .to_owned()
        }
        ErrorCode::BAD_ARGUMENTS if path.starts_with("/zookeeper") || path == "/" => {
            "ZooKeeper keeps this znode for itself".to_owned()
        }
        ErrorCode::NOT_READ_ONLY => "this server serves reads only now; try again, or another server".to_owned(),
        code => code.to_string(),
    };
    format!("{doing} {path}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_client::{OpCode, Outcome};

    #[track_caller]
    fn check(doing: &'static str, path: &str, error: Error, expected: &str) {
        let Failure::Says(line) = Failure::at(doing, path, &error) else { panic!("a line") };
        assert_eq!(line, expected);
    }

    fn code(code: ErrorCode) -> Error {
        Error::Refused { op: OpCode::CREATE2, code }
    }

    #[test]
    fn a_refusal_says_what_where_and_what_to_do() {
        check("get", "/a/b", code(ErrorCode::NO_NODE), "get /a/b: there is no such znode; see what is there: zk ls /a");
        check(
            "create",
            "/a/b",
            code(ErrorCode::NO_NODE),
            "create /a/b: its parent /a does not exist; create that first: zk create /a",
        );
        check(
            "delete",
            "/a/b",
            code(ErrorCode::NO_AUTH),
            "delete /a/b: no permission: the ACL of /a does not allow it; say who you are with --auth SCHEME:AUTH",
        );
        check("stat", "/a", code(ErrorCode(-999)), "stat /a: unknown error code -999");
    }

    #[test]
    fn a_write_without_an_answer_is_not_to_be_repeated_blindly() {
        let error = |outcome| Error::Interrupted { op: OpCode::SET_DATA, by: Interruption::ConnectionLost, outcome };
        check(
            "set",
            "/a",
            error(Outcome::Unknown),
            "set /a: the connection was lost; it may have been carried out: look with `zk stat /a` before you repeat it",
        );
        check("set", "/a", error(Outcome::NotSent), "set /a: the connection was lost before it was sent; try again");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_of_ours() {
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(Failure::output(&pipe), Failure::OutputClosed));
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(Failure::output(&full), Failure::Says(_)));
    }
}
