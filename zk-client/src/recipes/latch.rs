//! The election of a leader.

use super::{
    guard::LockGuard,
    place::{Place, Rule},
};
use crate::{Acl, Client, Error, ErrorCode, path::join};
use std::{fmt, time::Duration};

const RULE: Rule = Rule { kind: "latch-", kinds: &["latch-"], waits_for: &["latch-"] };

/// The election of one leader among those who want to be it, as Curator's `LeaderLatch`: the first to come leads until it
/// goes or its session does, then the next.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_testkit::server::TestServer::start().await?;
/// # let client = zk_client::Client::connect(&server.connect_string()).await?;
/// use zk_client::{OPEN_ACL_UNSAFE, recipes::LeaderLatch};
///
/// let latch = LeaderLatch::new(&client, "/leader", "host-7", OPEN_ACL_UNSAFE);
/// let leadership = latch.lead().await?;
/// assert_eq!(latch.leader().await?.as_deref(), Some("host-7"));
/// tokio::select! {
///     () = leadership.doubtful() => println!("stop work: another may be leading soon"),
///     () = async {} => println!("work that only the leader does"),
/// }
/// leadership.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LeaderLatch {
    place: Place,
}

/// Somebody who leads or wants to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// What it calls itself.
    pub id: String,
    /// Whether it is the leader.
    pub is_leader: bool,
}

impl LeaderLatch {
    /// The election at a znode, which is created when it is missing; `id` tells others who we are. See
    /// [`Lock::new`](super::Lock::new) for the ACL.
    #[must_use]
    pub fn new(client: &Client, path: &str, id: &str, acl: &[Acl]) -> Self {
        let mut place = Place::new(client, path, acl);
        place.data = id.as_bytes().to_vec().into();
        Self { place }
    }

    /// Waits until we lead; the guard says how long. Call it again after the leadership was lost.
    ///
    /// # Cancel safety
    /// As [`Lock::acquire`](super::Lock::acquire): dropping the future leaves the election.
    /// # Errors
    /// As [`Lock::acquire`](super::Lock::acquire).
    pub async fn lead(&self) -> Result<LockGuard, Error> {
        self.place.wait(RULE).await
    }

    /// Waits until we lead, for so long at most; `None` when we were not elected.
    ///
    /// # Cancel safety
    /// As [`lead`](Self::lead).
    /// # Errors
    /// As [`lead`](Self::lead).
    pub async fn lead_within(&self, patience: Duration) -> Result<Option<LockGuard>, Error> {
        self.place.wait_within(RULE, patience).await
    }

    /// Everybody who leads or wants to, in the order in which they will.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    /// # Errors
    /// As [`Client::get_children`] and [`Client::get_data`].
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        let queue = self.place.queue(RULE).await?;
        // Asked together: the calls are on their way before the first is awaited.
        let path = |name: &str| join(&self.place.dir, name);
        let calls: Vec<_> = queue.iter().map(|queued| self.place.client.get_data(&path(&queued.name))).collect();
        let mut participants = Vec::new();
        for call in calls {
            match call.await {
                Ok((data, _)) => {
                    let id = String::from_utf8_lossy(&data).into_owned();
                    participants.push(Participant { id, is_leader: participants.is_empty() });
                }
                // It has gone meanwhile.
                Err(error) if error.code() == Some(ErrorCode::NO_NODE) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(participants)
    }

    /// Who leads, if anybody does.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    /// # Errors
    /// As [`participants`](Self::participants).
    pub async fn leader(&self) -> Result<Option<String>, Error> {
        Ok(self.participants().await?.into_iter().next().map(|leader| leader.id))
    }
}

impl fmt::Debug for LeaderLatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderLatch").field("path", &self.place.dir).finish_non_exhaustive()
    }
}
