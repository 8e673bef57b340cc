//! Layer arrows: who may know whom.

use super::{report, root, sources};

/// Packages and those of ours that they may depend on; tests and benches may use everything.
const ARROWS: [(&str, &[&str]); 5] = [
    ("zk-proto", &[]),
    ("zk-client", &["zk-proto"]),
    ("zk-config", &["zk-client"]),
    ("zk-testkit", &["zk-proto"]),
    ("zk-cli", &["zk-proto", "zk-client", "zk-config", "zk-testkit"]),
];

/// Names in the dependency tables of a manifest, without dev-dependencies.
pub(super) fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_matches(['[', ']']);
            let table = |name: &str| header == name || header.ends_with(&format!(".{name}"));
            inside = table("dependencies") || table("build-dependencies");
            // `[dependencies.name]` is the other way to write an entry.
            let long = ["dependencies.", "build-dependencies."].iter().find_map(|table| header.strip_prefix(table));
            names.extend(long.map(str::to_owned));
        } else if inside && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.extend((!name.is_empty()).then(|| name.to_owned()));
        }
    }
    names
}

#[test]
fn dependencies_point_one_way() {
    let mut violations = Vec::new();
    for (package, allowed) in ARROWS {
        let path = format!("{package}/Cargo.toml");
        let manifest = std::fs::read_to_string(root().join(&path)).unwrap();
        let ours = dependencies(&manifest).into_iter().filter(|name| name.starts_with("zk-"));
        let wrong = ours.filter(|name| !allowed.contains(&name.as_str()));
        violations.extend(wrong.map(|name| format!("{path}: {package} must not depend on {name}")));
    }
    report(&violations, "move the code to the layer it belongs to (design.md section 1)");
}

#[test]
fn dependency_tables_are_read_rightly() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\nzk-a.workspace = true\nb = \"1\"\n\n# c = 1\n\
                    [dev-dependencies]\nzk-d = 1\n[target.'cfg(unix)'.dependencies]\nzk-e={ path = \"e\" }\n\
                    [build-dependencies]\nf = 1\n[dependencies.zk-g]\npath = \"g\"\n";
    assert_eq!(dependencies(manifest), ["zk-a", "b", "zk-e", "f", "zk-g"]);
}

/// Whether `word` stands in `line` as a whole identifier.
fn names(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !(before.ends_with(is_part) || after.starts_with(is_part) && word.ends_with(is_part))
    })
}

#[test]
fn words_are_whole_identifiers() {
    assert!(names("use std::fmt;", "std::") && names("(rand)", "rand") && names("rand::random()", "rand"));
    assert!(!names("randomness", "rand") && !names("my_std::fmt", "std::") && !names("fastrand::u8", "rand"));
}

/// What the code of a package must not name, and why.
const FORBIDDEN: [(&str, &[&str], &str); 5] = [
    (
        "zk-proto/src/",
        &["std::", "tokio", "Instant", "SystemTime", "rand", "fastrand", "tracing"],
        "zk-proto is sans-IO: times, bytes and chance are arguments",
    ),
    ("zk-config/src/", &["zk_proto"], "zk-config never knows the wire: use what zk-client re-exports"),
    ("zk-client/src/", &["zk_config", "zk_testkit"], "zk-client knows nothing of configuration or of test servers"),
    (
        "zk-client/src/recipes",
        &["zk_proto", "driver", "fanout", "shared", "crate::call", "crate::client", "crate::watch"],
        "recipes are built on the public API: users can build their own",
    ),
    ("zk-testkit/src/", &["zk_client", "zk_config"], "a client's bug must not hide in its own test server"),
];

#[test]
fn layers_do_not_name_what_is_above_or_outside_of_them() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (folder, words, why) in FORBIDDEN.iter().filter(|(folder, ..)| source.path.starts_with(folder)) {
            for (number, line) in source.bare_code() {
                let named = words.iter().filter(|word| names(line, word));
                violations.extend(named.map(|word| format!("{}:{number}: `{word}` in {folder} ({why})", source.path)));
            }
        }
    }
    report(&violations, "pass it in as an argument, or move the code to another layer");
}

/// zk-proto has no `std` outside its tests, so that the compiler keeps clocks, sockets and tasks out; nor have the crates
/// that it is built from.
#[test]
fn zk_proto_is_no_std() {
    let lib = std::fs::read_to_string(root().join("zk-proto/src/lib.rs")).unwrap();
    let code: Vec<&str> = lib.lines().filter(|line| !line.starts_with("//")).collect();
    assert_eq!(code[0], "#![no_std]", "zk-proto/src/lib.rs: `no_std` stands first, whatever the features");
    let std = code.iter().position(|line| *line == "extern crate std;").expect("tests have std");
    assert_eq!(code[std - 1], "#[cfg(test)]", "zk-proto/src/lib.rs: std is for tests only");
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo
        .args(["tree", "--offline", "-p", "zk-proto", "-e", "features,no-dev", "--prefix", "none"])
        .current_dir(root());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("bytes v"), "{tree}");
    let wrong: Vec<&str> = tree.lines().filter(|line| line.contains("feature \"std\"")).collect();
    assert!(wrong.is_empty(), "zk-proto is built with {wrong:?}: switch default features off");
}
