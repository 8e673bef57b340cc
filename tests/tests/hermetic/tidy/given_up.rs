//! Every public future is given up by a test, at each point where it waits.
//!
//! The tests name what they give up as string literals, `"Type::function"`, or `"Type"` where the type itself is awaited: once
//! in the list that is played, once as the arm that makes the future.

use super::{Source, api::method, report, sources};
use std::collections::BTreeSet;

/// Where public futures come from.
const LIBRARIES: [&str; 2] = ["zk-client/src/", "zk-config/src/"];

/// Where they are given up.
const LISTS: [&str; 5] = [
    "tests/tests/hermetic/client/given_up.rs",
    "tests/tests/hermetic/client/order.rs",
    "tests/tests/hermetic/mirror/given_up.rs",
    "tests/tests/hermetic/recipes/given_up.rs",
    "tests/tests/hermetic/watches/given_up.rs",
];

/// What begins the arm behind an arm.
const NEXT_ARM: [&str; 2] = ["\n        \"", "\n        _ =>"];

/// A type without its module and its parameters.
fn bare(text: &str) -> &str {
    let path = text.split(['<', ' ', '{', '(', ';']).next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or_default()
}

/// The type that an `impl` is for, and its trait.
fn implemented(line: &str) -> Option<(Option<&str>, &str)> {
    let rest = line.strip_prefix("impl")?.trim_end_matches('{').trim();
    // Generic parameters of the impl itself.
    let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest };
    let (of, on) = rest.split_once(" for ").map_or((None, rest), |(of, on)| (Some(of), on));
    Some((of.map(bare), bare(on)))
}

/// What a source makes public: functions that give a future, types that are one, and streams, whose futures are `next`.
#[derive(Default)]
struct Futures {
    functions: Vec<(String, String)>,
    types: BTreeSet<String>,
    streams: BTreeSet<String>,
    /// All types that are public.
    public: BTreeSet<String>,
}

impl Futures {
    fn collect(&mut self, source: &Source) {
        let mut owner = String::new();
        let mut lines = source.bare_code().map(|(_, line)| line);
        while let Some(line) = lines.next() {
            match implemented(line) {
                Some((Some("Future" | "IntoFuture"), on)) => drop(self.types.insert(on.to_owned())),
                Some((Some("Stream"), on)) => drop(self.streams.insert(on.to_owned())),
                Some((None, on)) => on.clone_into(&mut owner),
                Some(_) | None => {}
            }
            let public = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
            self.public.extend(public.map(|name| bare(name).to_owned()));
            let Some(name) = method(line) else { continue };
            let is_free = !line.starts_with(' ');
            let mut head = line.to_owned();
            while !head.ends_with(['{', ';', '}']) {
                let Some(next) = lines.next() else { break };
                head.push_str(next);
            }
            self.functions.push((if is_free { name.to_owned() } else { format!("{owner}::{name}") }, head));
        }
    }

    /// The names of all that can be awaited.
    fn names(&self) -> BTreeSet<String> {
        let gives = |head: &str, of: &str| {
            let head = head.split(" where").next().unwrap_or_default();
            let given = head.rsplit_once("-> ").map_or("", |(_, given)| given);
            given.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == of)
        };
        let is_future = |head: &str| {
            let is_async = head.trim_start().starts_with("pub async fn");
            is_async || ["Future", "IntoFuture", "Dialed"].iter().any(|of| gives(head, of))
        };
        let is_given = |of: &str| self.functions.iter().any(|(_, head)| gives(head, of));
        let of_functions = self
            .functions
            .iter()
            .filter(|(_, head)| is_future(head) || self.types.iter().any(|of| gives(head, of)))
            .map(|(name, _)| name.clone());
        let of_types = self.types.intersection(&self.public).filter(|of| !is_given(of)).cloned();
        let of_streams = self.streams.intersection(&self.public).map(|of| format!("{of}::next"));
        of_functions.chain(of_types).chain(of_streams).collect()
    }
}

/// The text before the next arm.
fn first_of(arm: &str) -> &str {
    let end = NEXT_ARM.iter().filter_map(|next| arm.find(next)).min();
    &arm[..end.unwrap_or(arm.len())]
}

