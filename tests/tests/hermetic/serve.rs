//! `zk serve`, the binary: a server that starts, is used by `zk`, records, and ends when it is told to.

use std::{collections::BTreeMap, io::Write as _, time::Instant};

use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

#[allow(dead_code, reason = "shared with the live tests, which use all of it")]
#[path = "../live/cli/binary.rs"]
pub(crate) mod binary;

use binary::{Followed, Ran, Zk};

/// Starts it on any port; answers its address too.
async fn serve(args: &[&str]) -> (Followed, String) {
    let all = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
    let mut serving = Zk::new("").follow(&all);
    let ready = serving.line_with("READY").await;
    let addr = ready.split(' ').nth(1).expect("an address").to_owned();
    assert!(ready.ends_with("for development and tests: one process, in memory, not replicated"), "{ready}");
    (serving, addr)
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

async fn refused(args: &[&str]) -> String {
    let Ran { code, out, err } = Zk::new("").run(&[&["serve"], args].concat()).await;
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    err
}

#[tokio::test]
async fn it_serves_a_tree_from_a_file_until_it_is_told_to_end() {
    let data = file(r#"{"/app/limits/rate": "100", "/app/db": "db1"}"#);
    let (serving, addr) = serve(&["--data", data.path().to_str().unwrap()]).await;
    let zk = Zk::new(addr);
    assert_eq!(zk.out(&["ls", "-R", "/app"]).await, "/app\n/app/db\n/app/limits\n/app/limits/rate\n");
    zk.out(&["set", "/app/db", "db2"]).await;
    let lines = zk.out(&["tree", "--json"]).await;
    serving.interrupt().await;
    assert_eq!(serving.end().await, (Some(0), String::new()));

    // What one server held, another begins with.
    let data = file(&lines);
    let (serving, addr) = serve(&["--data", data.path().to_str().unwrap(), "--version-profile", "3.6"]).await;
    let again = Zk::new(addr).json(&["tree"]).await;
    let short = |lines: &[Value]| -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        lines.iter().map(|line| (text(&line["path"]), text(&line["data"]))).collect()
    };
    let before: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(short(&again), short(&before));
    serving.interrupt().await;
    assert_eq!(serving.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn what_cannot_be_says_what_to_do() {
    let err = refused(&["--listen", "0.0.0.0:0"]).await;
    assert!(err.contains("other machines could come in") && err.contains("--allow-remote"), "{err}");
    let err = refused(&["--listen", "2181"]).await;
    assert!(err.contains("write HOST:PORT"), "{err}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let err = refused(&["--listen", &taken.local_addr().unwrap().to_string()]).await;
    assert!(err.contains("is taken, perhaps by another ZooKeeper"), "{err}");
    let data = file("{\n\"/a\": \"1\",\n\"/b/\": \"2\"\n}");
    let err = refused(&["--listen", "127.0.0.1:0", "--data", data.path().to_str().unwrap()]).await;
    assert!(err.contains(": line 3: \"/b/\": "), "{err}");
    let err = refused(&["--listen", "127.0.0.1:0", "--record", data.path().to_str().unwrap()]).await;
    assert!(err.contains("the file exists"), "{err}");
}

#[tokio::test]
async fn a_record_is_in_the_vectors_format_and_keeps_no_secret() {
    let folder = TempDir::new().unwrap();
    for (name, extra, is_secret_there) in [("a", &[][..], false), ("b", &["--record-secrets"], true)] {
        let path = folder.path().join(name);
        let path = path.to_str().unwrap();
        let (serving, addr) = serve(&[&["--record", path], extra].concat()).await;
        Zk::new(addr).out(&["--auth", "digest:ann:secret", "create", "/a", "data"]).await;
        serving.interrupt().await;
        let (code, err) = serving.end().await;
        assert!(code == Some(0) && err.contains("every frame is recorded in"), "{err}");
        let text = std::fs::read_to_string(path).unwrap();
        let frames: Vec<(i64, String, Vec<u8>)> = text.lines().map(frame).collect();
        assert!(frames.len() >= 8 && frames.iter().all(|(conn, ..)| *conn == 1), "{text}");
        assert_eq!((&*frames[0].1, frames[0].2.len()), ("c2s", 45));
        assert_eq!((&*frames[1].1, frames[1].2.len()), ("s2c", 37));
        let has = |what: &[u8]| frames.iter().any(|(.., frame)| frame.windows(what.len()).any(|part| part == what));
        assert!(has(b"digest") && has(b"data"));
        assert_eq!(has(b"ann:secret"), is_secret_there);
        assert_eq!(frames[1].2[20..36] != [0; 16], is_secret_there, "the session's password");
    }
}

/// A line as `tests/tests/vectors/java-*.jsonl` has them.
fn frame(line: &str) -> (i64, String, Vec<u8>) {
    let value: Value = serde_json::from_str(line).unwrap();
    let hex = value["frame"].as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let frame = (0..hex.len()).step_by(2).map(byte).collect();
    (value["conn"].as_i64().unwrap(), value["dir"].as_str().unwrap().to_owned(), frame)
}

#[tokio::test]
async fn a_program_can_read_its_lines_and_latency_is_felt() {
    let args = ["serve", "--listen", "127.0.0.1:0", "--json", "-v", "--latency", "40"];
    let mut serving = Zk::new("").follow(&args);
    let ready = serving.json().await;
    assert_eq!((&ready["event"], &ready["version"]), (&"ready".into(), &"3.9.5".into()));
    let begin = Instant::now();
    Zk::new(ready["address"].as_str().unwrap()).out(&["ls", "/"]).await;
    // the greeting, the answer
    assert!(begin.elapsed().as_millis() >= 80, "{:?}", begin.elapsed());
    let events = [serving.json().await, serving.json().await, serving.json().await];
    assert_eq!(events.each_ref().map(|event| event["event"].as_str().unwrap()), ["opened", "session", "closed"]);
    assert!(events.iter().all(|event| event["conn"] == 1) && events[1]["timeout_ms"] == 10_000, "{events:?}");
    serving.interrupt().await;
    assert_eq!(serving.end().await.0, Some(0));
}
