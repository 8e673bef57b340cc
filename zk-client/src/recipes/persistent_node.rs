//! An ephemeral znode that is there as long as its handle is, over sessions.
//!
//! Invariants (reliability.md section 2d): it is made once a session (L1); a create whose outcome is unknown is settled by
//! a look, not by another create (L2); what another session owns is neither overwritten nor deleted: its end is waited
//! for (L3).

use super::{
    entry,
    names::protection,
    parents,
    session::{InSession, NodeWatch, is_connection_lost},
};
use crate::{Acl, Bytes, Client, CreateMode, Error, ErrorCode, SessionId, Stat, Zxid, path};
use std::fmt;
use tokio::sync::watch;

/// An ephemeral znode that is created again in each new session, and when somebody deletes it; as Curator's
/// `PersistentNode`.
///
/// While another session owns a znode of this path (our own old session, often, or another process) that one is waited
/// for: it is never overwritten, and never deleted.
///
/// Dropping the handle removes the znode in the background; [`close`](Self::close) waits for that; with
/// [`leave`](Self::leave) the znode stays until its session ends. Like every handle it keeps the client's session open.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_testkit::server::TestServer::start().await?;
/// # let client = zk_client::Client::connect(&server.connect_string()).await?;
/// use zk_client::{OPEN_ACL_UNSAFE, recipes::PersistentNode};
///
/// let node = PersistentNode::start(&client, "/services/mine", b"10.0.0.7:80", OPEN_ACL_UNSAFE);
/// assert_eq!(node.present().await?, "/services/mine");
/// node.set_data(b"10.0.0.7:81");
/// node.close().await;
/// assert_eq!(client.exists("/services/mine").await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PersistentNode {
    wanted: watch::Sender<Wanted>,
    status: watch::Receiver<NodeStatus>,
}

/// Where the znode of a [`PersistentNode`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeStatus {
    /// It is not there yet, or not any more: there is no session, or somebody else's znode stands there.
    Waiting,
    /// It is there.
    Present {
        /// Its path; with a number at the end if it is sequential.
        path: String,
        /// The session that owns it.
        session: SessionId,
        /// The transaction that made it.
        czxid: Zxid,
    },
    /// It cannot be created, or the client's session has ended for good. Nothing more will be tried.
    Failed(Error),
    /// It was given up, as was wished.
    Closed,
}

#[derive(Clone)]
struct Wanted {
    data: Bytes,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stay,
    Leave,
    Remove,
}

impl PersistentNode {
    /// Begins to keep an ephemeral znode of this path, whose parents are created as containers when they are missing. All
    /// get this ACL.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`] does.
    #[must_use]
    pub fn start(client: &Client, path: &str, data: &[u8], acl: &[Acl]) -> Self {
        Self::spawn(client, path, data, acl, false)
    }

    /// Begins to keep an ephemeral sequential znode: each has another number behind `path`, and before the last part of
    /// `path` the mark of Curator's protected creates, by which it is found after a lost reply.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`] does.
    #[must_use]
    pub fn start_sequential(client: &Client, path: &str, data: &[u8], acl: &[Acl]) -> Self {
        Self::spawn(client, path, data, acl, true)
    }

    fn spawn(client: &Client, path: &str, data: &[u8], acl: &[Acl], sequential: bool) -> Self {
        let (wanted, wishes) = watch::channel(Wanted { data: data.to_vec().into(), fate: Fate::Stay });
        let (told, status) = watch::channel(NodeStatus::Waiting);
        let client = client.clone();
        let keeper = Keeper { client, path: path.to_owned(), acl: acl.to_vec(), sequential, wishes, told };
        tokio::spawn(keeper.run());
        Self { wanted, status }
    }

