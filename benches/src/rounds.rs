//! Rounds: floor, ours and others, floor. The two floors are an A/A control: where they disagree, the round says nothing. Each
//! round begins with another of those between, so that nobody is measured behind the same one always.
//!
//! Must not know what is measured.

use crate::{
    error::Failure,
    report::{self, Lines},
    stats,
};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// The two floors of a round may differ by this much.
pub(crate) const DISAGREEMENT_MAX: f64 = 0.10;

/// A place in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The floor, before.
    FloorBefore,
    /// One of those that are measured; the first is ours.
    Contender(usize),
    /// The floor, after.
    FloorAfter,
}

impl Place {
    /// What the JSON lines call it.
    pub(crate) fn name(self, contenders: &[String]) -> String {
        match self {
            Self::FloorBefore => "floor-before".to_owned(),
            Self::Contender(at) => contenders.get(at).cloned().unwrap_or_default(),
            Self::FloorAfter => "floor-after".to_owned(),
        }
    }
}

/// A round.
pub(crate) struct Round<T> {
    pub(crate) number: u32,
    pub(crate) before: T,
    /// `None` for who failed.
    pub(crate) contenders: Vec<Option<T>>,
    pub(crate) after: T,
    pub(crate) kept: bool,
}

/// A line of the file: a step of a round, and what was asked for.
#[derive(Serialize)]
struct Record<'a, A, T> {
    round: u32,
    place: String,
    kept: bool,
    #[serde(flatten)]
    asked: &'a A,
    #[serde(flatten)]
    step: &'a T,
}

impl<T: Serialize> Round<T> {
    /// Writes its steps into the file, each with what was asked for.
    pub(crate) fn write(
        &self,
        lines: &mut Lines,
        contenders: &[String],
        asked: &impl Serialize,
    ) -> Result<(), Failure> {
        self.steps().try_for_each(|(place, step)| {
            let place = place.name(contenders);
            lines.add(&Record { round: self.number, place, kept: self.kept, asked, step })
        })
    }
}

impl<T> Round<T> {
    /// The steps in their order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (Place, &T)> {
        let contenders = self.contenders.iter().enumerate();
        let contenders = contenders.filter_map(|(at, step)| Some((Place::Contender(at), step.as_ref()?)));
        [(Place::FloorBefore, &self.before)].into_iter().chain(contenders).chain([(Place::FloorAfter, &self.after)])
    }

    /// A contender against the mean of the two floors; NaN if it failed.
    pub(crate) fn ratio(&self, contender: usize, figure: impl Fn(&T) -> f64) -> f64 {
        let step = self.contenders.get(contender).and_then(Option::as_ref);
        step.map_or(f64::NAN, |step| figure(step) / f64::midpoint(figure(&self.before), figure(&self.after)))
    }
}

/// Goes on until enough rounds are kept, or too many were tried. The first contender must not fail; another that does
/// is told of and left out of its round.
pub(crate) fn interleave<T>(
    contenders: &[String],
    (wanted, most): (u32, u32),
    figure: impl Fn(&T) -> f64,
    mut step: impl FnMut(Place) -> Result<T, Failure>,
    mut done: impl FnMut(&Round<T>) -> Result<(), Failure>,
) -> Result<Vec<Round<T>>, Failure> {
    let mut rounds: Vec<Round<T>> = Vec::new();
    let mut kept = 0;
    let mut order: VecDeque<(usize, &String)> = contenders.iter().enumerate().collect();
    for number in 1..=most {
        let before = step(Place::FloorBefore)?;
        let mut steps = BTreeMap::new();
        for &(at, name) in &order {
            let taken = match step(Place::Contender(at)) {
                Err(failure) if at > 0 => {
                    report::tell(&format!("round {number}: {name} failed: {}", failure.line()));
                    None
                }
                other => Some(other?),
            };
            steps.insert(at, taken);
        }
        let first = order.pop_front();
        order.extend(first);
        let steps = steps.into_values().collect();
        let after = step(Place::FloorAfter)?;
        let apart = stats::disagreement(figure(&before), figure(&after));
        let round = Round { number, before, contenders: steps, after, kept: apart <= DISAGREEMENT_MAX };
        report::tell(&told(&round, contenders, &figure, apart));
        done(&round)?;
        kept += u32::from(round.kept);
        rounds.push(round);
        if kept == wanted {
            break;
        }
    }
    Ok(rounds)
}

/// How a round went, in a line.
fn told<T>(round: &Round<T>, contenders: &[String], figure: &impl Fn(&T) -> f64, apart: f64) -> String {
    let Round { number, before, after, kept, .. } = round;
    let ratios = contenders.iter().enumerate().map(|(at, name)| {
        let own = round.contenders.get(at).and_then(Option::as_ref).map_or(f64::NAN, figure);
        format!("{name} {} ({:.2})", report::figure_text(own), round.ratio(at, figure))
    });
    format!(
        "round {number}: floor {}, {}, floor {}; the floors are {:.0} % apart: {}",
        report::figure_text(figure(before)),
        ratios.collect::<Vec<_>>().join(", "),
        report::figure_text(figure(after)),
        apart * 100.0,
        if *kept { "kept" } else { "discarded" }
    )
}

