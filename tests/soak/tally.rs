//! The results of all visits: counts by kind, the first wrong results as text, response times.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::mix::{Visit, Wanted};

/// The number of wrong results that are kept as text.
const KEPT: usize = 20;

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) wrong: u64,
    /// Requests that a cell has received completely, according to its responses.
    pub(crate) taken: u64,
    kinds: BTreeMap<&'static str, (u64, u64)>,
    examples: Vec<String>,
    times: Times,
}

impl Tally {
    /// Counts one visit that began `at` after the start.
    pub(crate) fn count(&mut self, visit: &Visit, at: Duration, took: Duration, outcome: anyhow::Result<bool>) {
        let (sent, wrong) = self.kinds.entry(visit.kind).or_default();
        self.sent += 1;
        *sent += 1;
        match outcome {
            Ok(taken) => self.taken += u64::from(taken),
            Err(error) => {
                self.wrong += 1;
                *wrong += 1;
                if self.examples.len() < KEPT {
                    let Visit { kind, protocol, bytes, .. } = visit;
                    let at = at.as_secs_f64();
                    self.examples.push(format!("at {at:.3} s, {kind}, {bytes} bytes, {protocol:?}: {error:#}"));
                }
            }
        }
        // Times of large bodies depend more on the machine than on the proxy.
        if visit.bytes <= 4096 && !matches!(visit.wanted, Wanted::Abandoned(_)) {
            self.times.add(took);
        }
    }

    /// The first wrong results so far.
    pub(crate) fn examples(&self) -> &[String] {
        &self.examples
    }

    /// The quantile of response times of requests up to 4 KB, at most 20 % too long.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        self.times.quantile(share)
    }

    /// The counts for the JSON report.
    pub(crate) fn json(&self) -> Value {
        let kinds = self.kinds.iter().map(|(kind, (sent, wrong))| json!({"kind": kind, "sent": sent, "wrong": wrong}));
        let milliseconds = |share| self.quantile(share).as_secs_f64() * 1e3;
        json!({
            "sent": self.sent,
            "wrong": self.wrong,
            "taken": self.taken,
            "kinds": kinds.collect::<Vec<_>>(),
            "wrong_answers": self.examples,
            "up_to_4_kb_ms": {"p50": milliseconds(0.5), "p99": milliseconds(0.99), "p999": milliseconds(0.999)},
        })
    }
}

/// A histogram with bucket limits from 10 µs on, each 20 % above the one before.
#[derive(Debug)]
struct Times([u64; 90]);

impl Default for Times {
    fn default() -> Self {
        Self([0; 90])
    }
}

impl Times {
    fn add(&mut self, time: Duration) {
        let bucket = (time.as_secs_f64() / 1e-5).max(1.0).ln() / 1.2_f64.ln();
        let last = self.0.len() - 1;
        if let Some(count) = self.0.get_mut((bucket.ceil() as usize).min(last)) {
            *count += 1;
        }
    }

    fn quantile(&self, share: f64) -> Duration {
        let wanted = share * self.0.iter().sum::<u64>() as f64;
        let mut below = 0;
        let bucket = self.0.iter().position(|count| {
            below += count;
            below as f64 >= wanted
        });
        Duration::from_secs_f64(1e-5 * 1.2_f64.powf(bucket.unwrap_or_default() as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_20_percent_too_long() {
        let mut times = Times::default();
        for number in 1..=1000 {
            times.add(Duration::from_micros(number * 100));
        }
        for (share, exact) in [(0.5, 50.0), (0.99, 99.0)] {
            let found = times.quantile(share).as_secs_f64() * 1e3;
            assert!((exact * 0.999..=exact * 1.201).contains(&found), "{found}");
        }
    }
}
