//! Rounds, read back, as medians and ratios.

use super::runs::{number, text};
use crate::{report::figure_text, stats::median};
use serde_json::Value;

/// A column: its heading, and the figure of a line.
pub(super) type Column = (&'static str, fn(&Value) -> f64);

/// The rounds of a table.
pub(super) struct Rounds<'a> {
    lines: Vec<&'a Value>,
    /// No round was kept: all lines are taken, and the table says so.
    pub(super) none_kept: bool,
    kept: usize,
    tried: usize,
}

/// What both floors of a round are called.
pub(super) const FLOOR: &str = "floor";

impl<'a> Rounds<'a> {
    pub(super) fn new(lines: &[&'a Value]) -> Self {
        let is_kept = |line: &Value| line.get("kept").and_then(Value::as_bool).unwrap_or(true);
        let count = |lines: &[&Value]| lines.iter().filter(|line| text(line, "place") == "floor-before").count();
        let kept: Vec<&Value> = lines.iter().copied().filter(|line| is_kept(line)).collect();
        let (kept_count, tried) = (count(&kept), count(lines));
        let none_kept = kept.is_empty();
        Self { lines: if none_kept { lines.to_vec() } else { kept }, none_kept, kept: kept_count, tried }
    }

    /// Those who were measured, the floor first, in the order of a round.
    pub(super) fn watchers(&self) -> Vec<&'a str> {
        let mut names = vec![FLOOR];
        for line in &self.lines {
            let place = text(line, "place");
            if !names.contains(&place) && !place.starts_with("floor-") {
                names.push(place);
            }
        }
        names
    }

    /// The lines of one of them.
    pub(super) fn of(&self, watcher: &str) -> impl Iterator<Item = &'a Value> {
        let is_its = move |line: &&Value| match text(line, "place") {
            "floor-before" | "floor-after" => watcher == FLOOR,
            place => place == watcher,
        };
        self.lines.iter().copied().filter(is_its)
    }

    /// The median of a figure.
    pub(super) fn median(&self, watcher: &str, figure: impl Fn(&Value) -> f64) -> f64 {
        median(self.of(watcher).map(figure).filter(|figure| !figure.is_nan()))
    }

    /// The median over rounds of a watcher against the mean of the two floors of its round.
    pub(super) fn ratio(&self, watcher: &str, figure: impl Fn(&Value) -> f64) -> f64 {
        self.ratio_to(watcher, FLOOR, figure)
    }

    /// The median over rounds of a watcher against another of its round.
    pub(super) fn ratio_to(&self, watcher: &str, other: &str, figure: impl Fn(&Value) -> f64) -> f64 {
        let ratios = self.of(watcher).map(|line| {
            let same_round = |other: &&Value| number(other, "round").total_cmp(&number(line, "round")).is_eq();
            let others: Vec<f64> = self.of(other).filter(same_round).map(&figure).collect();
            figure(line) / (others.iter().sum::<f64>() / others.len().max(1) as f64)
        });
        median(ratios.filter(|ratio| ratio.is_finite()))
    }

    /// Medians of everybody, then ratios.
    pub(super) fn table(&self, columns: &[Column]) -> String {
        let cells = |figure: &dyn Fn(fn(&Value) -> f64) -> f64| {
            columns.iter().map(|(_, column)| figure_text(figure(*column))).collect::<Vec<_>>().join(" | ")
        };
        let headings: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let mut rows = vec![format!("| watcher | {} |\n|---|{}", headings.join(" | "), "---:|".repeat(columns.len()))];
        let watchers = self.watchers();
        rows.extend(watchers.iter().map(|name| format!("| {name} | {} |", cells(&|column| self.median(name, column)))));
        let measured = watchers.iter().filter(|name| **name != FLOOR);
        rows.extend(measured.map(|name| format!("| {name} / floor | {} |", cells(&|column| self.ratio(name, column)))));
        rows.push(self.said());
        rows.join("\n")
    }

    fn said(&self) -> String {
        let Self { kept, tried, .. } = self;
        if self.none_kept {
            format!(
                "\n**No round was kept**: in all {tried} the two floors disagreed by more than 10 %. These are medians of all; they say little.\n"
            )
        } else {
            format!(
                "\nMedians of {kept} rounds; {} more were discarded because their floors disagreed by more than 10 %.\n",
                tried - kept
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Value> {
        text.split_whitespace()
            .map(|word| {
                let mut parts = word.split(':');
                let (round, place, x) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
                let (round, x): (u32, f64) = (round.parse().unwrap(), x.parse().unwrap());
                serde_json::json!({ "round": round, "place": place, "kept": parts.next() != Some("no"), "x": x })
            })
            .collect()
    }

    const X: Column = ("x", |line| number(line, "x"));

    #[test]
    fn ratios_are_of_the_same_round() {
        let lines = lines(
            "1:floor-before:10 1:ours:20 1:floor-after:10 2:floor-before:100 2:ours:100 2:floor-after:100 \
             3:floor-before:1:no 3:ours:50:no 3:floor-after:9:no 4:floor-before:1 4:ours:3 4:floor-after:3",
        );
        let rounds = Rounds::new(&lines.iter().collect::<Vec<_>>());
        let table = rounds.table(&[X]);
        // ratios 2, 1 and 1.5
        assert!(table.contains("| ours / floor | 1.50 |") && table.contains("| ours | 20 |"), "{table}");
        assert!(table.contains("Medians of 3 rounds; 1 more"), "{table}");
    }

    #[test]
    fn rounds_of_which_none_was_kept_are_shown_as_that() {
        let lines = lines("1:floor-before:10:no 1:ours:20:no 1:floor-after:30:no");
        let table = Rounds::new(&lines.iter().collect::<Vec<_>>()).table(&[X]);
        assert!(
            table.contains("**No round was kept**: in all 1") && table.contains("| ours / floor | 1.00 |"),
            "{table}"
        );
    }
}
