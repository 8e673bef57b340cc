//! A watcher in a process of its own: started, listened to, and ended with us.

use crate::{error::Failure, parent};
use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

/// Lines that nobody has read.
const LINES_MAX: usize = 16;

/// A watcher that runs; it is killed when this is dropped.
pub(crate) struct Watcher {
    name: String,
    child: Child,
    lines: Receiver<String>,
    /// Its stdin ends when we do, however that comes; and it with that.
    _stdin: Option<ChildStdin>,
}

impl Watcher {
    /// Starts a program: its first arguments, then these, then its name as the contract says.
    pub(crate) fn spawn(name: &str, command: &[OsString], args: &[String]) -> Result<Self, Failure> {
        Self::start(name, command, args.iter().cloned().chain(["--name".to_owned(), name.to_owned()]))
    }

    /// Starts a program with these arguments and no others.
    pub(crate) fn start(
        name: &str,
        command: &[OsString],
        args: impl IntoIterator<Item = String>,
    ) -> Result<Self, Failure> {
        let (program, first) = command.split_first().ok_or(Failure::Usage("a watcher has no program"))?;
        let mut child = Command::new(program)
            .args(first)
            .args(args)
            .env(parent::ENDS_WITH_STDIN, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::io(format!("start {name}")))?;
        let (sender, lines) = sync_channel(LINES_MAX);
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                // An error says that nobody wants lines any more.
                BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
            });
        }
        let stdin = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, lines, _stdin: stdin })
    }

    /// The next line that it prints.
    pub(crate) fn line(&self, patience: Duration) -> Result<String, Failure> {
        self.lines.recv_timeout(patience).map_err(|error| {
            let what = match error {
                RecvTimeoutError::Timeout => format!("said nothing for {patience:?}"),
                RecvTimeoutError::Disconnected => "ended too early".to_owned(),
            };
            Failure::Watcher { name: self.name.clone(), what }
        })
    }

    /// Waits for the contract's first line.
    pub(crate) fn ready(&self, patience: Duration) -> Result<(), Failure> {
        match self.line(patience)? {
            line if line == "READY" => Ok(()),
            other => Err(Failure::Watcher { name: self.name.clone(), what: format!("said {other:?} and not READY") }),
        }
    }

    /// Its last line, and then its end: a profiler around it still has to write what it found.
    pub(crate) fn last_line(self, patience: Duration) -> Result<String, Failure> {
        let line = self.line(patience)?;
        while self.lines.recv_timeout(patience).is_ok() {}
        Ok(line)
    }

    /// Its last line as JSON.
    pub(crate) fn last_json<T: serde::de::DeserializeOwned>(self, patience: Duration) -> Result<T, Failure> {
        let name = self.name.clone();
        let text = self.last_line(patience)?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::Watcher { name, what: format!("said {text:?}, which is not its line: {error}") })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Watcher {
        Watcher::spawn("x", &["sh".into(), "-c".into(), script.into(), "sh".into()], &[]).unwrap()
    }

    #[test]
    fn a_watcher_is_told_its_name_and_says_its_lines() {
        let watcher = shell("echo READY; echo \"[\\\"$1\\\", \\\"$2\\\"]\"");
        watcher.ready(Duration::from_secs(10)).unwrap();
        assert_eq!(watcher.last_json::<Vec<String>>(Duration::from_secs(10)).unwrap(), ["--name", "x"]);
    }

    #[test]
    fn what_is_not_as_agreed_is_told() {
        let said = shell("echo no").ready(Duration::from_secs(10)).unwrap_err().line();
        assert_eq!(said, "the watcher x said \"no\" and not READY");
        let said = shell("exit 1").line(Duration::from_secs(10)).unwrap_err().line();
        assert_eq!(said, "the watcher x ended too early");
        assert!(
            shell("echo nothing").last_json::<u32>(Duration::from_secs(10)).unwrap_err().line().contains("nothing")
        );
        assert!(shell("cat").line(Duration::from_millis(1)).unwrap_err().line().contains("said nothing"));
    }
}
