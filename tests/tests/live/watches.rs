//! Watches on real servers: what a server's own tables say, and one-shot watches standing in for persistent ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::timeout;
use zk_client::{
    Client, CreateMode, EventType, OPEN_ACL_UNSAFE, SessionState, WatchItem, WatchKind, WatchMode, WatchStream,
    WatcherType, Zxid,
};
use zk_proto::words::{WatchSummary, WatchesByPath};
use zk_testkit::{
    launcher::{Ensemble, Version},
    proxy::{End, Proxy},
};
use zk_tests::real;

use super::scene::{Done, Failure, PATIENCE, connector};

const MODES: [WatchMode; 2] = [WatchMode::PERSISTENT, WatchMode::PERSISTENT_RECURSIVE];

async fn within<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(timeout(PATIENCE, future).await?)
}

/// A server, a client of it behind a wire, and somebody else who changes things.
struct Scene {
    ensemble: Ensemble,
    proxy: Proxy,
    client: Client,
    other: Client,
}

impl Scene {
    async fn start(version: Version) -> Result<Self, Failure> {
        let ensemble = real(version).start().await?;
        let proxy = Proxy::start(ensemble.server(0).ok_or("one server")?.addr()).await?;
        let client = within(connector(&proxy.connect_string())?.connect()).await??;
        let other = within(connector(&ensemble.connect_string())?.connect()).await??;
        Ok(Self { ensemble, proxy, client, other })
    }

    async fn create(&self, path: &str) -> Done {
        within(self.other.create(path, b"", CreateMode::Persistent, OPEN_ACL_UNSAFE)).await??;
        Ok(())
    }

    async fn set(&self, path: &str) -> Done {
        within(self.other.set_data(path, b"", None)).await??;
        Ok(())
    }

    async fn delete(&self, path: &str) -> Done {
        within(self.other.delete(path, None)).await??;
        Ok(())
    }

    /// Cuts the client's wire; when this returns, it is connected again.
    async fn cut(&self) -> Done {
        let mut state = self.client.state();
        state.mark_unchanged();
        self.proxy.end_all(End::Reset);
        within(state.wait_for(|state| matches!(state, SessionState::Suspended { .. }))).await??;
        within(state.wait_for(SessionState::is_connected)).await??;
        Ok(())
    }

    /// Everything that has happened has been told.
    async fn sync(&self) -> Done {
        within(self.client.sync("/")).await??;
        within(self.client.sync("/")).await??;
        Ok(())
    }

    /// Both sides' tables agree: the server's is that of watches on znodes themselves, without those on children.
    async fn tables_agree(&self) -> Done {
        let server = self.ensemble.server(0).ok_or("one server")?;
        let session = self.client.session_id().ok_or("no session")?;
        let agree = async {
            loop {
                self.sync().await?;
                let watches = within(self.client.watches()).await??;
                let is_whole = watches.iter().all(|watch| watch.is_set);
                let ours: BTreeSet<String> = watches
                    .iter()
                    .filter(|watch| watch.kind != WatchKind::Child)
                    .map(|watch| watch.path.clone())
                    .collect();
                let text = server.four_letter_word("wchp").await?;
                let all = WatchesByPath::parse(&text).map_or_else(|_| Vec::new(), |found| found.0);
                let theirs: BTreeSet<String> =
                    all.into_iter().filter(|(_, of)| of.contains(&session)).map(|(path, _)| path).collect();
                if is_whole && ours == theirs {
                    return Ok::<_, Failure>(());
                }
            }
        };
        timeout(PATIENCE, agree).await.map_err(|_| "the tables of client and server do not agree")?
    }

    async fn watches_at_server(&self) -> Result<i64, Failure> {
        let text = self.ensemble.server(0).ok_or("one server")?.four_letter_word("wchs").await?;
        Ok(WatchSummary::parse(&text)?.watches)
    }
}

/// Events up to now, in order.
async fn told(scene: &Scene, stream: &mut WatchStream) -> Result<Vec<(EventType, String)>, Failure> {
    // A look at a new znode follows the look that found it: a level of the tree each.
    for _ in 0..4 {
        scene.sync().await?;
    }
    let mut events = Vec::new();
    while let Ok(Some(item)) = timeout(Duration::ZERO, stream.next()).await {
        if let WatchItem::Event(event) = item {
            events.push((event.event_type, event.path.to_string()));
        }
    }
    Ok(events)
}

