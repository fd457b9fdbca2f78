//! The memory of the programs, sampled every second from Linux and from their own metrics.

use std::time::Duration;

use anyhow::{Context, Result};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use cellgate_tests::measure::procfs;
use cellgate_tests::measure::regression::{Line, blocks};

/// The number of blocks into which the samples of the second half are averaged before the regression.
const BLOCKS: usize = 30;

/// The allowed growth in [`HORIZON`], as a share of the memory.
const ALLOWED: f64 = 0.05;

/// The time in minutes to which growth is extrapolated, whatever the length of the run.
const HORIZON: f64 = 30.0;

/// The least length in minutes of the second half for a verdict, because the warm-up takes some minutes.
const LEAST: f64 = 10.0;

/// One sample, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) envoy: u64,
    pub(crate) service: u64,
    pub(crate) allocated: Option<u64>,
}

/// Whether memory grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Less than allowed with 95 % confidence.
    Flat,
    /// Above zero with 95 % confidence, and the estimate is more than allowed.
    Grows,
    /// The run was too short or the samples were too noisy.
    Unclear,
}

/// The memory of a process over the second half of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// KiB per minute.
    pub(crate) line: Line,
    pub(crate) growth: Growth,
    /// KiB.
    pub(crate) peak: u64,
}

/// Takes a sample. `ask_envoy` includes the count of Envoy's allocator.
///
/// # Errors
/// When a program has exited.
pub(crate) async fn sample(stack: &Stack, at: Duration, ask_envoy: bool) -> Result<Sample> {
    let allocated = if ask_envoy {
        let memory = stack.admin().get("/memory").await?;
        let memory: Value = serde_json::from_slice(&memory.body).context("/memory")?;
        memory.get("allocated").and_then(Value::as_str).and_then(|bytes| bytes.parse::<u64>().ok()).map(|b| b / 1024)
    } else {
        None
    };
    Ok(Sample {
        at,
        envoy: procfs::resident(stack.envoy().process().pid()).context("Envoy's memory")?,
        service: procfs::resident(stack.ext_proc().pid()).context("the service's memory")?,
        allocated,
    })
}

/// Judges one series of samples. It ignores the first half, in which pools, caches and the allocators' reserves fill.
/// `None` without samples.
pub(crate) fn judge(samples: &[Sample], series: impl Fn(&Sample) -> Option<u64>) -> Option<Verdict> {
    let points: Vec<(f64, f64)> =
        samples.iter().filter_map(|sample| Some((sample.at.as_secs_f64() / 60.0, series(sample)? as f64))).collect();
    let middle = samples.last()?.at.as_secs_f64() / 60.0 / 2.0;
    let second_half: Vec<_> = points.into_iter().filter(|point| point.0 >= middle).collect();
    let line = Line::through(&blocks(&second_half, BLOCKS))?;
    let growth = if middle < LEAST { Growth::Unclear } else { growth(&line) };
    Some(Verdict { line, growth, peak: samples.iter().filter_map(series).max()? })
}

fn growth(line: &Line) -> Growth {
    let allowed = ALLOWED * line.mean / HORIZON;
    if line.slope + line.margin < allowed {
        Growth::Flat
    } else if line.slope - line.margin > 0.0 && line.slope > allowed {
        Growth::Grows
    } else {
        Growth::Unclear
    }
}

impl Verdict {
    /// The verdict as text: `+1.2 ± 3.4 KB/min at 101.3 MB: flat`.
    pub(crate) fn text(&self) -> String {
        let Line { slope, margin, mean, .. } = self.line;
        let (mean, peak) = (mean / 1024.0, self.peak as f64 / 1024.0);
        let verdict = match self.growth {
            Growth::Flat => "flat",
            Growth::Grows => "GROWS",
            Growth::Unclear => "not judged: run longer",
        };
        format!("{slope:+.1} ± {margin:.1} KB/min at {mean:.1} MB (peak {peak:.1} MB): {verdict}")
    }

    /// The verdict for the JSON report.
    pub(crate) fn json(&self) -> Value {
        json!({
            "kb_per_minute": self.line.slope,
            "margin_95": self.line.margin,
            "mean_kb": self.line.mean,
            "peak_kb": self.peak,
            "verdict": format!("{:?}", self.growth).to_lowercase(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(memory: impl Fn(u64) -> u64) -> Vec<Sample> {
        let one = |second| Sample {
            at: Duration::from_secs(second),
            envoy: memory(second),
            service: 5000,
            allocated: (second % 10 == 0).then_some(second),
        };
        (0..1800).map(one).collect()
    }

    fn envoys(memory: impl Fn(u64) -> u64) -> Verdict {
        judge(&samples(memory), |sample| Some(sample.envoy)).unwrap()
    }

    #[test]
    fn growth_in_the_first_half_is_ignored() {
        let verdict = envoys(|second| 90_000 + 100 * second.min(600) + second * 7919 % 300);
        assert_eq!(verdict.growth, Growth::Flat, "{verdict:?}");
    }

    #[test]
    fn a_leak_is_detected() {
        // 10 KiB per second at 100 MB: a sixth in half an hour.
        let verdict = envoys(|second| 100_000 + 10 * second + second * 7919 % 3000);
        assert_eq!(verdict.growth, Growth::Grows, "{verdict:?}");
        assert!((verdict.line.slope - 600.0).abs() < 30.0, "{verdict:?}");
    }

    #[test]
    fn a_short_run_is_unclear() {
        let short: Vec<_> = samples(|second| 1000 * second).into_iter().take(600).collect();
        assert_eq!(judge(&short, |sample| Some(sample.envoy)).unwrap().growth, Growth::Unclear);
    }

    #[test]
    fn noise_above_the_allowed_growth_is_unclear() {
        let verdict = envoys(|second| if (second / 200).is_multiple_of(2) { 50_000 } else { 150_000 });
        assert_eq!(verdict.growth, Growth::Unclear, "{verdict:?}");
    }

    #[test]
    fn a_series_with_gaps_is_judged_by_its_samples() {
        let verdict = judge(&samples(|_| 1), |sample| sample.allocated).unwrap();
        assert!((verdict.line.slope - 60.0).abs() < 0.1, "{verdict:?}");
    }
}
