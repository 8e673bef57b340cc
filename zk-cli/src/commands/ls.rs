//! `zk ls`: the names below a path.

use super::tell_hidden;
use crate::{
    error::Failure,
    json::{Listing, PathStat},
    output::Output,
    text,
    walk::{self, Names},
};
use zk_client::{Client, path};

/// List the children of a znode
#[derive(clap::Args)]
#[command(after_help = "Examples:
  zk ls /              prints [config, zookeeper]
  zk ls -R /config     prints every path at and below /config, a line each
  zk ls -s --json /    with the znode's metadata, for programs")]
pub(crate) struct Ls {
    /// Everything below it, too
    #[arg(short = 'R')]
    recursive: bool,
    /// With the metadata (stat) of the znode; with -R of each
    #[arg(short = 's')]
    stat: bool,
    /// The znode, such as /config
    path: String,
}

impl Ls {
    pub(crate) async fn run(&self, client: &Client, output: &mut Output) -> Result<(), Failure> {
        let failure = |error| Failure::at("ls", &self.path, &error);
        if self.recursive {
            let names = walk::names(client, &self.path).await.map_err(failure)?;
            self.print_all(&self.path, &names, output)?;
            let hidden = names.iter().filter(|(_, read)| read.is_none());
            return tell_hidden(hidden.map(|(path, _)| path.as_str()));
        }
        let (mut children, stat) = client.get_children(&self.path).await.map_err(failure)?;
        children.sort_unstable();
        if output.is_json() {
            let stat = self.stat.then(|| (&stat).into());
            return output.object(&Listing { path: &self.path, children: &children, stat });
        }
        let names: Vec<String> = children.iter().map(|name| text::safe(name)).collect();
        output.line(&format!("[{}]", names.join(", ")))?;
        if self.stat { output.line(&text::stat(&stat)) } else { Ok(()) }
    }

    /// In zkCli's order: the znode, its children, then what is below each of them.
    fn print_all(&self, root: &str, names: &Names, output: &mut Output) -> Result<(), Failure> {
        self.print(root, names, output)?;
        let mut todo = vec![root.to_owned()];
        while let Some(parent) = todo.pop() {
            let Some(Some((children, _))) = names.get(&parent) else { continue };
            let paths: Vec<String> = children.iter().map(|name| path::join(&parent, name)).collect();
            for path in paths.iter().filter(|path| names.contains_key(*path)) {
                self.print(path, names, output)?;
            }
            todo.extend(paths.into_iter().rev());
        }
        Ok(())
    }

    fn print(&self, path: &str, names: &Names, output: &mut Output) -> Result<(), Failure> {
        let stat = names.get(path).and_then(Option::as_ref).map(|(_, stat)| stat).filter(|_| self.stat);
        if output.is_json() {
            return output.object(&PathStat { path, stat: stat.map(Into::into) });
        }
        output.line(&text::safe(path))?;
        stat.map_or(Ok(()), |stat| output.line(&text::stat(stat)))
    }
}
