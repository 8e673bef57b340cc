//! Planted bugs as data: `zk-proto/mutants/NAME.mutant` says what is replaced where, and who must find it.
//!
//! A mutant is a text, so the code under test has no switches. The file is:
//!
//! ```text
//! What is wrong, in one line
//! source: who had this bug, or where it was foreseen
//! checker: schedules | scripts | memory
//!
//! --- src/session/inbound.rs
//! text that is there exactly once
//! --- becomes
//! what stands there instead
//! --- end
//! ```
//!
//! with any number of edits, and `hang: counts` where a checker that never ends has found the bug too. Knows nothing
//! of how mutants are compiled and run: that is `examples/mutants.rs`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Where mutants are, and the table of how each was killed.
pub const FOLDER: &str = "zk-proto/mutants";
/// The table, in [`FOLDER`].
pub const TABLE: &str = "KILLED.md";

/// Who must find a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checker {
    /// `zk-proto/tests/schedules.rs`.
    Schedules,
    /// The tests in `zk-proto/src`.
    Scripts,
    /// `zk-proto/tests/memory.rs`.
    Memory,
}

impl Checker {
    /// As mutant files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Schedules => "schedules",
            Self::Scripts => "scripts",
            Self::Memory => "memory",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Schedules, Self::Scripts, Self::Memory].into_iter().find(|checker| checker.name() == name)
    }
}

/// One replacement.
#[derive(Clone, Debug)]
struct Edit {
    /// Below `zk-proto`.
    file: String,
    was: String,
    becomes: String,
}

/// A planted bug.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The file's name without its end.
    pub name: String,
    /// What is wrong.
    pub title: String,
    /// Where the bug is from.
    pub source: String,
    /// Who must find it.
    pub checker: Checker,
    /// Whether a checker that never ends has found it.
    pub may_hang: bool,
    edits: Vec<Edit>,
}

impl Mutant {
    /// Every mutant of the workspace at `root`, by name.
    ///
    /// # Errors
    /// The file that is not a mutant, and why.
    pub fn read_all(root: &Path) -> Result<Vec<Self>, String> {
        let folder = root.join(FOLDER);
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "mutant"));
        paths.sort();
        let read = |path: &PathBuf| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
            Self::parse(name.clone(), &text).map_err(|why| format!("{name}: {why}"))
        };
        paths.iter().map(read).collect()
    }

    /// Reads a mutant from its file's text.
    ///
    /// # Errors
    /// Why the text is none.
    pub fn parse(name: String, text: &str) -> Result<Self, String> {
        let mut sections = text.split("\n--- ");
        let mut head = sections.next().unwrap_or_default().lines();
        let title = head.next().filter(|title| !title.is_empty()).ok_or("no title in the first line")?.to_owned();
        let (mut source, mut checker, mut may_hang) = (None, None, false);
        for line in head.filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("source", text)) => source = Some(text.to_owned()),
                Some(("checker", name)) => checker = Some(Checker::of(name).ok_or(format!("no checker {name:?}"))?),
                Some(("hang", "counts")) => may_hang = true,
                _ => return Err(format!("what is {line:?}?")),
            }
        }
        let mut edits = Vec::new();
        while let Some(was) = sections.next() {
            if was.trim_end() == "end" || was.starts_with("end\n") {
                continue;
            }
            let (file, was) = was.split_once('\n').ok_or("an edit without a text")?;
            let becomes = sections.next().and_then(|text| text.strip_prefix("becomes")).ok_or("no `--- becomes`")?;
            let becomes = becomes.strip_prefix('\n').unwrap_or_default();
            edits.push(Edit { file: file.to_owned(), was: was.to_owned(), becomes: becomes.to_owned() });
        }
        if edits.is_empty() {
            return Err("nothing is replaced".into());
        }
        let (source, checker) = (source.ok_or("no source")?, checker.ok_or("no checker")?);
        Ok(Self { name, title, source, checker, may_hang, edits })
    }

    /// The files of `zk-proto` as this mutant has them; `read` gives the true ones.
    ///
    /// # Errors
    /// A text that is not there exactly once.
    pub fn apply(&self, read: impl Fn(&str) -> Result<String, String>) -> Result<BTreeMap<String, String>, String> {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for Edit { file, was, becomes } in &self.edits {
            let text = match files.remove(file) {
                Some(text) => text,
                None => read(file).map_err(|why| format!("{}: {why}", self.name))?,
            };
            let count = text.matches(was.as_str()).count();
            if count != 1 || was == becomes {
                return Err(format!("{}: its text is {count} times in zk-proto/{file}, not once:\n{was}", self.name));
            }
            files.insert(file.clone(), text.replacen(was, becomes, 1));
        }
        Ok(files)
    }
}

/// Names and checkers in the rows of the table.
pub fn rows(table: &str) -> Vec<(&str, &str)> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let mut cells = row.split(" | ");
        Some((cells.next()?.trim_end_matches('`'), cells.next()?))
    })
    .collect()
}
