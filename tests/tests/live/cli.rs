//! The binary `zk` against a real server: what it prints, as text and as JSON, and how it fails.

use std::io::Write;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use zk_client::{CREATOR_ALL_ACL, Connector, CreateMode, OPEN_ACL_UNSAFE};
use zk_testkit::launcher::{Ensemble, Version};
use zk_tests::real;

#[path = "cli/binary.rs"]
mod binary;
#[path = "cli/watching.rs"]
mod watching;

use binary::{Ran, Zk, end};

// goal: O1
#[tokio::test]
async fn commands_print_what_zkcli_prints() {
    let (_ensemble, zk) = server().await;
    let check = async |line: &str, expected: &str| {
        let args: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(without_numbers(&zk.out(&args).await), expected, "zk {line}");
    };
    check("ls /", "[zookeeper]\n").await;
    check("create /a hello", "Created /a\n").await;
    check("create /a/c", "Created /a/c\n").await;
    check("create -s /a/q- x", "Created /a/q-0000000001\n").await;
    check("create -s -t 60000 /a/t- x", "Created /a/t-0000000002\n").await;
    check("create -c /a/b", "Created /a/b\n").await;
    check("ls /a", "[b, c, q-0000000001, t-0000000002]\n").await;
    check("get /a", "hello\n").await;
    check("set /a -5", "").await;
    check("set -v 1 -s /a x=1", STAT).await;
    check("set -v -1 /a v", "").await;
    check("get -s /a", &format!("v\n{STAT}")).await;
    check("stat /a", STAT).await;
    check("ls -s /a/c", &format!("[]\n{STAT}")).await;
    // The order is zkCli's: the children of a znode, then what is below each.
    check("create /a/c/d", "Created /a/c/d\n").await;
    check("delete /a/t-0000000002", "").await;
    check("ls -R /a", "/a\n/a/b\n/a/c\n/a/q-0000000001\n/a/c/d\n").await;
    check("tree /a", "/a = \"v\"\n├── b\n├── c\n│   └── d\n└── q-0000000001 = \"x\"\n").await;
    check("delete -v 0 /a/c/d", "").await;
    check("deleteall /a", "").await;
    check("ls -R /", "/\n/zookeeper\n/zookeeper/config\n/zookeeper/quota\n").await;
}

#[tokio::test]
async fn values_come_as_they_were_set() {
    let (_ensemble, zk) = server().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&[0xff, 0, b'\n', 1]).unwrap();
    let path = file.path().to_str().unwrap();
    zk.out(&["create", "/bytes", "--file", path]).await;
    assert_eq!(zk.command(&["get", "/bytes"]).output().await.unwrap().stdout, [0xff, 0, b'\n', 1]);
    assert_eq!(zk.json(&["get", "/bytes"]).await[0]["data"], "/wAKAQ==");
    let text = "zwei\nZeilen \"grün\" \\ \u{1}";
    zk.out(&["set", "/bytes", text]).await;
    assert_eq!(zk.out(&["get", "/bytes"]).await, format!("{text}\n"));
    assert_eq!(zk.json(&["get", "/bytes"]).await[0]["data"], text);

    let mut stdin = zk.command(&["set", "/bytes", "-f", "-"]);
    let mut child = stdin.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe").await.unwrap();
    assert!(end(child).await.0.success());
    assert_eq!(zk.out(&["get", "/bytes"]).await, "from a pipe\n");
}

