//! One Java process on a leash: it ends when we say so, when its handle is dropped, and when our own process ends
//! in whatever way.
//!
//! Must not know that the process is a ZooKeeper server.
//!
//! Java is the child of a small shell script (`process/leash.sh`), whose standard input is a pipe that only we hold.
//! The kernel closes it when we die, and the script then kills Java. Signals go to Java's own pid.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

const LEASH: &str = include_str!("process/leash.sh");

/// Between looks whether the process has ended.
const EXIT_POLL: Duration = Duration::from_millis(2);
/// A thread stops when it comes out of the system, or of a page fault, at the latest.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);
/// A drop waits this long for a killed process to be gone; only a hanging disk lets it take that long.
const DROP_WAIT_MAX: Duration = Duration::from_secs(5);

/// A running Java, or one that ended and was not noticed yet.
#[derive(Debug)]
pub(super) struct Process {
    java: Pid,
    /// Ends as soon as Java does, with its exit code.
    script: Mutex<Child>,
    /// Closed by the drop, after Java is dead.
    _leash: ChildStdin,
}

impl Process {
    /// Starts `program`; what it prints is appended to the file `log`.
    pub(super) async fn spawn(program: PathBuf, args: Vec<OsString>, log: PathBuf) -> io::Result<Self> {
        let spawned = tokio::task::spawn_blocking(move || Self::spawn_blocking(&program, &args, &log));
        spawned.await.map_err(io::Error::other)?
    }

    fn spawn_blocking(program: &Path, args: &[OsString], log: &Path) -> io::Result<Self> {
        let mut script = leashed(program, args, log).stdout(Stdio::piped()).spawn()?;
        let no_pipe = || io::Error::other("no pipe to the shell");
        let leash = script.stdin.take().ok_or_else(no_pipe)?;
        let mut line = String::new();
        BufReader::new(script.stdout.take().ok_or_else(no_pipe)?).read_line(&mut line)?;
        match line.trim().parse().ok().and_then(Pid::from_raw) {
            Some(java) => Ok(Self { java, script: Mutex::new(script), _leash: leash }),
            None => Err(io::Error::other(format!("the shell said {line:?} instead of a pid"))),
        }
    }

    /// Java's pid, not the script's.
    pub(super) fn pid(&self) -> u32 {
        self.java.as_raw_nonzero().get().unsigned_abs()
    }

    /// How Java ended, once it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok().flatten()
    }

    /// Sends a signal, unless the process has ended already: its pid may be another's now.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.ended() {
            None => Ok(kill_process(self.java, signal)?),
            Some(_) => Ok(()),
        }
    }

    /// Stops it, and waits until none of its threads runs any more: each of them stops when it comes to it.
    pub(super) fn stop(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let begin = Instant::now();
        while runs(self.pid()) && begin.elapsed() < STOP_WAIT_MAX {
            thread::yield_now();
        }
        Ok(())
    }

    /// Waits until the process has ended; false if it has not within the limit.
    pub(super) async fn wait(&self, limit: Duration) -> bool {
        let begin = Instant::now();
        while self.ended().is_none() {
            if begin.elapsed() > limit {
                return false;
            }
            sleep(EXIT_POLL).await;
        }
        true
    }
}

impl Drop for Process {
    /// Blocks until the process is gone, a few milliseconds: its folder is removed next.
    fn drop(&mut self) {
        let _ = self.signal(Signal::KILL); // fails only if it is gone
        let begin = Instant::now();
        while self.ended().is_none() && begin.elapsed() < DROP_WAIT_MAX {
            thread::sleep(EXIT_POLL);
        }
    }
}

/// Whether a thread of this process is neither stopped nor at its end; no, where the system does not say.
fn runs(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| matches!(state(&thread.path()), Some(state) if !"TZX".contains(state)))
}

/// The letter for what a process or thread does, by its folder in /proc; none if there is no such one.
fn state(folder: &Path) -> Option<char> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next() // behind the name, which may hold anything
}

