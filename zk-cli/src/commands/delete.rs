//! `zk delete`: one znode.

use crate::{error::Failure, json::Deleted, output::Output};
use zk_client::Client;

/// Delete a znode that has no children
#[derive(clap::Args)]
#[command(after_help = "Examples:
  zk delete /config/limit         prints nothing, as zkCli does
  zk delete -v 3 /config/limit    only if nobody changed it since version 3")]
pub(crate) struct Delete {
    /// Only if the znode has this version (dataVersion of `zk stat`)
    #[arg(short = 'v', value_name = "VERSION", allow_negative_numbers = true)]
    version: Option<i32>,
    /// The znode, such as /config/limit
    path: String,
}

impl Delete {
    pub(crate) async fn run(&self, client: &Client, output: &mut Output) -> Result<(), Failure> {
        let deleted = client.delete(&self.path, self.version.filter(|version| *version != -1)).await;
        deleted.map_err(|error| Failure::at("delete", &self.path, &error))?;
        if output.is_json() { output.object(&Deleted { path: &self.path, deleted: 1 }) } else { Ok(()) }
    }
}
