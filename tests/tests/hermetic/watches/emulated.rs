//! Persistent watches on a server that has none: the same streams, made of one-shot watches.

use std::collections::{BTreeMap, BTreeSet};

use super::{MODES, arrived, change, events};
use crate::stage::{Stage, settle, until_connected, until_suspended, within};
use zk_client::{
    Acl, Client, Error, ErrorCode, EventType, GapReason, OPEN_ACL_UNSAFE, OpCode, Permissions, UsageError, WatchItem,
    WatchKind, WatchMode, WatchStream,
};
use zk_testkit::server::Profile;

const CREATED: EventType = EventType::NODE_CREATED;
const DELETED: EventType = EventType::NODE_DELETED;
const CHANGED: EventType = EventType::NODE_DATA_CHANGED;
const CHILDREN: EventType = EventType::NODE_CHILDREN_CHANGED;
const RECURSIVE: WatchMode = WatchMode::PERSISTENT_RECURSIVE;

/// A client that has found out already.
async fn connect(server: &Stage) -> Client {
    let client = server.connect().await;
    drop(within(client.watch("/zookeeper", WatchMode::PERSISTENT)).await.unwrap());
    settle().await;
    assert_eq!(server.watch_count(), 0);
    client
}

/// The server hangs up on the first one, and only on that; everything else goes on.
// goal: N3
#[tokio::test(start_paused = true)]
async fn finding_out_costs_one_connection() {
    let server = Stage::like(Profile::V3_5).await;
    let client = server.connect().await;
    let session = client.session_id();
    let conn = server.connection_of(session.unwrap());
    let asked = [client.watch("/a", WatchMode::PERSISTENT), client.watch("/b", RECURSIVE)];
    let streams = within(futures_util::future::try_join_all(asked)).await.unwrap();
    assert_ne!(server.connection_of(session.unwrap()), conn);
    let conn = server.connection_of(session.unwrap());
    let third = within(client.watch("/c", RECURSIVE)).await.unwrap();
    assert_eq!(server.connection_of(session.unwrap()), conn);
    let asked = |server: &Stage| server.take_requests().iter().filter(|r| r.op == OpCode::ADD_WATCH).count();
    assert_eq!(asked(&server), 1, "the server hung up before it read the second one");
    // Another session asks again, for the servers may have been replaced; unless one-shot watches would be in the way.
    renew(&server, &client).await;
    let same = within(client.watch("/c", RECURSIVE)).await.unwrap();
    drop(within(client.watch("/c/below", RECURSIVE)).await.unwrap());
    assert_eq!(asked(&server), 0);
    drop((streams, third, same));
    renew(&server, &client).await;
    let _fourth = within(client.watch("/d", RECURSIVE)).await.unwrap();
    assert_eq!(asked(&server), 1);
}

async fn renew(server: &Stage, client: &Client) {
    server.expire_session(client.session_id().unwrap());
    until_suspended(client).await;
    until_connected(client).await;
}

/// One change at a time is told as by a server that has persistent watches.
#[tokio::test(start_paused = true)]
async fn single_changes_are_told_as_by_newer_servers() {
    for mode in MODES {
        let mut told = Vec::new();
        for profile in [Profile::V3_5, Profile::V3_8] {
            let server = Stage::like(profile).await;
            let client = server.connect().await;
            let mut stream = within(client.watch("/a", mode)).await.unwrap();
            let changes: [&dyn Fn(&Stage); 8] = [
                &|server| assert!(server.create("/a", b"").is_ok()),
                &|server| assert!(server.create("/a/b", b"").is_ok()),
                &|server| assert!(server.set("/a/b", b"").is_ok()),
                &|server| assert!(server.set("/a", b"").is_ok()),
                &|server| assert!(server.create("/ab", b"").is_ok()),
                &|server| assert!(server.create("/a/b/c", b"").is_ok()),
                &|server| {
                    server.delete("/a/b/c").unwrap();
                    server.delete("/a/b").unwrap();
                },
                &|server| assert!(server.delete("/a").is_ok()),
            ];
            let mut items = Vec::new();
            for change in changes {
                change(&server);
                items.extend(arrived(&mut stream).await);
            }
            told.push(events(&items).into_iter().map(|(kind, path)| (kind, path.to_owned())).collect::<Vec<_>>());
        }
        assert_eq!(told[0], told[1]);
        assert!(told[0].len() >= 5);
    }
}

/// Many changes between two looks: told as fewer, but told, and nothing that did not happen.
#[tokio::test(start_paused = true)]
async fn changes_between_two_looks_are_told_as_one() {
    let server = Stage::like(Profile::V3_5).await;
    let client = connect(&server).await;
    server.create("/a", b"").unwrap();
    let mut stream = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    (0..5).for_each(|_| assert!(server.set("/a", b"").is_ok()));
    assert_eq!(events(&arrived(&mut stream).await), [(CHANGED, "/a"); 2], "the first, and the rest of them");
    for name in ["/a/1", "/a/2", "/a/3"] {
        server.create(name, b"").unwrap();
    }
    assert_eq!(events(&arrived(&mut stream).await), [(CHILDREN, "/a"); 2]);
    server.set("/a", b"").unwrap();
    assert_eq!(events(&arrived(&mut stream).await), [(CHANGED, "/a")]);
    change_back(&server);
    assert_eq!(events(&arrived(&mut stream).await).last(), Some(&(DELETED, "/a")));
    change(&server);
    let items = arrived(&mut stream).await;
    assert_eq!(events(&items), [(CREATED, "/a"), (DELETED, "/a")]);
}

