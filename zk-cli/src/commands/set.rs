//! `zk set`: new data for a znode.

use super::session;
use crate::{args::Options, error::Failure, json::PathStat, output::Output, text};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};
use zk_client::Client;

/// More than any server takes, so that a file of any size ends in the same error, soon.
const DATA_LEN_MAX: u64 = 16 << 20;

/// Change the data of a znode
#[derive(clap::Args)]
#[command(override_usage = "zk set [OPTIONS] <PATH> <DATA | --file FILE>")]
#[command(after_help = "Examples:
  zk set /config/limit 100              prints nothing, as zkCli does
  zk set -v 3 /config/limit 100         only if nobody changed it since version 3
  zk set /config/rules --file rules.yaml
  make-rules | zk set /config/rules --file -")]
pub(crate) struct Set {
    /// Only if the znode has this version (dataVersion of `zk stat`)
    #[arg(short = 'v', value_name = "VERSION", allow_negative_numbers = true)]
    version: Option<i32>,
    /// Print the new metadata (stat)
    #[arg(short = 's')]
    stat: bool,
    /// The znode, such as /config/limit
    path: String,
    #[command(flatten)]
    data: RequiredData,
}

/// What is written.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct RequiredData {
    /// The new data
    #[arg(allow_negative_numbers = true)]
    data: Option<String>,
    /// Take the data from a file, byte for byte; - is standard input
    #[arg(short, long)]
    file: Option<PathBuf>,
}

impl Set {
    pub(crate) async fn run(&self, options: &Options, output: &mut Output) -> Result<(), Failure> {
        let data = data(self.data.data.as_deref(), self.data.file.as_deref())?;
        session(options, async |client| self.write(client, &data, output).await).await
    }

    async fn write(&self, client: &Client, data: &[u8], output: &mut Output) -> Result<(), Failure> {
        let stat = client.set_data(&self.path, data, self.version.filter(|version| *version != -1)).await;
        let stat = stat.map_err(|error| Failure::at("set", &self.path, &error))?;
        if output.is_json() {
            return output.object(&PathStat { path: &self.path, stat: Some((&stat).into()) });
        }
        if self.stat { output.line(&text::stat(&stat)) } else { Ok(()) }
    }
}

/// The data of `set` and `create`: from the command line, from a file, or none.
pub(super) fn data(data: Option<&str>, file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let Some(file) = file else { return Ok(data.unwrap_or_default().as_bytes().to_vec()) };
    let mut bytes = Vec::new();
    let mut read_from = |source: &mut dyn Read| source.take(DATA_LEN_MAX).read_to_end(&mut bytes);
    let read = if file == Path::new("-") {
        read_from(&mut io::stdin().lock())
    } else {
        File::open(file).and_then(|mut file| read_from(&mut file))
    };
    read.map_err(|error| Failure::says(format!("cannot read {}: {error}", file.display())))?;
    Ok(bytes)
}
