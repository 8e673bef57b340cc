//! Many sessions in this process, each with a mirror, that have nothing to do.

use super::connector;
use crate::{
    args::WatcherArgs,
    error::Failure,
    report::{SessionsBegin, SessionsLine},
};
use std::time::Duration;
use tokio::task::JoinSet;
use zk_config::Mirror;

/// Sessions that are opened at the same time: a server's queue of connections is short.
const OPENING_MAX: usize = 32;

pub(super) async fn run(args: &WatcherArgs) -> Result<SessionsLine, Failure> {
    let begin = SessionsBegin::now();
    let (mut opening, mut mirrors) = (JoinSet::new(), Vec::new());
    for _ in 0..args.sessions {
        if opening.len() == OPENING_MAX {
            mirrors.extend(opened(&mut opening).await?);
        }
        opening.spawn(open(args.clone()));
    }
    while let Some(mirror) = opened(&mut opening).await? {
        mirrors.push(mirror);
    }
    let rest = begin.all_are_open();
    tokio::time::sleep(Duration::from_secs(args.secs.into())).await;
    let line = rest.line(&args.name, args.sessions);
    match mirrors.iter().filter(|mirror| !mirror.is_live()).count() {
        0 => Ok(line),
        lost => Err(Failure::Watcher { name: args.name.clone(), what: format!("lost {lost} sessions") }),
    }
}

async fn open(args: WatcherArgs) -> Result<Mirror, Failure> {
    let client = connector(&args)?.connect().await?;
    let mirror = Mirror::start(&client, &args.root)?;
    mirror.ready().await?;
    Ok(mirror)
}

async fn opened(opening: &mut JoinSet<Result<Mirror, Failure>>) -> Result<Option<Mirror>, Failure> {
    match opening.join_next().await {
        None => Ok(None),
        Some(Ok(mirror)) => mirror.map(Some),
        Some(Err(_)) => Err(Failure::Usage("a task broke down")),
    }
}
