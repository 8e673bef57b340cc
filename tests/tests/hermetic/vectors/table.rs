//! The table of opcodes against vectors says what the files say.

use std::collections::BTreeSet;

use zk_proto::{OpCode, ops};

use super::{Vector, load, read};

const LINES: [&str; 3] = ["3.6", "3.8", "3.9"];
const KINDS: [&str; 3] = ["request", "reply", "refused"];

/// A row of `TABLE.md`.
struct Row {
    op: OpCode,
    name: String,
    since: String,
    kinds: [String; 3],
    oddities: String,
}

fn rows() -> Vec<Row> {
    let text = read("TABLE.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")).skip(1);
    let row = |line: &str| {
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let [op, name, since, a, b, c, oddities] = &cells[..] else { panic!("TABLE.md: {line}") };
        let op = OpCode(op.parse().unwrap_or_else(|_| panic!("TABLE.md: no opcode: {line}")));
        let (name, since, oddities) = (name.clone(), since.clone(), oddities.clone());
        Row { op, name, since, kinds: [a.clone(), b.clone(), c.clone()], oddities }
    };
    rows.map(row).collect()
}

/// The kinds of vectors from servers of a release line, as a cell says it.
pub(crate) fn kinds(vectors: &[Vector], line: &str) -> String {
    let of_line = |version: &String| version.starts_with(&format!("{line}."));
    let seen: BTreeSet<&str> = vectors
        .iter()
        .filter(|vector| vector.versions.iter().any(of_line))
        .map(|vector| vector.kind.as_str())
        .collect();
    KINDS.into_iter().filter(|kind| seen.contains(kind)).collect::<Vec<_>>().join(" ")
}

// goal: P1
#[test]
fn every_row_is_what_the_files_say() {
    for Row { op, name, since, kinds: cells, oddities } in rows() {
        assert_eq!(op.text(), Some(name.as_str()), "{op:?}");
        if let Some((_, known)) = ops::TABLE.iter().find(|(known, _)| *known == op) {
            assert!(known.starts_with(&since), "{name}: since {since} or {known}?");
        }
        let vectors = load(&format!("{name}.hex")).unwrap_or_else(|| panic!("no {name}.hex"));
        assert_eq!(cells, LINES.map(|line| kinds(&vectors, line)), "{name}: record anew");
        let scenes: BTreeSet<&str> =
            vectors.iter().map(|vector| vector.scene.as_str()).filter(|scene| *scene != name).collect();
        assert_eq!(oddities.split("; ").filter(|oddity| !oddity.is_empty()).collect::<BTreeSet<_>>(), scenes, "{name}");
    }
}

// goal: P1
#[test]
fn every_operation_has_a_row() {
    let rows: Vec<OpCode> = rows().into_iter().map(|row| row.op).collect();
    let missing: Vec<OpCode> = ops::TABLE.iter().map(|(op, ..)| *op).filter(|op| !rows.contains(op)).collect();
    assert!(missing.is_empty(), "no row in TABLE.md: {missing:?}");
    assert_eq!(rows.len(), rows.iter().map(|op| op.0).collect::<BTreeSet<_>>().len(), "a row comes twice");
}
