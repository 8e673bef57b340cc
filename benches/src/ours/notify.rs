//! From a write to the value that the application holds: the application listens to the mirror, or is a task that subscribed.

use super::{
    connector,
    ledger::{Ledger, TimedDial},
};
use crate::{
    args::{Told, WatcherArgs},
    error::Failure,
    report,
    samples::{NotifyLine, Parts, Samples},
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{sync::oneshot, task::JoinHandle};
use zk_config::{Batch, Changes, Listening, Mirror, Update};

/// What all applications of this process have seen.
type Shared = Arc<Mutex<Samples>>;

/// One application.
enum Application {
    Listener(oneshot::Receiver<()>, Listening),
    Task(JoinHandle<bool>),
}

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
        applications.push(application(args.told, &mirror, &samples, ledger));
        mirrors.push(mirror);
    }
    report::print("READY")?;
    for application in applications {
        if !application.has_ended().await {
            return Err(Failure::Watcher { name: args.name.clone(), what: "lost its session".to_owned() });
        }
    }
    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(samples.line(&args.name, args.split))
}

fn application(told: Told, mirror: &Mirror, samples: &Shared, ledger: Option<Arc<Ledger>>) -> Application {
    let samples = samples.clone();
    match told {
        Told::Listener => {
            let (done, ended) = oneshot::channel();
            let mut done = Some(done);
            let (_, listening) = mirror.listen(move |_, update| {
                let Update::Changes(batch) = update else { return };
                let parts = ledger.as_ref().and_then(|ledger| ledger.parts_now());
                if take(&samples, batch, parts)
                    && let Some(done) = done.take()
                {
                    // An error says that the process ends already.
                    done.send(()).ok();
                }
            });
            Application::Listener(ended, listening)
        }
        Told::Task => {
            if let Some(ledger) = &ledger {
                ledger.follow(mirror);
            }
            let (_, changes) = mirror.subscribe();
            Application::Task(tokio::spawn(follow(changes, samples, ledger)))
        }
    }
}

impl Application {
    /// Waits for the last value; answers whether that came.
    async fn has_ended(self) -> bool {
        match self {
            Self::Listener(ended, _listening) => ended.await.is_ok(),
            Self::Task(task) => task.await.unwrap_or(false),
        }
    }
}

/// A task that takes every value that it is told of. Answers whether it saw the last one.
async fn follow(mut changes: Changes, samples: Shared, ledger: Option<Arc<Ledger>>) -> bool {
    while let Some(update) = changes.next().await {
        let Update::Changes(batch) = update else { continue };
        let parts = ledger.as_ref().and_then(|ledger| ledger.parts_of(batch.revision));
        if take(&samples, &batch, parts) {
            return true;
        }
    }
    false
}

/// The application has these values in its hands now. Answers whether one is the last.
fn take(samples: &Shared, batch: &Batch, parts: Option<Parts>) -> bool {
    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    batch.changes.iter().filter_map(|change| change.new.as_ref()).any(|new| samples.hold(&new.data, parts))
}
