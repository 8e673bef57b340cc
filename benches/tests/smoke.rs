//! Every command runs from end to end on the in-process server, for a moment. What it measures there says nothing.

#![expect(clippy::unwrap_used, reason = "it is a test")]

use std::{
    path::Path,
    process::{Command, Stdio},
};
use zk_testkit::server::TestEnsemble;

/// Runs zk-bench in a folder; what it prints. It must end well.
fn bench(folder: &Path, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    command.args(line.split_whitespace()).current_dir(folder).stdin(Stdio::null());
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

#[test]
fn notify() {
    let line = format!("notify {ONE_ROUND} --seconds 1 --rate 200 --keys 20 --runtime current-thread,multi-thread");
    let said = measured(&line, 4);
    assert!(said.contains("| ours (multi-thread) / floor |"), "{said}");
}

#[test]
fn notify_in_bursts() {
    let said = measured(&format!("notify {ONE_ROUND} --seconds 1 --rate 200 --burst 20 --keys 40"), 3);
    assert!(said.contains("in bursts of 20") && said.contains("| ours / floor |"), "{said}");
}

#[test]
fn fanout() {
    let said = measured(&format!("fanout {ONE_ROUND} --seconds 1 --sessions 5"), 3);
    assert!(said.contains("5 sessions in a process") && said.contains("| ours / floor |"), "{said}");
}

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
    let line = format!("soak --minutes 0.05 --fault-every 2 --rate 50 --keys 5 --root /mine --connect {hosts}");
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

#[test]
fn a_server_that_is_not_there_is_an_error_and_no_hang() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-bench"));
    let output = command.args(["notify", "--connect", "127.0.0.1:1"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("no server of the list answers"), "{told}");
}
