//! `zk create`: a new znode. An ephemeral one lives as long as the command does.

use super::set::data;
use crate::{
    args::Options,
    connect::{connector, open},
    error::Failure,
    json::PathStat,
    output::Output,
    signals, tell, text,
};
use std::path::PathBuf;
use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE, SessionState, Ttl};

/// Create a znode
///
/// Everybody may read and change it, as with zkCli (ACL world:anyone:cdrwa).
#[derive(clap::Args)]
#[command(after_help = "Examples:
  zk create /config                      prints Created /config
  zk create /config/limit 100
  zk create -s /queue/job- data          prints Created /queue/job-0000000000
  zk create -e /workers/w1 10.0.0.7      an ephemeral znode: it is there until you press Ctrl-C")]
pub(crate) struct Create {
    /// Ephemeral: gone with its session; the command stays until Ctrl-C to keep it
    #[arg(short = 'e', conflicts_with_all = ["container", "ttl"])]
    ephemeral: bool,
    /// Sequential: a ten-digit number is put behind the name
    #[arg(short = 's', conflicts_with = "container")]
    sequential: bool,
    /// Container: the server deletes it some time after its last child is gone
    #[arg(short = 'c')]
    pub(crate) container: bool,
    /// Time to live: the server deletes it when it was not set for so long and has no children
    #[arg(short = 't', value_name = "TTL_MS", conflicts_with = "container", value_parser = ttl)]
    ttl: Option<Ttl>,
    /// The new znode, such as /config/limit
    path: String,
    /// Its data
    #[arg(allow_negative_numbers = true, conflicts_with = "file")]
    data: Option<String>,
    /// Take the data from a file, byte for byte; - is standard input
    #[arg(short, long)]
    file: Option<PathBuf>,
}

impl Create {
    pub(crate) async fn run(&self, options: &Options, output: &mut Output) -> Result<(), Failure> {
        if self.container && !self.path.starts_with('/') {
            return Err(Failure::says(format!(
                "create {}: this is no path; behind `create`, -c makes a container, as in zkCli: for the servers \
                 write --connect, or -c before `create`",
                self.path
            )));
        }
        let data = data(self.data.as_deref(), self.file.as_deref())?;
        // A new session would not have the ephemeral znode.
        let client = open(connector(options)?.renew_session(!self.ephemeral), options).await?;
        let done = self.create(&client, &data, output).await;
        client.close().await;
        done
    }

    async fn create(&self, client: &Client, data: &[u8], output: &mut Output) -> Result<(), Failure> {
        let mode = self.mode();
        let stop = if self.ephemeral { Some(signals::stop().map_err(no_signals)?) } else { None };
        let created = client.create(&self.path, data, mode, OPEN_ACL_UNSAFE).await;
        let (path, stat) = created.map_err(|error| Failure::at("create", &self.path, &error))?;
        if output.is_json() {
            output.object(&PathStat { path: &path, stat: Some((&stat).into()) })?;
        } else {
            output.line(&format!("Created {}", text::safe(&path)))?;
        }
        let Some(stop) = stop else { return Ok(()) };
        output.flush()?;
        tell(&format!("{path} is ephemeral: it is there as long as this command; end it with Ctrl-C"));
        tokio::select! {
            () = stop => Ok(()),
            why = ended(client) => Err(Failure::says(format!("the session ended ({why}): {path} is gone"))),
        }
    }

    const fn mode(&self) -> CreateMode {
        let Self { ephemeral, sequential, container, ttl, .. } = self;
        match (ttl, *ephemeral, *sequential, *container) {
            (Some(ttl), _, true, _) => CreateMode::PersistentSequentialWithTtl(*ttl),
            (Some(ttl), _, false, _) => CreateMode::PersistentWithTtl(*ttl),
            (None, true, true, _) => CreateMode::EphemeralSequential,
            (None, true, false, _) => CreateMode::Ephemeral,
            (None, false, true, _) => CreateMode::PersistentSequential,
            (None, false, false, true) => CreateMode::Container,
            (None, false, false, false) => CreateMode::Persistent,
        }
    }
}

fn ttl(text: &str) -> Result<Ttl, String> {
    let ms = text.parse().map_err(|_| "not a number of milliseconds".to_owned())?;
    Ttl::from_millis(ms).map_err(|error| error.to_string())
}

/// Waits for the session's end.
async fn ended(client: &Client) -> String {
    let mut state = client.state();
    match state.wait_for(|state| matches!(state, SessionState::Ended(_))).await.as_deref() {
        Ok(SessionState::Ended(end)) => end.to_string(),
        Ok(_) | Err(_) => "closed".to_owned(),
    }
}

pub(super) fn no_signals(error: std::io::Error) -> Failure {
    Failure::says(format!("cannot listen for Ctrl-C: {error}"))
}
