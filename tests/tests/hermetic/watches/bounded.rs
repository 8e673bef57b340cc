//! A consumer that does not read costs a bounded queue and nothing else; a dropped one costs nothing.

use std::time::{Duration, Instant};

use super::{LINES, MODES, arrived, event, events};
use crate::stage::{Stage, settle, until_suspended, within};
use zk_client::{Client, EventType, GapReason, OpCode, WatchItem, WatchMode, WatchStream};

/// Events in one go: as many as a busy server tells of at once.
const BATCH: usize = 20;

/// A debug build plays a tenth of what the names say, for the sake of who waits for it; `.ci/test` runs all of it by
/// `cargo test --release -p zk-tests --test hermetic bounded`.
const PART: usize = if cfg!(debug_assertions) { 10 } else { 1 };

/// Somebody who never reads, and somebody who does, of the same watch and of another one.
struct World {
    server: Stage,
    client: Client,
    stopped: WatchStream,
    busy: WatchStream,
    other: WatchStream,
    /// How late each event was at who reads.
    late: Vec<Duration>,
}

impl World {
    async fn start(events: usize) -> Self {
        let server = Stage::start().await;
        server.create("/a", b"").unwrap();
        server.create("/b", b"").unwrap();
        let client = server.connect().await;
        let stopped = within(client.watch("/a", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
        let busy = within(client.watch("/a", WatchMode::PERSISTENT_RECURSIVE)).await.unwrap();
        let other = within(client.watch("/b", WatchMode::PERSISTENT)).await.unwrap();
        Self { server, client, stopped, busy, other, late: Vec::with_capacity(events) }
    }

    async fn play(&mut self, events: usize) {
        for _ in 0..events / BATCH {
            let at = Instant::now();
            (0..BATCH).for_each(|_| assert!(self.server.set("/a", b"").is_ok()));
            self.server.set("/b", b"").unwrap();
            for _ in 0..BATCH {
                assert_eq!(event(&mut self.busy).await.0, EventType::NODE_DATA_CHANGED);
                self.late.push(at.elapsed());
            }
            assert_eq!(event(&mut self.other).await.1, "/b");
            self.late.push(at.elapsed());
        }
    }
}

/// The figures are printed; the bounds are loose, so that a busy machine does not fail the test.
// goal: W1
#[test]
fn a_million_events_against_a_stopped_consumer_cost_nothing_and_delay_nobody() {
    let (warm_up, measured) = (100_000 / PART, 900_000 / PART);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut world = runtime.block_on(World::start((warm_up + measured) * 2));
    runtime.block_on(world.play(warm_up));
    let heap = allocation_counter::measure(|| runtime.block_on(world.play(measured)));
    world.late.sort_unstable();
    let late = |part: usize| world.late[world.late.len() * part / 1_000];
    println!(
        "heap: {} bytes more at the end, {} at most; late: median {:?}, 99% {:?}",
        heap.bytes_current,
        heap.bytes_max,
        late(500),
        late(990)
    );
    assert!(heap.bytes_current < 64 * 1024 && heap.bytes_max < 512 * 1024, "{heap:?}");
    assert!(late(500) < Duration::from_millis(5), "{:?}", late(500));

    let items = runtime.block_on(arrived(&mut world.stopped));
    assert_eq!(items[0], WatchItem::Gap(GapReason::Overflow));
    assert_eq!(events(&items).len(), items.len() - 1, "one gap");
    assert!(items.len() <= 1_025, "{} items kept", items.len());
    runtime.block_on(world.client.close());
}

/// Everything that a cycle leaves behind would be seen a hundred thousand times over.
// goal: W4
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_cycles_of_watch_and_drop_leave_nothing_behind() {
    for profile in LINES {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        server.create("/a", b"").unwrap();
        for cycle in 0..12_500 / PART {
            let (mode, path) = (MODES[cycle % 2], if cycle % 3 == 0 { "/a" } else { "/b" });
            drop(within(client.watch(path, mode)).await.unwrap());
            drop(within(client.exists_and_watch(path)).await.unwrap());
        }
        settle().await;
        within(client.sync("/")).await.unwrap();
        settle().await;
        assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
        // What the session machine remembers, it would set again now.
        drop(server.take_requests());
        server.drop_connections();
        until_suspended(&client).await;
        within(client.exists("/")).await.unwrap();
        let ops: Vec<_> = server.take_requests().iter().map(|request| request.op).collect();
        assert_eq!(ops, [OpCode::EXISTS]);
    }
}

/// A drop costs no look at the others: with twenty times as many streams, dropping some takes about as long.
// goal: W4
#[test]
fn a_drop_costs_the_same_among_many_streams_as_among_few() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let allocated = [1_000, 20_000].map(|streams| {
        runtime.block_on(async {
            let server = Stage::start().await;
            let client = server.connect().await;
            let paths: Vec<String> = (0..streams).map(|i| format!("/{i}")).collect();
            let watches = paths.iter().map(|path| client.watch(path, WatchMode::PERSISTENT));
            let kept = within(futures_util::future::try_join_all(watches)).await.unwrap();
            let mut took = Vec::new();
            for _ in 0..200 {
                let stream = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
                let at = Instant::now();
                drop(stream);
                while server.watch_count() > streams * 2 {
                    tokio::task::yield_now().await;
                }
                took.push(at.elapsed());
            }
            drop(kept);
            took.sort_unstable();
            took[100]
        })
    });
    println!(
        "median of a drop and its removal: {:?} among 1,000 streams, {:?} among 20,000",
        allocated[0], allocated[1]
    );
    assert!(allocated[1] < allocated[0] * 5, "{allocated:?}");
}
