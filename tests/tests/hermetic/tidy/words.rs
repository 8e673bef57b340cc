//! Words that must not stand in code, or not alone.

use super::{Source, report, sources};

/// Words in `src` outside tests, and what to write instead. They are cut in two so that this file may be read too.
const FORBIDDEN: [(&str, &str); 5] = [
    (concat!("unbounded_", "channel"), "give the channel a bound: a slow reader must not eat the memory"),
    (concat!("to", "do!"), "write it, or leave it out"),
    (concat!("unimple", "mented!"), "write it, or return an error"),
    (concat!("db", "g!"), "remove the debugging aid"),
    (concat!("transm", "ute"), "no `unsafe` here"),
];

#[test]
fn words_that_do_not_belong_into_code() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.is_src() && !source.is_test()) {
        for (number, line) in source.bare_code() {
            let found = FORBIDDEN.iter().filter(|(word, _)| line.contains(word));
            violations.extend(found.map(|(word, why)| format!("{}:{number}: `{word}`: {why}", source.path)));
        }
    }
    report(&violations, "see behind each line");
}

#[test]
fn tests_wait_for_events_and_not_for_time() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with("tests/")) {
        let sleep = concat!("sle", "ep(");
        let lines = source.bare_code().filter(|(_, line)| line.contains(sleep));
        violations.extend(lines.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    report(
        &violations,
        "wait for what you wait for (a state, a line, a reply, with a deadline), or pause tokio's clock",
    );
}

/// The attributes of a file whose name starts with one of `names`: line and whole text.
fn attributes(source: &Source, names: &[&str]) -> Vec<(usize, String)> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let line = line.trim_start();
        let Some(inner) = line.strip_prefix("#[").or_else(|| line.strip_prefix("#![")) else { continue };
        let inside =
            |name: &&str| inner.starts_with(*name) || (inner.starts_with("cfg_attr(") && inner.contains(*name));
        if names.iter().any(inside) {
            let end = lines[index..].iter().position(|line| line.trim_end().ends_with(']')).unwrap_or(0);
            found.push((index + 1, lines[index..=index + end].concat()));
        }
    }
    found
}

#[test]
fn exceptions_have_a_reason() {
    let mut violations = Vec::new();
    for source in sources() {
        let lints =
            attributes(&source, &["allow(", "expect("]).into_iter().filter(|(_, text)| !text.contains("reason ="));
        let ignores = attributes(&source, &["ignore"]).into_iter().filter(|(_, text)| !text.contains("ignore = \""));
        let all = lints.chain(ignores);
        violations.extend(all.map(|(number, text)| format!("{}:{number}: {}", source.path, text.trim())));
    }
    report(&violations, "say why: `#[expect(.., reason = \"..\")]`, `#[ignore = \"..\"]`");
}

#[test]
fn attributes_are_read_rightly() {
    let text = "#![allow(a)]\n    #[expect(\n        b,\n        reason = \"c\"\n    )]\n#[ignore]\n#[test]\n#[cfg_attr(x, allow(y))]\n";
    let source = Source { path: "x/src/x.rs".into(), text: text.into() };
    let lines = |names: &[&str]| attributes(&source, names).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    assert_eq!(lines(&["allow(", "expect("]), [1, 2, 8]);
    assert_eq!(lines(&["ignore"]), [6]);
    assert!(attributes(&source, &["expect("])[0].1.contains("reason ="));
}
