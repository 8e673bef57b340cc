//! From a write to the value that the application holds: the application is a subscriber of the mirror.

use super::{
    connector,
    ledger::{Ledger, TimedDial},
};
use crate::{
    args::WatcherArgs,
    error::Failure,
    report,
    samples::{NotifyLine, Samples},
};
use std::sync::{Arc, Mutex, PoisonError};
use zk_config::{Changes, Mirror, Update};

type Shared = Arc<Mutex<Samples>>;

pub(super) async fn run(args: &WatcherArgs) -> Result<NotifyLine, Failure> {
    let samples: Shared = Arc::new(Mutex::new(Samples::new(args.count, args.sessions)));
    let mut applications = Vec::new();
    let mut mirrors = Vec::new();
    for _ in 0..args.sessions {
        let ledger = (args.parts && args.sessions == 1).then(Arc::<Ledger>::default);
        let mut connector = connector(args)?;
        if let Some(ledger) = &ledger {
            connector = connector.dial(TimedDial(ledger.clone()));
        }
        let client = connector.connect().await?;
        let mirror = Mirror::start(&client, &args.root)?;
        let snapshot = mirror.ready().await?;
        if snapshot.len() <= args.keys as usize {
            let what = format!("has {} children instead of {}", snapshot.len().saturating_sub(1), args.keys);
            return Err(Failure::Tree { root: args.root.clone(), what });
        }
        if let Some(ledger) = &ledger {
            ledger.follow(&mirror);
        }
        let (_, changes) = mirror.subscribe();
        mirrors.push(mirror);
        applications.push(tokio::spawn(apply(changes, samples.clone(), ledger)));
    }
    report::print("READY")?;
    for application in applications {
        let ended = application.await.unwrap_or(false);
        if !ended {
            return Err(Failure::Watcher { name: args.name.clone(), what: "lost its session".to_owned() });
        }
    }
    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(samples.line(&args.name, args.split))
}

/// One application: takes every value that it is told of. Answers whether it saw the last one.
async fn apply(mut changes: Changes, samples: Shared, ledger: Option<Arc<Ledger>>) -> bool {
    while let Some(update) = changes.next().await {
        let Update::Changes(batch) = update else { continue };
        let parts = ledger.as_ref().and_then(|ledger| ledger.parts_of(batch.revision));
        let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
        for new in batch.changes.iter().filter_map(|change| change.new.as_ref()) {
            if samples.hold(&new.data, parts) {
                return true;
            }
        }
    }
    false
}
