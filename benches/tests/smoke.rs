//! Every command runs from end to end on the in-process server, for a moment. What it measures there says nothing. Only what
//! becomes of a real server needs Java.

#![expect(clippy::unwrap_used, reason = "it is a test")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use zk_testkit::{
    launcher::{Version, prefetch},
    server::{TestEnsemble, TestServer},
};

/// Runs zk-bench in a folder; what it prints. It must end well.
fn bench(folder: &Path, line: &str) -> String {
    bench_with(folder, line, &[])
}

/// With more arguments, which may have spaces in them.
fn bench_with(folder: &Path, line: &str, more: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    command.args(line.split_whitespace()).args(more).current_dir(folder).stdin(Stdio::null());
    let output = command.output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "zk-bench {line}\n{said}\n{told}");
    said.into_owned()
}

/// Runs a measurement that writes a file; checks the file's lines, and that a page can be made of it.
fn measured(line: &str, lines: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let said = bench(folder.path(), &format!("{line} --test-server --out run.jsonl"));
    let text = std::fs::read_to_string(folder.path().join("run.jsonl")).unwrap();
    assert!(text.starts_with("{\"header\":{\"bench\":\""), "{text}");
    assert_eq!(text.lines().count(), 1 + lines, "{text}");
    bench(folder.path(), "report --results . --page R.md");
    let page = std::fs::read_to_string(folder.path().join("R.md")).unwrap();
    assert!(page.contains("### run\n") && page.contains(&format!("`zk-bench {line}")), "{page}");
    said
}

const ONE_ROUND: &str = "--rounds 1 --rounds-max 1";

// goal: Q4
#[test]
fn notify() {
    let line =
        format!("notify {ONE_ROUND} --seconds 1 --rate 200 --keys 20 --runtime current-thread,multi-thread,own-thread");
    let said = measured(&line, 6);
    assert!(said.contains("| ours (own thread) / floor |"), "{said}");
    assert!(said.contains("| ours (multi-thread) / floor |"), "{said}");
    assert!(said.contains("| ours, in a task / floor |"), "{said}");
}

#[test]
fn notify_in_bursts() {
    let line = format!("notify {ONE_ROUND} --seconds 1 --rate 200 --burst 20 --keys 40 --floor-on-tokio");
    let said = measured(&line, 6);
    assert!(said.contains("in bursts of 20") && said.contains("| ours / floor |"), "{said}");
    assert!(said.contains("| floor on tokio / floor |"), "{said}");
}

/// Any program that does what ours does may take part; here it is ours. It is seen from outside, and so is ours, but for the
/// one that tells its parts.
#[test]
fn a_client_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("notify {ONE_ROUND} --test-server --seconds 1 --rate 200 --keys 20 --watcher");
    let mine = format!("mine={} peer-watcher", env!("CARGO_BIN_EXE_zk-bench"));
    let said = bench_with(folder.path(), &line, &[mine]);
    assert!(said.contains("| mine / floor |"), "{said}");
    let cells = |name: &str| -> Vec<&str> {
        let row = said.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap_or_default();
        row.split('|').map(str::trim).collect()
    };
    let [outside, parts] = [cells("ours"), cells("ours, in parts")];
    assert!(outside[3..5] == ["-", "-"] && outside[5] != "-", "{said}");
    assert!(!parts[2..8].contains(&"-"), "{said}");
}

#[test]
fn fanout() {
    let said = measured(&format!("fanout {ONE_ROUND} --seconds 1 --sessions 5 --floor-on-tokio"), 5);
    assert!(said.contains("| floor on tokio / floor |"), "{said}");
    assert!(said.contains("5 sessions in a process") && said.contains("| ours / floor |"), "{said}");
}

// goal: M8
#[test]
fn load() {
    let said = measured(&format!("load {ONE_ROUND} --nodes 300,600"), 6);
    assert!(said.contains("load: 401 znodes") && said.contains("load: 701 znodes"), "{said}");
}

#[test]
fn scale() {
    let said = measured(&format!("scale {ONE_ROUND} --nodes 300 --sessions 1,40 --rest 1"), 6);
    assert!(said.contains("sessions: 40 in a process") && said.contains("load: 401 znodes"), "{said}");
}

