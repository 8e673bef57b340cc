//! No C: what users build needs a Rust compiler and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{report, root};

/// The tree is asked for one target, because other platforms' crates are not built.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Whether a package compiles C, or binds a library written in it. `libc` and `linux-raw-sys` only declare what the
/// system has.
fn is_c(name: &str) -> bool {
    ["cc", "cmake", "bindgen", "pkg-config", "vcpkg", "autotools", "ring"].contains(&name)
        || name.ends_with("-sys") && name != "linux-raw-sys"
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Names of the packages that `package` is built from, each with the one that asks for it.
fn built_from(metadata: &Value, package: &str) -> BTreeMap<String, String> {
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<&str, &str> = packages.iter().map(|p| (text(p, "id"), text(p, "name"))).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<&str, &Value> = nodes.iter().map(|node| (text(node, "id"), node)).collect();
    let start = names.iter().find(|(_, name)| **name == package).map(|(id, _)| *id);
    let mut open = vec![start.unwrap_or_else(|| panic!("no package {package}"))];
    let (mut seen, mut found) = (BTreeSet::new(), BTreeMap::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                let id_of = text(dependency, "pkg");
                found.entry(names[id_of].to_owned()).or_insert_with(|| names[id].to_owned());
                open.push(id_of);
            }
        }
    }
    found
}

// goal: P4
#[test]
fn nothing_that_users_build_needs_c() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--format-version=1", "--filter-platform", TARGET]).current_dir(root());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tree = built_from(&metadata, "zk-config");
    assert!(tree.contains_key("zk-proto") && tree.contains_key("bytes"), "the tree is not whole: {tree:?}");
    let wrong = tree.iter().filter(|(name, _)| is_c(name));
    let violations: Vec<String> = wrong.map(|(name, by)| format!("zk-config builds {name}, because of {by}")).collect();
    report(&violations, "find a crate in pure Rust, or switch the feature off that pulls it in");
}

/// By `cargo tree`: to `cargo metadata`, what a feature could only strengthen is there as well.
#[test]
fn nor_does_the_test_server_with_tls() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "-p", "zk-testkit", "--features", "tls", "--target", TARGET]);
    let output = cargo.args(["-e", "normal,build", "--prefix", "none"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("graviola") && names.contains("zk-proto"), "the tree is not whole: {names:?}");
    let violations: Vec<String> = names.into_iter().filter(|name| is_c(name)).map(str::to_owned).collect();
    report(&violations, "zk-testkit with `tls` builds this: switch the feature off that pulls it in");
}

#[test]
fn c_is_told_by_its_name() {
    assert!(is_c("cc") && is_c("openssl-sys") && is_c("cmake") && is_c("bindgen"));
    assert!(!is_c("libc") && !is_c("bytes") && !is_c("tokio"));
}
