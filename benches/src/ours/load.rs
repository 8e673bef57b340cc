//! From connecting to the complete mirror.

use super::connector;
use crate::{
    args::WatcherArgs,
    error::Failure,
    report::LoadLine,
    usage::Memory,
    value::{cpu_ns, now_ns},
};
use zk_config::Mirror;

pub(super) async fn run(args: &WatcherArgs) -> Result<LoadLine, Failure> {
    let base = Memory::now().rss_kb;
    let (begin_ns, begin_cpu_ns) = (now_ns(), cpu_ns());
    let client = connector(args)?.connect().await?;
    let mirror = Mirror::start(&client, &args.root)?;
    let snapshot = mirror.ready().await?;
    let line = LoadLine::new(&args.name, snapshot.len(), now_ns() - begin_ns, cpu_ns() - begin_cpu_ns);
    Ok(LoadLine { base_kb: args.split.then_some(base), ..line })
}