/// Nothing can be built where there is no cargo and no mvn, which is said, and does not keep the others from being measured.
// goal: Q5
#[test]
fn side_by_side_without_any_peer() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    let line = format!("side-by-side --test-server {ONE_ROUND} --seconds 1 --nodes 100 --sessions 2 --floor-on-tokio");
    command.args(line.split_whitespace()).args(["--out-dir", "lines"]);
    let output = command.env("PATH", folder.path()).current_dir(&folder).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("NOT MEASURED: zookeeper-client: cannot run cargo"), "{told}");
    let lines = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join("lines").join(format!("peers-{name}.jsonl"))).unwrap();
        (text.lines().count() - 1, text.contains("\"floor on tokio\""))
    };
    for name in ["notify-1000", "notify-200", "notify-burst50"] {
        assert_eq!(lines(name), (6, true), "two floors, ours, in a task, in parts, and the floor on tokio");
    }
    assert_eq!((lines("fanout"), lines("load"), lines("throughput")), ((5, true), (3, false), (5, false)));
}

#[test]
fn throughput_of_reads_and_writes() {
    let brief = format!("throughput {ONE_ROUND} --seconds 1 --around-ms 100");
    let said = measured(&brief, 5);
    assert!(said.contains("getData of one znode") && said.contains("| ours, read_many / floor |"), "{said}");
    let said = measured(&format!("{brief} --writes"), 5);
    assert!(said.contains("setData of one znode") && said.contains("| ours, transactions / floor |"), "{said}");
}

#[test]
fn resync() {
    let said = measured(&format!("resync {ONE_ROUND} --nodes 300 --changes 1,50"), 6);
    assert!(said.contains("50 changed meanwhile") && said.contains("| ours / floor |"), "{said}");
}

#[test]
fn soak() {
    let folder = tempfile::tempdir().unwrap();
    let line = "soak --test-server --minutes 0.12 --fault-every 2 --rate 100 --keys 20 --faults reset,refuse,cut \
                --session-timeout-ms 4000 --out run.jsonl";
    let said = bench(folder.path(), line);
    assert!(said.contains("| refuse |") && said.contains("Fold, snapshot and server are equal."), "{said}");
    bench(folder.path(), "report --results . --page R.md");
    let plot = std::fs::read_to_string(folder.path().join("run-series.svg")).unwrap();
    assert!(plot.contains("refuse") && plot.contains("held p99"), "{plot}");
}

#[test]
fn an_ensemble_is_written_at_its_first_and_watched_at_its_last_host() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ensemble = runtime.block_on(TestEnsemble::start(3)).unwrap();
    let [first, .., last] = ensemble.members() else { panic!("three members") };
    // Nobody answers at the fourth, which is said and does not matter.
    let hosts = format!("{},127.0.0.1:1", ensemble.connect_string());
    let folder = tempfile::tempdir().unwrap();
    let line = format!("notify {ONE_ROUND} --seconds 1 --rate 50 --keys 5 --root /mine --connect {hosts}");
    let said = bench(folder.path(), &line);
    let where_to = format!("writes to {}, watchers at {}", first.addr(), last.addr());
    assert!(said.contains(&where_to) && said.contains("| ours / floor |"), "{said}");
    let line = format!(
        "soak --minutes 0.05 --fault-every 2 --rate 50 --keys 5 --runtime own-thread --root /mine --connect {hosts}"
    );
    assert!(bench(folder.path(), &line).contains("Fold, snapshot and server are equal."));
    assert!(first.sees("/").is_some() && first.sees("/mine").is_none(), "what was made is removed");
}

#[test]
fn who_we_are_is_said_on_every_connection() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    command.args("load --test-server --rounds 1 --rounds-max 1 --nodes 100".split(' '));
    // The scheme is refused, so it was presented.
    let output = command.env("ZK_BENCH_AUTH", "nobody:secret").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !told.contains("secret"), "{told}");
    let output = command.env("ZK_BENCH_AUTH", "digest:ann:secret").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The processes that this one has started, by id, each with its command line.
fn children(parent: u32) -> Vec<(u32, String)> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: the state and the parent.
        let parent_of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parent_of == Some(parent)
    };
    let line = |id| std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default().replace('\0', " ");
    ids.filter(is_child).map(|id| (id, line(id))).collect()
}

