//! The rules of the house as tests. Each failure names the file and says what to do.

use std::path::{Path, PathBuf};

#[path = "tidy/api.rs"]
mod api;
#[path = "tidy/given_up.rs"]
mod given_up;
#[path = "tidy/goals.rs"]
mod goals;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/no_c.rs"]
mod no_c;
#[path = "tidy/ported.rs"]
mod ported;
#[path = "tidy/records.rs"]
mod records;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/top_level.rs"]
mod top_level;
#[path = "tidy/vectors.rs"]
mod vector_per_op;
#[path = "tidy/words.rs"]
mod words;

/// The folders of the workspace's packages.
const PACKAGES: [&str; 7] = ["zk-proto", "zk-client", "zk-config", "zk-testkit", "zk-cli", "benches", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

/// A Rust file of the workspace.
struct Source {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// A file that holds nothing but tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Below some package's `src`.
    fn is_src(&self) -> bool {
        self.path.split('/').nth(1) == Some("src")
    }

    /// The lines outside `#[cfg(test)]` items, with their numbers.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut lines = (1..).zip(self.text.lines());
        let mut code = Vec::new();
        while let Some((number, line)) = lines.next() {
            if line.trim() != "#[cfg(test)]" {
                code.push((number, line));
                continue;
            }
            let end = format!("{}}}", indent(line));
            let Some((_, item)) = lines.find(|(_, line)| !line.trim_start().starts_with("#[")) else { break };
            if !item.ends_with([';', '}']) {
                lines.by_ref().find(|(_, line)| *line == end);
            }
        }
        code
    }

    /// [`code`](Self::code) without comments.
    fn bare_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code().into_iter().filter(|(_, line)| !line.trim_start().starts_with("//"));
        lines.map(|(number, line)| (number, line.split(" // ").next().unwrap_or_default()))
    }
}

/// The white space before a line.
fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// Every Rust file of the packages, in a fixed order.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for package in PACKAGES {
        walk(&root().join(package), &mut sources);
    }
    assert!(sources.len() > 30, "the tidy tests look at the wrong place: {} files", sources.len());
    sources
}

fn walk(folder: &Path, sources: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                walk(&path, sources);
            }
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            sources.push(Source { path, text });
        }
    }
}

/// Fails with all violations at once, and with what to do about them.
fn report(violations: &[String], remedy: &str) {
    assert!(violations.is_empty(), "\n{}\n=> {remedy}\n", violations.join("\n"));
}
