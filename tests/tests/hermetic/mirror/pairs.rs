//! Readers never see half a transaction. On real threads: readers, writer and driver run side by side.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::assert_exact;
use crate::stage::{BOTH, Stage, within};
use zk_config::{Mirror, Snapshot};
use zk_testkit::server::{Edit, Profile};

/// Reads of one run; together more than the goal's million would take: three runs.
const READS: u64 = 350_000;

fn value(snapshot: &Snapshot, path: &str) -> Option<u64> {
    let data = &snapshot.get(path)?.data;
    Some(u64::from_be_bytes(data[..].try_into().unwrap()))
}

/// Reads until there were enough reads and enough different values.
fn read(mirror: &Mirror) -> (u64, Option<String>) {
    let (mut reads, mut different, mut last) = (0, 0, None);
    let give_up = Instant::now() + Duration::from_secs(40);
    while reads < READS || different < 100 {
        if reads % 1_024 == 0 && Instant::now() > give_up {
            return (reads, Some(format!("{different} values in 40 s")));
        }
        let snapshot = mirror.snapshot();
        let pair = (value(&snapshot, "/app/a"), value(&snapshot, "/app/b"));
        let made = snapshot.get("/app/marker").is_some();
        let is_torn = pair.0 != pair.1 || made != pair.0.is_some_and(|value| value % 2 == 1);
        // A starved driver may hold changes back for too long; then it publishes what it has, and says so.
        if is_torn && snapshot.is_exact() {
            return (reads, Some(format!("{pair:?}, marker {made}, at {}", snapshot.revision())));
        }
        if pair.0 < last {
            return (reads, Some(format!("went back from {last:?} to {pair:?}")));
        }
        different += u64::from(pair.0 != last);
        last = pair.0;
        reads += 1;
    }
    (reads, None)
}

/// Both values change in one transaction, and a marker comes or goes with them.
async fn write(server: &Stage, done: &AtomicBool) {
    let mut number = 0_u64;
    while !done.load(Ordering::Relaxed) {
        number += 1;
        let value = number.to_be_bytes();
        let marker = if number % 2 == 1 { Edit::Create("/app/marker", b"") } else { Edit::Delete("/app/marker") };
        server.apply(&[Edit::Set("/app/b", &value), marker, Edit::Set("/app/a", &value)]).unwrap();
        tokio::task::yield_now().await;
    }
}

async fn never_torn(profile: Profile) {
    let server = Stage::like(profile).await;
    for path in ["/app", "/app/a", "/app/b"] {
        server.create(path, &0_u64.to_be_bytes()).unwrap();
    }
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (server, done) = (server.clone(), done.clone());
        async move { write(&server, &done).await }
    });
    let reader = std::thread::spawn({
        let mirror = mirror.clone();
        move || read(&mirror)
    });
    let (reads, torn) = within(tokio::task::spawn_blocking(move || reader.join().unwrap())).await.unwrap();
    done.store(true, Ordering::Relaxed);
    within(writer).await.unwrap();
    assert_eq!(torn, None, "after {reads} reads");
    assert_exact(&server, &within(mirror.barrier()).await.unwrap());
    assert_eq!(mirror.status().gaps, 0);
}

// goal: M5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_written_together_are_never_read_apart() {
    for profile in BOTH {
        never_torn(profile).await;
    }
    never_torn(Profile::V3_6).await;
}