/// Whether a process has ended, be it that nobody has asked for its exit code.
fn has_ended(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    matches!(stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next()), None | Some('Z' | 'X'))
}

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn until_ended(processes: &[(u32, String)]) {
    let begun = Instant::now();
    while let Some(one) = processes.iter().find(|(id, _)| !has_ended(*id)) {
        assert!(begun.elapsed() < PATIENCE, "it lives on: {one:?}");
        thread::yield_now();
    }
}

/// A server in this process, which sees who watches.
fn test_server() -> (tokio::runtime::Runtime, TestServer) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(TestServer::start()).unwrap();
    (runtime, server)
}

/// Killed, it can clean nothing up; what it has started must not live on and disturb the next measurement.
#[test]
fn a_zk_bench_that_is_killed_leaves_no_watcher_behind() {
    let (runtime, server) = test_server();
    let folder = tempfile::tempdir().unwrap();
    let line = format!("notify {ONE_ROUND} --seconds 600 --rate 50 --keys 5 --connect {}", server.connect_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    command.args(line.split_whitespace()).current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let mut bench = command.stderr(Stdio::piped()).spawn().unwrap();
    let is_watched = server.wait_until(|model| model.watch_count() > 0);
    runtime.block_on(async { tokio::time::timeout(PATIENCE, is_watched).await }).unwrap();
    let watchers = children(bench.id());
    assert!(watchers.iter().any(|(_, line)| line.contains("-watcher ")), "{watchers:?}");
    bench.kill().unwrap();
    bench.wait().unwrap();
    // Its stderr is the watchers' too: it ends with the last of them.
    let (ended, end) = mpsc::channel();
    let mut stderr = bench.stderr.take().unwrap();
    thread::spawn(move || ended.send(stderr.read_to_end(&mut Vec::new())));
    end.recv_timeout(PATIENCE).expect("a watcher lives on").unwrap();
    until_ended(&watchers);
}

/// The same of a real server, which is a child of the script that keeps it.
#[test]
fn a_zk_bench_that_is_killed_leaves_no_java_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(prefetch(&[Version::any()])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    command.args(format!("notify {ONE_ROUND} --seconds 600 --rate 50 --keys 5 --server any").split_whitespace());
    // The server's data is there, too, and nobody else could remove it.
    command.current_dir(folder.path()).env("TMPDIR", folder.path());
    let mut bench = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let java = loop {
        let started = children(bench.id());
        let is_measured = started.iter().any(|(_, line)| line.contains("-watcher "));
        // The script's other half, which kills it, has the same command line, behind its own.
        let is_java = |line: &str| line.contains("zookeeper") && !line.starts_with("sh ");
        let java = started.iter().flat_map(|(id, _)| children(*id)).find(|(_, line)| is_java(line));
        if let (true, Some(java)) = (is_measured, java) {
            break java;
        }
        assert!(begun.elapsed() < PATIENCE && bench.try_wait().unwrap().is_none(), "{started:?}");
        thread::yield_now();
    };
    assert!(!has_ended(java.0));
    bench.kill().unwrap();
    bench.wait().unwrap();
    until_ended(&[java]);
}

/// An outside harness may give a watcher no stdin at all.
#[test]
fn a_watcher_under_another_harness_does_not_end_with_its_stdin() {
    let (_runtime, server) = test_server();
    server.create("/b", b"").unwrap();
    server.create("/b/k0000", &[0; 100]).unwrap();
    let line = "peer-watcher --bench notify --root /b --count 1 --keys 1 --name x --connect";
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    command.args(line.split(' ')).arg(server.connect_string()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut watcher = command.spawn().unwrap();
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "READY");
    let last = [u64::MAX.to_be_bytes(), [0; 8]].concat();
    server.set("/b/k0000", &[1_u64.to_be_bytes(), [0; 8]].concat()).unwrap();
    server.set("/b/k0000", &last).unwrap();
    assert!(lines.next().unwrap().unwrap().starts_with("{\"bench\":\"notify\""));
    assert!(watcher.wait().unwrap().success());
}

#[test]
fn a_server_that_is_not_there_is_an_error_and_no_hang() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    let output = command.args(["notify", "--connect", "127.0.0.1:1"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("no server of the list answers"), "{told}");
}
