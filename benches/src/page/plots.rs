//! Drawings, as SVG without fonts: the reader's browser has those.
//!
//! Must not know what is drawn.

use crate::error::Failure;
use plotters::{
    chart::{ChartBuilder, ChartContext, SeriesLabelPosition},
    coord::{
        CoordTranslate, Shift,
        cartesian::Cartesian2d,
        combinators::IntoLogRange,
        ranged1d::{Ranged, ValueFormatter},
    },
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement, Rectangle, Text},
    prelude::SVGBackend,
    series::LineSeries,
    style::{BLACK, Color, IntoFont, Palette, Palette99, RGBColor, TextStyle, WHITE},
};
use std::ops::Range;

/// Pixels.
const SIZE: (u32, u32) = (820, 420);
const FAULT: RGBColor = RGBColor(214, 69, 65);
/// Where the maximum stands, in nines.
const MAX_AT: f64 = 5.0;

/// Something to be written to a file.
pub(super) struct Plot {
    /// A word for the file's name.
    pub(super) what: String,
    pub(super) title: String,
    pub(super) svg: String,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// A time that is marked.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) from: f64,
    pub(super) to: f64,
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as plotters::prelude::DrawingBackend>::ErrorType>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn drawn(what: &str, title: &str, draw: impl FnOnce(&Area<'_>) -> Result<(), String>) -> Result<Plot, Failure> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let outcome = draw(&area).and_then(|()| area.present().map_err(|error| error.to_string()));
        outcome.map_err(|error| Failure::io(format!("draw {title}"))(std::io::Error::other(error)))?;
    }
    Ok(Plot { what: what.to_owned(), title: title.to_owned(), svg })
}

/// Latencies by percentile: every further nine is as wide as the one before.
pub(super) fn percentiles(what: &str, title: &str, unit: &str, curves: &[Curve]) -> Result<Plot, Failure> {
    let nines = |q: f64| if q >= 1.0 { MAX_AT } else { -(1.0 - q).log10() };
    let curves: Vec<Curve> = mapped(curves, |(q, y)| (nines(q), y));
    drawn(what, title, |area| {
        let label = |x: &f64| match x {
            x if (x - MAX_AT).abs() < 0.01 => "max".to_owned(),
            x => format!("{} %", (1e7 * (1.0 - 10f64.powf(-x))).round() / 1e5),
        };
        let axes = Axes { title, x: "percentile", y: unit, x_label: &label };
        axes.draw(area, 0.0..MAX_AT + 0.2, &curves, &[]).map_err(|error| error.to_string())
    })
}

/// A figure by size, both logarithmic: what grows in step is a straight line as steep as `in step`.
pub(super) fn growth(what: &str, title: &str, x: &str, y: &str, curves: &[Curve]) -> Result<Plot, Failure> {
    let mut all: Vec<Curve> = mapped(curves, |(x, y)| (x.max(1.0).log10(), y));
    all.extend(linear(&all));
    let (low, high) = bounds(all.iter().flat_map(|curve| &curve.points).map(|(x, _)| *x));
    drawn(what, title, |area| {
        let label = |x: &f64| plain(10f64.powf(*x).round());
        let axes = Axes { title, x, y, x_label: &label };
        axes.draw(area, low - 0.1..high + 0.1, &all, &[]).map_err(|error| error.to_string())
    })
}

/// What the greatest size of the last curve would be had it always cost as much each.
fn linear(curves: &[Curve]) -> Option<Curve> {
    let points = &curves.last()?.points;
    let (first, last) = (points.first()?, points.last()?);
    let at = |x: f64| (x, last.1 * 10f64.powf(x - last.0));
    Some(Curve { name: "in step".to_owned(), points: vec![at(first.0), at(last.0)] })
}

/// Figures by time, and what was done meanwhile.
pub(super) fn series(what: &str, title: &str, unit: &str, curves: &[Curve], spans: &[Span]) -> Result<Plot, Failure> {
    let (low, high) = bounds(curves.iter().flat_map(|curve| &curve.points).map(|(x, _)| *x));
    drawn(what, title, |area| {
        let axes = Axes { title, x: "seconds", y: unit, x_label: &|x: &f64| plain(x.round()) };
        axes.draw(area, low..high.max(low + 1.0), curves, spans).map_err(|error| error.to_string())
    })
}

struct Axes<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    x_label: &'a dyn Fn(&f64) -> String,
}

