//! A lock that one has at a time.

use super::{
    guard::LockGuard,
    place::{Place, Rule},
};
use crate::{Acl, Client, Error};
use std::{fmt, time::Duration};

const RULE: Rule = Rule { kind: "lock-", kinds: &["lock-"], waits_for: &["lock-"] };

/// A fair lock that one holder has at a time, as Curator's `InterProcessMutex`. It is not re-entrant: who waits for it
/// twice waits for itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_testkit::server::TestServer::start().await?;
/// # let client = zk_client::Client::connect(&server.connect_string()).await?;
/// # server.create("/balance", b"1").unwrap();
/// use zk_client::{OPEN_ACL_UNSAFE, recipes::Lock};
///
/// let lock = Lock::new(&client, "/locks/balance", OPEN_ACL_UNSAFE);
/// let guard = lock.acquire().await?;
/// tokio::select! {
///     // Written in the session that has the lock, or not at all.
///     written = guard.client().set_data("/balance", b"2", None) => drop(written?),
///     () = guard.lost() => println!("somebody else may hold it now"),
/// }
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lock {
    place: Place,
}

impl Lock {
    /// The lock of a znode, which is created when it is missing, as a container, and whose parents are too. All znodes get
    /// this ACL: everybody who is to take part must be allowed to read, create and delete.
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

    /// Waits for the lock, for as long as it takes: over lost connections, and in a new session, at the end of the queue,
    /// if the old one expires.
    ///
    /// # Ordering
    /// Locks are given in the order in which waiting began, once the future is polled.
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue: its znode is removed in the background, or goes with the
    /// session. The lock is not held then.
    /// # Errors
    /// [`Error::Interrupted`] when the client's session has ended for good; [`Error::Refused`] as of [`Client::create`].
    pub async fn acquire(&self) -> Result<LockGuard, Error> {
        self.place.wait(RULE).await
    }

    /// Waits for the lock, for so long at most; `None` when it was not to be had.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_within(&self, patience: Duration) -> Result<Option<LockGuard>, Error> {
        self.place.wait_within(RULE, patience).await
    }

    /// Takes the lock if nobody holds it or waits for it.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    /// # Errors
    /// As [`acquire`](Self::acquire), and when the session expires meanwhile.
    pub async fn try_acquire(&self) -> Result<Option<LockGuard>, Error> {
        self.place.attempt(RULE).await
    }

    /// The znodes of the holder and of those who wait, in that order.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    /// # Errors
    /// As [`Client::get_children`].
    pub async fn participants(&self) -> Result<Vec<String>, Error> {
        self.place.participants(RULE).await
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("path", &self.place.dir).finish_non_exhaustive()
    }
}