    /// How the znode stands, and every change of it from now on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<NodeStatus> {
        self.status.clone()
    }

    /// Waits until the znode is there; answers its path.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    /// # Errors
    /// Why it [cannot be](NodeStatus::Failed).
    pub async fn present(&self) -> Result<String, Error> {
        let mut status = self.status();
        let settled = |status: &NodeStatus| !matches!(status, NodeStatus::Waiting);
        let found = status.wait_for(settled).await.map(|found| found.clone());
        match found {
            Ok(NodeStatus::Present { path, .. }) => Ok(path),
            Ok(NodeStatus::Failed(error)) => Err(error),
            Ok(NodeStatus::Waiting | NodeStatus::Closed) | Err(_) => Err(ended()),
        }
    }

    /// What the znode is to hold, now and whenever it is created again; returns at once. Data that others set stays until
    /// then.
    pub fn set_data(&self, data: &[u8]) {
        self.wanted.send_modify(|wanted| wanted.data = data.to_vec().into());
    }

    /// Removes the znode, if it is ours, and waits until it is gone or its session is over.
    ///
    /// # Cancel safety
    /// The znode is removed all the same.
    pub fn close(self) -> impl Future<Output = ()> + Send {
        self.end(Fate::Remove)
    }

    /// Stops keeping the znode: it stays as it is until its session ends.
    ///
    /// # Cancel safety
    /// The znode is left all the same.
    pub fn leave(self) -> impl Future<Output = ()> + Send {
        self.end(Fate::Leave)
    }

    /// Decided here and now, whatever becomes of the future.
    fn end(self, fate: Fate) -> impl Future<Output = ()> + Send {
        self.wanted.send_modify(|wanted| wanted.fate = fate);
        let mut status = self.status();
        let over = |status: &NodeStatus| matches!(status, NodeStatus::Closed | NodeStatus::Failed(_));
        async move { drop(status.wait_for(over).await) }
    }
}

impl Drop for PersistentNode {
    fn drop(&mut self) {
        self.wanted.send_if_modified(|wanted| {
            let is_kept = wanted.fate == Fate::Stay;
            if is_kept {
                wanted.fate = Fate::Remove;
            }
            is_kept
        });
    }
}

/// The task is gone without a word: its runtime was shut down.
const fn ended() -> Error {
    Error::Interrupted { op: crate::OpCode::CREATE, by: crate::Interruption::Closed, outcome: crate::Outcome::NotSent }
}

/// The task that keeps the znode.
struct Keeper {
    client: Client,
    path: String,
    acl: Vec<Acl>,
    sequential: bool,
    wishes: watch::Receiver<Wanted>,
    told: watch::Sender<NodeStatus>,
}

/// The znode as it was made, or found.
struct Made {
    path: String,
    /// The data it certainly holds, if that is known.
    data: Option<Bytes>,
}

impl Keeper {
    async fn run(self) {
        let last = match self.keep().await {
            Ok(()) => NodeStatus::Closed,
            Err(error) => NodeStatus::Failed(error),
        };
        self.told.send_replace(last);
    }

    /// Keeps it until it is no longer wanted.
    async fn keep(&self) -> Result<(), Error> {
        loop {
            let session = tokio::select! {
                session = InSession::of(&self.client) => session?,
                _ = self.given_up() => return Ok(()),
            };
            // One for all attempts of a session: what has it is ours.
            let mark = protection();
            let kept = tokio::select! {
                kept = self.keep_in(&session, &mark) => kept,
                fate = self.given_up() => self.give_up(&session, &mark, fate).await,
            };
            match kept {
                Err(error) if error.is_session_over() => {
                    self.told.send_replace(NodeStatus::Waiting);
                    session.over().await;
                    if self.fate() != Fate::Stay {
                        return Ok(());
                    }
                }
                kept => return kept,
            }
        }
    }

    fn fate(&self) -> Fate {
        self.wishes.borrow().fate
    }

    async fn given_up(&self) -> Fate {
        let mut wishes = self.wishes.clone();
        // An error means that the handle is gone, and that it said so before.
        wishes.wait_for(|wanted| wanted.fate != Fate::Stay).await.map_or(Fate::Remove, |wanted| wanted.fate)
    }

    /// Keeps it in one session; ends with an error only.
    async fn keep_in(&self, session: &InSession, mark: &str) -> Result<(), Error> {
        loop {
            let made =
                if self.sequential { self.make_sequential(session, mark).await? } else { self.make(session).await? };
            self.tend(session, made).await?;
            self.told.send_replace(NodeStatus::Waiting);
        }
    }

