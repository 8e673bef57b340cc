//! A copy of zk-proto in which bugs are planted, compiled and looked for.
//!
//! Knows cargo and the file system; which bugs there are is the mutants' files' business.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};
use zk_tests::mutants::{Checker, Mutant};

/// Within so many schedules a bug must be found.
const SCHEDULES: &str = "10000";

/// A checker takes a second or two; a mutant may make it slow, or endless.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mutant may try to eat all memory: in KiB of address space.
const MEMORY_MAX_KIB: u32 = 4 * 1024 * 1024;

/// How a bug was found.
pub(crate) struct Found {
    /// The schedule's seed, or the test's name.
    pub(crate) place: String,
    pub(crate) rule: String,
}

/// How a checker ended.
enum Ended {
    Passed,
    Failed(String),
    Hung,
}

/// One worker's copy, and the target folder in which only what a mutant changes is compiled again.
pub(crate) struct Workshop {
    /// The true zk-proto.
    original: PathBuf,
    home: PathBuf,
}

impl Workshop {
    pub(crate) fn open(root: &Path, number: usize) -> Result<Self, String> {
        let home = root.join("target/mutants").join(number.to_string());
        let workshop = Self { original: root.join("zk-proto"), home };
        let copy = workshop.copy();
        if copy.exists() {
            fs::remove_dir_all(&copy).map_err(|error| error.to_string())?;
        }
        for folder in ["src", "tests"] {
            copy_folder(&workshop.original.join(folder), &copy.join(folder))?;
        }
        write(&copy.join("Cargo.toml"), &read(&workshop.original.join("Cargo.toml"))?)?;
        write(&workshop.home.join("Cargo.lock"), &read(&root.join("Cargo.lock"))?)?;
        write(&workshop.home.join("Cargo.toml"), &manifest(&read(&root.join("Cargo.toml"))?))?;
        Ok(workshop)
    }

    fn copy(&self) -> PathBuf {
        self.home.join("zk-proto")
    }

    /// The checker must pass on the code as it is.
    pub(crate) fn control(&self, checker: Checker) -> Result<(), String> {
        match self.check(checker)? {
            Ended::Passed => Ok(()),
            Ended::Failed(output) => Err(format!("{} fail:\n{output}", checker.name())),
            Ended::Hung => Err(format!("{} do not end", checker.name())),
        }
    }

    /// Plants a bug, looks for it and takes it out again. The error says why it does not count as found.
    pub(crate) fn plant(&self, mutant: &Mutant) -> Result<Found, String> {
        let files = mutant.apply(|file| read(&self.original.join(file)))?;
        for (file, text) in &files {
            write(&self.copy().join(file), text)?;
        }
        let ended = self.check(mutant.checker);
        for file in files.keys() {
            write(&self.copy().join(file), &read(&self.original.join(file))?)?;
        }
        match ended? {
            Ended::Passed => Err("nobody noticed".into()),
            Ended::Hung if mutant.may_hang => Ok(Found { place: "hangs".into(), rule: "-".into() }),
            Ended::Hung => Err(format!("no end within {PATIENCE:?}, and its file does not say that this counts")),
            Ended::Failed(output) => match mutant.checker {
                Checker::Schedules => schedule(&output).and_then(|found| {
                    let hangs = found.rule == "hang" && !mutant.may_hang;
                    if hangs { Err("it hangs, and its file does not say that this counts".into()) } else { Ok(found) }
                }),
                Checker::Scripts | Checker::Memory => test(&output),
            },
        }
    }