#[tokio::test]
async fn every_command_prints_json() {
    let (_ensemble, zk) = server().await;
    let one = async |args: &[&str]| {
        let lines = zk.json(args).await;
        assert_eq!(lines.len(), 1, "zk {args:?}");
        lines.into_iter().next().unwrap()
    };
    let created = one(&["create", "/a", "hello"]).await;
    assert_eq!((&created["path"], &created["stat"]["data_length"]), (&json!("/a"), &json!(5)));
    assert_eq!(one(&["create", "-s", "/a/q-"]).await["path"], "/a/q-0000000000");
    let got = one(&["get", "/a"]).await;
    let stat = &got["stat"];
    assert_eq!(got, json!({"path": "/a", "data": "hello", "encoding": "utf8", "stat": stat}));
    let names = ["czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeral_owner"];
    let more = ["data_length", "num_children", "pzxid"];
    assert!(names.iter().chain(&more).all(|name| stat[name].is_i64()), "{stat}");
    assert_eq!(stat.as_object().unwrap().len(), names.len() + more.len());
    assert_eq!(one(&["stat", "/a"]).await, json!({"path": "/a", "stat": stat}));
    assert_eq!(one(&["ls", "/a"]).await, json!({"path": "/a", "children": ["q-0000000000"]}));
    assert_eq!(one(&["ls", "-s", "/a"]).await, json!({"path": "/a", "children": ["q-0000000000"], "stat": stat}));
    assert_eq!(zk.json(&["ls", "-R", "/a"]).await, [json!({"path": "/a"}), json!({"path": "/a/q-0000000000"})]);
    let set = one(&["set", "-v", "0", "/a", "b"]).await;
    assert_eq!((&set["path"], &set["stat"]["version"]), (&json!("/a"), &json!(1)));
    // Sorted by path, where "-" comes before "/".
    one(&["create", "/a-b"]).await;
    let tree = zk.json(&["tree"]).await;
    let paths: Vec<&str> = tree.iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/", "/a", "/a-b", "/a/q-0000000000", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"]);
    assert_eq!(tree[1], one(&["get", "/a"]).await);
    assert_eq!(one(&["delete", "/a-b"]).await, json!({"path": "/a-b", "deleted": 1}));
    assert_eq!(one(&["deleteall", "/a"]).await, json!({"path": "/a", "deleted": 2}));
}

#[tokio::test]
async fn paths_are_below_the_chroot() {
    let (ensemble, zk) = server().await;
    zk.out(&["create", "/app"]).await;
    let app = Zk::new(format!("{}/app", ensemble.connect_string()));
    assert_eq!(app.out(&["create", "/x", "1"]).await, "Created /x\n");
    assert_eq!(app.out(&["ls", "-R", "/"]).await, "/\n/x\n");
    assert_eq!(app.json(&["tree", "/"]).await[1]["path"], "/x");
    let mut watch = app.follow(&["watch", "--json", "/"]);
    assert_eq!([watch.json().await["path"].clone(), watch.json().await["path"].clone()], ["/", "/x"]);
    assert_eq!(zk.out(&["get", "/app/x"]).await, "1\n");
}

/// It fails with one line that has all these words, and with exit code 1, in JSON mode, too.
async fn fails(zk: &Zk, args: &[&str], words: &[&str]) {
    for json in [false, true] {
        let args: Vec<&str> = json.then_some("--json").into_iter().chain(args.iter().copied()).collect();
        let Ran { code, out, err } = zk.run(&args).await;
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1), "zk {args:?}: {err}");
        assert!(err.starts_with("zk: ") && words.iter().all(|word| err.contains(word)), "zk {args:?}: {err}");
        println!("{}", err.trim_end());
    }
}

// goal: N8
#[tokio::test]
async fn a_server_that_is_none_is_one_line_and_exit_code_1() {
    let nowhere = free_port().await;
    for command in ["ls", "get", "stat", "tree", "watch", "delete", "deleteall", "create"] {
        fails(&Zk::new(&nowhere), &[command, "/a"], &[&nowhere, "refused", "--connect"]).await;
    }
    let two = format!("{nowhere},no-such-host.invalid:1");
    fails(&Zk::new(two), &["ls", "/"], &[&nowhere, "no-such-host.invalid:1", "does not resolve"]).await;

    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = http.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = http.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
    });
    fails(&Zk::new(&address), &["ls", "/"], &[&address, "not ZooKeeper: the port speaks HTTP"]).await;
    fails(&Zk::new(&address), &["watch", "/"], &[&address, "not ZooKeeper: the port speaks HTTP"]).await;

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    fails(&Zk::new(&address), &["ls", "/", "--timeout", "300ms"], &[&address, "no answer", "300"]).await;
}

