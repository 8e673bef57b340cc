//! What a visitor sees first: the names at the top, and the README's numbers.

use super::{PACKAGES, report, root};

const FILES: [&str; 7] =
    ["Cargo.toml", "Cargo.lock", "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "rustfmt.toml", "clippy.toml"];

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let mut violations = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let allowed = name.starts_with('.')
            || name.starts_with("LICENSE-")
            || name == "fuzz"
            || FILES.contains(&name.as_str())
            || PACKAGES.contains(&name.as_str())
            || ignored.lines().any(|line| line.trim_start_matches('/') == name);
        if !allowed {
            violations.push(name);
        }
    }
    report(&violations, "put it into a package or into a folder that starts with a dot");
}

/// Versions that a text gives as `Rust 1.95`.
fn rust_versions(text: &str) -> Vec<&str> {
    let after = text.match_indices("Rust 1.").map(|(at, _)| &text[at + "Rust ".len()..]);
    let versions = after.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        rest[..end].trim_end_matches('.')
    });
    versions.collect()
}

#[test]
fn the_readme_and_the_manifest_agree_on_the_rust_version() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("rust-version")).expect("Cargo.toml: no rust-version");
    let version = line.split('"').nth(1).unwrap();
    let mut violations = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap_or_default();
        let wrong = rust_versions(&text).into_iter().filter(|said| *said != version);
        violations.extend(wrong.map(|said| format!("{name}: says Rust {said}, Cargo.toml says {version}")));
    }
    report(&violations, "make them agree");
    assert_eq!(rust_versions("needs Rust 1.95. And Rust 1.80+, Rust 2"), ["1.95", "1.80"]);
}
