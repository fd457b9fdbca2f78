//! Statistics of repeated measurements: median, range and confidence interval.

/// The median, smallest and largest of several measurements, in their own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of a single measurement.
    pub(crate) fn one(value: f64) -> Self {
        Self { median: value, min: value, max: value }
    }

    /// The spread of several measurements; `None` if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (lower, upper) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        Some(Self {
            median: f64::midpoint(*sorted.get(lower)?, *sorted.get(upper)?),
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }
}

/// The least number of measurements for [`interval`].
pub(crate) const FEWEST: usize = 5;

/// The measured median with an interval that contains the true median with a probability of at least 90 %. `None` for
/// fewer than [`FEWEST`] values.
///
/// Two of the values bound the interval (the sign test's interval), so it assumes no distribution of the noise. With
/// five to seven values they are the smallest and the largest; with eight to ten, one value is ignored at each end, and
/// so on. A few disturbed measurements therefore do not widen it.
pub(crate) fn interval(values: &[f64]) -> Option<Spread> {
    const DOUBT: f64 = 0.1;
    let count = values.len();
    if count < FEWEST {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // The probability that this many values are below the median is that of a fair coin.
    let mut exactly = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let (mut at_most, mut left_out) = (exactly, 0_usize);
    loop {
        exactly *= (count - left_out) as f64 / (left_out + 1) as f64;
        at_most += exactly;
        if 2.0 * at_most > DOUBT {
            break;
        }
        left_out += 1;
    }
    let median = Spread::of(values.iter().copied())?.median;
    Some(Spread { median, min: *sorted.get(left_out)?, max: *sorted.get(count - 1 - left_out)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_ignores_as_many_values_as_the_sign_test_allows() {
        let ends = |count: usize| {
            let values: Vec<f64> = (1..=count).map(|value| value as f64).collect();
            interval(&values).map(|interval| (interval.min, interval.max))
        };
        assert_eq!(ends(4), None);
        assert_eq!(ends(5), Some((1.0, 5.0)));
        assert_eq!(ends(7), Some((1.0, 7.0)));
        // From tables of the sign test at 10 %, two-sided.
        assert_eq!(ends(8), Some((2.0, 7.0)));
        assert_eq!(ends(11), Some((3.0, 9.0)));
        assert_eq!(ends(20), Some((6.0, 15.0)));
    }

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_value() {
        assert_eq!(Spread::of([9.0, 1.0, 5.0]), Some(Spread { median: 5.0, min: 1.0, max: 9.0 }));
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        assert_eq!(Spread::of([8.0, 1.0, 2.0, 4.0]), Some(Spread { median: 3.0, min: 1.0, max: 8.0 }));
    }

    #[test]
    fn one_value_is_its_own_spread_and_no_value_has_none() {
        assert_eq!(Spread::of([7.0]), Some(Spread::one(7.0)));
        assert_eq!(Spread::of([]), None);
    }
}
