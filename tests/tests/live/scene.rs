//! The stage of the mirror's live tests: an ensemble, a mirror, somebody who writes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use zk_client::{Client, Connector, CreateMode, Error, OPEN_ACL_UNSAFE, SessionState, Transaction};
use zk_config::Mirror;
use zk_testkit::launcher::{Ensemble, Server, Version};
use zk_tests::{Folded, differences, fold, real, tree_of, walk};

pub const ROOT: &str = "/config/app";

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub type Failure = Box<dyn std::error::Error + Send + Sync>;
pub type Done = Result<(), Failure>;

/// Session timeout of everybody: short, so that silence is noticed in time.
pub const SESSION: Duration = Duration::from_secs(6);

pub struct Scene {
    pub ensemble: Ensemble,
    pub client: Client,
    pub mirror: Mirror,
    pub folded: watch::Receiver<Folded>,
    /// Fixed for a test, printed when it fails.
    seed: u64,
}

pub fn connector(servers: &str) -> Result<Connector, Failure> {
    let connector = Connector::new(servers)?.session_timeout(SESSION).connect_timeout(PATIENCE);
    Ok(connector.reconnect_spread(crate::RECONNECT_SPREAD))
}

impl Scene {
    /// A three-node ensemble with `nodes` znodes below the root, and a mirror that is ready.
    pub async fn start(version: Version, nodes: usize) -> Result<Self, Failure> {
        let ensemble = real(version).servers(3).start().await?;
        let connector = connector(&ensemble.connect_string())?;
        Self::play(ensemble, connector, nodes).await
    }

    /// The same with a thread of its own for the mirror's session.
    pub async fn start_with_own_thread(version: Version, nodes: usize) -> Result<Self, Failure> {
        let ensemble = real(version).servers(3).start().await?;
        let connector = connector(&ensemble.connect_string())?.own_thread();
        Self::play(ensemble, connector, nodes).await
    }

    /// The same with the mirror on followers only: stopping its server leaves the ensemble whole.
    pub async fn start_on_followers(version: Version, nodes: usize) -> Result<Self, Failure> {
        let ensemble = real(version).servers(3).start().await?;
        let connector = connector(&others(&ensemble, ensemble.wait_for_leader().await?))?;
        Self::play(ensemble, connector, nodes).await
    }

    async fn play(ensemble: Ensemble, connector: Connector, nodes: usize) -> Result<Self, Failure> {
        let client = connector.connect().await?;
        fill(&client, nodes).await?;
        let mirror = Mirror::start(&client, ROOT)?;
        let snapshot = timeout(PATIENCE, mirror.ready()).await??;
        assert_eq!(snapshot.len(), nodes + 1, "the first load");
        let (snapshot, changes) = mirror.subscribe();
        let folded = fold(&snapshot, changes);
        let seed = std::process::id().into();
        println!("seed {seed}");
        Ok(Self { ensemble, client, mirror, folded, seed })
    }

    /// The index of the server that serves the mirror.
    pub async fn mirrors_server(&self) -> Result<usize, Failure> {
        let mut state = self.client.state();
        let connected = timeout(PATIENCE, state.wait_for(SessionState::is_connected)).await??;
        let SessionState::Connected { server, .. } = *connected else { return Err("not connected".into()) };
        let index = self.ensemble.servers().iter().position(|candidate| candidate.addr() == server);
        index.ok_or_else(|| "an unknown server".into())
    }

    pub fn server(&mut self, index: usize) -> &mut Server {
        self.ensemble.server_mut(index).expect("an index of this ensemble")
    }

    pub fn others(&self, index: usize) -> String {
        others(&self.ensemble, index)
    }

    /// Somebody who changes the subtree through every server but one, until told to stop.
    pub async fn writer(&self, but: usize) -> Result<Writer, Failure> {
        let client = connector(&self.others(but))?.connect().await?;
        let (stop, (count, writes)) = (Arc::new(AtomicBool::new(false)), watch::channel(0));
        let task = tokio::spawn(write(client, self.seed, stop.clone(), count));
        Ok(Writer { stop, writes, task })
    }

    /// Waits until the subscriber has seen a number of gaps, all closed.
    pub async fn until_resynced(&mut self, gaps: usize) -> Done {
        let closed = |folded: &Folded| folded.gaps >= gaps && !folded.in_gap;
        timeout(PATIENCE, self.folded.wait_for(closed)).await.map_err(|_| "the mirror did not come back")??;
        Ok(())
    }

    /// In quiet: the mirror, the folded changes and a fresh walk are the same, stat for stat.
    pub async fn check(&mut self) -> Done {
        let snapshot = timeout(PATIENCE, self.mirror.barrier()).await??;
        assert!(snapshot.is_exact() && self.mirror.is_live());
        let walker = connector(&self.ensemble.connect_string())?.connect().await?;
        let truth = walk(&walker, ROOT).await?;
        walker.close().await;
        let mirrored = tree_of(&snapshot);
        assert!(mirrored == truth, "mirror and server differ, seed {}:\n{}", self.seed, differences(&mirrored, &truth));
        let same = timeout(PATIENCE, self.folded.wait_for(|folded| folded.tree == truth)).await.is_ok();
        let folded = self.folded.borrow().clone();
        assert!(same, "the folded changes differ:\n{}", differences(&folded.tree, &truth));
        assert_eq!(folded.silent, None, "a silent gap, seed {}", self.seed);
        assert_eq!(folded.gaps, folded.resynced, "every gap is closed");
        Ok(())
    }

