//! What a record's documentation must name: opcode, first version, errors.

use super::{report, sources};

/// A record as its documentation describes it.
struct Record {
    place: String,
    name: String,
    docs: String,
}

/// The records of a file: names that stand in `records! { .. }` or `lists! { .. }`, with the comments above them.
fn records(path: &str, text: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let (mut inside, mut docs) = (false, String::new());
    for (number, line) in (1..).zip(text.lines()) {
        if line == "records! {" || line == "lists! {" {
            inside = true;
        } else if line == "}" {
            inside = false;
        }
        let Some(line) = line.strip_prefix("    ").filter(|line| inside && !line.starts_with(' ')) else { continue };
        if let Some(doc) = line.strip_prefix("///") {
            docs.push_str(doc);
        } else if line.starts_with(|c: char| c.is_uppercase()) {
            let name = line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
            records.push(Record { place: format!("{path}:{number}"), name, docs: std::mem::take(&mut docs) });
        } else {
            docs.clear();
        }
    }
    records
}

/// Whether a record travels by itself, as the body of a request, a reply or a notification.
fn is_body(name: &str) -> bool {
    ["Request", "Response", "Packet", "Event"].iter().any(|end| name.ends_with(end))
}

fn missing(record: &Record) -> Vec<&'static str> {
    let docs = record.docs.to_lowercase();
    let named = |words: &[&str]| words.iter().any(|word| docs.contains(word));
    let mut missing = Vec::new();
    if !named(&["opcode"]) {
        missing.push("its opcode");
    }
    if !named(&["since "]) {
        missing.push("the first version that knows it (\"since\")");
    }
    let is_question = record.name.ends_with("Request") || record.name.ends_with("Packet");
    if is_question && !named(&["errors", "answered"]) {
        missing.push("its errors");
    }
    missing
}

#[test]
fn records_name_their_opcode_version_and_errors() {
    let (mut violations, mut count) = (Vec::new(), 0);
    let is_declared_in =
        |path: &str| path.starts_with("zk-proto/src/records") || path.starts_with("zk-proto/src/multi");
    for source in sources().iter().filter(|source| is_declared_in(&source.path)) {
        for record in records(&source.path, &source.text).iter().filter(|record| is_body(&record.name)) {
            count += 1;
            let missing = missing(record);
            if !missing.is_empty() {
                violations.push(format!("{}: {} does not name {}", record.place, record.name, missing.join(", ")));
            }
        }
    }
    report(&violations, "say it in the record's documentation; protocol.md section 3 has the facts");
    assert!(count >= 35, "the test looks at the wrong place: {count} records");
}

#[test]
fn records_are_found_with_their_documentation() {
    let text = "records! {\n    /// Of **x** (opcode 1, since 3.0).\n    /// Errors: none.\n    XRequest<'a> {\n        /// A field.\n        path: Str<'a>,\n    }\n    /// Bare.\n    YRequest {\n    }\n}\n";
    let found = records("x.rs", text);
    assert_eq!(found.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(), ["XRequest", "YRequest"]);
    assert!(missing(&found[0]).is_empty());
    assert_eq!(missing(&found[1]).len(), 3);
}
