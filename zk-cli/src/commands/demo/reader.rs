//! The service that holds the configuration: a mirror, and when it saw what.
//!
//! Must not know the writer, nor what is printed.

use crate::error::Failure;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use zk_client::{Client, Zxid};
use zk_config::{Change, GapReason, Mirror, Update};

/// Something is wrong when the reader has not seen it by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Things seen and not yet told.
const SEEN_MAX: usize = 1024;

/// Follows a mirror.
pub(super) struct Reader {
    pub(super) mirror: Mirror,
    seen: mpsc::Receiver<(Instant, Seen)>,
}

enum Seen {
    Update(Update),
    Connected,
}

/// A znode's change and when the reader held it.
pub(super) struct Held {
    pub(super) at: Instant,
    pub(super) change: Change,
    pub(super) revision: Zxid,
}

/// How a gap was closed.
pub(super) struct Resync {
    pub(super) connected: Instant,
    pub(super) resynced: Instant,
    pub(super) found: Vec<Held>,
}

impl Reader {
    /// Loads the subtree.
    pub(super) async fn start(client: &Client, root: &str) -> Result<Self, Failure> {
        let mirror = Mirror::start(client, root).map_err(Failure::says)?;
        mirror.ready().await.map_err(Failure::says)?;
        let (seeing, seen) = mpsc::channel(SEEN_MAX);
        let (_, mut changes) = mirror.subscribe();
        let seeing_changes = seeing.clone();
        tokio::spawn(async move {
            while let Some(update) = changes.next().await {
                if seeing_changes.send((Instant::now(), Seen::Update(update))).await.is_err() {
                    return;
                }
            }
        });
        let mut state = client.state();
        tokio::spawn(async move {
            while state.changed().await.is_ok() {
                let connected = state.borrow_and_update().is_connected();
                if connected && seeing.send((Instant::now(), Seen::Connected)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { mirror, seen })
    }

    /// Waits until all these paths have changed.
    pub(super) async fn changes_of(&mut self, paths: &[&str]) -> Result<Vec<Held>, Failure> {
        let mut held: Vec<Held> = Vec::new();
        while held.len() < paths.len() {
            let (at, seen) = self.next().await?;
            if let Seen::Update(Update::Changes(batch)) = seen {
                let changes = batch.changes.iter().filter(|change| paths.contains(&&*change.path));
                held.extend(changes.map(|change| Held { at, change: change.clone(), revision: batch.revision }));
            }
        }
        Ok(held)
    }

    /// Waits until changes may be missed.
    pub(super) async fn gap(&mut self) -> Result<(Instant, GapReason), Failure> {
        loop {
            if let (at, Seen::Update(Update::Gap(reason))) = self.next().await? {
                return Ok((at, reason));
            }
        }
    }

    /// Waits until nothing is missed any more.
    pub(super) async fn resync(&mut self) -> Result<Resync, Failure> {
        let (mut connected, mut found) = (None, Vec::new());
        loop {
            let (at, seen) = self.next().await?;
            match seen {
                Seen::Connected => connected = Some(at),
                Seen::Update(Update::Changes(batch)) => {
                    let changes = batch.changes.iter().filter(|change| !change.is_stat_only());
                    found.extend(changes.map(|change| Held { at, change: change.clone(), revision: batch.revision }));
                }
                Seen::Update(Update::Resynced { .. }) => {
                    return Ok(Resync { connected: connected.unwrap_or(at), resynced: at, found });
                }
                Seen::Update(_) => {}
            }
        }
    }

    async fn next(&mut self) -> Result<(Instant, Seen), Failure> {
        match tokio::time::timeout(PATIENCE, self.seen.recv()).await {
            Ok(Some(seen)) => Ok(seen),
            Ok(None) => Err(Failure::says("the reader's session ended")),
            Err(_) => Err(Failure::says(format!("the reader saw nothing for {} s", PATIENCE.as_secs()))),
        }
    }
}
