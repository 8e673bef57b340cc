//! A test that proves a promise names it: `// goal: N3`. The promises are listed here.

use super::{report, sources};

/// Every id of the list of promises, by its letter.
const GOALS: [(&str, &[u32]); 8] = [
    ("P", &[1, 2, 3, 4, 5, 6]),
    ("N", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]),
    ("W", &[1, 2, 3, 4]),
    ("M", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ("C", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17]),
    ("K", &[1]),
    ("O", &[1, 3, 4, 5, 6]),
    ("Q", &[1, 2, 3, 4, 5, 6]),
];

fn is_goal(id: &str) -> bool {
    let Some((letter, number)) = id.split_at_checked(1) else { return false };
    let number: Option<u32> = number.parse().ok();
    GOALS.iter().any(|(known, numbers)| *known == letter && number.is_some_and(|number| numbers.contains(&number)))
}

#[test]
fn goals_in_comments_exist() {
    let mut violations = Vec::new();
    let mut count = 0;
    for source in sources() {
        for (number, line) in (1..).zip(source.text.lines()) {
            let Some(ids) = line.trim_start().strip_prefix("// goal:") else { continue };
            for id in ids.split([',', ' ']).filter(|id| !id.is_empty()) {
                count += 1;
                if !is_goal(id) {
                    violations.push(format!("{}:{number}: no goal {id:?}", source.path));
                }
            }
        }
    }
    report(&violations, "`// goal: N3` or `// goal: N3, N4`, with ids from the list in this file");
    assert!(count > 0, "no test names a goal");
    assert!(is_goal("C17") && !is_goal("C12") && !is_goal("Z1") && !is_goal("N") && !is_goal(""));
}
