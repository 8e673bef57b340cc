//! One-shot watches: what each kind tells, once, and over what.

use super::LINES;
use crate::stage::{Stage, create, poll_and_drop, settle, until_connected, until_suspended, within};
use zk_client::{
    Client, End, Error, ErrorCode, EventType, OneshotWatch, OpCode, UsageError, WatchKind, WatchLost, WatchMode,
    WatcherType, Zxid,
};
use zk_testkit::server::{Profile, WatchInfo, WatchedKind};

const CREATED: EventType = EventType::NODE_CREATED;
const DELETED: EventType = EventType::NODE_DELETED;
const CHANGED: EventType = EventType::NODE_DATA_CHANGED;
const CHILDREN: EventType = EventType::NODE_CHILDREN_CHANGED;

async fn fired(watch: OneshotWatch) -> (EventType, String) {
    let told = within(watch).await.expect("an event");
    (told.event_type, told.path.to_string())
}

/// A watch that has not fired, and does not now.
async fn is_silent(watch: &mut OneshotWatch) -> bool {
    settle().await;
    poll_and_drop(watch, 1).await.is_none()
}

async fn exists(client: &Client, path: &str) -> OneshotWatch {
    within(client.exists_and_watch(path)).await.unwrap().1
}

async fn data(client: &Client, path: &str) -> OneshotWatch {
    within(client.get_data_and_watch(path)).await.unwrap().1
}

async fn children(client: &Client, path: &str) -> OneshotWatch {
    within(client.get_children_and_watch(path)).await.unwrap().1
}

/// The table of protocol.md section 4.3.
#[tokio::test(start_paused = true)]
async fn every_kind_tells_of_its_changes_and_of_no_others() {
    for profile in LINES {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let a = || "/a".to_owned();

        let watch = exists(&client, "/a").await;
        server.create("/a", b"").unwrap();
        assert_eq!(fired(watch).await, (CREATED, a()));

        let (mut names, watches) =
            (children(&client, "/a").await, [exists(&client, "/a").await, data(&client, "/a").await]);
        server.set("/a", b"").unwrap();
        for watch in watches {
            assert_eq!(fired(watch).await, (CHANGED, a()));
        }
        assert!(is_silent(&mut names).await);

        let mut others = [exists(&client, "/a").await, data(&client, "/a").await];
        server.create("/a/b", b"").unwrap();
        assert_eq!(fired(names).await, (CHILDREN, a()));
        let mut names = children(&client, "/a").await;
        server.set("/a/b", b"").unwrap();
        server.set_acl("/a", zk_client::OPEN_ACL_UNSAFE).unwrap();
        assert!(is_silent(&mut names).await);
        for watch in &mut others {
            assert!(is_silent(watch).await);
        }
        server.delete("/a/b").unwrap();
        assert_eq!(fired(names).await, (CHILDREN, a()));

        let names = children(&client, "/a").await;
        server.delete("/a").unwrap();
        for watch in others.into_iter().chain([names]) {
            assert_eq!(fired(watch).await, (DELETED, a()));
        }
        assert_eq!(server.watch_count(), 0);
    }
}

/// What a read with a watch finds is what it finds without.
#[tokio::test(start_paused = true)]
async fn answers_are_those_of_the_reads() {
    let server = Stage::start().await;
    let client = server.connect_below("/app").await;
    create(&client, "/a", b"1").await;
    create(&client, "/a/b", b"").await;
    let (found, _watch) = within(client.get_data_and_watch("/a")).await.unwrap();
    assert_eq!(found, within(client.get_data("/a")).await.unwrap());
    let (found, _watch) = within(client.get_children_and_watch("/a")).await.unwrap();
    assert_eq!(found, within(client.get_children("/a")).await.unwrap());
    let (found, watch) = within(client.exists_and_watch("/a")).await.unwrap();
    assert_eq!(found, within(client.exists("/a")).await.unwrap());
    within(client.set_data("/a", b"2", None)).await.unwrap();
    assert_eq!(fired(watch).await, (CHANGED, "/a".into()), "below the chroot");
}

/// Only exists leaves a watch where nothing is.
#[tokio::test(start_paused = true)]
async fn a_read_that_is_refused_leaves_no_watch() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let no_node = Some(ErrorCode::NO_NODE);
    assert_eq!(within(client.get_data_and_watch("/none")).await.unwrap_err().code(), no_node);
    assert_eq!(within(client.get_children_and_watch("/none")).await.unwrap_err().code(), no_node);
    let error = within(client.get_data_and_watch("none")).await.unwrap_err();
    assert!(matches!(error, Error::Usage(UsageError::Path { .. })), "{error:?}");
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
}

