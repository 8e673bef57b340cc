//! Mutual exclusion under seeded faults. The checker is a counter in ZooKeeper: each holder reads it and sets it to one
//! more, without asking for a version. The server counts the writes, so a lost update shows as a counter that is less.

use std::time::Duration;

use crate::stage::{SESSION, Stage, pass};
use zk_client::{
    Client, OPEN_ACL_UNSAFE,
    recipes::{Lock, LockGuard, ReadWriteLock},
};
use zk_testkit::server::Fault;

const CLIENTS: usize = 4;
const ROUNDS: usize = 6;

/// How long a seed may take, with a black hole every few rounds.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How the holders are protected from each other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// By the lock, and fenced writes.
    Lock,
    /// By the writer's lock of readers and writers, and fenced writes.
    Writer,
    /// Planted bug: everybody has a lock of their own.
    Alone,
    /// Planted bug: writes that are not fenced.
    Unfenced,
}

async fn acquire(client: &Client, how: How, number: usize) -> LockGuard {
    let lock = |path: &str| Lock::new(client, path, OPEN_ACL_UNSAFE);
    let acquired = match how {
        How::Lock | How::Unfenced => lock("/lock").acquire().await,
        How::Writer => ReadWriteLock::new(client, "/lock", OPEN_ACL_UNSAFE).write().await,
        How::Alone => lock(&format!("/lock{number}")).acquire().await,
    };
    acquired.unwrap()
}

/// Adds one; whether it worked is not asked: the server counts.
async fn add_one(client: &Client) {
    let Ok((data, _)) = client.get_data("/counter").await else { return };
    let value: i32 = String::from_utf8_lossy(&data).parse().unwrap();
    // Long enough for a session to go meanwhile.
    pass(Duration::from_millis(fastrand::u64(0..300))).await;
    drop(client.set_data("/counter", (value + 1).to_string().as_bytes(), None).await);
}

async fn hold(client: Client, how: How, number: usize) {
    for _ in 0..ROUNDS {
        let guard = acquire(&client, how, number).await;
        add_one(if how == How::Unfenced { &client } else { guard.client() }).await;
        // Some release, some just go.
        if fastrand::bool() {
            drop(guard.release().await);
        }
    }
}

/// One thing that goes wrong.
pub(super) async fn fault(server: &Stage, chance: &mut fastrand::Rng) {
    match chance.u8(0..6) {
        0 => server.drop_connections(),
        1 => server.inject(Fault::CutReplies(chance.usize(41..900))).await,
        2 => server.inject(Fault::CutRequests(chance.usize(49..900))).await,
        3 => {
            // What is sent meanwhile is carried out, and its reply is lost.
            server.hold_replies(true);
            pass(Duration::from_millis(chance.u64(1..50))).await;
            server.drop_connections();
            server.hold_replies(false);
        }
        4 => {
            let sessions = server.sessions();
            if let Some(session) = chance.choice(&sessions) {
                server.expire_session(session.id);
            }
        }
        _ => {
            server.black_hole(true);
            pass(SESSION.mul_f64(chance.f64() * 1.5)).await;
            server.black_hole(false);
        }
    }
}

/// Plays a seed; the counter, and how many writes there were.
async fn play(how: How, seed: u64) -> (i32, i32) {
    fastrand::seed(seed);
    let mut chance = fastrand::Rng::with_seed(seed);
    let server = Stage::start().await;
    server.create("/counter", b"0").unwrap();
    server.delay_replies(Duration::from_millis(1));
    let mut tasks = tokio::task::JoinSet::new();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let client = server.connect().await;
        clients.push(client.clone());
        tasks.spawn(hold(client, how, number));
    }
    let give_up_at = tokio::time::Instant::now() + PATIENCE;
    while !tasks.is_empty() {
        fault(&server, &mut chance).await;
        let until = tokio::time::Instant::now() + Duration::from_millis(chance.u64(1..400));
        while let Ok(Some(done)) = tokio::time::timeout_at(until, tasks.join_next()).await {
            done.unwrap();
        }
        assert!(until < give_up_at, "{how:?}, seed {seed}: it never ends");
    }
    server.heal().await.unwrap();
    let (data, stat) = server.get("/counter").unwrap();
    (String::from_utf8_lossy(&data).parse().unwrap(), stat.version)
}

const SEEDS: std::ops::Range<u64> = 0..40;

async fn holds(how: How) {
    for seed in SEEDS {
        let (counter, writes) = play(how, seed).await;
        assert_eq!(counter, writes, "{how:?}, seed {seed}: an update was lost");
        assert!(writes > 0, "seed {seed}: nothing was written");
    }
}

// goal: K1
#[tokio::test(start_paused = true)]
async fn no_update_is_lost_under_a_lock() {
    holds(How::Lock).await;
}

#[tokio::test(start_paused = true)]
async fn no_update_is_lost_under_a_writers_lock() {
    holds(How::Writer).await;
}

/// The checker on planted bugs.
#[tokio::test(start_paused = true)]
async fn the_checker_sees_what_is_not_exclusive() {
    for how in [How::Alone, How::Unfenced] {
        let mut seen = false;
        for seed in SEEDS {
            let (counter, writes) = play(how, seed).await;
            seen |= counter != writes;
        }
        assert!(seen, "{how:?}: nothing was lost in {SEEDS:?}");
    }
}
