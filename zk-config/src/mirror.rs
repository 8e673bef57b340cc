//! The mirror's handle: wait-free reads, and everything that waits.

use crate::{
    changes::{Changes, Update},
    driver::Driven,
    limits::Limits,
    listening::{Listener, Listening},
    machine::Machine,
    reader::Reader,
    snapshot::Snapshot,
    status::{MirrorError, Status},
    updates::Updates,
};
use arc_swap::ArcSwap;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{sync::watch, time::Instant};
use zk_client::{Client, Error, UsageError, Zxid, path};

/// What the handle shares with the mirror in the client's driver.
pub(crate) struct Shared {
    pub(crate) root: Arc<str>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) updates: Updates,
    pub(crate) dropped: AtomicBool,
}

/// A live copy of a subtree; clones share it. It goes when the last of them is dropped.
#[derive(Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    shared: Arc<Shared>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.dropped.store(true, Ordering::Release);
        self.client.wake();
    }
}

impl Mirror {
    /// Starts mirroring a subtree, which need not exist yet. Returns at once; see [`ready`](Self::ready).
    ///
    /// # Errors
    /// [`Error::Usage`] for a path that is none; [`Error::Interrupted`] when the client's session is over.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # for path in ["/app", "/app/limit"] { server.create(path, b"10").unwrap(); }
    /// use zk_config::Mirror;
    ///
    /// let mirror = Mirror::start(&client, "/app")?;
    /// let snapshot = mirror.ready().await?;
    /// assert_eq!(snapshot.get("/app/limit").unwrap().data, "10");
    /// assert_eq!(snapshot.below("/app").count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(client: &Client, root: &str) -> Result<Self, Error> {
        Self::start_within(client, root, Limits::NONE)
    }

    /// As [`start`](Self::start), for a subtree that others may fill: with more in it than the limits allow, the mirror gives up.
    ///
    /// # Errors
    /// As [`start`](Self::start). That a limit is exceeded is told by [`ready`](Self::ready), or later by
    /// [`Status::failure`], a [gap](crate::GapReason::GivenUp) and the end of all updates.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # for path in ["/app", "/app/a", "/app/b"] { server.create(path, b"10").unwrap(); }
    /// use zk_config::{Limits, Mirror, MirrorError};
    ///
    /// let few = Mirror::start_within(&client, "/app", Limits { nodes: 2, ..Limits::NONE })?;
    /// assert_eq!(few.ready().await.unwrap_err(), MirrorError::TooManyNodes { limit: 2 });
    /// let enough = Mirror::start_within(&client, "/app", Limits { nodes: 1_000, bytes: 1 << 20 })?;
    /// assert_eq!(enough.ready().await?.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_within(client: &Client, root: &str, limits: Limits) -> Result<Self, Error> {
        path::validate(root).map_err(|error| UsageError::Path { path: root.to_owned(), error })?;
        let root: Arc<str> = root.into();
        let empty = Arc::new(Snapshot::empty(root.clone()));
        let shared = Arc::new(Shared {
            root: root.clone(),
            snapshot: ArcSwap::new(empty.clone()),
            status: watch::Sender::new(Status::new()),
            updates: Updates::default(),
            dropped: AtomicBool::new(false),
        });
        client.attach(Driven::new(Machine::new(root, empty, limits), shared.clone()))?;
        Ok(Self { inner: Arc::new(Inner { client: client.clone(), shared }) })
    }

    /// The subtree as it is known now: no lock, no wait. Keep the snapshot as long as you read from it, and
    /// take a new one for newer values.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.shared.snapshot.load_full()
    }

    /// A view for a thread that reads all the time: readers on several cores do not get into each other's way.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.inner.shared.clone())
    }

    /// How the mirror stands now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.shared.status.borrow().clone()
    }

    /// How the mirror stands, and every change of that.
    #[must_use]
    pub fn status_channel(&self) -> watch::Receiver<Status> {
        self.inner.shared.status.subscribe()
    }

    /// Whether every change that the server knows of is known here.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.inner.shared.status.borrow().live
    }

    /// The transaction that the current snapshot stands for.
    #[must_use]
    pub fn revision(&self) -> Zxid {
        self.inner.shared.snapshot.load().revision()
    }

    /// When the server last confirmed that the snapshot is up to date; `None` before the first load. While the
    /// mirror is live that is at most a third of the session timeout ago.
    #[must_use]
    pub fn last_confirmed(&self) -> Option<Instant> {
        self.inner.shared.status.borrow().last_confirmed
    }

    /// Waits for the first complete copy. A root that does not exist is an empty copy.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped; use `tokio::time::timeout` for a deadline.
    /// # Errors
    /// [`MirrorError`] when the root cannot be read, the server is too old, or the session ended.
    pub async fn ready(&self) -> Result<Arc<Snapshot>, MirrorError> {
        self.wait(|status| status.ready).await?;
        Ok(self.snapshot())
    }

    /// Waits until the copy shows everything up to a transaction, such as one that a write of this service
    /// answered.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped; use `tokio::time::timeout` for a deadline.
    /// # Errors
    /// As [`ready`](Self::ready).
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"10").unwrap();
    /// # let mirror = zk_config::Mirror::start(&client, "/app")?;
    /// let stat = client.set_data("/app", b"20", None).await?;
    /// let snapshot = mirror.wait_for(stat.mzxid).await?;
    /// assert_eq!(snapshot.get("/app").unwrap().data, "20");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_for(&self, zxid: Zxid) -> Result<Arc<Snapshot>, MirrorError> {
        self.wait(|status| status.live && status.confirmed >= zxid).await?;
        Ok(self.snapshot())
    }

    /// Waits until the copy shows everything that was committed before this was called, wherever it was
    /// written: a sync of the server with its leader, then [`wait_for`](Self::wait_for).
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped; use `tokio::time::timeout` for a deadline.
    /// # Errors
    /// As [`Client::sync`]; a [`MirrorError`] says that waiting is in vain.
    pub async fn barrier(&self) -> Result<Arc<Snapshot>, BarrierError> {
        let zxid = self.inner.client.sync(&self.inner.shared.root).await.map_err(BarrierError::Sync)?;
        self.wait_for(zxid).await.map_err(BarrierError::Mirror)
    }

    /// The current snapshot, and all changes behind it.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"10").unwrap();
    /// # let mirror = zk_config::Mirror::start(&client, "/app")?;
    /// # mirror.ready().await?;
    /// use zk_config::Update;
    ///
    /// let (snapshot, mut changes) = mirror.subscribe();
    /// assert_eq!(snapshot.get("/app").unwrap().data, "10");
    /// # server.set("/app", b"20").unwrap();
    /// // Elsewhere, somebody sets it to 20.
    /// if let Some(Update::Changes(batch)) = changes.next().await {
    ///     let change = &batch.changes[0];
    ///     assert_eq!((&*change.path, &change.new.as_ref().unwrap().data[..]), ("/app", b"20".as_slice()));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> (Arc<Snapshot>, Changes) {
        // In this order: what is published in between is in both, and skipped by its number; and who subscribes too late
        // to be told of the end sees it in the status.
        let updates = self.inner.shared.updates.subscribe();
        let is_over = self.status().is_over();
        let snapshot = self.snapshot();
        let shared = Arc::downgrade(&self.inner.shared);
        (snapshot.clone(), Changes::new(snapshot, (!is_over).then_some(updates), shared))
    }

    /// The current snapshot, and a function that is called with every change behind it, and the snapshot that it leads to.
    ///
    /// As [`subscribe`](Self::subscribe), with less between an update and whoever wants it: the function is called in the
    /// client's own task, where the snapshot is published, so no task has to be woken; with
    /// [`own_thread`](zk_client::Connector::own_thread) in the client's own thread, where it is quickest. The price is that everything else of
    /// that client waits for it meanwhile: it must be short, and must not block. It misses nothing, so it is never told of
    /// [`Overflow`](crate::GapReason::Overflow). It may use the mirror and the client, but not wait for them. If it panics,
    /// that is logged, and it is not called again.
    ///
    /// A snapshot that [is not live](Snapshot::is_live) is stale, and the function is told when that ends. It is dropped with
    /// what is returned here, or when no more updates will come; [`status`](Self::status) says why. Until then it keeps what it
    /// holds, so one that holds a `Mirror` keeps that going.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"10").unwrap();
    /// # let mirror = zk_config::Mirror::start(&client, "/app")?;
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    ///
    /// fn limit(snapshot: &zk_config::Snapshot) -> Option<u64> {
    ///     str::from_utf8(&snapshot.get("/app")?.data).ok()?.parse().ok()
    /// }
    ///
    /// mirror.ready().await?;
    /// let kept = Arc::new(AtomicU64::new(0));
    /// let keep = kept.clone();
    /// let (snapshot, _listening) = mirror.listen(move |snapshot, _update| {
    ///     if let Some(limit) = limit(snapshot) {
    ///         keep.store(limit, Ordering::Relaxed);
    ///     }
    /// });
    /// assert_eq!(limit(&snapshot), Some(10));
    /// // Elsewhere, somebody sets it to 20.
    /// # server.set("/app", b"20").unwrap();
    /// # mirror.barrier().await?;
    /// assert_eq!(kept.load(Ordering::Relaxed), 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen(&self, listener: impl FnMut(&Arc<Snapshot>, &Update) + Send + 'static) -> (Arc<Snapshot>, Listening) {
        let shared = &self.inner.shared;
        let listening = Listening::new(Arc::downgrade(shared));
        let current = || shared.snapshot.load_full();
        let snapshot = shared.updates.listen(current, |seen| Listener::new(seen, &listening, listener));
        (snapshot, listening)
    }

    async fn wait(&self, mut done: impl FnMut(&Status) -> bool) -> Result<(), MirrorError> {
        let mut status = self.status_channel();
        let waited = status.wait_for(|status| status.failure.is_some() || done(status)).await;
        // The channel lives as long as this handle.
        match waited.map(|status| status.failure) {
            Ok(Some(failure)) => Err(failure),
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("root", &self.inner.shared.root)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Why a [`barrier`](Mirror::barrier) failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BarrierError {
    /// The sync failed.
    Sync(Error),
    /// The mirror cannot do its work.
    Mirror(MirrorError),
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync(error) => error.fmt(f),
            Self::Mirror(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BarrierError {}
