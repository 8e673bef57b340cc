//! One file a command: its arguments with their help, and what it does.
//!
//! Here: what the commands share.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod deleteall;
pub(crate) mod demo;
pub(crate) mod get;
pub(crate) mod ls;
pub(crate) mod serve;
pub(crate) mod set;
pub(crate) mod stat;
pub(crate) mod tree;
pub(crate) mod watch;

use crate::{
    args::{Command, Options},
    connect::connect,
    error::Failure,
    output::Output,
    tell,
};
use zk_client::Client;

/// Carries out a command.
pub(crate) async fn run(command: Command, options: &Options, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Ls(ls) => session(options, async |client| ls.run(client, output).await).await,
        Command::Get(get) => session(options, async |client| get.run(client, output).await).await,
        Command::Set(set) => set.run(options, output).await,
        Command::Create(create) => create.run(options, output).await,
        Command::Delete(delete) => session(options, async |client| delete.run(client, output).await).await,
        Command::DeleteAll(delete) => session(options, async |client| delete.run(client, output).await).await,
        Command::Stat(stat) => session(options, async |client| stat.run(client, output).await).await,
        Command::Tree(tree) => session(options, async |client| tree.run(client, output).await).await,
        Command::Watch(watch) => session(options, async |client| watch.run(client, output).await).await,
        Command::Demo(demo) => demo.run(output).await,
        Command::Serve(serve) => serve.run(output).await,
    }
}

/// Does something in a session, and closes it however that ends.
async fn session(options: &Options, work: impl AsyncFnOnce(&Client) -> Result<(), Failure>) -> Result<(), Failure> {
    let client = connect(options).await?;
    let done = work(&client).await;
    client.close().await;
    done
}

/// Says which znodes were left out, if any were.
fn tell_hidden<'a>(hidden: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    let mut any = false;
    for path in hidden {
        any = true;
        tell(&format!("{path}: no permission to read it; it is left out (say who you are with --auth SCHEME:AUTH)"));
    }
    if any { Err(Failure::Told) } else { Ok(()) }
}
