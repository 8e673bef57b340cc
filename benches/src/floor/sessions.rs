//! Sockets with a session and a watch each, and nothing else.

use crate::{
    args::WatcherArgs,
    error::Failure,
    raw::Raw,
    report::{SessionsBegin, SessionsLine},
};
use std::{thread, time::Duration};

pub(super) fn run(args: &WatcherArgs) -> Result<SessionsLine, Failure> {
    let begin = SessionsBegin::now();
    let open = |_| {
        let mut raw = Raw::connect(&args.connect)?;
        raw.watch(&args.root)?;
        Ok(raw)
    };
    let sessions = (0..args.sessions).map(open).collect::<Result<Vec<Raw>, Failure>>()?;
    let rest = begin.all_are_open();
    thread::sleep(Duration::from_secs(args.secs.into()));
    let line = rest.line(&args.name, args.sessions);
    drop(sessions);
    Ok(line)
}
