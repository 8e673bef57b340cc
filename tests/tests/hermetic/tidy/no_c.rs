//! No C: what users build needs a Rust compiler and nothing else. And not much of it.

use std::collections::BTreeSet;
use std::process::Command;

use super::{report, root};

/// The tree is asked for one target, because other platforms' crates are not built.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Crates that the client is built from without TLS, itself included.
const CLIENT_CRATES_MAX: usize = 40;

/// Whether a package compiles C, or binds a library written in it. `libc` and `linux-raw-sys` only declare what the
/// system has.
fn is_c(name: &str) -> bool {
    ["cc", "cmake", "bindgen", "pkg-config", "vcpkg", "autotools", "ring"].contains(&name)
        || name.ends_with("-sys") && name != "linux-raw-sys"
}

/// Names of the packages that these are built from. By `cargo tree`: to `cargo metadata`, what a feature could only
/// strengthen is there as well.
fn built_from(arguments: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--target", TARGET, "-e", "normal,build", "--prefix", "none"]).args(arguments);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

// goal: P4
#[test]
fn nothing_that_users_build_needs_c() {
    let mut violations = Vec::new();
    for (package, arguments) in [
        ("zk-client", &[][..]),
        ("zk-client", &["--features", "dns-srv"]),
        ("zk-config", &[]),
        ("zk-testkit", &["--features", "tls"]),
        ("zk-cli", &[]),
    ] {
        let tree = built_from(&[&["-p", package], arguments].concat());
        assert!(tree.contains("zk-proto") && tree.contains("bytes"), "the tree is not whole: {tree:?}");
        assert!(tree.contains("graviola"), "{package} has TLS: {tree:?}");
        violations.extend(tree.into_iter().filter(|name| is_c(name)).map(|name| format!("{package} builds {name}")));
    }
    report(&violations, "find a crate in pure Rust, or switch the feature off that pulls it in");
}

// goal: P4
#[test]
fn the_client_is_built_from_few_crates() {
    let tree = built_from(&["-p", "zk-client", "--no-default-features"]);
    assert!(tree.contains("tokio") && !tree.contains("rustls"), "the tree is not the one without TLS: {tree:?}");
    assert!(tree.len() <= CLIENT_CRATES_MAX, "{} crates, at most {CLIENT_CRATES_MAX}: {tree:?}", tree.len());
}

/// Every crate that is not ours comes from crates.io, with a checksum.
#[test]
fn everything_comes_from_crates_io() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut violations = Vec::new();
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(packages.len() > 50, "the test looks at the wrong place");
    for package in packages {
        let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
        let is_ours = value("source").is_none() && value("name").is_some_and(|name| name.starts_with("\"zk-"));
        let is_theirs = value("source") == Some("\"registry+https://github.com/rust-lang/crates.io-index\"");
        if !(is_ours || is_theirs && value("checksum").is_some()) {
            violations.push(format!("{:?} from {:?}", value("name"), value("source")));
        }
    }
    report(&violations, "use a release on crates.io");
}

#[test]
fn c_is_told_by_its_name() {
    assert!(is_c("cc") && is_c("openssl-sys") && is_c("cmake") && is_c("bindgen"));
    assert!(!is_c("libc") && !is_c("bytes") && !is_c("tokio"));
}
