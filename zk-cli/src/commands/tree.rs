//! `zk tree`: a subtree with its data.

use super::tell_hidden;
use crate::{
    error::Failure,
    json::{Entry, Value},
    output::Output,
    text, walk,
};
use zk_client::Client;

/// Print a znode and everything below it, with the data in short
///
/// Not a snapshot of one moment: what changes meanwhile is seen before or after the change.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  zk tree /config          a drawing
  zk tree --json /config   a line for each znode with all its data and metadata, sorted by path")]
pub(crate) struct Tree {
    /// The znode, such as /config
    #[arg(default_value = "/")]
    path: String,
}

impl Tree {
    pub(crate) async fn run(&self, client: &Client, output: &mut Output) -> Result<(), Failure> {
        let found = walk::subtree(client, &self.path).await;
        let found = found.map_err(|error| Failure::at("tree", &self.path, &error))?;
        if output.is_json() {
            for (path, (data, stat)) in &found.nodes {
                output.object(&Entry { path, value: Value::new(data, stat) })?;
            }
        } else {
            let mut nodes: Vec<(&str, &[u8])> =
                found.nodes.iter().map(|(path, (data, _))| (path.as_str(), data.as_ref())).collect();
            // By name and not by path: "/a/b" before "/a-b", so that children follow their parent.
            nodes.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
            for line in text::tree(&self.path, &nodes) {
                output.line(&line)?;
            }
        }
        output.flush()?;
        tell_hidden(found.hidden.iter().map(String::as_str))
    }
}
