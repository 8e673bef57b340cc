//! Vectors per operation: who adds an operation adds its bytes, from real servers of each release line.

use zk_proto::OpCode;

use super::report;
use crate::vectors::load;

/// The release lines that vectors come from.
const LINES: [&str; 3] = ["3.6", "3.8", "3.9"];

/// Operations without a reply from some release line, and why.
const WITHOUT_REPLY: [(OpCode, &str, &str); 3] = [
    (OpCode::WHO_AM_I, "3.6", "known since 3.7"),
    (OpCode::DELETE_CONTAINER, "3.6", "the servers' own; a client is refused"),
    (OpCode::DELETE_CONTAINER, "3.8", "the servers' own; a client is refused"),
];

// goal: P1
#[test]
fn every_operation_has_a_request_and_a_reply_vector() {
    let mut violations = Vec::new();
    for (op, ..) in zk_proto::ops::TABLE {
        let name = format!("{}.hex", op.text().unwrap());
        let vectors = load(&name).unwrap_or_default();
        for line in LINES {
            let of_line = |version: &String| version.starts_with(&format!("{line}."));
            let has = |kind: &str| vectors.iter().any(|v| v.kind == kind && v.versions.iter().any(of_line));
            let excused = WITHOUT_REPLY.iter().find(|(known, of, _)| (known, *of) == (op, line));
            if !has("request") {
                violations.push(format!("tests/tests/vectors/{name}: no [request] for {op:?} from {line}"));
            }
            match excused {
                None if !has("reply") => {
                    violations.push(format!("tests/tests/vectors/{name}: no [reply] for {op:?} from {line}"));
                }
                Some((.., why)) if has("reply") => {
                    violations
                        .push(format!("tests/tests/vectors/{name}: a [reply] for {op:?} from {line}, but: {why}"));
                }
                _ => {}
            }
        }
    }
    report(&violations, "add a scene to tests/examples/record_vectors; see tests/tests/vectors/README.md");
}
