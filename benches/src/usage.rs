//! What this process has cost so far, as the kernel says.

use crate::value::cpu_ns;
use std::fs;

/// CPU time and context switches of all threads that are alive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_ns: u64,
    pub(crate) switches: u64,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let status = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
        let switches = status
            .map(|text| number(&text, "voluntary_ctxt_switches:") + number(&text, "nonvoluntary_ctxt_switches:"))
            .sum();
        Self { cpu_ns: cpu_ns(), switches }
    }

    /// What was used since then.
    pub(crate) fn since(self, begin: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(begin.cpu_ns),
            switches: self.switches.saturating_sub(begin.switches),
        }
    }
}

/// Memory that is resident, and the most that ever was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rss_kb: u64,
    pub(crate) hwm_kb: u64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { rss_kb: number(&text, "VmRSS:"), hwm_kb: number(&text, "VmHWM:") }
    }
}

/// The number behind a label at the beginning of a line; zero if there is none.
fn number(text: &str, label: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(label));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_from_the_beginning_of_a_line() {
        let text = "VmHWM:\t    5396 kB\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t3\n";
        assert_eq!(number(text, "VmHWM:"), 5396);
        assert_eq!(number(text, "voluntary_ctxt_switches:"), 3);
        assert_eq!(number(text, "VmRSS:"), 0);
    }

    #[test]
    fn a_process_uses_something() {
        assert!(Usage::now().cpu_ns > 0 && Memory::now().hwm_kb > 0);
    }
}
