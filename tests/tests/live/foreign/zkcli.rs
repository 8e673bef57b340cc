//! zkCli, ZooKeeper's own command line, fed with commands.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};
use zk_testkit::launcher::Version;

use super::{Host, PATIENCE, tools};

/// One of each kind, but whoami: the order of identities is that of a hash table of Java (JavaClient sorts them). What it
/// prints is in `tests/foreign/java/zkcli.out`.
const COMMANDS: &str = "\
ls /
create /cli hello
get /cli
set -s /cli bye
create -s /cli/q- x
create -e /cli/e x
create -c /cli/c
ls /cli
ls -R /cli
stat -w /cli/c
set /cli/c 1
addWatch -m PERSISTENT_RECURSIVE /cli
create /cli/new 1
delete /cli/new
removewatches /cli
addauth digest ann:secret
setAcl /cli auth::cdrwa
getAcl /cli
getEphemerals
getAllChildrenNumber /cli
sync /cli
set -v 7 /cli x
delete /none
create /none/a
delete /cli
deleteall /cli
ls /cli
quit
";

/// What it prints: results, events (which come when they come), errors; without numbers that differ each time, and without
/// the event of its own end: zkCli leaves its process while another thread is about to print that.
async fn play(host: Host, class_path: &std::ffi::OsStr) -> String {
    let mut java = Command::new("java");
    java.arg("-cp").arg(class_path).arg("org.apache.zookeeper.ZooKeeperMain").arg("-server");
    java.arg(host.addr().to_string()).kill_on_drop(true);
    java.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = java.spawn().unwrap();
    child.stdin.take().unwrap().write_all(COMMANDS.as_bytes()).await.unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("zkCli does not end").unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let is_event = |line: &&str| line.starts_with("WatchedEvent");
    let is_result = |line: &&str| !is_event(line) && !["", "WATCHER::"].contains(line);
    let results = out.lines().filter(is_result).filter(|line| !line.starts_with("Connecting to "));
    let events = out.lines().filter(is_event).filter(|line| !line.starts_with("WatchedEvent state:Closed"));
    let lines = results.chain(events).chain(err.lines()).map(|line| without_numbers(line) + "\n");
    lines.collect()
}

/// Times and transaction ids are the server's own.
fn without_numbers(line: &str) -> String {
    for name in ["cZxid = ", "ctime = ", "mZxid = ", "mtime = ", "pZxid = "] {
        if line.starts_with(name) {
            return format!("{name}..");
        }
    }
    match line.split_once(" zxid: ") {
        Some((event, zxid)) if zxid != "-1" => format!("{event} zxid: .."),
        _ => line.to_owned(),
    }
}

#[tokio::test]
async fn zkcli() {
    let Some(class_path) = tools::java() else { return };
    let expected = include_str!("../../../foreign/java/zkcli.out");
    assert_eq!(play(Host::test().await, &class_path).await, expected, "against the test server");
    assert_eq!(play(Host::real(Version::V3_9).await, &class_path).await, expected, "against a real server");
}