/// The script with what it runs; its standard input is the leash, and the pid is what it says.
fn leashed(program: &Path, args: &[OsString], log: &Path) -> Command {
    let mut script = Command::new("sh");
    script.args(["-c", LEASH, "leash"]).arg(log).arg(program).args(args).stdin(Stdio::piped()).stderr(Stdio::null());
    script.process_group(0); // so that Ctrl-C in a terminal ends the test only, and the leash does the rest
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    /// Says to the test binary that it is the parent that is killed.
    const PARENT: &str = "ZK_TESTKIT_PARENT_THAT_IS_KILLED";

    async fn sleeper() -> Process {
        let log = PathBuf::from("/dev/null");
        Process::spawn("sleep".into(), vec!["1000".into()], log).await.unwrap()
    }

    #[tokio::test]
    async fn the_pid_is_the_programs_own() {
        let process = sleeper().await;
        kill_process(process.java, Signal::KILL).unwrap();
        assert!(process.wait(Duration::from_secs(10)).await);
        assert_eq!(process.ended().unwrap().code(), Some(128 + 9));
    }

    #[tokio::test]
    async fn the_exit_code_is_the_programs_own() {
        let process =
            Process::spawn("sh".into(), vec!["-c".into(), "exit 7".into()], "/dev/null".into()).await.unwrap();
        assert!(process.wait(Duration::from_secs(10)).await);
        assert_eq!(process.ended().unwrap().code(), Some(7));
    }

    /// A signal alone says only that they will stop: a server has answered after it.
    #[tokio::test]
    async fn none_of_its_threads_runs_when_it_is_stopped() {
        let spins = ["--exact", "launcher::process::tests::busy_threads", "--ignored"].map(OsString::from).to_vec();
        let busy = Process::spawn(env::current_exe().unwrap(), spins, "/dev/null".into()).await.unwrap();
        let threads = || fs::read_dir(format!("/proc/{}/task", busy.pid())).unwrap().count();
        until("they run", || threads() > BUSY);
        for _ in 0..50 {
            busy.stop().unwrap();
            assert!(!runs(busy.pid()));
            busy.signal(Signal::CONT).unwrap();
            until("they run again", || runs(busy.pid()));
        }
    }

    const BUSY: usize = 8;

    #[test]
    #[ignore = "the process that the test above starts and ends"]
    fn busy_threads() {
        if env::args().any(|arg| arg == "--exact") {
            let busy = [(); BUSY].map(|()| thread::spawn(|| while thread::current().name().is_none() {}));
            for thread in busy {
                thread.join().unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_drop_ends_it_also_when_it_is_stopped() {
        let process = sleeper().await;
        let pid = process.java;
        process.signal(Signal::STOP).unwrap();
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    /// Between the start of the script and the pid that it says there is no one yet who could end the program but the script.
    #[test]
    fn it_dies_with_a_parent_that_has_not_heard_its_pid() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let (nobody, said) = io::pipe().unwrap();
        drop(nobody);
        let args = ["-c".into(), "echo $$; exec sleep 1000".into()];
        let mut script = leashed(Path::new("sh"), &args, log.path()).stdout(said).spawn().unwrap();
        until("it runs", || fs::read_to_string(log.path()).unwrap().ends_with('\n'));
        let pid = fs::read_to_string(log.path()).unwrap().trim().parse().unwrap();
        script.wait().unwrap(); // lets go of the leash first
        until("it has ended", || has_ended(pid));
    }

    #[test]
    fn it_dies_with_its_parent_also_when_it_is_stopped() {
        let mut parent = Command::new(env::current_exe().unwrap())
            .args(["--exact", "launcher::process::tests::parent_that_is_killed", "--ignored", "--nocapture"])
            .env(PARENT, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map(Result::unwrap);
        let pid = lines.find_map(|line| line.split_once("started ")?.1.parse().ok()).unwrap();
        until("it is stopped", || state_of(pid) == Some('T'));
        parent.kill().unwrap(); // SIGKILL: no drop runs
        parent.wait().unwrap();
        until("it has ended", || has_ended(pid));
    }

    #[tokio::test]
    #[ignore = "the process that the test above starts and kills"]
    async fn parent_that_is_killed() {
        if env::var_os(PARENT).is_some() {
            // No SIGHUP ends it.
            let script = "trap '' HUP; kill -STOP $$; exec sleep 1000";
            let process =
                Process::spawn("sh".into(), vec!["-c".into(), script.into()], "/dev/null".into()).await.unwrap();
            println!("started {}", process.pid());
            std::future::pending::<()>().await;
        }
    }

    fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(20), "not so yet: {what}");
            thread::yield_now();
        }
    }

    fn state_of(pid: u32) -> Option<char> {
        state(Path::new(&format!("/proc/{pid}")))
    }

    /// Be it that nobody has asked for its exit code.
    fn has_ended(pid: u32) -> bool {
        matches!(state_of(pid), None | Some('Z' | 'X'))
    }
}