    fn check(&self, checker: Checker) -> Result<Ended, String> {
        let program = self.compile(checker)?;
        // A shell, for its limit of memory.
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -v {MEMORY_MAX_KIB}; exec \"$0\" \"$@\" 2>&1")).arg(program);
        if checker != Checker::Schedules {
            // One by one, so that a test that brings the process down has said its name.
            command.args(["--test-threads", "1"]);
        }
        command.env("ZK_SCHEDULES", SCHEDULES).env("ZK_FIRST", "1").env("ZK_THREADS", "1").env_remove("ZK_SEED");
        self.run(command.current_dir(self.copy()))
    }

    /// Runs a program to its end, or for as long as patience lasts.
    fn run(&self, command: &mut Command) -> Result<Ended, String> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.map_err(|error| format!("sh: {error}"))?;
        let mut pipe = child.stdout.take().ok_or("a program has an output")?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut output = Vec::new();
            let _ = pipe.read_to_end(&mut output); // what came until then is what there is
            let _ = tell.send(output); // nobody waits any more
        });
        let output = told.recv_timeout(PATIENCE);
        if output.is_err() {
            child.kill().map_err(|error| error.to_string())?;
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        Ok(match output {
            Err(_) => Ended::Hung,
            Ok(_) if status.success() => Ended::Passed,
            Ok(output) => Ended::Failed(String::from_utf8_lossy(&output).into_owned()),
        })
    }

    /// Compiles a checker; the path of its program.
    fn compile(&self, checker: Checker) -> Result<PathBuf, String> {
        let target: &[&str] = match checker {
            Checker::Schedules => &["--test", "schedules"],
            Checker::Scripts => &["--lib"],
            Checker::Memory => &["--test", "memory"],
        };
        let output = self.cargo(target, true)?;
        let output = if output.status.success() { output } else { self.cargo(target, false)? };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Cargo says `Executable tests/schedules.rs (PATH)`.
        let path = said.lines().find_map(|line| line.trim_start().strip_prefix("Executable ")?.rsplit_once('('));
        match path {
            Some((_, path)) if output.status.success() => Ok(self.home.join(path.trim_end_matches(')'))),
            _ => Err(format!("it does not compile:\n{said}")),
        }
    }

    /// Quick to compile rather than quick to run: a mutant changes some lines, and plays for a second.
    fn cargo(&self, target: &[&str], is_offline: bool) -> Result<Output, String> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["test", "--release", "--no-run", "-p", "zk-proto"]).args(target);
        if is_offline {
            command.arg("--offline");
        }
        command.env("CARGO_TARGET_DIR", self.home.join("target")).env("CARGO_TERM_COLOR", "never");
        command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        command.env("CARGO_PROFILE_RELEASE_INCREMENTAL", "true").env("RUSTFLAGS", "-Awarnings");
        command.current_dir(&self.home).output().map_err(|error| format!("cargo: {error}"))
    }
}

/// The workspace's manifest with one package in it.
fn manifest(text: &str) -> String {
    let line = |line: &str| match line.split_once(" = ") {
        Some(("members", _)) => "members = [\"zk-proto\"]\n".to_owned(),
        Some(("exclude", _)) => String::new(),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// `schedule N failed: RULE: DETAIL`.
fn schedule(output: &str) -> Result<Found, String> {
    let failure = output.lines().find_map(|line| line.strip_prefix("schedule ")?.split_once(" failed: "));
    let (seed, why) = failure.ok_or_else(|| format!("found, but by no schedule:\n{output}"))?;
    let rule = why.split(':').next().unwrap_or_default();
    Ok(Found { place: seed.to_owned(), rule: rule.to_owned() })
}

/// The first test that failed; the last one that began, where the process died of it.
fn test(output: &str) -> Result<Found, String> {
    let tests = || output.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    let failed = tests().find(|(_, end)| end.starts_with("FAILED")).or_else(|| tests().next_back());
    let (name, _) = failed.ok_or_else(|| format!("found, but by no test:\n{output}"))?;
    Ok(Found { place: format!("`{}`", name.trim_end_matches(" - should panic")), rule: "-".into() })
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    for entry in fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &to)?;
        } else {
            write(&to, &read(&path)?)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().ok_or("a file is in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}
