//! A protected ephemeral sequential znode: made once though replies are lost, removed though its owner is.
//!
//! The name begins with a mark that nobody else has. So a znode with the mark is ours, and if there is none, after a
//! `sync` in the same session, none was made: a session's requests are carried out in order, and those that were sent to
//! an earlier server of the session are refused once a later one has it (SessionMoved).

use super::{
    names::protection,
    parents,
    session::{InSession, is_connection_lost},
};
use crate::{Acl, CreateMode, Error, ErrorCode, Zxid, path::join};
use tokio::runtime::Handle;

/// The znode and its mark; removed in the background when it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) session: InSession,
    pub(super) dir: String,
    pub(super) name: String,
    /// The transaction that made it.
    pub(super) czxid: Zxid,
    mark: String,
    /// Where it is removed when it is dropped, on whatever thread.
    runtime: Option<Handle>,
    is_removed: bool,
}

impl Entry {
    /// Makes the znode `kind<number>` in `dir`, and `dir` if that is missing.
    pub(super) async fn make(
        session: &InSession,
        dir: &str,
        kind: &str,
        data: &[u8],
        acl: &[Acl],
    ) -> Result<Self, Error> {
        // From here on whatever becomes of the create is looked for and removed when this is dropped.
        let mut entry = Self {
            session: session.clone(),
            dir: dir.to_owned(),
            name: String::new(),
            czxid: Zxid::NONE,
            mark: protection(),
            runtime: Handle::try_current().ok(),
            is_removed: false,
        };
        (entry.name, entry.czxid) = create(session, dir, &entry.mark, kind, data, acl).await?;
        Ok(entry)
    }

    /// Its path.
    pub(super) fn path(&self) -> String {
        join(&self.dir, &self.name)
    }

    /// Removes it now.
    pub(super) async fn remove(mut self) -> Result<(), Error> {
        delete(&self.session, &self.path()).await?;
        self.is_removed = true;
        Ok(())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.is_removed || self.session.is_over() {
            return;
        }
        // Without a runtime there is no driver, and the znode goes with the session.
        if let Some(runtime) = self.runtime.take() {
            let (session, dir, mark) =
                (self.session.clone(), std::mem::take(&mut self.dir), std::mem::take(&mut self.mark));
            drop(runtime.spawn(async move {
                if let Err(error) = remove(&session, &dir, &mark).await
                    && !error.is_session_over()
                {
                    tracing::warn!(%error, "the znode of a recipe was left behind; it goes with its session");
                }
            }));
        }
    }
}

/// Creates `<mark><kind><number>` once; its name and czxid.
pub(super) async fn create(
    session: &InSession,
    dir: &str,
    mark: &str,
    kind: &str,
    data: &[u8],
    acl: &[Acl],
) -> Result<(String, Zxid), Error> {
    let path = join(dir, &format!("{mark}{kind}"));
    loop {
        match session.client.create(&path, data, CreateMode::EphemeralSequential, acl).await {
            Ok((path, stat)) => {
                let name = path.rsplit('/').next().unwrap_or_default();
                return Ok((name.to_owned(), stat.czxid));
            }
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => parents::create(session, dir, acl).await?,
            Err(error) if is_connection_lost(&error) => {
                session.back().await?;
                for name in find(session, dir, mark).await? {
                    let path = join(dir, &name);
                    if let Some(stat) = session.again(|client| client.exists(&path)).await? {
                        return Ok((name, stat.czxid));
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// The names of all znodes with the mark.
async fn find(session: &InSession, dir: &str, mark: &str) -> Result<Vec<String>, Error> {
    session.again(|client| client.sync(dir)).await?;
    match session.again(|client| client.get_children(dir)).await {
        Ok((names, _)) => Ok(names.into_iter().filter(|name| name.starts_with(mark)).collect()),
        Err(error) if error.code() == Some(ErrorCode::NO_NODE) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Removes all znodes with the mark, those too whose create is still on its way.
pub(super) async fn remove(session: &InSession, dir: &str, mark: &str) -> Result<(), Error> {
    for name in find(session, dir, mark).await? {
        delete(session, &join(dir, &name)).await?;
    }
    Ok(())
}

/// Deletes a znode whose name is ours alone: that may be repeated.
async fn delete(session: &InSession, path: &str) -> Result<(), Error> {
    match session.again(|client| client.delete(path, None)).await {
        Err(error) if error.code() != Some(ErrorCode::NO_NODE) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