// goal: N8
#[tokio::test]
async fn options_that_make_no_sense_are_one_line_and_exit_code_1() {
    let zk = Zk::new("localhost:1");
    for (connect, words) in [
        ("host:port", ["\"port\" is no port", "--connect"]),
        ("", ["names no host", "--connect"]),
        ("zk://a", ["a scheme", "--connect"]),
        ("[::1", ["is no host", "--connect"]),
        ("a/x/", ["chroot", "--connect"]),
    ] {
        fails(&zk, &["-c", connect, "ls", "/"], &words).await;
    }
    for (option, value) in [("--connect", "user:geheim@host"), ("--auth", "geheim")] {
        fails(&zk, &[option, value, "ls", "/"], &[option]).await;
        assert!(!zk.run(&[option, value, "ls", "/"]).await.err.contains("geheim"));
    }
    fails(&zk, &["create", "-c", "a:1", "/x"], &["--connect"]).await;
    // What is no command at all is clap's, with its exit code.
    for args in [&["nothing"][..], &["set", "/a"], &["create", "-e", "-c", "/a"], &["ls", "--timeout", "x", "/"]] {
        let Ran { code, out, err } = zk.run(args).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        assert!(err.starts_with("error: "), "{err}");
    }
}

// goal: N8
#[tokio::test]
async fn a_refused_operation_is_one_line_and_exit_code_1() {
    let (ensemble, zk) = server().await;
    for command in ["ls", "get", "stat", "tree", "delete", "deleteall"] {
        fails(&zk, &[command, "/no/such"], &[command, "/no/such", "no such znode", "zk ls /no"]).await;
        fails(&zk, &[command, "no-path"], &["\"no-path\" is not a path"]).await;
    }
    fails(&zk, &["ls", "-R", "/no"], &["ls /no", "no such znode"]).await;
    fails(&zk, &["watch", "no-path"], &["\"no-path\" is not a path"]).await;
    fails(&zk, &["create", "/no/such"], &["its parent /no does not exist"]).await;
    fails(&zk, &["create", "/zookeeper"], &["exists already"]).await;
    zk.out(&["create", "/a", "x"]).await;
    zk.out(&["create", "/a/b"]).await;
    fails(&zk, &["set", "/a", "x", "-v", "7"], &["set /a", "another version"]).await;
    fails(&zk, &["delete", "/a"], &["has children", "zk deleteall /a"]).await;
    fails(&zk, &["deleteall", "/"], &["root cannot be deleted"]).await;
    fails(&zk, &["delete", "/zookeeper/config"], &["for itself"]).await;
    let elsewhere = Zk::new(format!("{}/nowhere", ensemble.connect_string()));
    fails(&elsewhere, &["ls", "/"], &["the chroot", "does not exist"]).await;

    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(1_100_000).unwrap();
    let file = large.path().to_str().unwrap();
    fails(&zk, &["set", "/a", "--file", file], &["set /a", "too large", "1 MB"]).await;
    fails(&zk, &["create", "/large", "--file", file], &["create /large", "too large", "1 MB"]).await;
    fails(&zk, &["set", "/a", "--file", "/no/such/file"], &["/no/such/file"]).await;
    assert_eq!(zk.out(&["get", "/a"]).await, "x\n");
}

