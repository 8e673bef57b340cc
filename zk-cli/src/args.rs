//! What can be asked for on the command line.
//!
//! Must not know how it is done. Short flags are zkCli's; where one of ours would be in the way
//! (`create -c`), zkCli's wins.

use crate::commands::{
    create::Create, delete::Delete, deleteall::DeleteAll, demo::Demo, get::Get, ls::Ls, serve::Serve, set::Set,
    stat::Stat, tree::Tree, watch::Watch,
};
use crate::security::Security;
use clap::{Args, Parser, Subcommand};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  zk demo                                   see it work, without any set-up
  zk serve                                  a ZooKeeper for development, on localhost:2181
  zk ls /                                   what is there, on localhost:2181
  zk -c zk1:2181,zk2:2181/app tree /config  a subtree, below the chroot /app
  zk set /config/limit 100                  change a value
  zk watch --json /config                   every change as it happens, for programs

Every command has a longer help: zk help watch";

/// Look at, change and watch ZooKeeper
///
/// ZooKeeper keeps a tree of small values, the znodes. A path such as /config/limit names one of them.
/// The commands that zkCli has too are written and print as they do there.
#[derive(Parser)]
#[command(name = "zk", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes, before or behind its name.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// The servers, and a chroot if need be: host:port,host:port/chroot
    #[arg(short, long, global = true, value_name = "SERVERS", env = "ZK_CONNECT", default_value = "localhost:2181")]
    pub(crate) connect: String,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long to wait for a server at the start, such as 5s or 500ms; ends at once when all of them refuse
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// How long the servers keep our session when they do not hear of us
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) session_timeout: Duration,
    #[command(flatten)]
    pub(crate) security: Security,
}

/// The commands, one file each.
#[derive(Subcommand)]
pub(crate) enum Command {
    Ls(Ls),
    Get(Get),
    Set(Set),
    #[command(arg(connect_without_short()))]
    Create(Create),
    Delete(Delete),
    #[command(name = "deleteall")]
    DeleteAll(DeleteAll),
    Stat(Stat),
    Tree(Tree),
    Watch(Watch),
    Demo(Demo),
    Serve(Serve),
}

/// `create -c` makes a container, as in zkCli; behind `create` only the long name means the servers.
fn connect_without_short() -> clap::Arg {
    clap::Arg::new("connect")
        .long("connect")
        .value_name("SERVERS")
        .help("The servers, and a chroot if need be: host:port,host:port/chroot (-c only before `create`)")
        .help_heading("Options of every command")
}

/// A time such as `5`, `5s`, `1.5s` or `500ms`; a number alone is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.trim().parse::<f64>().ok().map(|number| number * unit);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "write a time such as 5s or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("zk").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_behind_the_command() {
        for line in [
            "-c a:1 --json --timeout 2 ls /",
            "ls -c a:1 --json --timeout 2s /",
            "ls / --connect a:1 --json --timeout 2000ms",
        ] {
            let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let Options { connect, json, timeout, .. } = cli.options;
            assert_eq!((connect.as_str(), json, timeout), ("a:1", true, Duration::from_secs(2)), "{line}");
        }
    }

    #[test]
    fn create_has_zkclis_c_and_takes_the_servers_all_the_same() {
        for (line, servers, container) in [
            ("-c a:1 create -c /x", "a:1", true),
            ("create --connect a:1 /x", "a:1", false),
            ("-c b:2 create --connect a:1 /x", "a:1", false),
            ("--connect a:1 create -c /x data", "a:1", true),
        ] {
            let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(cli.options.connect, servers, "{line}");
            let Command::Create(create) = cli.command else { panic!("{line}") };
            assert_eq!(create.container, container, "{line}");
        }
    }

    #[test]
    fn negative_numbers_are_values() {
        assert!(parse("set /a -5 -v -1").is_ok());
        assert!(parse("create /a -5").is_ok());
        assert!(parse("delete -v -1 /a").is_ok());
    }

    #[test]
    fn times() {
        let ms = |text| duration(text).ok().map(|time| time.as_millis());
        assert_eq!([ms("5"), ms("5s"), ms("1.5s"), ms("20ms")], [Some(5000), Some(5000), Some(1500), Some(20)]);
        for bad in ["", "s", "-1s", "0", "5 minutes", "nan", "inf", "1e300"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }
}
