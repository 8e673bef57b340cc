//! The list of the public API names all of it.

use super::{report, root, sources};

/// The list, from the root.
const LIST: &str = "ARCHITECTURE.md";

/// Where the types are that users call most, and whose every method is listed.
const LISTED: [&str; 3] = ["zk-client/src/client.rs", "zk-client/src/client/", "zk-client/src/connector.rs"];

/// The names that a `pub use crate's own module::{..};` makes public; those of `zk_proto` are listed there.
fn exported(lib: &str) -> Vec<&str> {
    let uses = lib.split("\npub use ").skip(1).filter_map(|text| text.split(';').next());
    let own = uses.filter(|text| !text.starts_with("zk_proto")).filter_map(|text| text.split_once("::"));
    own.flat_map(|(_, names)| names.trim_matches(['{', '}']).split(',')).map(str::trim).collect()
}

/// The name of a public function, if a line begins one.
pub(super) fn method(line: &str) -> Option<&str> {
    let after = line.trim_start().strip_prefix("pub ")?;
    let name = after.trim_start_matches("const ").trim_start_matches("async ").strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

#[test]
fn the_api_of_zk_client_is_listed() {
    let list = std::fs::read_to_string(root().join(LIST)).unwrap();
    let (_, list) = list.split_once("## Public API").expect("the section is there");
    let is_listed = |name: &str| list.contains(&format!("`{name}`"));
    let lib = std::fs::read_to_string(root().join("zk-client/src/lib.rs")).unwrap();
    let names = exported(&lib);
    assert!(names.len() > 30 && names.contains(&"Call") && names.contains(&"WatchItem"), "{names:?}");
    let mut violations: Vec<String> =
        names.into_iter().filter(|name| !is_listed(name)).map(|name| format!("zk_client::{name}")).collect();
    let listed = |path: &str| LISTED.iter().any(|prefix| path.starts_with(prefix));
    for source in sources().iter().filter(|source| listed(&source.path)) {
        let methods = source.code().into_iter().filter_map(|(number, line)| Some((number, method(line)?)));
        let missing = methods.filter(|(_, name)| !is_listed(name));
        violations.extend(missing.map(|(number, name)| format!("{}:{number}: {name}", source.path)));
    }
    report(&violations, "name it in the section \"Public API on one screen\" of ARCHITECTURE.md");
    assert_eq!(method("    pub async fn update<D: AsRef<[u8]>>("), Some("update"));
    assert_eq!((method("    pub(crate) fn x()"), method("    pub struct X")), (None, None));
}
