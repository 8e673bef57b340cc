//! Reading for who reads all the time: a reader's own share of the snapshot.
//!
//! [`Mirror::snapshot`](crate::Mirror::snapshot) hands out a share of the snapshot each time, and all threads that do so
//! write the same counter. A [`Reader`] keeps its share until there is another snapshot: reading writes nothing.

use crate::{mirror::Shared, snapshot::Snapshot};
use arc_swap::{ArcSwap, Cache};
use std::{fmt, ops::Deref, sync::Arc};

/// A reader's own view of a mirror; clone it for each thread. It does not keep the mirror alive: when the last
/// [`Mirror`](crate::Mirror) is dropped, the snapshot stays as it was.
///
/// It holds the snapshot that it saw last, so a reader that is kept and not used keeps the memory of an old one.
#[derive(Clone)]
pub struct Reader {
    cache: Cache<Source, Arc<Snapshot>>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { cache: Cache::new(Source(shared)) }
    }

    /// The subtree as it is known now: one atomic load that nobody writes while nothing changes, no lock, no wait.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"10").unwrap();
    /// # let mirror = zk_config::Mirror::start(&client, "/app")?;
    /// mirror.ready().await?;
    /// let mut reader = mirror.reader();
    /// std::thread::spawn(move || {
    ///     assert_eq!(reader.snapshot().get("/app").map(|node| &node.data[..]), Some(b"10".as_slice()));
    /// })
    /// .join()
    /// .unwrap();
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn snapshot(&mut self) -> &Arc<Snapshot> {
        self.cache.load()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// Where snapshots are published.
#[derive(Clone)]
struct Source(Arc<Shared>);

impl Deref for Source {
    type Target = ArcSwap<Snapshot>;

    fn deref(&self) -> &Self::Target {
        &self.0.snapshot
    }
}
