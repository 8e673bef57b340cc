//! `zk watch`: every change of a subtree, as it happens.
//!
//! Must not know how lines look: see `watch/lines.rs`. Invariant: the lines folded, from the first on, give
//! the mirror at every line's end of a batch.

mod lines;

use super::create::no_signals;
use crate::{error::Failure, output::Output, signals, tell};
use lines::Lines;
use std::sync::Arc;
use tokio::sync::watch::Receiver;
use zk_client::{Client, ErrorCode, SessionState};
use zk_config::{Hidden, Mirror, MirrorError, Snapshot, Update};

/// Print every change at and below a znode as it happens, until Ctrl-C
///
/// Goes on when servers die: then it says that changes may be missed (gap), and when all that were missed
/// have been told after all (resynced). The znode need not exist yet. Needs ZooKeeper 3.6 or newer.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  zk watch /config
    10:15:02.123  changed   /config/limit  \"100\" → \"200\"  zxid 0x1a
  zk watch --json /config
    first every znode as \"added\", then \"ready\", then every change with old and new value:
    whoever applies all lines in order has an exact copy, metadata included")]
pub(crate) struct Watch {
    /// The znode, such as /config
    path: String,
}

impl Watch {
    pub(crate) async fn run(&self, client: &Client, output: &mut Output) -> Result<(), Failure> {
        let stop = signals::stop().map_err(no_signals)?;
        tokio::select! {
            () = stop => Ok(()),
            done = self.follow(client, Lines::new(output)) => done,
        }
    }

    async fn follow(&self, client: &Client, mut lines: Lines<'_>) -> Result<(), Failure> {
        let mut state = client.state();
        let mirror = Mirror::start(client, &self.path).map_err(|error| Failure::at("watch", &self.path, &error))?;
        self.loaded(&mirror, &mut state).await?;
        let (snapshot, mut changes) = mirror.subscribe();
        lines.state(*state.borrow_and_update())?;
        self.tell_of(&snapshot);
        lines.snapshot(&snapshot)?;
        let mut status = mirror.status_channel();
        loop {
            tokio::select! {
                biased;
                Ok(()) = state.changed() => {
                    let now = *state.borrow_and_update();
                    lines.state(now)?;
                }
                update = changes.next() => match update {
                    Some(Update::Changes(batch)) => lines.changes(&batch)?,
                    Some(Update::Gap(reason)) => lines.gap(reason)?,
                    Some(Update::Resynced { revision }) => lines.resynced(revision)?,
                    Some(_) => {}
                    None => return Err(Failure::says(format!("watch {}: the session ended", self.path))),
                },
                Ok(()) = status.changed() => {
                    let failure = status.borrow_and_update().failure;
                    if let Some(failure @ (MirrorError::Watch(_) | MirrorError::Ended(_))) = failure {
                        return Err(self.failed(failure));
                    }
                }
            }
        }
    }

    /// Waits for the first copy, and says meanwhile what holds it up.
    async fn loaded(&self, mirror: &Mirror, state: &mut Receiver<SessionState>) -> Result<Arc<Snapshot>, Failure> {
        let ready = mirror.ready();
        tokio::pin!(ready);
        loop {
            tokio::select! {
                loaded = &mut ready => return loaded.map_err(|failure| self.failed(failure)),
                Ok(()) = state.changed() => {
                    if !state.borrow_and_update().is_connected() {
                        tell("the connection was lost; trying again");
                    }
                }
            }
        }
    }

    /// What a person should know of the first copy.
    fn tell_of(&self, snapshot: &Snapshot) {
        if snapshot.get(&self.path).is_none() {
            tell(&format!("there is no {} yet; waiting for it", self.path));
        }
        for (path, why) in snapshot.hidden() {
            tell(&format!("{path} cannot be read and is left out: {why}"));
        }
    }

    fn failed(&self, failure: MirrorError) -> Failure {
        let what_to_do = match failure {
            MirrorError::Root(Hidden::Refused(ErrorCode::NO_AUTH)) => "; say who you are with --auth SCHEME:AUTH",
            MirrorError::Watch(ErrorCode::UNIMPLEMENTED) => "; `zk tree` works with older ones",
            MirrorError::Watch(_) | MirrorError::Root(_) | MirrorError::Ended(_) | _ => "",
        };
        Failure::says(format!("watch {}: {failure}{what_to_do}", self.path))
    }
}