    /// A change made now comes as an event.
    pub async fn still_delivers(&mut self) -> Done {
        let writer = connector(&self.ensemble.connect_string())?.connect().await?;
        let path = format!("{ROOT}/still-here");
        writer.create(&path, b"yes", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
        timeout(PATIENCE, self.folded.wait_for(|folded| folded.tree.contains_key(&path))).await??;
        let (set_at, stat) = (std::time::Instant::now(), writer.set_data(&path, b"again", None).await?);
        let seen = |folded: &Folded| folded.tree.get(&path).is_some_and(|(_, seen)| seen.mzxid == stat.mzxid);
        timeout(PATIENCE, self.folded.wait_for(seen)).await??;
        println!("seen {:?} after the write was called", set_at.elapsed());
        writer.close().await;
        self.check().await
    }
}

pub struct Writer {
    stop: Arc<AtomicBool>,
    writes: watch::Receiver<usize>,
    task: JoinHandle<Done>,
}

impl Writer {
    /// Waits until it has written this often, from now on.
    pub async fn goes_on(&mut self, times: usize) -> Done {
        let until = *self.writes.borrow() + times;
        timeout(PATIENCE, self.writes.wait_for(|writes| *writes >= until)).await??;
        Ok(())
    }

    pub async fn stop(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        timeout(PATIENCE, self.task).await??
    }
}

/// Ends a client's session at the servers: somebody else goes on with it and closes it. The client comes back for it, and where
/// the machine is busy that may be before the close is there: so again, until nobody can have it any more.
pub async fn expire(servers: &str, client: &Client) -> Done {
    let export = client.export_session().ok_or("no session")?;
    let session = export.credentials().id;
    let thief = connector(servers)?.resume_export(&export).renew_session(false);
    timeout(PATIENCE, async {
        loop {
            match thief.clone().connect().await {
                Ok(thief) => thief.close().await,
                Err(error) if error.is_session_over() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    })
    .await??;
    let is_new = |state: &SessionState| state.is_connected() && state.session() != Some(session);
    timeout(PATIENCE, client.state().wait_for(is_new)).await??;
    Ok(())
}

/// A connect string without one of the servers.
fn others(ensemble: &Ensemble, index: usize) -> String {
    let others = ensemble.servers().iter().enumerate().filter(|(other, _)| *other != index);
    others.map(|(_, server)| server.addr().to_string()).collect::<Vec<_>>().join(",")
}

/// `nodes` znodes, some of them with children.
pub async fn fill(client: &Client, nodes: usize) -> Done {
    client.create("/config", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    client.create(ROOT, b"root", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    let paths: Vec<String> = (0..nodes).map(path).collect();
    let calls: Vec<_> = paths
        .iter()
        .map(|path| client.create(path, path.as_bytes(), CreateMode::Persistent, OPEN_ACL_UNSAFE))
        .collect();
    for call in calls {
        call.await?;
    }
    Ok(())
}

/// Every tenth znode is a folder of the nine behind it.
fn path(index: usize) -> String {
    let folder = index / 10 * 10;
    if index == folder { format!("{ROOT}/k{folder:04}") } else { format!("{ROOT}/k{folder:04}/n{index:04}") }
}

/// Sets, deletes, creates again with the same version, replaces whole folders, and writes pairs.
async fn write(client: Client, seed: u64, stop: Arc<AtomicBool>, writes: watch::Sender<usize>) -> Done {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut folders: BTreeSet<usize> = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (kind, folder) = (random % 8, (random >> 8) as usize % 100 * 10);
        let (folder_path, leaf) = (path(folder), path(folder + 1));
        let value = random.to_string();
        // Refusals are part of the play: others change the same znodes.
        let refused = match kind {
            0..4 => client.set_data(&leaf, value.as_bytes(), None).await.map(drop),
            4 => client.set_data(&folder_path, value.as_bytes(), None).await.map(drop),
            5 => {
                let replace = Transaction::new().delete(&leaf, None).create(
                    &leaf,
                    value.as_bytes(),
                    CreateMode::Persistent,
                    OPEN_ACL_UNSAFE,
                );
                client.commit(&replace).await.map(drop)
            }
            6 => {
                let name = format!("{folder_path}/extra-{}", random % 3);
                let deleted = client.delete(&name, None);
                let created = client.create(&name, value.as_bytes(), CreateMode::Persistent, OPEN_ACL_UNSAFE);
                deleted.await.ok();
                created.await.map(drop)
            }
            _ if folders.insert(folder) => replace_folder(&client, &folder_path).await,
            _ => Ok(()),
        };
        match refused {
            Ok(()) => writes.send_modify(|writes| *writes += 1),
            // Killing a leader costs everybody the connection; the writer goes on with the next one.
            Err(Error::Refused { .. } | Error::Aborted { .. } | Error::Interrupted { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    client.close().await;
    Ok(())
}

/// Deletes a folder with all its children and creates it again with other children.
pub async fn replace_folder(client: &Client, folder: &str) -> Result<(), zk_client::Error> {
    let (names, _) = client.get_children(folder).await?;
    for name in names {
        client.delete(&format!("{folder}/{name}"), None).await?;
    }
    client.delete(folder, None).await?;
    client.create(folder, b"replaced", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    for name in ["other-1", "other-2"] {
        client.create(&format!("{folder}/{name}"), b"other", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    }
    Ok(())
}
