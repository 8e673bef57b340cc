//! Deleting a znode with everything below it.

use super::Client;
use crate::{
    error::{Error, UsageError},
    transaction::Transaction,
};
use zk_proto::{ErrorCode, OpCode, path, watch::is_at_or_below};

/// Lists of children on their way at once.
const LISTS_AT_ONCE: usize = 64;

/// Deletes of one transaction: few enough that others are not kept waiting, many enough that the leader writes seldom.
const BATCH_LEN_MAX: usize = 128;

/// Bytes of paths in one transaction, far below what any server takes; a longer path goes alone.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// How often we begin again because somebody creates znodes where we delete, or the connection is lost.
const ROUNDS_MAX: usize = 5;

/// ZooKeeper's own znodes.
const RESERVED: &str = "/zookeeper";

/// What a round did.
#[derive(Default)]
struct Round {
    /// A znode that is left, and why.
    left: Option<Error>,
}

impl Client {
    /// Deletes a znode and everything below it, leaves first, whoever owns it; answers how many are gone by our doing.
    ///
    /// It is not one transaction but many small ones: others see the subtree go bit by bit. Somebody may delete there at
    /// the same time; what somebody creates meanwhile is deleted, too, in at most 5 rounds. The paths of the whole
    /// subtree are in memory. A connection that is lost costs a round, and what it left in doubt is not counted.
    ///
    /// # Ordering
    /// The first read is queued when the future is first polled.
    /// # Cancel safety
    /// Dropping the future leaves what is not deleted yet; the transaction on its way is still carried out.
    /// # Errors
    /// [`UsageError::Reserved`] for `/`, and for `/zookeeper` and everything below;
    /// [`Error::Refused`] with [`ErrorCode::NO_NODE`] when there is no such znode, [`ErrorCode::NO_AUTH`] when something
    /// may not be listed or deleted, [`ErrorCode::NOT_EMPTY`] when others create znodes faster. The rest is deleted all
    /// the same; see [`delete_all_with`](Self::delete_all_with) for how many.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::builder().znodes([("/app/a/b", ""), ("/app/c", "")]).start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// assert_eq!(client.delete_all("/app").await?, 4);
    /// assert_eq!(client.exists("/app").await?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete_all(&self, path: &str) -> Result<u64, Error> {
        self.delete_all_with(path, |_| {}).await
    }

    /// [`delete_all`](Self::delete_all) that tells after each transaction how many znodes are gone so far.
    ///
    /// # Ordering
    /// As [`delete_all`](Self::delete_all).
    /// # Cancel safety
    /// As [`delete_all`](Self::delete_all).
    /// # Errors
    /// As [`delete_all`](Self::delete_all).
    pub async fn delete_all_with(&self, path: &str, mut progress: impl FnMut(u64)) -> Result<u64, Error> {
        let server_path = self.server_path(path, false)?;
        if path == "/" || is_at_or_below(&server_path, RESERVED) {
            return Err(UsageError::Reserved { path: path.to_owned() }.into());
        }
        let (mut deleted, mut left) = (0, None);
        let mut tell = |count: u64| {
            deleted += count;
            progress(deleted);
        };
        for round in 0..ROUNDS_MAX {
            match self.delete_round(path, &mut tell).await {
                Ok(Round { left: None }) => return Ok(deleted),
                // Gone by our doing, before somebody came in between, or by somebody else's.
                Err(Error::Refused { code: ErrorCode::NO_NODE, .. }) if round > 0 => return Ok(deleted),
                Ok(Round { left: Some(error) }) | Err(error @ Error::Interrupted { .. }) => left = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(left.unwrap_or(Error::Refused { op: OpCode::DELETE, code: ErrorCode::NOT_EMPTY }))
    }

    /// Lists the subtree and deletes what was listed.
    async fn delete_round(&self, path: &str, tell: &mut impl FnMut(u64)) -> Result<Round, Error> {
        let mut round = Round::default();
        let paths = self.paths_below(path, &mut round).await?;
        let mut rest = paths.as_slice();
        while !rest.is_empty() {
            // Children stand behind their parents.
            let (before, batch) = rest.split_at(batch_start(rest));
            let all = batch.iter().rev().fold(Transaction::new(), |all, path| all.delete(path, None));
            match self.commit(&all).await {
                Ok(results) => tell(results.len() as u64),
                // Somebody deletes or creates there, too, or one may not be deleted: one by one.
                Err(Error::Aborted { .. }) => self.delete_each(batch, &mut round, tell).await?,
                Err(error) => return Err(error),
            }
            rest = before;
        }
        Ok(round)
    }

    async fn delete_each(&self, batch: &[String], round: &mut Round, tell: &mut impl FnMut(u64)) -> Result<(), Error> {
        let calls: Vec<_> = batch.iter().rev().map(|path| self.delete(path, None)).collect();
        let mut count = 0;
        for call in calls {
            match call.await {
                Ok(()) => count += 1,
                Err(Error::Refused { code: ErrorCode::NO_NODE, .. }) => {}
                // What is below the cause of NOT_EMPTY comes first, and is the better reason.
                Err(error @ Error::Refused { .. }) => round.left = round.left.take().or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        tell(count);
        Ok(())
    }

    /// A znode and everything below it, level by level, so that children stand behind their parents.
    async fn paths_below(&self, root: &str, round: &mut Round) -> Result<Vec<String>, Error> {
        let mut paths = vec![root.to_owned()];
        let mut listed = 0;
        while listed < paths.len() {
            let chunk = paths.get(listed..).unwrap_or_default().iter().take(LISTS_AT_ONCE);
            let calls: Vec<_> = chunk.map(|path| self.list_children(path)).collect();
            for call in calls {
                let names = match call.await {
                    Ok(names) => names,
                    Err(error @ Error::Refused { code: ErrorCode::NO_NODE, .. }) if listed == 0 => return Err(error),
                    Err(Error::Refused { code: ErrorCode::NO_NODE, .. }) => Vec::new(),
                    // It may be deleted all the same, when it has no children.
                    Err(error @ Error::Refused { code: ErrorCode::NO_AUTH, .. }) => {
                        round.left = Some(error);
                        Vec::new()
                    }
                    Err(error) => return Err(error),
                };
                let parent = paths.get(listed).map_or("", String::as_str);
                let children: Vec<_> = names.iter().map(|name| path::join(parent, name)).collect();
                paths.extend(children);
                listed += 1;
            }
        }
        Ok(paths)
    }
}

/// Where the last batch of these begins.
fn batch_start(paths: &[String]) -> usize {
    let mut bytes = 0;
    let fits = |path: &&String| {
        bytes += path.len();
        bytes <= BATCH_BYTES_MAX
    };
    let len = paths.iter().rev().take(BATCH_LEN_MAX).take_while(fits).count();
    paths.len() - len.max(1)
}
