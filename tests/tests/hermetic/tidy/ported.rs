//! The tables of ported tests and of security rules name tests that exist.

use super::{report, root};

/// Where the tables are, from the root, and what stands before the reason for having no test.
const TABLES: [(&str, &str); 2] = [("tests/PORTED.md", "Not ported:"), ("tests/SECURITY.md", "Not tested:")];

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
    let is_head = cells.first().is_some_and(|first| ["theirs", "area"].contains(first) || first.starts_with("---"));
    (!is_head).then_some(cells)
}

#[test]
fn tests_in_tables_exist() {
    let mut violations = Vec::new();
    for (table, excuse) in TABLES {
        let text = std::fs::read_to_string(root().join(table)).unwrap();
        let mut rows = 0;
        for (number, line) in (1..).zip(text.lines()) {
            let Some(cells) = cells(line) else { continue };
            rows += 1;
            if cells.len() != 3 {
                violations.push(format!("{table}:{number}: {} cells", cells.len()));
            }
            let ours = cells.last().copied().unwrap_or_default();
            if named(ours).next().is_none() && !ours.contains(excuse) {
                violations.push(format!("{table}:{number}: no test and no reason"));
            }
            for (file, test) in named(line).filter(|(file, test)| !exists(file, test)) {
                violations.push(format!("{table}:{number}: no test {test} in {file}.rs"));
            }
        }
        assert!(rows > 0, "no rows in {table}");
    }
    report(
        &violations,
        "a row has three cells, the last with a `file.rs::test`, or `Not ported:`, `Not tested:` and why",
    );
    assert!(exists("hermetic/tidy/ported", "tests_in_tables_exist") && !exists("hermetic/tidy/ported", "no_such_test"));
}
