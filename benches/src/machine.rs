//! Where and with what a run was made: the first line of its file. What cannot be found out is left empty.

use crate::report;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::SystemTime,
};

/// What the lines of a file are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Which measurement.
    pub(crate) bench: String,
    /// The command that made it, without the program's folder.
    pub(crate) command: String,
    /// The server.
    pub(crate) server: String,
    /// The day, UTC.
    pub(crate) date: String,
    /// Processor, cores, kernel.
    pub(crate) machine: String,
    /// The load average of a minute at the beginning: other work disturbs.
    pub(crate) load: String,
    /// Compiler, Java, and the commit of the sources.
    pub(crate) versions: String,
}

impl Header {
    pub(crate) fn now(bench: &str, server: &str) -> Self {
        let command = std::env::args().skip(1).fold("zk-bench".to_owned(), |line, arg| line + " " + &arg);
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let commit = said("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
        // Slower by factors: nobody should take its figures for ours.
        let build = if cfg!(debug_assertions) { "DEBUG BUILD" } else { "" };
        if cfg!(debug_assertions) {
            report::tell("this is a debug build: its figures say nothing; cargo build --release -p zk-bench");
        }
        let java = said("java", &["-version"]);
        let versions = [build.to_owned(), said("rustc", &["--version"]), java, format!("commit {commit}")];
        Self {
            bench: bench.to_owned(),
            command,
            server: server.to_owned(),
            date: day(seconds / 86_400),
            machine: machine(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            versions: versions.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", "),
        }
    }
}

fn machine() -> String {
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first line that a program prints, wherever; nothing if it is not here.
fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}

/// A day after 1970-01-01 as people write it. Eras of 400 years from March on, as in Hinnant's `civil_from_days`.
fn day(since_1970: u64) -> String {
    let days = since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        assert_eq!([0, 59, 11_016, 20_782].map(day), ["1970-01-01", "1970-03-01", "2000-02-29", "2026-11-25"]);
    }

    #[test]
    fn a_program_that_is_not_here_says_nothing() {
        assert_eq!(said("no-such-program", &[]), "");
        assert!(machine().contains("cores"));
    }
}