fn change_back(server: &Stage) {
    for path in ["/a/1", "/a/2", "/a/3", "/a"] {
        server.delete(path).unwrap();
    }
}

/// The same marks as ever, and what happened meanwhile is told besides.
// goal: N3
#[tokio::test(start_paused = true)]
async fn a_gap_has_its_marks() {
    for mode in MODES {
        let server = Stage::like(Profile::V3_5).await;
        let client = connect(&server).await;
        server.create("/a", b"").unwrap();
        let mut stream = within(client.watch("/a", mode)).await.unwrap();
        server.stop().await;
        until_suspended(&client).await;
        server.set("/a", b"").unwrap();
        server.create("/a/b", b"").unwrap();
        server.start_again().await.unwrap();
        until_connected(&client).await;
        let items = arrived(&mut stream).await;
        let marks = [WatchItem::Gap(GapReason::ConnectionLost), WatchItem::Resumed { new_session: false }];
        assert_eq!(items[..2], marks);
        let child = if mode == RECURSIVE { (CREATED, "/a/b") } else { (CHILDREN, "/a") };
        assert_eq!(events(&items), [(CHANGED, "/a"), child]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_znode_made_anew_meanwhile_is_told_as_such() {
    let server = Stage::like(Profile::V3_5).await;
    let client = connect(&server).await;
    server.create("/a", b"").unwrap();
    server.create("/a/old", b"").unwrap();
    let mut stream = within(client.watch("/a", RECURSIVE)).await.unwrap();
    server.stop().await;
    until_suspended(&client).await;
    server.delete("/a/old").unwrap();
    server.delete("/a").unwrap();
    server.create("/a", b"").unwrap();
    server.create("/a/new", b"").unwrap();
    server.start_again().await.unwrap();
    until_connected(&client).await;
    let items = arrived(&mut stream).await;
    let told: BTreeSet<_> = events(&items).into_iter().collect();
    for wanted in [(DELETED, "/a/old"), (DELETED, "/a"), (CREATED, "/a"), (CREATED, "/a/new")] {
        assert!(told.contains(&wanted), "{told:?}");
    }
    assert_eq!(events(&items).last(), Some(&(CREATED, "/a/new")));
}

/// Deleted and created again before anybody could look: its children are followed all the same.
#[tokio::test(start_paused = true)]
async fn a_znode_made_anew_at_once_is_followed() {
    for mode in MODES {
        let server = Stage::like(Profile::V3_5).await;
        let client = connect(&server).await;
        server.create("/a", b"").unwrap();
        let mut stream = within(client.watch("/a", mode)).await.unwrap();
        server.delete("/a").unwrap();
        server.create("/a", b"").unwrap();
        assert_eq!(events(&arrived(&mut stream).await), [(DELETED, "/a"), (CREATED, "/a")]);
        server.create("/a/b", b"").unwrap();
        let child = if mode == RECURSIVE { (CREATED, "/a/b") } else { (CHILDREN, "/a") };
        assert_eq!(events(&arrived(&mut stream).await), [child]);
    }
}

// goal: W2 W4
#[tokio::test(start_paused = true)]
async fn the_last_stream_takes_all_its_watches_away() {
    let server = Stage::like(Profile::V3_5).await;
    let client = connect(&server).await;
    for path in ["/a", "/a/b", "/a/c", "/a/c/d"] {
        server.create(path, b"").unwrap();
    }
    let (one, two) =
        (within(client.watch("/a", RECURSIVE)).await.unwrap(), within(client.watch("/a", RECURSIVE)).await);
    let (_, mut own) = within(client.get_data_and_watch("/a/b")).await.unwrap();
    assert_eq!(server.watch_count(), 8);
    drop((one, two));
    settle().await;
    assert_eq!(server.watch_count(), 1, "somebody's own one-shot watch stays");
    let left: Vec<_> = within(client.watches()).await.unwrap().into_iter().map(|info| (info.path, info.kind)).collect();
    assert_eq!(left, [("/a/b".to_owned(), WatchKind::Data)]);
    server.set("/a/b", b"").unwrap();
    assert_eq!(within(&mut own).await.unwrap().event_type, CHANGED);
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn too_many_znodes_are_refused_with_the_limit() {
    let server = Stage::like(Profile::V3_5).await;
    let client = connect(&server).await;
    server.create("/big", b"").unwrap();
    server.create("/big/in", b"").unwrap();
    (0..9_998).for_each(|i| assert!(server.create(&format!("/big/in/{i:05}"), b"").is_ok()));
    let mut stream = within(client.watch("/big", RECURSIVE)).await.unwrap();
    server.create("/big/one-more", b"").unwrap();
    let limit = WatchItem::Gap(GapReason::TooManyZnodes { limit: 10_000 });
    let mut last = None;
    while let Some(item) = within(stream.next()).await {
        last = Some(item);
    }
    assert_eq!(last, Some(limit));
    let error = within(client.watch("/big", RECURSIVE)).await.unwrap_err();
    assert_eq!(error, Error::Usage(UsageError::TooManyZnodes { path: "/big".into(), limit: 10_000 }));
    settle().await;
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
}

/// A child that may not be read cannot be watched by one-shot watches.
#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_not_passed_over_in_silence() {
    let server = Stage::like(Profile::V3_5).await;
    let client = connect(&server).await;
    server.create("/a", b"").unwrap();
    server.create("/a/b", b"").unwrap();
    let mut stream = within(client.watch("/a", RECURSIVE)).await.unwrap();
    let unreadable = [Acl { permissions: Permissions::WRITE, ..OPEN_ACL_UNSAFE[0].clone() }];
    server.set_acl("/a/b", &unreadable).unwrap();
    server.create("/a/b/c", b"").unwrap();
    assert_eq!(within(stream.next()).await, Some(WatchItem::Gap(GapReason::Refused(ErrorCode::NO_AUTH))));
    assert_eq!(within(stream.next()).await, None);
    let error = within(client.watch("/a", RECURSIVE)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NO_AUTH));
    settle().await;
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
}

/// What the events so far say is there.
#[derive(Default)]
struct Folded {
    there: BTreeSet<String>,
    count: BTreeMap<(i32, String), usize>,
}

impl Folded {
    async fn read(&mut self, stream: &mut WatchStream) {
        for (kind, path) in events(&arrived(stream).await) {
            *self.count.entry((kind.0, path.to_owned())).or_default() += 1;
            match kind {
                CREATED => assert!(self.there.insert(path.to_owned()), "{path} was there already"),
                DELETED => assert!(self.there.remove(path), "{path} was not there"),
                _ => assert!(self.there.contains(path), "{path} is not there and {kind:?}"),
            }
        }
    }
}

/// Random changes at random times, with cuts: the stream tells what is there, no change twice, and none that did not
/// happen.
// goal: N3 W1
#[tokio::test(start_paused = true)]
async fn the_stream_agrees_with_the_tree_whatever_happens() {
    for seed in 0..300_u64 {
        play(seed).await;
    }
}

async fn play(seed: u64) {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let server = Stage::like(Profile::V3_5).await;
    let client = server.connect().await;
    let mut folded = Folded::default();
    let mut stream = within(client.watch("/r", RECURSIVE)).await.unwrap();
    let paths = ["/r", "/r/a", "/r/b", "/r/a/x", "/r/a/y", "/r/a/x/1"];
    let mut done: BTreeMap<(i32, String), usize> = BTreeMap::new();
    for _ in 0..8 {
        let mut changed = BTreeSet::new();
        for _ in 0..chance.below(8) {
            let path = paths[chance.below(paths.len())];
            let (kind, is_done) = match chance.below(4) {
                0 | 1 if server.get(path).is_none() => (CREATED, server.create(path, b"").is_ok()),
                0 => (DELETED, server.delete(path).is_ok()),
                _ => (CHANGED, server.set(path, b"").is_ok()),
            };
            if is_done {
                *done.entry((kind.0, path.to_owned())).or_default() += 1;
                changed.insert((kind.0, path.to_owned()));
            }
            match chance.below(12) {
                0 => server.drop_connections(),
                more => {
                    for _ in 0..more {
                        tokio::task::yield_now().await
                    }
                }
            }
        }
        let before = folded.count.clone();
        let there = folded.there.clone();
        settle().await;
        until_connected(&client).await;
        within(client.sync("/")).await.unwrap();
        settle().await;
        folded.read(&mut stream).await;
        let tree: BTreeSet<String> =
            paths.iter().filter(|path| server.get(path).is_some()).map(|path| (*path).to_owned()).collect();
        assert_eq!(folded.there, tree, "seed {seed}");
        for (told, count) in &folded.count {
            // A znode made anew while nobody was connected is told by the server as changed.
            let made = if told.0 == CHANGED.0 { done.get(&(CREATED.0, told.1.clone())) } else { None };
            let happened = done.get(told).unwrap_or(&0) + made.unwrap_or(&0);
            assert!(*count <= happened, "seed {seed}: {told:?} told {count} times, happened {happened}");
        }
        // A change of data on a znode that was there all the time is told.
        let quiet = |path: &String| {
            !changed.contains(&(CREATED.0, path.clone())) && !changed.contains(&(DELETED.0, path.clone()))
        };
        for (kind, path) in
            changed.iter().filter(|(kind, path)| *kind == CHANGED.0 && there.contains(path) && quiet(path))
        {
            let key = (*kind, path.clone());
            assert!(folded.count.get(&key) > before.get(&key), "seed {seed}: {path} changed in silence");
        }
    }
    drop(stream);
    settle().await;
    within(client.sync("/")).await.unwrap();
    settle().await;
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]), "seed {seed}");
}

/// Numbers by xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
