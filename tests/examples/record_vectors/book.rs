//! What was recorded, and how it is written down: the `.hex` files.
//!
//! Must not know servers or scenarios.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use crate::annotate::{Annotation, Fit, Line};
use crate::schema::OPS;

/// A column of bytes does not get wider for one long string.
const HEX_WIDTH_MAX: usize = 44;
/// Columns of a comment.
const COMMENT_WIDTH: usize = 120;

/// One frame, or what was seen instead of one.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A frame of this kind.
    Frame(&'static str, Annotation),
    /// Something that has no bytes, such as the end of the connection.
    Remark(String),
}

/// Frames that tell one thing, in the order of the wire.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The file without its ending: an operation, `connect` or `notification`.
    pub(crate) file: String,
    /// What is done, in two or three words; unique in the file.
    pub(crate) scene: String,
    /// A sentence about it.
    pub(crate) why: String,
    pub(crate) version: String,
    /// The rest of the server's description, such as `standalone`.
    pub(crate) setup: String,
    pub(crate) steps: Vec<Step>,
    /// Versions that did the same.
    pub(crate) alike: Vec<String>,
}

impl Entry {
    /// The plain use of an operation: kept of each version. An oddity is kept once for all versions that agree.
    pub(crate) fn is_plain(&self) -> bool {
        self.scene == self.file
    }

    fn shape(&self) -> Vec<String> {
        let steps = self.steps.iter().flat_map(|step| match step {
            Step::Remark(text) => vec![text.clone()],
            Step::Frame(kind, Annotation { lines, .. }) => {
                [(*kind).to_owned()].into_iter().chain(lines.iter().map(|line| line.shape.clone())).collect()
            }
        });
        steps.collect()
    }
}

/// Everything recorded.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) entries: Vec<Entry>,
    /// Scenes that turned out otherwise than written; they are not kept.
    pub(crate) surprises: Vec<String>,
}

impl Book {
    /// Adds an entry behind those of the same scene, or only its version to one that is alike.
    pub(crate) fn add(&mut self, entry: Entry) {
        let same = |old: &Entry| old.file == entry.file && old.scene == entry.scene;
        let shape = entry.shape();
        let alike = self.entries.iter_mut().find(|old| same(old) && !old.is_plain() && old.shape() == shape);
        if let Some(old) = alike {
            let other = if old.setup == entry.setup { String::new() } else { format!(" ({})", entry.setup) };
            old.alike.push(entry.version + &other);
            return;
        }
        let at = self.entries.iter().rposition(same).map_or(self.entries.len(), |last| last + 1);
        self.entries.insert(at, entry);
    }

    /// Writes one file for each operation, with what was recorded of it.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        let (plain, odd): (Vec<&Entry>, Vec<&Entry>) = self.entries.iter().partition(|entry| entry.is_plain());
        let mut last = None;
        for entry in plain.into_iter().chain(odd) {
            let text = files.entry(&entry.file).or_insert_with(|| title(&entry.file));
            let heading = (&entry.file, &entry.scene, &entry.why);
            let why =
                if last == Some(heading) { format!("The same scene on {}.", entry.version) } else { entry.why.clone() };
            last = Some(heading);
            comment(&why, text);
            write_entry(entry, text);
        }
        files.iter().try_for_each(|(name, text)| fs::write(folder.join(format!("{name}.hex")), text))
    }
}

fn title(file: &str) -> String {
    let made = "# Recorded by tests/examples/record_vectors.rs; do not edit.\n";
    let op = OPS.iter().find(|op| op.name == file);
    let title = match (file, op) {
        ("connect", _) => "# The greeting: the first frame of each side, without a header".to_owned(),
        ("notification", _) => "# notification: events, which no request asked for; their xid is -1".to_owned(),
        ("unknown", _) => "# Operations that no server knows".to_owned(),
        (_, Some(op)) => format!("# {file}, opcode {}, since {}", op.code, op.since),
        (_, None) => format!("# {file}"),
    };
    format!("{title}\n{made}")
}

fn write_entry(entry: &Entry, text: &mut String) {
    let Entry { scene, version, setup, alike, .. } = entry;
    let alike = if alike.is_empty() { String::new() } else { format!("; alike: {}", alike.join(", ")) };
    let mut out = String::new();
    for (n, step) in entry.steps.iter().enumerate() {
        match step {
            Step::Remark(remark) => _ = writeln!(out, "\n# {remark}"),
            Step::Frame(kind, Annotation { lines, fit }) => {
                let mark = match fit {
                    Fit::Exact => "",
                    Fit::Lossy => " lossy",
                    Fit::Broken => " broken",
                };
                let gap = if n == 0 { "" } else { "\n" };
                _ = writeln!(out, "{gap}[{kind}{mark}] source: {version} {setup}, {scene:?}{alike}");
                write_lines(lines, &mut out);
            }
        }
    }
    text.push_str(&out);
}

/// A comment, in lines of a readable length, behind an empty line.
fn comment(why: &str, out: &mut String) {
    let mut column = COMMENT_WIDTH;
    for word in why.split_whitespace() {
        let len = word.chars().count() + 1;
        if column + len > COMMENT_WIDTH {
            out.push_str("\n#");
            column = 1;
        }
        _ = write!(out, " {word}");
        column += len;
    }
    out.push('\n');
}

fn write_lines(lines: &[Line], out: &mut String) {
    let width = lines.iter().map(|line| line.hex.len()).filter(|len| *len <= HEX_WIDTH_MAX).max().unwrap_or(0);
    for Line { hex, meaning, .. } in lines {
        _ = writeln!(out, "{hex:width$} | {meaning}");
    }
}
