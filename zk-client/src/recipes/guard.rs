//! What a holder has of a lock.

use super::entry::Entry;
use crate::{Client, Error, SessionId, SessionState, Zxid};
use tokio::time::Instant;

/// A lock that is held, a leadership, until it is released, dropped, or lost with its session.
///
/// Dropping it releases the lock in the background; [`release`](Self::release) waits for that.
#[derive(Debug)]
#[must_use = "a lock is released when its guard is dropped"]
pub struct LockGuard {
    entry: Entry,
    client: Client,
}

/// How a lock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockState {
    /// It is ours.
    Held,
    /// The connection is lost. The lock may be somebody else's as soon as the servers have not heard of us for the
    /// session timeout: do nothing that needs it, other than with [`LockGuard::client`].
    Suspended {
        /// When it is certainly lost, unless a server takes us before.
        expires: Instant,
    },
    /// It is not ours any more, and never will be again.
    Lost,
}

impl LockGuard {
    pub(super) fn new(entry: Entry) -> Self {
        let client = entry.session.users.clone();
        Self { entry, client }
    }

    /// How the lock stands. It follows the session; a znode that somebody else deletes does not show here.
    #[must_use]
    pub fn state(&self) -> LockState {
        match self.entry.session.state() {
            SessionState::Connected { session, .. } if session == self.entry.session.id => LockState::Held,
            SessionState::Suspended { session, expires } if session == self.entry.session.id => {
                LockState::Suspended { expires }
            }
            SessionState::Connecting { .. }
            | SessionState::Connected { .. }
            | SessionState::Suspended { .. }
            | SessionState::Ended(_) => LockState::Lost,
        }
    }

    /// Whether the lock is ours for all we know: connected, in the session that has it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state() == LockState::Held
    }

    /// Waits until the lock is [lost](LockState::Lost).
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn lost(&self) {
        self.entry.session.over().await;
    }

    /// Waits until the lock is not certainly ours: [suspended](LockState::Suspended) or lost.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn doubtful(&self) {
        let mut state = self.client.state();
        let id = self.entry.session.id;
        let is_held = |state: &SessionState| matches!(state, SessionState::Connected { session, .. } if *session == id);
        drop(state.wait_for(|state| !is_held(state)).await);
    }

    /// A number that is greater for each later holder: the transaction that put our znode into the queue. Whoever is shown
    /// it, and refuses lower ones than it has seen, takes nothing from a holder of the past.
    #[must_use]
    pub const fn fencing_token(&self) -> Zxid {
        self.entry.czxid
    }

    /// The client, [fenced](Client::fenced) to the session that has the lock: what it sends is carried out in that session
    /// or not at all.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The session that has the lock.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.entry.session.id
    }

    /// The znode that stands for the lock.
    #[must_use]
    pub fn path(&self) -> String {
        self.entry.path()
    }

    /// Releases the lock and waits until it is, over lost connections too.
    ///
    /// # Cancel safety
    /// The lock is released all the same.
    /// # Errors
    /// One of which [`Error::is_session_over`] is true when the lock was lost before; others as of
    /// [`Client::delete`].
    pub async fn release(self) -> Result<(), Error> {
        self.entry.remove().await
    }
}
