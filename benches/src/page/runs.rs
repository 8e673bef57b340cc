//! Files of JSON lines, read back.

use crate::{error::Failure, machine::Header};
use serde_json::Value;
use std::{fs, path::Path};

/// A file.
#[derive(Debug)]
pub(super) struct Run {
    /// The file's name without its end.
    pub(super) name: String,
    /// Empty in files from before there was one.
    pub(super) header: Header,
    /// All lines but the header.
    pub(super) lines: Vec<Value>,
}

impl Run {
    /// What was measured.
    pub(super) fn bench(&self) -> &str {
        let said = self.lines.first().map_or("", |line| text(line, "bench"));
        if self.header.bench.is_empty() { said } else { &self.header.bench }
    }

    /// What it was measured on.
    pub(super) fn processor(&self) -> &str {
        self.header.machine.split(',').next().unwrap_or_default()
    }

    fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let mut run = Self { name: name.to_owned(), header: Header::default(), lines: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            let failed = |error: serde_json::Error| Failure::io(format!("read {name}, line {number}"))(error.into());
            let mut value: Value = serde_json::from_str(line).map_err(failed)?;
            match value.get_mut("header").map(Value::take) {
                Some(header) => run.header = serde_json::from_value(header).map_err(failed)?,
                None => run.lines.push(value),
            }
        }
        Ok(run)
    }
}

/// All files of a folder, by name.
pub(super) fn read(folder: &Path) -> Result<Vec<Run>, Failure> {
    let failed = || Failure::io(format!("read {}", folder.display()));
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        paths.push(entry.map_err(failed())?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).map_err(Failure::io(format!("read {}", path.display())))?;
        Run::parse(&path.file_stem().unwrap_or_default().to_string_lossy(), &text)
    };
    paths.iter().map(read).collect()
}

/// A number of a line; NaN if it is not there.
pub(super) fn number(line: &Value, key: &str) -> f64 {
    line.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// A text of a line.
pub(super) fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A file of each kind, small.
#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let header = |bench: &str| {
        format!(
            "{{\"header\":{}}}\n",
            serde_json::to_string(&Header { bench: bench.into(), ..Header::default() }).unwrap()
        )
    };
    let round = |rest: &dyn Fn(f64) -> String| -> String {
        let line =
            |place: &str, factor| format!("{{\"round\":1,\"place\":\"{place}\",\"kept\":true,{}}}\n", rest(factor));
        [line("floor-before", 1.0), line("ours", 2.0), line("floor-after", 1.0)].concat()
    };
    let curve = |x: f64| (0..15).map(|at| ((100.0 + f64::from(at)) * x).to_string()).collect::<Vec<_>>().join(",");
    let notify = |x: f64| {
        format!(
            "\"ack_p50\":{x},\"beyond_ack\":{x},\"p50\":{x},\"p90\":{x},\"p99\":{x},\"p999\":{x},\"max\":{x},\"cpu_us_per_update\":{x},\"hwm_kb\":{x},\"curve\":[{}]",
            curve(x)
        )
    };
    let load = |nodes: u32| {
        round(&|x| {
            format!(
                "\"nodes\":{nodes},\"seconds\":{},\"cpu_s\":{x},\"rss_kb\":{x},\"hwm_kb\":{x},\"base_kb\":0",
                x * f64::from(nodes)
            )
        })
    };
    let sessions = |n: u32| {
        round(&|x| {
            format!(
                "\"sessions\":{n},\"seconds\":{x},\"cpu_s\":{x},\"rest_us_per_s\":{x},\"kb_per_session\":{x},\"hwm_kb\":{}",
                x * f64::from(n)
            )
        })
    };
    let resync = |changes: u32| {
        round(&|x| {
            format!(
                "\"nodes\":10,\"changes\":{changes},\"seconds\":{x},\"since_open_seconds\":{x},\"bytes_up\":{x},\"bytes_down\":{x},\"cpu_s\":{x},\"rss_kb\":{x}"
            )
        })
    };
    let second = |s: u32| {
        format!(
            "{{\"second\":{s},\"writes\":9,\"held_p50\":100,\"held_p99\":200,\"held_max\":{},\"live\":1.0,\"missing_ms\":{s},\"ack_p50\":50}}\n",
            s * 900
        )
    };
    let fault = "{\"fault\":\"reset\",\"at_ms\":1000,\"for_ms\":500,\"told_after_ms\":50,\"live_after_ms\":20,\"must_be_told\":false}\n";
    let verdict = "{\"verdict\":{\"writes\":27,\"acknowledged\":27,\"held\":27,\"faults\":1,\"gaps\":1,\"violations\":0,\"wrong\":[]}}\n";
    vec![
        ("notify-x", header("notify") + &round(&notify)),
        ("fanout-x", header("fanout") + &round(&notify)),
        ("load-x", header("load") + &load(10) + &load(1000)),
        ("sessions-x", header("sessions") + &sessions(1) + &sessions(100)),
        ("resync-x", header("resync") + &resync(1) + &resync(10)),
        ("soak-x", [header("soak"), second(0), second(1), second(2), fault.into(), verdict.into()].concat()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_says_in_its_lines_what_it_is() {
        let run = Run::parse("x", "{\"bench\":\"load\",\"nodes\":1}\n{\"bench\":\"load\"}\n").unwrap();
        assert_eq!((run.bench(), run.lines.len()), ("load", 2));
        assert_eq!(number(&run.lines[0], "nodes"), 1.0);
        assert!(number(&run.lines[1], "nodes").is_nan());
        let said = Run::parse("x", "{}\nno").unwrap_err().line();
        assert!(said.starts_with("cannot read x, line 2"), "{said}");
    }
}
