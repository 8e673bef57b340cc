//! A queue of znodes in a directory, and waiting in it for one's turn.

use super::{
    entry::Entry,
    guard::LockGuard,
    names::{Queued, queue},
    session::InSession,
};
use crate::{Acl, Bytes, Client, Error, path::join};
use std::time::Duration;

/// Who waits for whom: the kinds of znodes in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// What our znode is called.
    pub(super) kind: &'static str,
    /// All kinds there are.
    pub(super) kinds: &'static [&'static str],
    /// Those that must be gone before it is our turn.
    pub(super) waits_for: &'static [&'static str],
}

/// A queue, and how to stand in it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) dir: String,
    pub(super) acl: Vec<Acl>,
    pub(super) data: Bytes,
}

/// Where an entry stands.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// It is its turn.
    Now,
    /// Not before this znode is gone.
    Behind(String),
    /// Somebody has deleted it.
    Gone,
}

impl Place {
    pub(super) fn new(client: &Client, dir: &str, acl: &[Acl]) -> Self {
        Self { client: client.clone(), dir: dir.to_owned(), acl: acl.to_vec(), data: Bytes::new() }
    }

    /// Waits for our turn, in a new session if the old one expires meanwhile.
    pub(super) async fn wait(&self, rule: Rule) -> Result<LockGuard, Error> {
        loop {
            let session = InSession::of(&self.client).await?;
            match self.wait_in(&session, rule).await {
                Ok(Some(guard)) => return Ok(guard),
                Ok(None) => {}
                Err(error) if error.is_session_over() => session.over().await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for our turn, for so long at most; `None` when it did not come.
    pub(super) async fn wait_within(&self, rule: Rule, patience: Duration) -> Result<Option<LockGuard>, Error> {
        tokio::time::timeout(patience, self.wait(rule)).await.map_or(Ok(None), |guard| guard.map(Some))
    }

    /// Waits in one session; `None` if somebody has deleted our znode.
    async fn wait_in(&self, session: &InSession, rule: Rule) -> Result<Option<LockGuard>, Error> {
        let entry = Entry::make(session, &self.dir, rule.kind, &self.data, &self.acl).await?;
        loop {
            match self.turn(&entry, rule).await? {
                Turn::Now => return Ok(Some(LockGuard::new(entry))),
                Turn::Behind(name) => session.wait_gone(&join(&self.dir, &name)).await?,
                Turn::Gone => return Ok(None),
            }
        }
    }

    /// Takes our turn if it comes at once.
    pub(super) async fn attempt(&self, rule: Rule) -> Result<Option<LockGuard>, Error> {
        let session = InSession::of(&self.client).await?;
        let entry = Entry::make(&session, &self.dir, rule.kind, &self.data, &self.acl).await?;
        if self.turn(&entry, rule).await? == Turn::Now {
            return Ok(Some(LockGuard::new(entry)));
        }
        entry.remove().await?;
        Ok(None)
    }

    /// Any state of the queue that shows our entry shows all that were made before, so who is not in it is gone.
    async fn turn(&self, entry: &Entry, rule: Rule) -> Result<Turn, Error> {
        let (children, _) = entry.session.again(|client| client.get_children(&self.dir)).await?;
        Ok(turn(&queue(children, rule.kinds), &entry.name, rule))
    }

    /// The paths of those who are in the queue, in its order.
    pub(super) async fn participants(&self, rule: Rule) -> Result<Vec<String>, Error> {
        Ok(self.queue(rule).await?.iter().map(|queued| join(&self.dir, &queued.name)).collect())
    }

    /// Who is in the queue, in its order.
    pub(super) async fn queue(&self, rule: Rule) -> Result<Vec<Queued>, Error> {
        match self.client.get_children(&self.dir).await {
            Ok((children, _)) => Ok(queue(children, rule.kinds)),
            Err(error) if error.code() == Some(crate::ErrorCode::NO_NODE) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn turn(queue: &[Queued], name: &str, rule: Rule) -> Turn {
    let Some(at) = queue.iter().position(|queued| queued.name == name) else { return Turn::Gone };
    let before = queue.get(..at).unwrap_or_default();
    match before.iter().rfind(|queued| rule.waits_for.contains(&queued.kind)) {
        Some(queued) => Turn::Behind(queued.name.clone()),
        None => Turn::Now,
    }
}
