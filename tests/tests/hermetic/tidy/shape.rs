//! Files and functions that stay small enough to read.

use super::{Source, indent, report, sources};

/// Lines of a file in `src`, tests not counted; design.md section 7.
const FILE_LINES_MAX: usize = 400;

/// Lines of a function from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn files_are_short() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.is_src() && !source.is_test()) {
        let lines = source.code().len();
        if lines > FILE_LINES_MAX {
            violations.push(format!("{}: {lines} lines of code, at most {FILE_LINES_MAX}", source.path));
        }
    }
    report(&violations, "split the file by what changes together");
}

/// Functions of a file: name, line, length.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut functions = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        // rustfmt puts the closing brace, or the `;` of a declaration, below the `fn`.
        let end = lines[index..].iter().position(|end| {
            let same = indent(end) == indent(line) && !end.trim().is_empty();
            same && (end.trim_start().starts_with('}') || end.ends_with([';', '}']))
        });
        functions.push((name.to_owned(), index + 1, end.unwrap_or(lines.len() - index) + 1));
    }
    functions
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let is_modifier =
        |word: &str| word.starts_with("pub") || ["const", "async", "default", "extern", "\"C\""].contains(&word);
    before.split_whitespace().all(is_modifier).then(|| after.split(['(', '<']).next().unwrap_or_default())
}

#[test]
fn functions_are_short() {
    let mut violations = Vec::new();
    for source in sources() {
        for (name, line, length) in functions(&source) {
            if length > FUNCTION_LINES_MAX {
                violations.push(format!("{}:{line}: fn {name} has {length} lines", source.path));
            }
        }
    }
    report(&violations, &format!("at most {FUNCTION_LINES_MAX} lines: push `if` up and `for` down, name the parts"));
}

#[test]
fn functions_are_measured_rightly() {
    let text = "impl A {\n    pub(super) const fn a() {\n        b();\n    }\n\n    fn c(\n        x: u8,\n    ) -> u8 {\n        x\n    }\n}\n\
                trait T {\n    fn d(&self);\n    fn e() {}\n}\nlet f = |x: fn(u8)| x;\n";
    let source = Source { path: "x/src/x.rs".into(), text: text.into() };
    let expected = [("a", 2, 3), ("c", 6, 5), ("d", 13, 1), ("e", 14, 1)];
    assert_eq!(functions(&source), expected.map(|(name, line, length)| (name.to_owned(), line, length)));
}

#[test]
fn test_code_is_told_from_code() {
    let text = "a\n#[cfg(test)]\nextern crate std;\nb\n#[cfg(test)]\nmod tests {\n    fn x() {\n    }\n}\nc\n#[cfg(test)]\nmod tests;\nd // e\n// f\n";
    let source = Source { path: "x/src/x.rs".into(), text: text.into() };
    let code: Vec<&str> = source.code().into_iter().map(|(_, line)| line).collect();
    assert_eq!(code, ["a", "b", "c", "d // e", "// f"]);
    assert_eq!(source.bare_code().collect::<Vec<_>>(), [(1, "a"), (4, "b"), (10, "c"), (13, "d")]);
}

#[test]
fn files_say_what_lives_in_them() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.is_src()) {
        let first = source.text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") && !first.starts_with("#![doc") {
            violations.push(format!("{}: starts with {first:?}", source.path));
        }
    }
    report(&violations, "begin the file with `//!`: what lives here and what it must not know");
}

#[test]
fn modules_are_files_next_to_their_folders() {
    let wrong = sources().into_iter().filter(|source| source.path.ends_with("/mod.rs"));
    let violations: Vec<String> = wrong.map(|source| source.path).collect();
    report(&violations, "call it `foo.rs` beside `foo/`, not `foo/mod.rs`");
}
