//! What several measurements of the same thing say: the middle one, and how far the others are from it.

/// Median, smallest and largest of some measurements, in their own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Half of the measurements are not above, half are not below.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// `None` when there are no measurements.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_odd_number() {
        assert_eq!(Spread::of([9.0, 1.0, 5.0]), Some(Spread { median: 5.0, min: 1.0, max: 9.0 }));
    }

    #[test]
    fn the_mean_of_the_two_middle_ones() {
        assert_eq!(Spread::of([8.0, 1.0, 2.0, 4.0]), Some(Spread { median: 3.0, min: 1.0, max: 8.0 }));
    }

    #[test]
    fn one_and_none() {
        assert_eq!(Spread::of([7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
