//! A watcher in a process of its own: started, listened to, and ended with us.

use crate::error::Failure;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
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
}

impl Watcher {
    /// Starts this program with a subcommand of its own.
    pub(crate) fn spawn(name: &str, args: &[String]) -> Result<Self, Failure> {
        let failed = || Failure::io("start a watcher");
        let program = std::env::current_exe().map_err(failed())?;
        let mut child = Command::new(program)
            .args(args)
            .args(["--name", name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed())?;
        let (sender, lines) = sync_channel(LINES_MAX);
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                // An error says that nobody wants lines any more.
                BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
            });
        }
        Ok(Self { name: name.to_owned(), child, lines })
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
}

impl Watcher {
    /// Its last line, and then its end: a profiler around it still has to write what it found.
    pub(crate) fn last_line(self, patience: Duration) -> Result<String, Failure> {
        let line = self.line(patience)?;
        while self.lines.recv_timeout(patience).is_ok() {}
        Ok(line)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
