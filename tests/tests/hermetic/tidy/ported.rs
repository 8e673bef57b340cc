//! The table of ported tests names tests that exist.

use super::{report, root};

/// Where the table is, from the root.
const TABLE: &str = "tests/PORTED.md";

/// Every `file.rs::test` of a line.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::"))
}

fn exists(file: &str, test: &str) -> bool {
    let text = |folder: &str| std::fs::read_to_string(root().join(folder).join(format!("{file}.rs")));
    text("tests/tests").or_else(|_| text("")).is_ok_and(|text| text.contains(&format!("fn {test}(")))
}

/// The cells of a row; `None` for a header, a rule, and for what is no row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split(" | ").map(str::trim).collect();
    let is_head = cells.first().is_some_and(|first| *first == "theirs" || first.starts_with("---"));
    (!is_head).then_some(cells)
}

#[test]
fn ported_tests_exist() {
    let text = std::fs::read_to_string(root().join(TABLE)).unwrap();
    let (mut violations, mut rows) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.lines()) {
        let Some(cells) = cells(line) else { continue };
        rows += 1;
        if cells.len() != 3 {
            violations.push(format!("{TABLE}:{number}: {} cells", cells.len()));
        }
        let ours = cells.last().copied().unwrap_or_default();
        if named(ours).next().is_none() && !ours.contains("Not ported:") {
            violations.push(format!("{TABLE}:{number}: no test and no reason"));
        }
        for (file, test) in named(line).filter(|(file, test)| !exists(file, test)) {
            violations.push(format!("{TABLE}:{number}: no test {test} in {file}.rs"));
        }
    }
    report(
        &violations,
        "a row is `| theirs | what it asserts | ours |`, ours a `file.rs::test` or `Not ported:` and why",
    );
    assert!(rows > 0, "no rows in {TABLE}");
    assert!(exists("hermetic/tidy/ported", "ported_tests_exist") && !exists("hermetic/tidy/ported", "no_such_test"));
}
