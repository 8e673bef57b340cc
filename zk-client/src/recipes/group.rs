//! Who is there: members with a znode each.

use super::persistent_node::PersistentNode;
use crate::{
    Acl, Bytes, Client, Error, ErrorCode, GapReason, Interruption, OpCode, Outcome, WatchItem, WatchMode, WatchStream,
    path::join,
};
use std::{collections::BTreeMap, fmt};

/// A group of members, each an ephemeral znode named by its id, as Curator's `GroupMember`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_testkit::server::TestServer::start().await?;
/// # let client = zk_client::Client::connect(&server.connect_string()).await?;
/// use zk_client::{OPEN_ACL_UNSAFE, recipes::Group};
///
/// let group = Group::new(&client, "/workers", OPEN_ACL_UNSAFE);
/// let mut members = group.watch().await?;
/// assert!(members.next().await?.is_empty());
/// let me = group.join("host-7", b"10.0.0.7:80");
/// assert_eq!(members.next().await?.keys().collect::<Vec<_>>(), ["host-7"]);
/// me.close().await;
/// assert!(members.next().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Group {
    client: Client,
    dir: String,
    acl: Vec<Acl>,
}

impl Group {
    /// The group at a znode, which is created with its first member. See [`Lock::new`](super::Lock::new) for the ACL.
    #[must_use]
    pub fn new(client: &Client, path: &str, acl: &[Acl]) -> Self {
        Self { client: client.clone(), dir: path.to_owned(), acl: acl.to_vec() }
    }

    /// Joins, until the handle is closed or dropped, over sessions. Of two members with one id the second waits for the
    /// first one's end.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`] does.
    #[must_use]
    pub fn join(&self, id: &str, data: &[u8]) -> PersistentNode {
        PersistentNode::start(&self.client, &join(&self.dir, id), data, &self.acl)
    }

    /// The members and what they hold.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    /// # Errors
    /// As [`Client::get_children`] and [`Client::get_data`].
    pub async fn members(&self) -> Result<BTreeMap<String, Bytes>, Error> {
        let names = match self.client.get_children(&self.dir).await {
            Ok((names, _)) => names,
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => Vec::new(),
            Err(error) => return Err(error),
        };
        // Asked together: the calls are on their way before the first is awaited.
        let ask = |name: String| (self.client.get_data(&join(&self.dir, &name)), name);
        let calls: Vec<_> = names.into_iter().map(ask).collect();
        let mut members = BTreeMap::new();
        for (call, name) in calls {
            match call.await {
                Ok((data, _)) => drop(members.insert(name, data)),
                // It has gone meanwhile.
                Err(error) if error.code() == Some(ErrorCode::NO_NODE) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(members)
    }

    /// The members now and after every change.
    ///
    /// # Cancel safety
    /// Dropping the future removes the watch again.
    /// # Errors
    /// As [`Client::watch`].
    pub async fn watch(&self) -> Result<Members, Error> {
        let watch = self.client.watch(&self.dir, WatchMode::PERSISTENT).await?;
        Ok(Members { group: self.clone(), watch, is_due: true, last: None })
    }
}

/// The members of a group, list by list; see [`Group::watch`].
pub struct Members {
    group: Group,
    watch: WatchStream,
    is_due: bool,
    last: Option<BTreeMap<String, Bytes>>,
}

impl Members {
    /// The members: at once the first time, then the next list that is another one, over lost connections too. Changes that
    /// come faster than they are read make one list. A member that only sets its data wakes nobody.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    /// # Errors
    /// [`Error::Interrupted`] when the client's session has ended for good; others as [`Group::members`].
    pub async fn next(&mut self) -> Result<BTreeMap<String, Bytes>, Error> {
        loop {
            while !self.is_due {
                match self.watch.next().await {
                    Some(WatchItem::Gap(GapReason::ConnectionLost)) => {}
                    Some(WatchItem::Event(_) | WatchItem::Gap(_) | WatchItem::Resumed { .. }) => {
                        self.is_due = true;
                    }
                    Some(WatchItem::Removed) | None => {
                        let (op, by) = (OpCode::GET_CHILDREN2, Interruption::Closed);
                        return Err(Error::Interrupted { op, by, outcome: Outcome::NotSent });
                    }
                }
            }
            match self.group.members().await {
                // A lost connection, or an expired session: the watch says when it stands again.
                Err(Error::Interrupted { by: Interruption::ConnectionLost | Interruption::SessionExpired, .. }) => {
                    self.is_due = false;
                }
                Err(error) => return Err(error),
                Ok(members) => {
                    self.is_due = false;
                    if self.last.as_ref() != Some(&members) {
                        self.last = Some(members.clone());
                        return Ok(members);
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("path", &self.dir).finish_non_exhaustive()
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("path", &self.group.dir).finish_non_exhaustive()
    }
}
