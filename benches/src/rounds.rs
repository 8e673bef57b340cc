//! Rounds: floor, ours, floor. The two floors are an A/A control: where they disagree, the round says nothing.
//!
//! Must not know what is measured.

use crate::{error::Failure, report, stats};
use serde::Serialize;

/// The two floors of a round may differ by this much.
const DISAGREEMENT_MAX: f64 = 0.10;

/// A place in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// The floor, before.
    FloorBefore,
    /// What is measured.
    Ours,
    /// The floor, after.
    FloorAfter,
}

/// A round.
pub(crate) struct Round<T> {
    pub(crate) number: u32,
    pub(crate) before: T,
    pub(crate) ours: T,
    pub(crate) after: T,
    pub(crate) kept: bool,
}

impl<T> Round<T> {
    /// The steps in their order.
    pub(crate) fn steps(&self) -> [(Place, &T); 3] {
        [(Place::FloorBefore, &self.before), (Place::Ours, &self.ours), (Place::FloorAfter, &self.after)]
    }

    /// Ours against the mean of the two floors.
    pub(crate) fn ratio(&self, figure: impl Fn(&T) -> f64) -> f64 {
        figure(&self.ours) / f64::midpoint(figure(&self.before), figure(&self.after))
    }
}

/// Goes on until enough rounds are kept, or too many were tried.
pub(crate) fn interleave<T>(
    wanted: u32,
    most: u32,
    figure: impl Fn(&T) -> f64,
    mut step: impl FnMut(Place) -> Result<T, Failure>,
    mut done: impl FnMut(&Round<T>) -> Result<(), Failure>,
) -> Result<Vec<Round<T>>, Failure> {
    let mut rounds: Vec<Round<T>> = Vec::new();
    let mut kept = 0;
    for number in 1..=most {
        let before = step(Place::FloorBefore)?;
        let ours = step(Place::Ours)?;
        let after = step(Place::FloorAfter)?;
        let apart = stats::disagreement(figure(&before), figure(&after));
        let round = Round { number, before, ours, after, kept: apart <= DISAGREEMENT_MAX };
        let verdict = if round.kept { "kept" } else { "discarded" };
        let [before, ours, after] = round.steps().map(|(_, step)| report::figure_text(figure(step)));
        let ratio = round.ratio(&figure);
        report::tell(&format!(
            "round {number}: floor {before}, ours {ours}, floor {after}: {ratio:.2}; the floors are {:.0} % apart: {verdict}",
            apart * 100.0
        ));
        done(&round)?;
        kept += u32::from(round.kept);
        rounds.push(round);
        if kept == wanted {
            break;
        }
    }
    Ok(rounds)
}

/// The table and the ratios of the rounds that were kept.
pub(crate) fn summary<T>(rounds: &[Round<T>], columns: &[report::Column<T>]) -> String {
    let kept: Vec<&Round<T>> = rounds.iter().filter(|round| round.kept).collect();
    let floors: Vec<&T> = kept.iter().flat_map(|round| [&round.before, &round.after]).collect();
    let ours: Vec<&T> = kept.iter().map(|round| &round.ours).collect();
    let ratio = |figure: &fn(&T) -> f64| stats::median(kept.iter().map(|round| round.ratio(figure)));
    let ratios: Vec<String> = columns.iter().map(|(_, figure)| report::figure_text(ratio(figure))).collect();
    let lines = [
        report::head(columns),
        report::row("floor", columns, &floors),
        report::row("ours", columns, &ours),
        format!("| ours / floor | {} |", ratios.join(" | ")),
        format!(
            "\nMedians of {} rounds (floor, ours, floor); {} more were discarded because their floors disagreed by more than {:.0} %.",
            kept.len(),
            rounds.len() - kept.len(),
            DISAGREEMENT_MAX * 100.0
        ),
    ];
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(figures: &[f64], wanted: u32, most: u32) -> Vec<Round<f64>> {
        let mut figures = figures.iter().copied();
        interleave(wanted, most, |figure| *figure, |_| Ok(figures.next().unwrap()), |_| Ok(())).unwrap()
    }

    #[test]
    fn rounds_whose_floors_disagree_do_not_count() {
        let rounds = played(&[100.0, 120.0, 112.0, 100.0, 120.0, 100.0, 100.0, 130.0, 100.0], 2, 9);
        assert_eq!(rounds.iter().map(|round| round.kept).collect::<Vec<_>>(), [false, true, true]);
        let text = summary(&rounds, &[("x", |x| *x)]);
        assert!(text.contains("| ours / floor | 1.25 |") && text.contains("Medians of 2 rounds"), "{text}");
    }

    #[test]
    fn it_ends_though_nothing_is_kept() {
        let rounds = played(&[1.0, 1.0, 2.0, 0.0, 1.0, 2.0], 5, 2);
        assert_eq!(rounds.len(), 2);
        assert!(summary(&rounds, &[("x", |x| *x)]).contains("| ours / floor | - |"));
    }
}
