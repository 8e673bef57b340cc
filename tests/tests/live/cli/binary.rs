//! The built `zk`: run to its end, or followed while it runs.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Nothing here takes that long, not even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// `zk` with the servers it talks to.
pub struct Zk {
    servers: String,
}

impl Zk {
    pub fn new(servers: impl Into<String>) -> Self {
        Self { servers: servers.into() }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).env("ZK_CONNECT", &self.servers).env_remove("ZK_AUTH").env("TZ", "UTC");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    pub async fn run(&self, args: &[&str]) -> Ran {
        let ran = timeout(PATIENCE, self.command(args).output()).await;
        let Output { status, stdout, stderr } = ran.unwrap_or_else(|_| panic!("zk {args:?} does not end")).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// What it prints; it must work and must not complain.
    #[track_caller]
    pub fn out<'a>(&'a self, args: &'a [&'a str]) -> impl Future<Output = String> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let Ran { code, out, err } = self.run(args).await;
            assert_eq!((code, err.as_str()), (Some(0), ""), "zk {args:?} at {caller}");
            out
        }
    }

    /// What it prints with `--json`.
    pub async fn json(&self, args: &[&str]) -> Vec<Value> {
        let out = self.out(&[&["--json"], args].concat()).await;
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Follows it while it runs.
    pub fn follow(&self, args: &[&str]) -> Followed {
        let mut child = self.command(args).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Followed { child, lines }
    }
}

/// A `zk` that runs.
pub struct Followed {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Followed {
    pub async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("no line comes");
        line.unwrap().expect("it ended")
    }

    /// The first line that has this in it.
    pub async fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(text) {
                return line;
            }
        }
    }

    pub async fn json(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// Sends what Ctrl-C sends.
    pub async fn interrupt(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    }

    /// Nobody reads its output any more, as with `| head`.
    pub fn close_output(self) -> Child {
        self.child
    }

    /// Its end, and what it said on stderr.
    pub async fn end(self) -> (Option<i32>, String) {
        drop(self.lines);
        let (status, err) = end(self.child).await;
        (status.code(), err)
    }
}

/// A child's end, and what it said on stderr.
pub async fn end(child: Child) -> (ExitStatus, String) {
    let Output { status, stderr, .. } = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    (status, String::from_utf8(stderr).unwrap())
}

/// Cargo does not build it for tests of another package; so it is built here, into the folder of these tests.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let exe = std::env::current_exe().unwrap();
        let profile_folder = exe.ancestors().nth(2).expect("target/<profile>/deps/<test>");
        let profile = match profile_folder.file_name().and_then(|name| name.to_str()).unwrap() {
            "debug" => "dev",
            other => other,
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = std::process::Command::new(cargo);
        build.args(["build", "--quiet", "--package", "zk-cli", "--profile", profile, "--target-dir"]);
        build.arg(profile_folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        let built = build.status().is_ok_and(|status| status.success());
        let binary = profile_folder.join("zk").with_extension(std::env::consts::EXE_EXTENSION);
        assert!(built && binary.is_file(), "cargo build --package zk-cli does not make {}", binary.display());
        binary
    })
}
