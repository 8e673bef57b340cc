//! `zk deleteall`: a znode and everything below it.

use crate::{error::Failure, json::Deleted, output::Output, walk};
use zk_client::{Client, Error, ErrorCode};

/// Deletes on their way at once.
const IN_FLIGHT_MAX: usize = 256;

/// How often we begin again because somebody creates znodes where we delete.
const ROUNDS_MAX: usize = 5;

/// Delete a znode and everything below it
///
/// Not in one transaction: others see the znodes go one by one, from the leaves up.
#[derive(clap::Args)]
#[command(after_help = "Example:
  zk deleteall /config/old    prints nothing, as zkCli does")]
pub(crate) struct DeleteAll {
    /// The znode, such as /config/old
    path: String,
}

impl DeleteAll {
    pub(crate) async fn run(&self, client: &Client, output: &mut Output) -> Result<(), Failure> {
        if self.path == "/" && client.chroot() == "/" {
            return Err(Failure::says("deleteall /: the root cannot be deleted; name the znodes below it (zk ls /)"));
        }
        let mut total = 0;
        for round in 1..=ROUNDS_MAX {
            let names = match walk::names(client, &self.path).await {
                Ok(names) => names,
                // Deleted by us before somebody came in between, or by somebody else.
                Err(Error::Refused { code: ErrorCode::NO_NODE, .. }) if round > 1 => break,
                Err(error) => return Err(Failure::at("deleteall", &self.path, &error)),
            };
            // Children sort behind their parents, and operations are carried out in order.
            let paths: Vec<&str> = names.keys().rev().map(String::as_str).collect();
            let (deleted, left) = self.delete(client, &paths).await?;
            total += deleted;
            if !left {
                break;
            }
            if let Some((hidden, _)) = names.iter().find(|(_, read)| read.is_none()) {
                return Err(Failure::says(format!(
                    "deleteall {hidden}: no permission to see its children; say who you are with --auth SCHEME:AUTH"
                )));
            }
            if round == ROUNDS_MAX {
                return Err(Failure::says(format!(
                    "deleteall {}: somebody keeps creating znodes there; {total} are deleted, try again",
                    self.path
                )));
            }
        }
        if output.is_json() { output.object(&Deleted { path: &self.path, deleted: total }) } else { Ok(()) }
    }

    /// How many are deleted, and whether any is left because it has new children.
    async fn delete(&self, client: &Client, paths: &[&str]) -> Result<(usize, bool), Failure> {
        let (mut deleted, mut left) = (0, false);
        for chunk in paths.chunks(IN_FLIGHT_MAX) {
            let calls: Vec<_> = chunk.iter().map(|path| (path, client.delete(path, None))).collect();
            let mut failure = None;
            for (path, call) in calls {
                match call.await {
                    Ok(()) => deleted += 1,
                    Err(Error::Refused { code: ErrorCode::NO_NODE, .. }) => {}
                    Err(Error::Refused { code: ErrorCode::NOT_EMPTY, .. }) => left = true,
                    Err(error) => failure = failure.or(Some(Failure::at("delete", path, &error))),
                }
            }
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
        Ok((deleted, left))
    }
}
