//! Measurements of single parts: the scanner compared with others, the decision inside the filter, the placement.

mod decision;
mod drive;
mod placement;
mod scan;
mod vm;

use anyhow::Result;
use serde_json::Value;

use crate::goals::Goal;

/// The results of one part of the benchmark.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The name in the JSON report.
    pub(crate) name: &'static str,
    /// The tables, with a second-level heading.
    pub(crate) markdown: String,
    /// The data for programs, with more detail.
    pub(crate) json: Value,
    /// The goals.
    pub(crate) goals: Vec<Goal>,
}

/// Measures every part.
///
/// # Errors
/// When a module or a program is missing, or a result is wrong.
pub(crate) async fn measure(quick: bool) -> Result<Vec<Part>> {
    eprintln!("placement of a million keys");
    let placement = tokio::task::spawn_blocking(placement::measure).await??;
    eprintln!("decisions inside the filter");
    let decision = decision::measure(quick).await?;
    let scan = scan::measure(quick).await?;
    Ok(vec![scan, decision, placement])
}

/// The CPU time of this thread, in nanoseconds.
pub(crate) fn thread_time() -> u64 {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).map_or(0, |time| std::time::Duration::from(time).as_nanos() as u64)
}

/// The value with three significant digits.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        0.1.. => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits_are_shown() {
        let shown = [123.4, 12.34, 1.234, 0.1234, 0.01234, 0.0].map(digits);
        assert_eq!(shown, ["123", "12.3", "1.23", "0.123", "0.0123", "0"]);
    }

    #[test]
    fn only_work_takes_thread_time() {
        let start = thread_time();
        std::thread::yield_now();
        let waited = thread_time();
        let mut sum = 0_u64;
        while thread_time() < waited + 2_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(waited >= start && sum > 0);
    }
}