/// One change at a time is told alike by persistent watches and by what stands in for them on 3.5.
async fn streams(version: Version) -> Done {
    let scene = Scene::start(version).await?;
    let (created, deleted) = (EventType::NODE_CREATED, EventType::NODE_DELETED);
    let (changed, children) = (EventType::NODE_DATA_CHANGED, EventType::NODE_CHILDREN_CHANGED);
    for mode in MODES {
        let mut stream = within(scene.client.watch("/a", mode)).await??;
        let mut events = Vec::new();
        scene.create("/a").await?;
        events.extend(told(&scene, &mut stream).await?);
        scene.create("/a/b").await?;
        events.extend(told(&scene, &mut stream).await?);
        scene.set("/a/b").await?;
        scene.set("/a").await?;
        events.extend(told(&scene, &mut stream).await?);
        scene.cut().await?;
        scene.tables_agree().await?;
        drop(told(&scene, &mut stream).await?);
        scene.delete("/a/b").await?;
        events.extend(told(&scene, &mut stream).await?);
        scene.delete("/a").await?;
        events.extend(told(&scene, &mut stream).await?);
        let expected = if mode == WatchMode::PERSISTENT {
            vec![(created, "/a"), (children, "/a"), (changed, "/a"), (children, "/a"), (deleted, "/a")]
        } else {
            let (first, then) = ([(created, "/a"), (created, "/a/b")], [(changed, "/a/b"), (changed, "/a")]);
            first.into_iter().chain(then).chain([(deleted, "/a/b"), (deleted, "/a")]).collect()
        };
        let events: Vec<_> = events.iter().map(|(kind, path)| (*kind, path.as_str())).collect();
        assert_eq!(events, expected, "{mode:?}");
        drop(stream);
        scene.tables_agree().await?;
        assert_eq!(scene.watches_at_server().await?, 0);
    }
    Ok(())
}

/// A thousand listeners, one watch.
async fn sharing(version: Version) -> Done {
    let scene = Scene::start(version).await?;
    let root = scene.client.chrooted("/a")?;
    let watches =
        (0..1_000).map(|i| if i % 2 == 0 { scene.client.watch("/a", MODES[0]) } else { root.watch("/", MODES[0]) });
    let mut streams = within(futures_util::future::try_join_all(watches.collect::<Vec<_>>())).await??;
    assert_eq!(scene.watches_at_server().await?, 1);
    scene.cut().await?;
    scene.tables_agree().await?;
    assert_eq!(scene.watches_at_server().await?, 1);
    scene.create("/a").await?;
    scene.sync().await?;
    for (i, stream) in streams.iter_mut().enumerate() {
        let items = [within(stream.next()).await?, within(stream.next()).await?, within(stream.next()).await?];
        let Some(WatchItem::Event(event)) = &items[2] else { return Err(format!("{items:?}").into()) };
        assert_eq!(event.path.as_str(), if i % 2 == 0 { "/a" } else { "/" });
        assert!(event.received.elapsed() < PATIENCE);
    }
    let last = streams.pop();
    drop(streams);
    scene.sync().await?;
    assert_eq!(scene.watches_at_server().await?, 1);
    drop(last);
    scene.tables_agree().await?;
    assert_eq!(scene.watches_at_server().await?, 0);
    Ok(())
}

/// Every kind of one-shot watch over a cut during which everything happened.
async fn oneshots(version: Version) -> Done {
    let zxids = version.at_least(3, 9);
    let scene = Scene::start(version).await?;
    let client = &scene.client;
    for path in ["/changed", "/deleted", "/parent", "/quiet"] {
        scene.create(path).await?;
    }
    let watches = vec![
        (within(client.get_data_and_watch("/changed")).await??.1, EventType::NODE_DATA_CHANGED),
        (within(client.exists_and_watch("/created")).await??.1, EventType::NODE_CREATED),
        (within(client.exists_and_watch("/deleted")).await??.1, EventType::NODE_DELETED),
        (within(client.get_children_and_watch("/deleted")).await??.1, EventType::NODE_DELETED),
        (within(client.get_children_and_watch("/parent")).await??.1, EventType::NODE_CHILDREN_CHANGED),
    ];
    let (_, quiet) = within(client.get_data_and_watch("/quiet")).await??;
    scene.tables_agree().await?;
    scene.proxy.set_connects(zk_testkit::proxy::Connects::Refuse).await?;
    scene.proxy.end_all(End::Reset);
    scene.set("/changed").await?;
    scene.create("/created").await?;
    scene.delete("/deleted").await?;
    scene.create("/parent/child").await?;
    scene.proxy.set_connects(zk_testkit::proxy::Connects::Accept).await?;
    for (watch, expected) in watches {
        let event = within(watch).await??;
        assert_eq!((event.event_type, event.zxid), (expected, Zxid::NONE), "told by setWatches");
    }
    scene.tables_agree().await?;
    scene.set("/quiet").await?;
    let event = within(quiet).await??;
    assert_eq!((event.event_type, event.zxid.is_some()), (EventType::NODE_DATA_CHANGED, zxids));
    assert_eq!(within(client.watches()).await??, []);
    assert_eq!(scene.watches_at_server().await?, 0);

    let (_, watch) = within(client.exists_and_watch("/none")).await??;
    assert!(within(client.check_watches("/none", WatcherType::DATA)).await??);
    within(client.remove_watches("/none", WatcherType::ANY)).await??;
    assert!(!within(client.check_watches("/none", WatcherType::DATA)).await??);
    assert_eq!(within(watch).await?, Err(zk_client::WatchLost::Removed));
    Ok(())
}

