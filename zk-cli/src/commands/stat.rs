//! `zk stat`: the metadata of a znode.

use crate::{error::Failure, json::PathStat, output::Output, text};
use zk_client::{Client, Error, ErrorCode, OpCode};

/// Print the metadata of a znode: versions, times, transactions
#[derive(clap::Args)]
#[command(after_help = "Example:
  zk stat /config/limit

  cZxid, mZxid, pZxid: the transactions that created it, last set its data, last changed its children.
  dataVersion, cversion, aclVersion: how often data, children, ACL were changed.
  ephemeralOwner: the session that the znode goes with, or 0x0.")]
pub(crate) struct Stat {
    /// The znode, such as /config/limit
    path: String,
}

impl Stat {
    pub(crate) async fn run(&self, client: &Client, output: &mut Output) -> Result<(), Failure> {
        let stat = client
            .exists(&self.path)
            .await
            .and_then(|stat| stat.ok_or(Error::Refused { op: OpCode::EXISTS, code: ErrorCode::NO_NODE }));
        let stat = stat.map_err(|error| Failure::at("stat", &self.path, &error))?;
        if output.is_json() {
            return output.object(&PathStat { path: &self.path, stat: Some((&stat).into()) });
        }
        output.line(&text::stat(&stat))
    }
}