/// The event carries its zxid where the server sends it, and when it came.
// goal: W3
#[tokio::test(start_paused = true)]
async fn an_event_has_its_zxid_and_the_time_it_came() {
    for (profile, sends) in [(Profile::V3_8, false), (Profile::V3_9, true)] {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        let watch = exists(&client, "/a").await;
        crate::stage::pass(std::time::Duration::from_secs(1)).await;
        let (zxid, now) = (server.create("/a", b"").unwrap(), tokio::time::Instant::now());
        crate::stage::pass(std::time::Duration::from_secs(1)).await;
        let told = within(watch).await.unwrap();
        assert_eq!((told.zxid, told.received), (if sends { zxid } else { Zxid::NONE }, now));
    }
}

/// Changed while nobody was connected, by way of WatchEventWhenAutoResetTest: each is told once.
#[tokio::test(start_paused = true)]
async fn what_happened_while_the_connection_was_gone_is_told_once() {
    for profile in LINES {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        for path in ["/changed", "/deleted", "/parent", "/quiet"] {
            create(&client, path, b"").await;
        }
        let watches = [
            (data(&client, "/changed").await, CHANGED),
            (exists(&client, "/created").await, CREATED),
            (exists(&client, "/deleted").await, DELETED),
            (data(&client, "/deleted").await, DELETED),
            (children(&client, "/deleted").await, DELETED),
            (children(&client, "/parent").await, CHILDREN),
        ];
        let mut quiet =
            [data(&client, "/quiet").await, exists(&client, "/none").await, children(&client, "/quiet").await];
        server.stop().await;
        until_suspended(&client).await;
        server.set("/changed", b"").unwrap();
        server.create("/created", b"").unwrap();
        server.delete("/deleted").unwrap();
        server.create("/parent/child", b"").unwrap();
        server.start_again().await.unwrap();
        until_connected(&client).await;
        for (watch, expected) in watches {
            assert_eq!(fired(watch).await.0, expected);
        }
        for watch in &mut quiet {
            assert!(is_silent(watch).await);
        }
        server.set("/quiet", b"").unwrap();
        server.create("/none", b"").unwrap();
        server.create("/quiet/child", b"").unwrap();
        let [one, two, three] = quiet;
        assert_eq!([fired(one).await.0, fired(two).await.0, fired(three).await.0], [CHANGED, CREATED, CHILDREN]);
        assert_eq!(within(client.watches()).await.unwrap(), []);
    }
}

/// A new session sets them again, too.
// goal: N2
#[tokio::test(start_paused = true)]
async fn they_live_on_in_a_new_session() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let (one, two) = (data(&client, "/a").await, exists(&client, "/b").await);
    server.expire_session(client.session_id().unwrap());
    until_suspended(&client).await;
    server.set("/a", b"").unwrap();
    until_connected(&client).await;
    assert_eq!(fired(one).await, (CHANGED, "/a".into()));
    server.create("/b", b"").unwrap();
    assert_eq!(fired(two).await, (CREATED, "/b".into()));
}

#[tokio::test(start_paused = true)]
async fn they_say_so_when_the_session_ends() {
    let server = Stage::start().await;
    let client = within(server.connector().renew_session(false).connect()).await.unwrap();
    let watch = exists(&client, "/a").await;
    server.expire_session(client.session_id().unwrap());
    assert_eq!(within(watch).await, Err(WatchLost::Ended(End::Expired)));
    let client = server.connect().await;
    let watch = exists(&client, "/a").await;
    within(client.close()).await;
    assert_eq!(within(watch).await, Err(WatchLost::Ended(End::Closed)));
}

// goal: W2 W4
#[tokio::test(start_paused = true)]
async fn many_share_one_watch_and_the_last_drop_removes_it() {
    for profile in LINES {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        create(&client, "/a", b"").await;
        let mut watches = Vec::new();
        for _ in 0..50 {
            watches.extend([data(&client, "/a").await, exists(&client, "/a").await, children(&client, "/a").await]);
        }
        assert_eq!(server.watch_count(), 2);
        let listeners: Vec<_> = within(client.watches()).await.unwrap().iter().map(|info| info.listeners).collect();
        assert_eq!(listeners, [100, 50]);
        let last = watches.pop();
        drop(watches);
        settle().await;
        let child = WatchInfo { path: "/a".into(), kind: WatchedKind::Child };
        assert_eq!(server.watches().into_values().flatten().collect::<Vec<_>>(), [child]);
        drop(last);
        settle().await;
        assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
        // Fired and dropped: nothing is removed that is not there.
        drop(server.take_requests());
        let watch = data(&client, "/a").await;
        server.set("/a", b"").unwrap();
        settle().await;
        drop(watch);
        settle().await;
        assert!(server.requests().iter().all(|request| request.op != OpCode::REMOVE_WATCHES));
    }
}