/// Watches come and go while removals, events and answers are on their way.
async fn races(version: Version) -> Done {
    let scene = Scene::start(version).await?;
    let client = &scene.client;
    scene.create("/a").await?;
    for round in 0..150 {
        let mode = MODES[round % 2];
        let changing = scene.other.set_data("/a", b"", None);
        drop(within(client.watch("/a", mode)).await??);
        if round % 3 == 0 {
            // Refused or not, by who came first.
            drop(within(client.exists_and_watch("/a")).await?);
        }
        if round % 50 == 0 {
            scene.proxy.end_all(End::Reset);
        }
        let mut stream = within(client.watch("/a", mode)).await??;
        within(changing).await??;
        scene.set("/a").await?;
        loop {
            match within(stream.next()).await?.ok_or("the stream ended")? {
                WatchItem::Event(event) if event.event_type == EventType::NODE_DATA_CHANGED => break,
                // A cut may have taken the event with it. Behind an answer from now on the watch stands.
                WatchItem::Resumed { .. } => {
                    scene.sync().await?;
                    scene.set("/a").await?;
                }
                _ => {}
            }
        }
    }
    scene.tables_agree().await?;
    assert_eq!(scene.watches_at_server().await?, 0);
    Ok(())
}

/// Numbers by xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

const PATHS: [&str; 6] = ["/r", "/r/a", "/r/b", "/r/a/x", "/r/a/y", "/r/a/x/1"];

/// Somebody else's changes, with cuts in between; counts how often data was set on znodes that were not deleted.
async fn shake(scene: &Scene, chance: &mut Chance, kept: &mut BTreeMap<String, usize>) -> Done {
    let mut pending = Vec::new();
    for _ in 0..chance.below(10) {
        let path = PATHS[usize::try_from(chance.below(6))?];
        match chance.below(4) {
            0 => {
                kept.remove(path);
                let call = scene.other.delete(path, None);
                pending.push(tokio::spawn(async move { drop(call.await) }));
            }
            1 => {
                let call = scene.other.create(path, b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
                pending.push(tokio::spawn(async move { drop(call.await) }));
            }
            _ => {
                let is_set = within(scene.other.set_data(path, b"", None)).await?.is_ok();
                if let Some(sets) = kept.get_mut(path).filter(|_| is_set) {
                    *sets += 1;
                }
            }
        }
        if chance.below(25) == 0 {
            scene.proxy.end_all(End::Reset);
        }
    }
    for done in pending {
        within(done).await??;
    }
    within(scene.client.state().wait_for(SessionState::is_connected)).await??;
    while scene.sync().await.is_err() {}
    Ok(())
}

/// What the events of the stand-in say is there is what is there, and each change is told.
async fn emulated_play(version: Version) -> Done {
    let scene = Scene::start(version).await?;
    let mut stream = within(scene.client.watch("/r", WatchMode::PERSISTENT_RECURSIVE)).await??;
    let mut there = BTreeSet::<String>::new();
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for round in 0..60 {
        let mut kept = there.iter().map(|path| (path.clone(), 0)).collect();
        shake(&scene, &mut chance, &mut kept).await?;
        let mut changed = BTreeSet::new();
        for (kind, path) in told(&scene, &mut stream).await? {
            match kind {
                EventType::NODE_CREATED => assert!(there.insert(path), "round {round}"),
                EventType::NODE_DELETED => assert!(there.remove(&path), "round {round}: {path}"),
                _ => drop(changed.insert(path)),
            }
        }
        let mut tree = BTreeSet::new();
        for path in PATHS {
            if within(scene.other.exists(path)).await??.is_some() {
                tree.insert(path.to_owned());
            }
        }
        assert_eq!(there, tree, "round {round}");
        for (path, sets) in kept {
            assert!(sets == 0 || changed.contains(&path), "round {round}: {path} changed in silence");
        }
    }
    drop(stream);
    scene.tables_agree().await?;
    assert_eq!(scene.watches_at_server().await?, 0);
    Ok(())
}

macro_rules! on {
    ($($test:ident: $($name:ident $version:ident),+;)*) => {$(
        mod $test {
            use super::{Done, Version};
            $(
                #[tokio::test]
                async fn $name() -> Done { super::$test(Version::$version).await }
            )+
        }
    )*};
}

on! {
    // goal: N1 N3 W1
    streams: on_3_5 V3_5, on_3_6 V3_6, on_3_8 V3_8, on_3_9 V3_9;
    // goal: N1 W2 W3
    sharing: on_3_6 V3_6, on_3_8 V3_8, on_3_9 V3_9;
    // goal: N1 W3
    oneshots: on_3_5 V3_5, on_3_6 V3_6, on_3_8 V3_8, on_3_9 V3_9;
    // goal: W2 W4
    races: on_3_5 V3_5, on_3_6 V3_6, on_3_8 V3_8, on_3_9 V3_9;
    // goal: N3
    emulated_play: on_3_5 V3_5;
}
