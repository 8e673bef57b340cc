//! `zk watch`: its lines, over a server that dies, and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use zk_client::{Client, CreateMode, OPEN_ACL_UNSAFE, Transaction};

use super::binary::end;
use super::server;

#[tokio::test]
async fn watch_prints_a_line_a_change_for_people() {
    let (mut ensemble, zk) = server().await;
    zk.out(&["create", "/a", "old"]).await;
    let mut watch = zk.follow(&["watch", "/a"]);
    watch.line_with("session   0x").await;
    let line = watch.line_with("ready").await;
    assert!(line.contains("/a  1 znode  zxid 0x"), "{line}");
    zk.out(&["set", "/a", "new \"value\""]).await;
    let line = watch.line().await;
    let (clock, rest) = line.split_at("00:00:00.000".len());
    assert!(clock.split(['.', ':']).all(|number| number.parse::<u16>().is_ok()), "{line}");
    assert!(rest.starts_with("  changed   /a  \"old\" → \"new \\\"value\\\"\"  zxid 0x"), "{line}");
    zk.out(&["create", "/a/b"]).await;
    assert!(watch.line().await.contains("added     /a/b  \"\"  zxid"));
    ensemble.server_mut(0).unwrap().kill_9().await.unwrap();
    watch.line_with("has no connection").await;
    watch.line_with("gap       the connection was lost").await;
    ensemble.server_mut(0).unwrap().start().await.unwrap();
    watch.line_with("resynced").await;
    // A change of /a's children only is not for people.
    zk.out(&["delete", "/a/b"]).await;
    assert!(watch.line().await.contains("removed   /a/b  \"\"  zxid"));
    watch.interrupt().await;
    assert_eq!(watch.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn watch_ends_quietly_when_nobody_reads_it() {
    let (_ensemble, zk) = server().await;
    zk.out(&["create", "/a"]).await;
    for args in [&["watch", "/a"][..], &["watch", "--json", "/a"]] {
        let mut watch = zk.follow(args);
        watch.line_with("ready").await;
        let child = watch.close_output();
        zk.out(&["set", "/a", "1"]).await;
        let (status, err) = end(child).await;
        assert_eq!((status.code(), err.as_str()), (Some(0), ""));
    }
}

#[tokio::test]
async fn watch_lines_fold_to_the_tree_over_kill_9() {
    let (mut ensemble, zk) = server().await;
    let client = Client::connect(&ensemble.connect_string()).await.unwrap();
    for path in ["/c", "/c/folder", "/c/hot"] {
        client.create(path, &[0xff, 0], CreateMode::Persistent, OPEN_ACL_UNSAFE).await.unwrap();
    }
    let mut watch = zk.follow(&["watch", "--json", "/c"]);
    let mut fold = Fold::default();
    while fold.take(watch.json().await) != "ready" {}
    assert_eq!(fold.znodes.len(), 3);

    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write_until(client.clone(), stop.clone()));
    for _ in 0..2 {
        for _ in 0..300 {
            fold.take(watch.json().await);
        }
        ensemble.server_mut(0).unwrap().kill_9().await.unwrap();
        while fold.take(watch.json().await) != "gap" {}
        ensemble.server_mut(0).unwrap().start().await.unwrap();
        while fold.take(watch.json().await) != "resynced" {}
    }
    stop.store(true, Ordering::Release);
    writer.await.unwrap();
    assert!(fold.states.contains(&"suspended".to_owned()) && fold.states.contains(&"connected".to_owned()));

    // The same version as before, so only czxid tells that it is another znode.
    client.delete("/c/hot", None).await.unwrap();
    client.create("/c/hot", b"again", CreateMode::Persistent, OPEN_ACL_UNSAFE).await.unwrap();
    let tree: BTreeMap<String, Value> = zk.json(&["tree", "/c"]).await.into_iter().map(entry).collect();
    while fold.znodes != tree {
        fold.take(watch.json().await);
    }
    watch.interrupt().await;
    assert_eq!(watch.end().await, (Some(0), String::new()));
}

/// The znodes that lines of `watch --json` lead to.
#[derive(Default)]
struct Fold {
    znodes: BTreeMap<String, Value>,
    states: Vec<String>,
    ready: bool,
}

impl Fold {
    /// Applies a line; answers its kind.
    fn take(&mut self, mut line: Value) -> String {
        let kind = line["kind"].as_str().unwrap().to_owned();
        match kind.as_str() {
            "added" | "changed" | "removed" => {
                assert!(line["zxid"].is_i64(), "{line}");
                let path = line["path"].as_str().unwrap().to_owned();
                let (old, new) = (line["old"].take(), line["new"].take());
                assert_eq!((old.is_null(), new.is_null()), (kind == "added", kind == "removed"));
                let before = if new.is_null() { self.znodes.remove(&path) } else { self.znodes.insert(path, new) };
                assert_eq!(before.unwrap_or_default(), old, "{line}");
            }
            "ready" => self.ready = true,
            "state" => self.states.push(line["state"].as_str().unwrap().to_owned()),
            "gap" | "resynced" => {}
            other => panic!("no such kind: {other}"),
        }
        assert!(self.ready || kind == "added", "{line}");
        kind
    }
}

/// A line of `tree --json` as path and value.
fn entry(mut line: Value) -> (String, Value) {
    let path = line.as_object_mut().unwrap().remove("path").unwrap();
    (path.as_str().unwrap().to_owned(), line)
}

/// Writes all kinds of changes, and goes on when the server dies.
async fn write_until(client: Client, stop: Arc<AtomicBool>) {
    let mode = CreateMode::Persistent;
    for number in 0_u32.. {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let child = format!("/c/folder/n{}", number % 7);
        // What fails because of the one before, or because the server is gone, is part of it.
        let _ = match number % 5 {
            0 => client.create(&child, &number.to_be_bytes(), mode, OPEN_ACL_UNSAFE).await.map(drop),
            1 => client.set_data("/c/hot", number.to_string().as_bytes(), None).await.map(drop),
            2 => client.set_data(&child, b"", None).await.map(drop),
            3 => client.delete(&format!("/c/folder/n{}", number % 3), None).await,
            _ => {
                let data = number.to_le_bytes();
                let both = Transaction::new().set_data("/c", b"both", None).set_data("/c/hot", &data, None);
                client.commit(&both).await.map(drop)
            }
        };
    }
}
