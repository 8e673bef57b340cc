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

/// What the program talks to.
enum Host {
    Test(TestServer),
    Real(Ensemble),
}

impl Host {
    async fn test() -> Self {
        Self::Test(TestServer::start().await.unwrap())
    }

    async fn real() -> Self {
        Self::Real(real(Version::V3_9).start().await.unwrap())
    }

    fn addr(&self) -> SocketAddr {
        match self {
            Self::Test(server) => server.addr(),
            Self::Real(ensemble) => ensemble.servers()[0].addr(),
        }
    }

    /// Every connection ends; sessions do not.
    async fn drop_connections(&mut self) {
        match self {
            Self::Test(server) => server.drop_connections(),
            Self::Real(ensemble) => {
                let server = ensemble.server_mut(0).unwrap();
                server.kill_9().await.unwrap();
                server.start().await.unwrap();
            }
        }
    }
}

/// Runs a program to its end, does what it asks for, and gives its `OK` lines.
async fn play(mut host: Host, mut program: Command) -> String {
    program.arg(host.addr().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.kill_on_drop(true).spawn().unwrap();
    let mut said = String::new();
    let ended = timeout(PATIENCE, converse(&mut child, &mut host, &mut said)).await;
    let mut err = String::new();
    if !matches!(ended, Ok(true)) {
        child.start_kill().ok();
        child.stderr.take().unwrap().read_to_string(&mut err).await.ok();
        panic!("{program:?} {}\nIt said:\n{said}\n{err}", if ended.is_err() { "does not end" } else { "failed" });
    }
    said
}

/// Whether it ended well.
async fn converse(child: &mut Child, host: &mut Host, said: &mut String) -> bool {
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line == "ASK drop" {
            host.drop_connections().await;
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
    let said = play(Host::test().await, program()).await;
    assert_eq!(said, expected, "against the test server");
    let said = play(Host::real().await, program()).await;
    assert_eq!(said, expected, "against a real server");
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
