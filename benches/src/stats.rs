//! Percentiles and medians. Knows nothing of what the numbers are.

/// The percentile that the contract asks for: element ceil(q * n), counted from 1, of sorted numbers; `q` in
/// thousandths. Zero if there are none.
pub(crate) fn percentile(sorted: &[u64], q_permille: usize) -> u64 {
    at_millionths(sorted, q_permille * 1000)
}

/// The same with `q` in millionths.
pub(crate) fn at_millionths(sorted: &[u64], q: usize) -> u64 {
    let rank = (sorted.len() * q).div_ceil(1_000_000).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

/// The middle of some numbers, or the mean of the two in the middle; NaN if there are none.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
    let lower =
        if sorted.len() % 2 == 1 { Some(upper) } else { middle.checked_sub(1).and_then(|i| sorted.get(i).copied()) };
    lower.map_or(f64::NAN, |lower| f64::midpoint(lower, upper))
}

/// How far apart two figures are, relative to the smaller one.
pub(crate) fn disagreement(a: f64, b: f64) -> f64 {
    (a - b).abs() / a.min(b).max(f64::MIN_POSITIVE)
}

/// Nanoseconds as microseconds with one decimal.
pub(crate) fn us(ns: u64) -> f64 {
    (ns as f64 / 100.0).round() / 10.0
}

/// With one decimal.
pub(crate) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_element_ceil_q_n() {
        let ten: Vec<u64> = (1..=10).collect();
        assert_eq!([500, 900, 990, 999, 1000].map(|q| percentile(&ten, q)), [5, 9, 10, 10, 10]);
        let thousand: Vec<u64> = (1..=1000).collect();
        assert_eq!([500, 990, 999].map(|q| percentile(&thousand, q)), [500, 990, 999]);
        assert_eq!(percentile(&[7], 500), 7);
        assert_eq!(percentile(&[], 500), 0);
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn floors_disagree_relative_to_the_smaller_one() {
        assert!((disagreement(100.0, 111.0) - 0.11).abs() < 1e-9);
        assert!(disagreement(111.0, 100.0) > 0.1 && disagreement(100.0, 100.0) == 0.0);
    }
}