    async fn make_sequential(&self, session: &InSession, mark: &str) -> Result<Made, Error> {
        let (dir, kind) = self.parts();
        let data = self.wishes.borrow().data.clone();
        let (name, _) = entry::create(session, dir, mark, kind, &data, &self.acl).await?;
        Ok(Made { path: path::join(dir, &name), data: None })
    }

    async fn make(&self, session: &InSession) -> Result<Made, Error> {
        loop {
            let data = self.wishes.borrow().data.clone();
            match session.client.create(&self.path, &data, CreateMode::Ephemeral, &self.acl).await {
                Ok((path, _)) => return Ok(Made { path, data: Some(data) }),
                Err(error) if error.code() == Some(ErrorCode::NO_NODE) => {
                    parents::create(session, self.parts().0, &self.acl).await?;
                }
                Err(error) if is_connection_lost(&error) => {
                    session.back().await?;
                    if let Some(made) = self.look(session).await? {
                        return Ok(made);
                    }
                }
                Err(error) if error.code() == Some(ErrorCode::NODE_EXISTS) => {
                    if let Some(made) = self.look(session).await? {
                        return Ok(made);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whose the znode is: ours; or nobody's, at the latest when somebody else's has been waited for.
    async fn look(&self, session: &InSession) -> Result<Option<Made>, Error> {
        match self.settled(session, &self.path).await? {
            Some(stat) if stat.ephemeral_owner == session.id => Ok(Some(Made { path: self.path.clone(), data: None })),
            Some(_) => session.wait_gone(&self.path).await.map(|()| None),
            None => Ok(None),
        }
    }

    /// The znode, once everything that was sent before has been carried out or never will be.
    async fn settled(&self, session: &InSession, path: &str) -> Result<Option<Stat>, Error> {
        session.again(|client| client.sync(path)).await?;
        session.again(|client| client.exists(path)).await
    }

    /// Looks after the znode until it is gone.
    async fn tend(&self, session: &InSession, made: Made) -> Result<(), Error> {
        let mut wishes = self.wishes.clone();
        let Made { path, mut data } = made;
        let mut watch = NodeWatch::new(session, &path).await?;
        loop {
            let stat = session.again(|client| client.exists(&path)).await?;
            let Some(stat) = stat.filter(|stat| stat.ephemeral_owner == session.id) else { return Ok(()) };
            let present = NodeStatus::Present { path: path.clone(), session: session.id, czxid: stat.czxid };
            self.told.send_replace(present);
            let wanted = wishes.borrow_and_update().data.clone();
            if data.as_ref() != Some(&wanted) {
                match session.client.set_data(&path, &wanted, Some(stat.version)).await {
                    Ok(_) => data = Some(wanted),
                    Err(error) if is_connection_lost(&error) => session.back().await?,
                    Err(error) if matches!(error.code(), Some(ErrorCode::NO_NODE | ErrorCode::BAD_VERSION)) => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            tokio::select! {
                changed = watch.deleted_or_unclear() => changed?,
                _ = wishes.changed() => {}
            }
        }
    }

    /// Removes what there is of it in this session, or leaves it.
    async fn give_up(&self, session: &InSession, mark: &str, fate: Fate) -> Result<(), Error> {
        if fate == Fate::Leave {
            return Ok(());
        }
        if self.sequential {
            return entry::remove(session, self.parts().0, mark).await;
        }
        while let Some(stat) = self.settled(session, &self.path).await? {
            if stat.ephemeral_owner != session.id {
                return Ok(());
            }
            match session.client.delete(&self.path, Some(stat.version)).await {
                Err(error) if is_connection_lost(&error) => session.back().await?,
                Err(error) if error.code() == Some(ErrorCode::BAD_VERSION) => {}
                Err(error) if error.code() != Some(ErrorCode::NO_NODE) => return Err(error),
                Ok(()) | Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// The parent and the name. A path without is refused by the create.
    fn parts(&self) -> (&str, &str) {
        let parent = path::parent(&self.path).unwrap_or("/");
        let (_, name) = self.path.rsplit_once('/').unwrap_or_default();
        (parent, name)
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").finish_non_exhaustive()
    }
}
