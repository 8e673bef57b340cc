//! One real server: its process, its client port, its folder.
//!
//! Must not know the other members of its ensemble, or ZooKeeper's client protocol.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::config::Layout;
use super::process::Process;
use super::{LauncherError, Version};

/// Between looks whether a server serves.
pub(super) const SERVING_POLL: Duration = Duration::from_millis(20);
/// Starts of a server, or of an ensemble, that finds one of its ports taken.
pub(super) const START_ATTEMPTS: usize = 3;
/// A running server answers a four-letter word in milliseconds; a paused one never.
const WORD_WAIT: Duration = Duration::from_secs(5);
/// The same while we look again and again.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// A server that is told to end closes its connections and its log first.
const TERMINATE_WAIT: Duration = Duration::from_secs(10);
/// Lines of the log for a look at it, and for an error.
const LOG_TAIL_LINES: usize = 100;
const LOG_QUOTE_LINES: usize = 5;
/// What Java says where a port is taken.
const PORT_TAKEN: &str = "Address already in use";

/// A real server of an [`Ensemble`](super::Ensemble). It keeps its ports and its data when it is ended and started
/// again.
#[derive(Debug)]
pub struct Server {
    index: usize,
    version: Version,
    addr: SocketAddr,
    layout: Layout,
    java: PathBuf,
    args: Vec<OsString>,
    limit: Duration,
    process: Option<Process>,
    /// Where in the log the present process began, in bytes.
    log_from: usize,
}

/// What a server is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) index: usize,
    pub(super) version: Version,
    pub(super) addr: SocketAddr,
    pub(super) layout: Layout,
    pub(super) java: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) limit: Duration,
}

