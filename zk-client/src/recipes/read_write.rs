//! A lock that many readers or one writer have at a time.

use super::{
    guard::LockGuard,
    place::{Place, Rule},
};
use crate::{Acl, Client, Error};
use std::{fmt, time::Duration};

const KINDS: &[&str] = &[READ, WRITE];
const READ: &str = "__READ__";
const WRITE: &str = "__WRIT__";

/// Readers wait for the writers before them.
const READER: Rule = Rule { kind: READ, kinds: KINDS, waits_for: &[WRITE] };

/// Writers wait for everybody before them.
const WRITER: Rule = Rule { kind: WRITE, kinds: KINDS, waits_for: KINDS };

/// A fair lock that any number of readers or one writer have at a time, as Curator's `InterProcessReadWriteLock`.
///
/// A reader that comes behind a waiting writer waits for it, so that readers cannot keep writers out for ever. It is not
/// re-entrant, and a writer cannot become a reader without a release.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_testkit::server::TestServer::start().await?;
/// # let client = zk_client::Client::connect(&server.connect_string()).await?;
/// use zk_client::{OPEN_ACL_UNSAFE, recipes::ReadWriteLock};
///
/// let lock = ReadWriteLock::new(&client, "/locks/table", OPEN_ACL_UNSAFE);
/// let (one, two) = (lock.read().await?, lock.read().await?);
/// assert!(lock.write_within(std::time::Duration::from_millis(10)).await?.is_none());
/// one.release().await?;
/// two.release().await?;
/// let writer = lock.write().await?;
/// assert!(writer.is_held());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReadWriteLock {
    place: Place,
}

impl ReadWriteLock {
    /// The lock of a znode; see [`Lock::new`](super::Lock::new).
    #[must_use]
    pub fn new(client: &Client, path: &str, acl: &[Acl]) -> Self {
        Self { place: Place::new(client, path, acl) }
    }

    /// What our znodes hold, to tell others who waits; nothing unless it is set.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> Self {
        self.place.data = data.to_vec().into();
        self
    }

    /// Waits for the lock of a reader.
    ///
    /// # Cancel safety
    /// As [`Lock::acquire`](super::Lock::acquire).
    /// # Errors
    /// As [`Lock::acquire`](super::Lock::acquire).
    pub async fn read(&self) -> Result<LockGuard, Error> {
        self.place.wait(READER).await
    }

    /// Waits for the lock of a reader, for so long at most; `None` when it was not to be had.
    ///
    /// # Cancel safety
    /// As [`Lock::acquire`](super::Lock::acquire).
    /// # Errors
    /// As [`Lock::acquire`](super::Lock::acquire).
    pub async fn read_within(&self, patience: Duration) -> Result<Option<LockGuard>, Error> {
        self.place.wait_within(READER, patience).await
    }

    /// Waits for the lock of the writer.
    ///
    /// # Cancel safety
    /// As [`Lock::acquire`](super::Lock::acquire).
    /// # Errors
    /// As [`Lock::acquire`](super::Lock::acquire).
    pub async fn write(&self) -> Result<LockGuard, Error> {
        self.place.wait(WRITER).await
    }

    /// Waits for the lock of the writer, for so long at most; `None` when it was not to be had.
    ///
    /// # Cancel safety
    /// As [`Lock::acquire`](super::Lock::acquire).
    /// # Errors
    /// As [`Lock::acquire`](super::Lock::acquire).
    pub async fn write_within(&self, patience: Duration) -> Result<Option<LockGuard>, Error> {
        self.place.wait_within(WRITER, patience).await
    }

    /// The znodes of holders and of those who wait, in the order in which they came.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    /// # Errors
    /// As [`Client::get_children`].
    pub async fn participants(&self) -> Result<Vec<String>, Error> {
        self.place.participants(READER).await
    }
}

impl fmt::Debug for ReadWriteLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadWriteLock").field("path", &self.place.dir).finish_non_exhaustive()
    }
}
