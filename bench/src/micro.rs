//! Cellgate's pieces, one by one: the scan beside other scans, the decision inside the filter, the placement.

mod decision;
mod drive;
mod placement;
mod scan;
mod vm;

use anyhow::Result;
use serde_json::Value;

use crate::goals::Goal;

/// What one part of the benchmark has to say.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// In the JSON report.
    pub(crate) name: &'static str,
    /// Its tables, with a heading of the second level.
    pub(crate) markdown: String,
    /// The same and more for programs.
    pub(crate) json: Value,
    /// What was promised.
    pub(crate) goals: Vec<Goal>,
}

/// Measures all pieces.
///
/// # Errors
/// When a module or a program is missing, or something did not do what its name says.
pub(crate) async fn measure(quick: bool) -> Result<Vec<Part>> {
    eprintln!("placement of a million keys");
    let placement = tokio::task::spawn_blocking(placement::measure).await??;
    eprintln!("decisions inside the filter");
    let decision = decision::measure(quick).await?;
    let scan = scan::measure(quick).await?;
    Ok(vec![scan, decision, placement])
}

/// The time that this thread has had a processor for, in nanoseconds.
fn thread_time() -> u64 {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).map_or(0, |time| std::time::Duration::from(time).as_nanos() as u64)
}

/// Three digits that say something.
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
    fn three_digits() {
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