impl Server {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { index, version, addr, layout, java, args, limit } = parts;
        Self { index, version, addr, layout, java, args, limit, process: None, log_from: 0 }
    }

    /// The client port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The version that runs; for [`Version::any`] and for substitutes (`$ZK_HOME`, Debian) the one that was found.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The pid of its Java; `None` if it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.running().ok().map(Process::pid)
    }

    /// Whether it has a process; a paused server has.
    pub fn is_running(&self) -> bool {
        self.running().is_ok()
    }

    /// Ends it at once, as a crash would, and waits until it is gone. Not an error if it is not running.
    ///
    /// # Errors
    /// [`LauncherError::StillRunning`] if the kernel takes its time.
    pub async fn kill_9(&mut self) -> Result<(), LauncherError> {
        self.end_by(&[Signal::KILL]).await
    }

    /// Ends it as an operator would (SIGTERM), and waits until it is gone. Not an error if it is not running.
    ///
    /// # Errors
    /// [`LauncherError::StillRunning`] if it takes more than 10 s.
    pub async fn terminate(&mut self) -> Result<(), LauncherError> {
        self.end_by(&[Signal::TERM, Signal::CONT]).await // a paused one would never hear it
    }

    /// Freezes it (SIGSTOP): connections stay open and nothing answers any more.
    ///
    /// # Errors
    /// [`LauncherError::NotRunning`].
    pub fn pause(&self) -> Result<(), LauncherError> {
        self.running()?.stop().map_err(LauncherError::io(format!("stop server {}", self.index)))
    }

    /// Lets it go on after [`Server::pause`] (SIGCONT).
    ///
    /// # Errors
    /// [`LauncherError::NotRunning`].
    pub fn resume(&self) -> Result<(), LauncherError> {
        self.signal(Signal::CONT)
    }

    /// Starts it again, on the same ports with the same data, and waits until it serves. A member of a quorum does
    /// not without one: to start several, [`Server::spawn`] each, then
    /// [`Ensemble::wait_until_serving`](super::Ensemble::wait_until_serving).
    ///
    /// # Errors
    /// As [`Launcher::start`](super::Launcher::start).
    pub async fn start(&mut self) -> Result<(), LauncherError> {
        let mut attempt = 1;
        loop {
            self.spawn().await?;
            match self.wait_until_serving().await {
                Err(LauncherError::PortTaken { .. }) if attempt < START_ATTEMPTS => self.kill_9().await?,
                done => return done,
            }
            attempt += 1;
        }
    }

    /// Starts its process and does not wait. Does nothing if it is running.
    ///
    /// # Errors
    /// [`LauncherError::Io`] if there is no process to be had.
    pub async fn spawn(&mut self) -> Result<(), LauncherError> {
        if self.is_running() {
            return Ok(());
        }
        self.log_from = self.log().len();
        let process = Process::spawn(self.java.clone(), self.args.clone(), self.layout.log()).await;
        self.process = Some(process.map_err(LauncherError::io(format!("run {}", self.java.display())))?);
        Ok(())
    }

    /// Waits until it serves; a server in read-only mode does.
    ///
    /// # Errors
    /// [`LauncherError::NotRunning`], [`LauncherError::Exited`], [`LauncherError::PortTaken`],
    /// [`LauncherError::NotServing`].
    pub async fn wait_until_serving(&self) -> Result<(), LauncherError> {
        let begin = Instant::now();
        while self.probe().await?.is_none() {
            if begin.elapsed() > self.limit {
                return Err(self.not_serving());
            }
            sleep(SERVING_POLL).await;
        }
        Ok(())
    }

    /// Sends a four-letter word and reads the answer to its end.
    ///
    /// # Errors
    /// [`LauncherError::NoAnswer`], after 5 s at the latest.
    pub async fn four_letter_word(&self, word: &str) -> Result<String, LauncherError> {
        self.ask(word, WORD_WAIT).await
    }

    /// What it is: `leader`, `follower`, `observer`, `standalone` or `read-only`.
    ///
    /// # Errors
    /// [`LauncherError::NoAnswer`]; [`LauncherError::NotServing`] while it looks for a leader.
    pub async fn mode(&self) -> Result<String, LauncherError> {
        let answer = self.ask("srvr", WORD_WAIT).await?;
        mode_in(&answer).ok_or_else(|| self.not_serving())
    }

    /// The last 100 lines of its log, of warnings and worse. For more of it, set the
    /// [`system_property`](super::Launcher::system_property) `org.slf4j.simpleLogger.defaultLogLevel` to `info`.
    pub fn log_tail(&self) -> String {
        last_lines(&String::from_utf8_lossy(&self.log()), LOG_TAIL_LINES)
    }

    /// Its mode if it serves, `None` if it does not yet.
    pub(super) async fn probe(&self) -> Result<Option<String>, LauncherError> {
        let process = self.process.as_ref().ok_or(LauncherError::NotRunning { server: self.index })?;
        let ended = process.ended(); // before the log is read, so that the log is complete
        let log = self.log_of_this_process();
        let quote = || quote(&log);
        if log.contains(PORT_TAKEN) {
            return Err(LauncherError::PortTaken { server: self.index, log: quote() });
        }
        if let Some(status) = ended {
            return Err(LauncherError::Exited { server: self.index, code: status.code(), log: quote() });
        }
        Ok(self.ask("srvr", PROBE_WAIT).await.ok().as_deref().and_then(mode_in))
    }

    pub(super) fn not_serving(&self) -> LauncherError {
        let log = quote(&self.log_of_this_process());
        LauncherError::NotServing { server: self.index, waited: self.limit, log }
    }

    fn running(&self) -> Result<&Process, LauncherError> {
        self.process
            .as_ref()
            .filter(|process| process.ended().is_none())
            .ok_or(LauncherError::NotRunning { server: self.index })
    }

    fn signal(&self, signal: Signal) -> Result<(), LauncherError> {
        self.running()?.signal(signal).map_err(LauncherError::io(format!("signal server {}", self.index)))
    }

    async fn end_by(&mut self, signals: &[Signal]) -> Result<(), LauncherError> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        for signal in signals {
            process.signal(*signal).map_err(LauncherError::io(format!("signal server {}", self.index)))?;
        }
        if !process.wait(TERMINATE_WAIT).await {
            return Err(LauncherError::StillRunning { server: self.index, waited: TERMINATE_WAIT });
        }
        self.process = None;
        Ok(())
    }

    async fn ask(&self, word: &str, limit: Duration) -> Result<String, LauncherError> {
        let answer = timeout(limit, ask(self.addr, word)).await;
        let answer = answer.unwrap_or_else(|elapsed| Err(elapsed.into()));
        answer.map_err(|source| LauncherError::NoAnswer { addr: self.addr, word: word.to_owned(), source })
    }

    /// The whole log, also of earlier processes; empty before the first one.
    fn log(&self) -> Vec<u8> {
        fs::read(self.layout.log()).unwrap_or_default()
    }

    fn log_of_this_process(&self) -> String {
        String::from_utf8_lossy(self.log().get(self.log_from..).unwrap_or_default()).into_owned()
    }
}

async fn ask(addr: SocketAddr, word: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(word.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The mode in an answer to `srvr`; there is none while the server looks for a leader.
fn mode_in(answer: &str) -> Option<String> {
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(|mode| mode.trim().to_owned())
}

/// What an error says of a log: its last messages, without their stack frames, which would hide the cause.
fn quote(log: &str) -> String {
    let message = |line: &&str| !line.starts_with("\tat ") && !line.starts_with("\t... ");
    last_lines(&log.lines().filter(message).collect::<Vec<_>>().join("\n"), LOG_QUOTE_LINES)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(count);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_has_messages_only() {
        let log = "one\ntwo\n\tat java.x\nCaused by: y\n\t... 3 more\nthree\nfour\nfive\n";
        assert_eq!(quote(log), "two\nCaused by: y\nthree\nfour\nfive");
    }

    #[test]
    fn a_mode_is_there_only_when_the_server_serves() {
        assert_eq!(mode_in("Zxid: 0x0\nMode: follower\nNode count: 5\n").as_deref(), Some("follower"));
        assert_eq!(mode_in("This ZooKeeper instance is not currently serving requests\n"), None);
    }
}