// goal: N8
#[tokio::test]
async fn no_permission_is_one_line_and_exit_code_1() {
    let (ensemble, zk) = server().await;
    let owner = Connector::new(&ensemble.connect_string()).unwrap().auth("digest", b"me:geheim");
    let owner = owner.connect().await.unwrap();
    owner.create("/open", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await.unwrap();
    owner.create("/open/mine", b"x", CreateMode::Persistent, CREATOR_ALL_ACL).await.unwrap();
    let words = ["/open/mine", "no permission", "--auth"];
    for args in
        [&["get", "/open/mine"][..], &["set", "/open/mine", "y"], &["ls", "/open/mine"], &["tree", "/open/mine"]]
    {
        fails(&zk, args, &words).await;
    }
    fails(&zk, &["create", "/open/mine/child"], &words).await;
    fails(&zk, &["watch", "/open/mine"], &["watch /open/mine", "permission", "--auth"]).await;
    // What can be read is printed, and what cannot is named.
    let Ran { code, out, err } = zk.run(&["tree", "/open"]).await;
    assert_eq!((code, out.as_str()), (Some(1), "/open\n"));
    assert!(err.starts_with("zk: /open/mine: no permission") && err.lines().count() == 1, "{err}");

    assert_eq!(zk.out(&["get", "/open/mine", "--auth", "digest:me:geheim"]).await, "x\n");
    fails(&zk, &["get", "/open/mine", "--auth", "nonsense:me"], &["does not accept the credentials", "--auth"]).await;
}

#[tokio::test]
async fn an_ephemeral_znode_lives_until_ctrl_c() {
    let (_ensemble, zk) = server().await;
    let mut create = zk.follow(&["create", "-e", "/mine", "here"]);
    assert_eq!(create.line().await, "Created /mine");
    assert_eq!(zk.out(&["get", "/mine"]).await, "here\n");
    create.interrupt().await;
    let (code, err) = create.end().await;
    assert_eq!(code, Some(0));
    assert!(err.contains("/mine is ephemeral") && err.contains("Ctrl-C"), "{err}");
    assert_eq!(zk.out(&["ls", "/"]).await, "[zookeeper]\n");
}

#[tokio::test]
async fn the_demo_shows_what_it_promises() {
    let zk = Zk::new("");
    for server in [&["demo"][..], &["demo", "--real"]] {
        let out = zk.out(server).await;
        println!("{out}");
        assert!(out.lines().count() <= 40, "{}", out.lines().count());
        for words in ["GAP", "RESYNCED", "created again; version 1 → 1", "equals a fresh walk"] {
            assert!(out.contains(words), "{words}");
        }
    }
    let lines = zk.json(&["demo"]).await;
    assert_eq!(lines.last().unwrap()["kind"], "check");
    assert!(lines.iter().any(|line| line["kind"] == "changed" && line["after_call_us"].is_i64()));
    assert!(["gap", "resynced"].iter().all(|kind| lines.iter().any(|line| line["kind"] == *kind)));
}

#[tokio::test]
async fn every_command_has_a_help_with_an_example() {
    let zk = Zk::new("");
    for command in ["ls", "get", "set", "create", "delete", "deleteall", "stat", "tree", "watch", "demo"] {
        for args in [[command, "--help"], ["help", command]] {
            let help = zk.out(&args).await;
            assert!(help.contains("Example") && help.contains(&format!("  zk {command}")), "{help}");
            assert!(help.contains("--connect") && help.contains("--json"), "{help}");
        }
    }
    assert!(zk.out(&["--help"]).await.contains("zk demo"));
    assert!(zk.out(&["--version"]).await.starts_with("zk "));
}

const STAT: &str = "cZxid = N\nctime = DATE\nmZxid = N\nmtime = DATE\npZxid = N\ncversion = N\ndataVersion = N\n\
                    aclVersion = N\nephemeralOwner = N\ndataLength = N\nnumChildren = N\n";

/// A text whose stat lines have no values; a date must look like Java's.
fn without_numbers(text: &str) -> String {
    let line = |line: &str| match line.split_once(" = ") {
        Some((name @ ("ctime" | "mtime"), date)) => {
            let words: Vec<&str> = date.split(' ').collect();
            assert!(words.len() == 6 && words[4] == "UTC", "{date}");
            format!("{name} = DATE\n")
        }
        Some((name, number)) if STAT.contains(&format!("{name} = N")) => {
            let number = number.strip_prefix("0x").unwrap_or(number);
            assert!(u64::from_str_radix(number, 16).is_ok(), "{line}");
            format!("{name} = N\n")
        }
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

async fn server() -> (Ensemble, Zk) {
    let launcher = real(Version::V3_9).system_property("zookeeper.extendedTypesEnabled", "true");
    let ensemble = launcher.tick_time(Duration::from_secs(1)).start().await.unwrap();
    let zk = Zk::new(ensemble.connect_string());
    (ensemble, zk)
}

/// An address where nobody listens.
async fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}