impl Axes<'_> {
    fn draw<'b>(&self, area: &Area<'b>, x: Range<f64>, curves: &[Curve], spans: &[Span]) -> Drawn<'b> {
        area.fill(&WHITE)?;
        // A logarithm has no zero: those points are left out.
        let ys = curves.iter().flat_map(|curve| &curve.points).map(|(_, y)| *y).filter(|y| *y > 0.0);
        let (low, high) = bounds(ys);
        let (low, high) = if low > 0.0 { (low, high) } else { (1.0, 10.0) };
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 18))
            .margin(8)
            .x_label_area_size(42)
            .y_label_area_size(72)
            .build_cartesian_2d(x, (low * 0.8..high * 1.3).log_scale())?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .x_labels(9)
            .x_label_formatter(self.x_label)
            .y_label_formatter(&|y| plain(*y))
            .light_line_style(WHITE)
            .draw()?;
        shade(&mut chart, spans, low * 0.8..high * 1.3)?;
        for (at, curve) in curves.iter().enumerate() {
            let style = Palette99::pick(at).stroke_width(2);
            let points = curve.points.iter().copied().filter(|(_, y)| *y > 0.0);
            chart
                .draw_series(LineSeries::new(points.clone(), style))?
                .label(curve.name.as_str())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
            if spans.is_empty() {
                chart.draw_series(points.map(|point| Circle::new(point, 2, style.filled())))?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 12))
            .draw()
    }
}

/// Marks times.
fn shade<'b, X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'b>, Cartesian2d<X, Y>>,
    spans: &[Span],
    y: Range<f64>,
) -> Drawn<'b>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Cartesian2d<X, Y>: CoordTranslate<From = (f64, f64)>,
{
    for span in spans {
        let to = span.to.max(span.from + 0.2);
        let area = [(span.from, y.start), (to, y.end)];
        chart.draw_series([Rectangle::new(area, FAULT.mix(0.18).filled())])?;
        let font = TextStyle::from(("sans-serif", 11).into_font()).color(&FAULT);
        chart.draw_series([Text::new(span.name.clone(), (span.from, y.start * (y.end / y.start).powf(0.04)), font)])?;
    }
    Ok(())
}

fn mapped(curves: &[Curve], map: impl Fn((f64, f64)) -> (f64, f64)) -> Vec<Curve> {
    let is_number = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
    let points = |curve: &Curve| curve.points.iter().copied().map(&map).filter(is_number).collect();
    curves.iter().map(|curve| Curve { name: curve.name.clone(), points: points(curve) }).collect()
}

/// The smallest and the greatest number; 0 and 1 if there is none.
fn bounds(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let widen =
        |bounds: Option<(f64, f64)>, x: f64| Some(bounds.map_or((x, x), |(low, high)| (low.min(x), high.max(x))));
    numbers.filter(|x| x.is_finite()).fold(None, widen).unwrap_or((0.0, 1.0))
}

/// A number on an axis.
fn plain(number: f64) -> String {
    match number {
        large if large >= 1e6 => format!("{} M", (large / 1e5).round() / 10.0),
        middle if middle >= 1e4 => format!("{} k", (middle / 1e2).round() / 10.0),
        small if small >= 10.0 => format!("{small:.0}"),
        tiny => format!("{}", (tiny * 100.0).round() / 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Vec<Curve> {
        vec![Curve { name: "ours & theirs".to_owned(), points: points.to_vec() }]
    }

    #[test]
    fn a_drawing_is_svg_with_its_words() {
        let plot = percentiles("p", "a title", "us", &curve(&[(0.5, 100.0), (0.99, 200.0), (1.0, 900.0)])).unwrap();
        assert!(plot.svg.starts_with("<svg") && plot.svg.trim_end().ends_with("</svg>"), "{}", plot.svg);
        assert!(
            plot.svg.contains("a title") && plot.svg.contains("ours &amp; theirs") && plot.svg.contains("99 %"),
            "{}",
            plot.svg
        );
        assert!(plot.svg.contains("max"), "{}", plot.svg);
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let strange = [(0.5, f64::NAN), (0.9, 0.0), (0.99, f64::INFINITY)];
        assert!(!percentiles("p", "t", "us", &curve(&strange)).unwrap().svg.contains("NaN"));
        assert!(growth("g", "t", "x", "y", &[]).is_ok() && growth("g", "t", "x", "y", &curve(&[])).is_ok());
        assert!(series("s", "t", "us", &[], &[]).is_ok());
    }

    #[test]
    fn a_fault_is_marked() {
        let spans = [Span { name: "black-hole".to_owned(), from: 1.0, to: 2.0 }];
        let plot = series("s", "t", "us", &curve(&[(0.0, 1.0), (3.0, 5.0)]), &spans).unwrap();
        assert!(plot.svg.contains("black-hole"), "{}", plot.svg);
    }

    #[test]
    fn numbers_on_axes_are_short() {
        assert_eq!([1_000_000.0, 100_000.0, 1000.0, 0.25].map(plain), ["1 M", "100 k", "1000", "0.25"]);
    }
}