/// Servers before 3.9 keep one of them a path and drop the other in silence: nobody is left to find that out.
#[tokio::test(start_paused = true)]
async fn a_path_has_one_shot_watches_or_a_persistent_one() {
    let server = Stage::like(Profile::V3_8).await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let conflict = Some(Error::Usage(UsageError::WatchConflict { path: "/a".into() }));
    for mode in super::MODES {
        let stream = within(client.watch("/a", mode)).await.unwrap();
        assert_eq!(within(client.get_data_and_watch("/a")).await.err(), conflict);
        assert_eq!(within(client.get_children_and_watch("/a")).await.err(), conflict);
        // Another path is another matter, below a recursive watch, too.
        drop((exists(&client, "/a/b").await, stream));
        let watch = data(&client, "/a").await;
        assert_eq!(within(client.watch("/a", mode)).await.err(), conflict);
        drop(watch);
    }
    let stream = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    drop(stream);
    settle().await;
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
}

/// A persistent watch that 3.8 cannot remove alone goes with the one-shot one that came meanwhile.
// goal: W2
#[tokio::test(start_paused = true)]
async fn what_could_not_be_removed_alone_is_removed_later() {
    let server = Stage::like(Profile::V3_8).await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let stream = within(client.watch("/a", WatchMode::PERSISTENT)).await.unwrap();
    server.hold_replies(true);
    drop(stream);
    let other = client.clone();
    let reading = tokio::spawn(async move { other.get_data_and_watch("/a").await });
    settle().await;
    server.hold_replies(false);
    let (_, watch) = within(reading).await.unwrap().unwrap();
    settle().await;
    assert_eq!(within(client.watches()).await.unwrap().len(), 1);
    drop(watch);
    settle().await;
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
}

/// RemoveWatchesTest: one kind, another, all; what is not meant stays.
#[tokio::test(start_paused = true)]
async fn watches_are_removed_by_name() {
    for profile in LINES {
        let server = Stage::like(profile).await;
        let client = server.connect_below("/app").await;
        create(&client, "/a", b"").await;
        let none = Some(ErrorCode::NO_WATCHER);
        assert_eq!(within(client.remove_watches("/a", WatcherType::ANY)).await.unwrap_err().code(), none);
        let (one, two) = (data(&client, "/a").await, exists(&client, "/a").await);
        let (mut names, mut other) = (children(&client, "/a").await, exists(&client, "/other").await);
        assert!(within(client.check_watches("/a", WatcherType::DATA)).await.unwrap());
        within(client.remove_watches("/a", WatcherType::DATA)).await.unwrap();
        assert_eq!([within(one).await, within(two).await], [Err(WatchLost::Removed), Err(WatchLost::Removed)]);
        assert_eq!(within(client.remove_watches("/a", WatcherType::DATA)).await.unwrap_err().code(), none);
        assert!(is_silent(&mut names).await && is_silent(&mut other).await);
        assert_eq!(server.watch_count(), 2);
        within(client.remove_watches("/a", WatcherType::ANY)).await.unwrap();
        assert_eq!(within(names).await, Err(WatchLost::Removed));
        assert!(!within(client.check_watches("/a", WatcherType::CHILDREN)).await.unwrap());
        server.create("/app/other", b"").unwrap();
        assert_eq!(fired(other).await, (CREATED, "/other".into()));
    }
}

/// Without a connection they are gone here at once, and not set again.
#[tokio::test(start_paused = true)]
async fn watches_are_removed_without_a_connection() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let (watch, mut other) = (exists(&client, "/a").await, exists(&client, "/b").await);
    server.stop().await;
    until_suspended(&client).await;
    let removing = tokio::spawn({
        let client = client.clone();
        async move { client.remove_watches("/a", WatcherType::ANY).await }
    });
    assert_eq!(within(watch).await, Err(WatchLost::Removed));
    server.start_again().await.unwrap();
    within(removing).await.unwrap().unwrap();
    let left: Vec<_> = within(client.watches()).await.unwrap().into_iter().map(|info| (info.path, info.kind)).collect();
    assert_eq!(left, [("/b".to_owned(), WatchKind::Exist)]);
    assert!(is_silent(&mut other).await);
}

/// The event was on its way when the watch was removed, or dropped: nothing comes of it, and the next one is whole.
#[tokio::test(start_paused = true)]
async fn a_removal_may_cross_an_event() {
    for profile in LINES {
        let server = Stage::like(profile).await;
        let client = server.connect().await;
        create(&client, "/a", b"").await;
        for by_name in [false, true] {
            let watch = data(&client, "/a").await;
            server.hold_replies(true);
            server.set("/a", b"").unwrap();
            let removing = by_name.then(|| client.remove_watches("/a", WatcherType::DATA));
            let watch = by_name.then_some(watch);
            let next = client.get_data_and_watch("/a");
            settle().await;
            server.hold_replies(false);
            if let Some(removing) = removing {
                within(removing).await.unwrap();
            }
            let (_, next) = within(next).await.unwrap();
            if let Some(watch) = watch {
                assert_eq!(within(watch).await, Err(WatchLost::Removed));
            }
            server.set("/a", b"").unwrap();
            assert_eq!(fired(next).await, (CHANGED, "/a".into()));
        }
        assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
    }
}

