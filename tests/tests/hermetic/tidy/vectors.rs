//! A vector per operation: who adds an operation adds its bytes.

use super::report;
use crate::vectors::load;

// goal: P1
#[test]
fn every_operation_has_a_request_and_a_reply_vector() {
    let mut violations = Vec::new();
    for (op, _) in zk_proto::ops::TABLE {
        let name = format!("{}.hex", op.text().unwrap());
        let vectors = load(&name).unwrap_or_default();
        for kind in ["request", "reply"] {
            if !vectors.iter().any(|vector| vector.kind == kind) {
                violations.push(format!("tests/tests/vectors/{name}: no [{kind}] for {op:?}"));
            }
        }
    }
    report(&violations, "add the bytes of a real frame with their meaning; see tests/tests/vectors/README.md");
}
