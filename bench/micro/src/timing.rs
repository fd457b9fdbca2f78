//! How long something takes, by a clock that may be coarse and that also runs while others have the processor.

use std::time::Duration;

use crate::contender::Contender;

/// A bout's batches are cut into as many slices.
const SLICES: u32 = 16;

/// What one contender took in a bout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The contender.
    pub name: &'static str,
    /// Nanoseconds for one run in its fastest slice, the one that was interrupted least; `None` if it failed.
    pub nanoseconds: Option<f64>,
}

/// Times every contender once, for about `batch` each, after a warm-up as long at least.
///
/// `clock` gives nanoseconds since any moment. It need not be the time of a processor: slices are short enough for one
/// of them to go by undisturbed, and they take turns.
pub fn bout(contenders: &mut [Contender<'_>], clock: &dyn Fn() -> u64, batch: Duration) -> Vec<Figure> {
    let slice = u64::try_from((batch / SLICES).as_nanos()).unwrap_or(u64::MAX);
    let runs: Vec<Option<u32>> = contenders.iter_mut().map(|contender| runs_for(contender, clock, slice)).collect();
    let mut figures: Vec<Figure> =
        contenders.iter().map(|contender| Figure { name: contender.name, nanoseconds: None }).collect();
    for _ in 0..SLICES {
        for ((contender, runs), figure) in contenders.iter_mut().zip(&runs).zip(&mut figures) {
            let Some(runs) = *runs else { continue };
            let each = time(contender, clock, runs).map(|taken| taken as f64 / f64::from(runs));
            figure.nanoseconds = match (figure.nanoseconds, each) {
                (Some(best), Some(each)) => Some(best.min(each)),
                (best, each) => best.or(each),
            };
        }
    }
    figures
}

/// How many runs take a slice, found by doubling: which warms up as well. `None` if it fails.
fn runs_for(contender: &mut Contender<'_>, clock: &dyn Fn() -> u64, slice: u64) -> Option<u32> {
    let (mut runs, mut spent) = (1_u32, 0);
    loop {
        let taken = time(contender, clock, runs)?;
        spent += taken;
        if runs > u32::MAX / 4 || (taken >= slice && spent >= slice * u64::from(SLICES)) {
            // Doubling found at most twice too many.
            let fitting = u64::from(runs) * slice / taken.max(1);
            return Some(u32::try_from(fitting.clamp(1, u64::from(u32::MAX))).unwrap_or(u32::MAX));
        }
        if taken < slice {
            runs *= 2;
        }
    }
}

fn time(contender: &mut Contender<'_>, clock: &dyn Fn() -> u64, runs: u32) -> Option<u64> {
    let start = clock();
    let mut good = true;
    for _ in 0..runs {
        good &= (contender.run)();
    }
    // A wall clock may be set back.
    good.then(|| clock().saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn contender<'a>(name: &'static str, run: impl FnMut() -> bool + 'a) -> Contender<'a> {
        Contender { name, run: Box::new(run) }
    }

    #[test]
    fn each_run_is_charged_what_it_took() {
        let now = Cell::new(5_u64);
        let spend = |nanoseconds| {
            let now = &now;
            move || {
                now.set(now.get() + nanoseconds);
                true
            }
        };
        let mut contenders = [contender("fast", spend(100)), contender("slow", spend(7_000))];
        let figures = bout(&mut contenders, &|| now.get(), Duration::from_millis(4));
        assert_eq!(figures.iter().map(|figure| figure.nanoseconds).collect::<Vec<_>>(), [Some(100.0), Some(7_000.0)]);
    }

    #[test]
    fn the_slice_that_was_disturbed_least_counts() {
        let (now, runs) = (Cell::new(0_u64), Cell::new(0_u64));
        let run = || {
            runs.set(runs.get() + 1);
            // Somebody else has the processor once in 5000 runs.
            now.set(now.get() + if runs.get() % 5000 == 0 { 900_000 } else { 1000 });
            true
        };
        let figures = bout(&mut [contender("disturbed", run)], &|| now.get(), Duration::from_millis(4));
        assert_eq!(figures[0].nanoseconds, Some(1000.0));
    }

    #[test]
    fn who_fails_has_no_figure() {
        let figures = bout(&mut [contender("broken", || false)], &|| 0, Duration::from_millis(4));
        assert_eq!(figures, [Figure { name: "broken", nanoseconds: None }]);
    }
}
