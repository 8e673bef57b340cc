//! Clients of other languages: the same program against the in-process server and against a real one. Both must make
//! it print what stands in its `.out` file, so a difference is the test server's, and a wrong `.out` file shows too.
//!
//! The programs are in `tests/foreign`. A toolchain that is not here is said on stderr, and its test does nothing.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use zk_testkit::{
    launcher::{Ensemble, Version},
    proxy::{End, Proxy},
    server::TestServer,
};
use zk_tests::real;

#[path = "foreign/recipes.rs"]
mod recipes;
#[path = "foreign/tools.rs"]
mod tools;
#[path = "foreign/zkcli.rs"]
mod zkcli;

/// No program takes that long, not even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the program talks to, and the wire to it that can be cut. A real server is not restarted for that: one that is just
/// starting takes connections that it never answers, and kazoo waits for it until its session has expired.
struct Host {
    proxy: Proxy,
    _server: Server,
}

enum Server {
    Test(TestServer),
    Real(Ensemble),
}

impl Host {
    async fn test() -> Self {
        Self::behind_proxy(Server::Test(TestServer::start().await.unwrap())).await
    }

    async fn real(version: Version) -> Self {
        Self::behind_proxy(Server::Real(real(version).start().await.unwrap())).await
    }

    async fn behind_proxy(server: Server) -> Self {
        let addr = match &server {
            Server::Test(server) => server.addr(),
            Server::Real(ensemble) => ensemble.servers()[0].addr(),
        };
        Self { proxy: Proxy::start(addr).await.unwrap(), _server: server }
    }

    fn addr(&self) -> SocketAddr {
        self.proxy.addr()
    }

    /// Every connection ends; sessions do not.
    fn drop_connections(&self) {
        self.proxy.end_all(End::Reset);
    }
}

/// What a program said: its `OK` lines, and what it told a person who looks for what went wrong.
struct Said {
    lines: String,
    log: String,
}

/// Runs a program to its end, and does what it asks for.
async fn play(host: Host, mut program: Command) -> Said {
    program.arg(host.addr().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.kill_on_drop(true).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let log = tokio::spawn(async move {
        let mut log = String::new();
        stderr.read_to_string(&mut log).await.ok();
        log
    });
    let mut lines = String::new();
    let ended = timeout(PATIENCE, converse(&mut child, &host, &mut lines)).await;
    if !matches!(ended, Ok(true)) {
        child.start_kill().ok();
        let ending = if ended.is_err() { "does not end" } else { "failed" };
        panic!("{program:?} {ending}\nIt said:\n{lines}\n{}", log.await.unwrap());
    }
    Said { lines, log: log.await.unwrap() }
}

/// Whether it ended well.
async fn converse(child: &mut Child, host: &Host, said: &mut String) -> bool {
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line == "ASK drop" {
            host.drop_connections();
            stdin.write_all(b"done\n").await.unwrap();
        } else {
            said.push_str(&line);
            said.push('\n');
        }
    }
    child.wait().await.unwrap().success()
}

/// Plays a program against both, and compares with what it is known to print.
async fn check(program: impl Fn() -> Command, expected: &str) {
    let test = play(Host::test().await, program()).await;
    assert_eq!(test.lines, expected, "against the test server; its log:\n{}", test.log);
    let real = play(Host::real(Version::V3_9).await, program()).await;
    assert_eq!(real.lines, expected, "against a real server; its log:\n{}", real.log);
}

fn java(main: &str) -> Option<impl Fn() -> Command + use<>> {
    let (classes, main) = (tools::java()?, main.to_owned());
    Some(move || {
        let mut java = Command::new("java");
        java.arg("-cp").arg(&classes).arg(&main);
        java
    })
}

#[tokio::test]
async fn the_java_client() {
    let Some(program) = java("JavaClient") else { return };
    check(program, include_str!("../../foreign/java/JavaClient.out")).await;
}

#[tokio::test]
async fn curators_recipes() {
    let Some(program) = java("Curator") else { return };
    check(program, include_str!("../../foreign/java/Curator.out")).await;
}

#[tokio::test]
async fn kazoo() {
    let Some(python) = tools::kazoo() else { return };
    let program = || {
        let mut command = Command::new(&python);
        command.arg(tools::source("kazoo/client.py"));
        command
    };
    check(program, include_str!("../../foreign/kazoo/client.out")).await;
}

#[tokio::test]
async fn go_zookeeper() {
    let Some(program) = tools::go() else { return };
    check(|| Command::new(&program), include_str!("../../foreign/go/main.out")).await;
}