/// The names in a list of what is given up: those that are played, and those that are arms, with their text.
fn named(text: &str) -> (BTreeSet<&str>, Vec<(&str, &str)>) {
    let is_name = |literal: &str| {
        literal.starts_with(char::is_uppercase) && literal.chars().all(|c| c.is_alphanumeric() || "_: ".contains(c))
    };
    let (mut played, mut arms) = (BTreeSet::new(), Vec::new());
    let mut rest = text;
    while let Some((literal, behind)) = rest.split_once('"').and_then(|(_, behind)| behind.split_once('"')) {
        rest = behind;
        match behind.strip_prefix(" =>") {
            _ if !is_name(literal) => {}
            Some(arm) => arms.push((literal, first_of(arm))),
            None => drop(played.insert(literal)),
        }
    }
    (played, arms)
}

/// What is wrong in a list; what is given up there is added.
fn check(list: &Source, wanted: &BTreeSet<String>, given_up: &mut BTreeSet<String>) -> Vec<String> {
    let (played, arms) = named(&list.text);
    let mut violations = Vec::new();
    for (name, arm) in &arms {
        let future = name.split(' ').next().unwrap_or_default();
        let function = future.rsplit_once("::").map(|(_, function)| function);
        let calls = |function| arm.contains(&format!(".{function}(")) || arm.contains(&format!("::{function}("));
        if !function.is_none_or(calls) {
            violations.push(format!("{}: the arm \"{name}\" does not call it", list.path));
        }
        if !wanted.contains(future) {
            violations.push(format!("{}: there is no public future {future}", list.path));
        }
        if !played.contains(name) {
            violations.push(format!("{}: \"{name}\" has an arm and is not played", list.path));
        }
        given_up.insert(future.to_owned());
    }
    let no_arm = played.iter().filter(|name| !arms.iter().any(|(arm, _)| arm == *name));
    violations.extend(no_arm.map(|name| format!("{}: \"{name}\" has no arm", list.path)));
    violations
}

#[test]
fn every_public_future_is_given_up_by_a_test() {
    let sources = sources();
    let mut futures = Futures::default();
    for source in sources.iter().filter(|source| LIBRARIES.iter().any(|library| source.path.starts_with(library))) {
        futures.collect(source);
    }
    let wanted = futures.names();
    for known in
        ["OneshotWatch", "WatchStream::next", "Client::watch", "Client::get_data", "Client::update", "Mirror::ready"]
    {
        assert!(wanted.contains(known), "{known} is a future: {wanted:?}");
    }
    let mut given_up = BTreeSet::new();
    let lists = sources.iter().filter(|source| LISTS.contains(&source.path.as_str()));
    let mut violations: Vec<_> = lists.flat_map(|list| check(list, &wanted, &mut given_up)).collect();
    violations.extend(wanted.difference(&given_up).map(|name| format!("{name} is given up nowhere")));
    report(
        &violations,
        "give it up at every point where it waits, in a given_up.rs, and show that nothing is left behind",
    );
}

#[test]
fn public_futures_and_their_lists_are_read_rightly() {
    let text = [
        "pub struct Known<R>(R);",
        "pub struct Alone;",
        "pub enum Items {",
        "impl<R> Future for Known<R> {",
        "impl Future for Alone {",
        "impl Future for Private {",
        "impl futures::Stream for Items {",
        "impl<T: Copy> Thing<T> {",
        "    pub fn one(",
        "        &self,",
        "    ) -> Known<u8> {",
        "    pub async fn two(&self) {",
        "    pub(crate) async fn three() {",
        "    pub fn four(&self) -> u8 {",
    ];
    let mut futures = Futures::default();
    futures.collect(&Source { path: String::new(), text: text.join("\n") });
    let names: Vec<_> = futures.names().into_iter().collect();
    assert_eq!(names, ["Alone", "Items::next", "Thing::one", "Thing::two"]);
    let list =
        "[\"A::b\", \"A::c d\", \"/path\"] match name {\n        \"A::b\" => a.b(\"x\"),\n        _ => panic!(\"no\")";
    assert_eq!(named(list), (BTreeSet::from(["A::b", "A::c d"]), vec![("A::b", " a.b(\"x\"),")]));
}
