//! The shortest script that still fails: leave out halves, quarters and so on, down to single steps, until nothing
//! more can go.
//!
//! Must not know what failing is.

use super::script::Step;

pub fn shrink(script: &[Step], mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut shortest = script.to_vec();
    let mut chunk = shortest.len() / 2;
    while chunk > 0 {
        let mut at = 0;
        let before = shortest.len();
        while at < shortest.len() {
            let end = (at + chunk).min(shortest.len());
            let candidate = [&shortest[..at], &shortest[end..]].concat();
            if fails(&candidate) {
                shortest = candidate;
            } else {
                at = end;
            }
        }
        // single steps again and again, as long as one can go
        if chunk > 1 || shortest.len() == before {
            chunk /= 2;
        }
    }
    shortest
}

#[test]
fn only_what_is_needed_is_left() {
    let steps: Vec<Step> = (0..100).map(|number| Step::new(0, &format!("ping {number}"))).collect();
    let needed = [&steps[17], &steps[18], &steps[80]];
    let mut runs = 0;
    let short = shrink(&steps, |script| {
        runs += 1;
        needed.iter().all(|step| script.contains(step))
    });
    assert_eq!(short.iter().collect::<Vec<_>>(), needed);
    assert!(runs < 100, "{runs} runs");
}