/// WatcherTest: of watches whose reads were lost with the connection none fires; of those set before, each once.
#[tokio::test(start_paused = true)]
async fn reads_that_were_lost_left_no_watches() {
    let server = Stage::start().await;
    let client = server.connect().await;
    for i in 0..100 {
        create(&client, &format!("/a{i}"), b"").await;
    }
    let mut watches = Vec::new();
    for i in 0..100 {
        watches.push(data(&client, &format!("/a{i}")).await);
    }
    server.hold_replies(true);
    let lost: Vec<_> = (0..100).map(|i| client.get_data_and_watch(&format!("/a{i}"))).collect();
    settle().await;
    server.drop_connections();
    for call in lost {
        assert!(matches!(within(call).await, Err(Error::Interrupted { .. })));
    }
    server.hold_replies(false);
    until_connected(&client).await;
    within(client.sync("/")).await.unwrap();
    assert_eq!(server.watch_count(), 100);
    (0..100).for_each(|i| assert!(server.set(&format!("/a{i}"), b"").is_ok()));
    for watch in watches {
        assert_eq!(fired(watch).await.0, CHANGED);
    }
    assert_eq!((server.watch_count(), within(client.watches()).await.unwrap()), (0, vec![]));
}

/// DisconnectedWatcherTest, ZOOKEEPER-706: more long paths than one frame holds.
// goal: N1
#[tokio::test(start_paused = true)]
async fn three_thousand_long_paths_fire_after_a_reconnect() {
    let server = Stage::like(Profile::V3_5).await;
    let client = server.connect().await;
    let name = "x".repeat(200);
    let paths: Vec<String> = (0..3_000).map(|i| format!("/{name}-{i:05}")).collect();
    let reads = paths.iter().map(|path| client.exists_and_watch(path));
    let watches = within(futures_util::future::try_join_all(reads)).await.unwrap();
    drop(server.take_requests());
    server.drop_connections();
    until_suspended(&client).await;
    within(client.exists("/")).await.unwrap();
    let frames = server.take_requests().iter().filter(|request| request.op == OpCode::SET_WATCHES).count();
    assert_eq!((server.watch_count(), frames), (3_000, 5));
    paths.iter().for_each(|path| assert!(server.create(path, b"").is_ok()));
    for ((_, watch), path) in watches.into_iter().zip(paths) {
        assert_eq!(fired(watch).await, (CREATED, path));
    }
}

/// ConfigWatcherPathTest: the configuration is watched from below any root, and its path stays whole.
#[tokio::test(start_paused = true)]
async fn the_configuration_is_watched_from_below_a_chroot() {
    let server = Stage::start().await;
    let client = server.connect_below("/app").await;
    let (found, watch) = within(client.get_config_and_watch()).await.unwrap();
    assert_eq!(found, within(client.get_config()).await.unwrap());
    let deeper = client.chrooted("/deeper").unwrap();
    let (_, second) = within(deeper.get_config_and_watch()).await.unwrap();
    server.drop_connections();
    until_suspended(&client).await;
    until_connected(&client).await;
    server.set("/zookeeper/config", b"version=100000001").unwrap();
    for watch in [watch, second] {
        assert_eq!(fired(watch).await, (CHANGED, "/zookeeper/config".into()));
    }
}

/// DisconnectedWatcherTest, ZOOKEEPER-961: below a deep root they are set again by the server's paths.
#[tokio::test(start_paused = true)]
async fn below_a_chroot_they_are_set_again_and_tell_the_clients_paths() {
    for profile in LINES {
        let server = Stage::like(profile).await;
        server.create("/deep", b"").unwrap();
        let client = server.connect_below("/deep/root").await;
        create(&client, "/a", b"").await;
        let watches = [children(&client, "/a").await, data(&client, "/a").await, exists(&client, "/b").await];
        let root = children(&client, "/").await;
        server.drop_connections();
        until_suspended(&client).await;
        until_connected(&client).await;
        create(&client, "/a/c", b"").await;
        within(client.set_data("/a", b"", None)).await.unwrap();
        create(&client, "/b", b"").await;
        let expected = [(CHILDREN, "/a"), (CHANGED, "/a"), (CREATED, "/b")];
        for (watch, (kind, path)) in watches.into_iter().zip(expected) {
            assert_eq!(fired(watch).await, (kind, path.to_owned()));
        }
        assert_eq!(fired(root).await, (CHILDREN, "/".into()));
    }
}
