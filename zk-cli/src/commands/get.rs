//! `zk get`: the data of a znode.

use crate::{
    error::Failure,
    json::{Entry, Value},
    output::Output,
    text,
};
use zk_client::Client;

/// Print the data of a znode
///
/// Text is printed with a line end, as zkCli does. Data that is no text is printed byte for byte, but not
/// to a terminal.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  zk get /config/limit          prints 100
  zk get -s /config/limit       with the metadata: versions, times, transactions
  zk get --json /config/limit   data and metadata, for programs")]
pub(crate) struct Get {
    /// With the metadata (stat) of the znode
    #[arg(short = 's')]
    stat: bool,
    /// The znode, such as /config/limit
    path: String,
}

impl Get {
    pub(crate) async fn run(&self, client: &Client, output: &mut Output) -> Result<(), Failure> {
        let read = client.get_data(&self.path).await;
        let (data, stat) = read.map_err(|error| Failure::at("get", &self.path, &error))?;
        if output.is_json() {
            return output.object(&Entry { path: &self.path, value: Value::new(&data, &stat) });
        }
        match std::str::from_utf8(&data) {
            Ok(data) if output.is_terminal() => output.line(&text::for_terminal(data))?,
            Ok(data) => output.line(data)?,
            Err(_) if output.is_terminal() => {
                output
                    .line(&format!("({} bytes that are no text; write them to a file, or use --json)", data.len()))?;
            }
            Err(_) => output.bytes(&data)?,
        }
        if self.stat { output.line(&text::stat(&stat)) } else { Ok(()) }
    }
}