/// The table and the ratios of the rounds that were kept; if none was, of all, and it says so.
pub(crate) fn summary<T>(rounds: &[Round<T>], contenders: &[String], columns: &[report::Column<T>]) -> String {
    let none_kept = rounds.iter().all(|round| !round.kept);
    let kept: Vec<&Round<T>> = rounds.iter().filter(|round| none_kept || round.kept).collect();
    let floors: Vec<&T> = kept.iter().flat_map(|round| [&round.before, &round.after]).collect();
    let mut lines = vec![report::head(columns), report::row("floor", columns, &floors)];
    for (at, name) in contenders.iter().enumerate() {
        let steps: Vec<&T> = kept.iter().filter_map(|round| round.contenders.get(at)?.as_ref()).collect();
        lines.push(report::row(name, columns, &steps));
    }
    for (at, name) in contenders.iter().enumerate() {
        let ratio = |figure: &fn(&T) -> f64| {
            stats::median(kept.iter().map(|round| round.ratio(at, figure)).filter(|ratio| !ratio.is_nan()))
        };
        let ratios: Vec<String> = columns.iter().map(|(_, figure)| report::figure_text(ratio(figure))).collect();
        lines.push(format!("| {name} / floor | {} |", ratios.join(" | ")));
    }
    let (most, who) = (DISAGREEMENT_MAX * 100.0, contenders.join(", "));
    lines.push(if none_kept {
        let tried = rounds.len();
        format!("\nNO ROUND WAS KEPT: in all {tried} the floors disagreed by more than {most:.0} %. These are medians of all; they say little.")
    } else {
        let discarded = rounds.len() - kept.len();
        format!("\nMedians of {} rounds (floor, {who}, floor; each began with another one of those between); {discarded} more were discarded because their floors disagreed by more than {most:.0} %.", kept.len())
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// A figure below zero is a failure.
    fn played(figures: &[f64], contenders: &[&str], wanted: u32, most: u32) -> Result<Vec<Round<f64>>, Failure> {
        let mut figures = figures.iter().copied();
        let step = |_| match figures.next().unwrap() {
            figure if figure < 0.0 => Err(Failure::Usage("failed")),
            figure => Ok(figure),
        };
        interleave(&names(contenders), (wanted, most), |figure| *figure, step, |_| Ok(()))
    }

    #[test]
    fn rounds_whose_floors_disagree_do_not_count() {
        let rounds = played(&[100.0, 120.0, 112.0, 100.0, 120.0, 100.0, 100.0, 130.0, 100.0], &["ours"], 2, 9).unwrap();
        assert_eq!(rounds.iter().map(|round| round.kept).collect::<Vec<_>>(), [false, true, true]);
        let text = summary(&rounds, &names(&["ours"]), &[("x", |x| *x)]);
        assert!(text.contains("| ours / floor | 1.25 |") && text.contains("Medians of 2 rounds"), "{text}");
    }

    #[test]
    fn it_ends_though_nothing_is_kept() {
        let rounds = played(&[1.0, 1.0, 2.0, 0.0, 1.0, 2.0], &["ours"], 5, 2).unwrap();
        assert_eq!(rounds.len(), 2);
        let text = summary(&rounds, &names(&["ours"]), &[("x", |x| *x)]);
        assert!(text.contains("| ours / floor | 0.833 |") && text.contains("NO ROUND WAS KEPT: in all 2"), "{text}");
    }

    #[test]
    fn a_peer_may_fail_and_we_may_not() {
        let both = ["ours", "peer"];
        let rounds = played(&[1.0, 2.0, -1.0, 1.0, 1.0, 3.0, 2.0, 1.0], &both, 2, 2).unwrap();
        let text = summary(&rounds, &names(&both), &[("x", |x| *x)]);
        assert!(text.contains("| ours / floor | 2.00 |") && text.contains("| peer / floor | 3.00 |"), "{text}");
        assert_eq!(rounds[0].steps().count(), 3);
        assert_eq!(
            rounds[1].steps().map(|(place, _)| place.name(&names(&both))).collect::<Vec<_>>().join(" "),
            "floor-before ours peer floor-after"
        );
        assert!(played(&[1.0, -1.0], &both, 1, 1).is_err());
    }

    #[test]
    fn each_round_begins_with_another() {
        let (mut places, all) = (Vec::new(), ["ours", "one", "two"]);
        let step = |place: Place| {
            places.push(place.name(&names(&all)));
            Ok(1.0)
        };
        let rounds = interleave(&names(&all), (4, 4), |figure| *figure, step, |_| Ok(())).unwrap();
        let order: Vec<String> = places.chunks(5).map(|round| round[1..4].join(" ")).collect();
        assert_eq!(order, ["ours one two", "one two ours", "two ours one", "ours one two"]);
        assert!(rounds.iter().all(|round| round.contenders.iter().all(Option::is_some)));
    }
}
