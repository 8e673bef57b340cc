//! The table of opcodes against vectors.
//!
//! Must not know what was recorded otherwise than from the book.

use std::fmt::Write as _;

use crate::book::{Book, Entry, Step};
use crate::schema::{INTERNAL, OPS};

/// The release lines that have a column.
pub(crate) const LINES: [&str; 3] = ["3.6", "3.8", "3.9"];

const HEAD: &str = "# Operations and their vectors

Written by `cargo run -p zk-tests --example record_vectors`; a hermetic test holds it against the files. The columns of
versions say which kinds of frames stand in `<name>.hex` from servers of that line: where there is no `reply`, servers of
the line do not know the operation or never execute it. Oddities are the scenes of the file besides the plain one.

| opcode | name | since | 3.6 | 3.8 | 3.9 | oddities |
|---|---|---|---|---|---|---|
";

/// The text of `TABLE.md`.
pub(crate) fn table(book: &Book) -> String {
    let mut text = HEAD.to_owned();
    for op in OPS.iter().filter(|op| !INTERNAL.contains(&op.name)) {
        let entries: Vec<&Entry> = book.entries.iter().filter(|entry| entry.file == op.name).collect();
        let cells = LINES.map(|line| kinds(&entries, line)).join(" | ");
        let mut scenes: Vec<&str> = Vec::new();
        for entry in entries.iter().filter(|entry| !entry.is_plain()) {
            if !scenes.contains(&entry.scene.as_str()) {
                scenes.push(&entry.scene);
            }
        }
        _ = writeln!(text, "| {} | {} | {} | {cells} | {} |", op.code, op.name, op.since, scenes.join("; "));
    }
    text
}

/// The kinds of frames from servers of a release line, in a fixed order.
fn kinds(entries: &[&Entry], line: &str) -> String {
    let of_line = |version: &String| version.strip_prefix(line).is_some_and(|rest| rest.starts_with('.'));
    let entries = entries.iter().filter(|entry| of_line(&entry.version) || entry.alike.iter().any(of_line));
    let seen: Vec<&str> = entries
        .flat_map(|entry| &entry.steps)
        .filter_map(|step| match step {
            Step::Frame(kind, _) => Some(*kind),
            Step::Remark(_) => None,
        })
        .collect();
    ["request", "reply", "refused"].into_iter().filter(|kind| seen.contains(kind)).collect::<Vec<_>>().join(" ")
}
