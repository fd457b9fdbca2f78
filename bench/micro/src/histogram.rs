//! Durations in buckets that grow with them: bounded memory, and no value reported further off than a sixteenth.

/// Buckets for each power of two.
const PER_OCTAVE: u32 = 16;
const OCTAVE_BITS: u32 = PER_OCTAVE.ilog2();
const BUCKETS: usize = ((u64::BITS - OCTAVE_BITS + 1) * PER_OCTAVE) as usize;

/// How often which durations occurred. Memory: 8 KB.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into() }
    }
}

impl Histogram {
    /// Counts a duration, in nanoseconds.
    pub fn record(&mut self, nanoseconds: u64) {
        self.add(nanoseconds, 1);
    }

    /// Counts a duration several times.
    pub fn add(&mut self, nanoseconds: u64, times: u64) {
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += times;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }

    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The longest duration of each bucket that is not empty, in order, and how many are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(index, count)| (upper(index), *count))
    }

    /// A duration that at most `1 - share` of all are above: the longest of its bucket. `None` when there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = (share * self.count() as f64).ceil().max(1.0);
        let mut seen = 0;
        self.buckets().find_map(|(upper, count)| {
            seen += count;
            (seen as f64 >= rank).then_some(upper)
        })
    }

    /// The mean of the shortest durations, of which this share of all are: disturbances of the machine are the longest.
    /// `None` when there are none.
    #[must_use]
    pub fn mean_of_shortest(&self, share: f64) -> Option<f64> {
        let rank = (share * self.count() as f64).ceil().max(1.0) as u64;
        let (mut seen, mut sum) = (0, 0.0);
        for (upper, count) in self.buckets() {
            let taken = count.min(rank - seen);
            seen += taken;
            sum += upper as f64 * taken as f64;
        }
        (seen > 0).then(|| sum / seen as f64)
    }
}

/// Small durations have a bucket each; the others share one with those that have the same highest bits.
fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(OCTAVE_BITS + 1);
    let octaves = shift as usize * PER_OCTAVE as usize;
    octaves + usize::try_from(value >> shift).unwrap_or_default()
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let per_octave = PER_OCTAVE as usize;
    let shift = (bucket / per_octave).saturating_sub(1);
    let leading = (bucket - shift * per_octave) as u64;
    // The last bucket ends where the type does.
    ((u128::from(leading) + 1) << shift).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_at_most_a_sixteenth_below_its_buckets_end() {
        let around =
            (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, (1 << bit) + (1 << bit) / 3, u64::MAX >> bit]);
        for value in around.chain(0..5000) {
            let (index, end) = (bucket(value), upper(bucket(value)));
            assert!(index < BUCKETS, "{value}");
            assert!(end >= value && end - value <= value / 16, "{value} in a bucket up to {end}");
            assert!(index == 0 || upper(index - 1) < value, "{value}");
        }
    }

    #[test]
    fn quantiles_of_a_known_distribution() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.add(10, 98);
        histogram.record(1000);
        histogram.record(1_000_000);
        assert_eq!(histogram.count(), 100);
        assert_eq!([0.0, 0.5, 0.98].map(|share| histogram.quantile(share)), [Some(10); 3]);
        assert_eq!(histogram.quantile(0.99), Some(upper(bucket(1000))));
        assert_eq!(histogram.quantile(1.0), Some(upper(bucket(1_000_000))));
        assert_eq!(histogram.buckets().map(|(_, count)| count).collect::<Vec<_>>(), [98, 1, 1]);
        histogram.clear();
        assert_eq!(histogram.count(), 0);
    }

    #[test]
    fn the_mean_of_the_shortest_ignores_the_longest() {
        assert_eq!(Histogram::default().mean_of_shortest(0.9), None);
        let mut histogram = Histogram::default();
        histogram.add(10, 4);
        histogram.add(14, 5);
        histogram.add(1_000_000, 1);
        assert_eq!(histogram.mean_of_shortest(0.9), Some((4.0 * 10.0 + 5.0 * 14.0) / 9.0));
        assert_eq!(histogram.mean_of_shortest(0.2), Some(10.0));
        assert!(histogram.mean_of_shortest(1.0).is_some_and(|mean| mean > 100_000.0));
    }
}
