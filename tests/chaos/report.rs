//! The output of a run, and `target/chaos.json`, from which `docs/resilience.md` is written.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use cellgate_tests::artifacts;
use serde_json::{Map, Value, json};

use crate::checks::Outcome;
use crate::faults::Fault;
use crate::journal::{Answers, Column, Counts};
use crate::phases::Ended;

/// The file of the last run, in the checkout.
pub(crate) const FILE: &str = "target/chaos.json";

/// The number of breaches of one fault that are shown.
const SHOWN: usize = 5;

/// The results so far.
#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    length: Duration,
    rows: BTreeMap<&'static str, Row>,
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// All rounds of one fault.
#[derive(Debug, Default)]
struct Row {
    rounds: u64,
    counts: BTreeMap<Column, Counts>,
    /// The longest.
    recovery: Duration,
    skipped: Option<&'static str>,
}

impl Report {
    /// Of a run with this seed, which was told to take this long.
    pub(crate) fn new(seed: u64, length: Duration) -> Self {
        Self { seed, length, rows: BTreeMap::new(), passed: 0, failed: 0, skipped: 0 }
    }

    /// Prints breaches, and how to see them again.
    pub(crate) fn breaches(&mut self, when: &str, fault: Option<(&Fault, u64)>, breaches: &[String]) {
        let seed = self.seed;
        for breach in breaches.iter().take(SHOWN) {
            println!("chaos: BREACH in {when}: {breach}");
        }
        if breaches.len() > SHOWN {
            println!("chaos: {} more breaches in {when}", breaches.len() - SHOWN);
        }
        if breaches.is_empty() {
            return;
        }
        if let Some((fault, round)) = fault {
            println!("  repeat   make chaos SEED={seed} ROUND={round} FAULT={}", fault.name);
        } else {
            self.failed += 1;
        }
        println!("  the run  make chaos SEED={seed} CHAOS_SECONDS={}", self.length.as_secs());
    }

    /// Takes over one fault, and prints a line.
    pub(crate) fn add(&mut self, fault: &'static Fault, round: u64, ended: Ended, is_good: bool) {
        let row = self.rows.entry(fault.name).or_default();
        let name = fault.name;
        match ended {
            Ended::Skipped(why) => {
                self.skipped += 1;
                row.skipped = Some(why);
                println!("test chaos::{name} ... ignored, {why}");
            }
            Ended::Never => {
                self.failed += 1;
                println!("test chaos::{name} ... FAILED (round {round}; it had no effect, or no end)");
            }
            Ended::Recovered(Answers { counts, recovery }) => {
                let recovery = recovery.unwrap_or_default();
                let verdict = if is_good { "ok" } else { "FAILED" };
                let (passed, failed) = (u64::from(is_good), u64::from(!is_good));
                self.passed += passed;
                self.failed += failed;
                println!(
                    "test chaos::{name} ... {verdict} (round {round}; {}; all right {:.2} s after its end)",
                    Column::ALL
                        .iter()
                        .filter_map(|column| brief(*column, counts.get(column)?))
                        .collect::<Vec<_>>()
                        .join("; "),
                    recovery.as_secs_f64()
                );
                row.rounds += 1;
                row.recovery = row.recovery.max(recovery);
                for (column, found) in counts {
                    let sums = row.counts.entry(column).or_default();
                    for (outcome, count) in found {
                        *sums.entry(outcome).or_default() += count;
                    }
                }
            }
        }
    }

    /// Prints the sums, and writes [`FILE`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn publish(&self, envoy: &str, requests: u64, took: Duration) -> Result<ExitCode> {
        let rows: Map<String, Value> = self.rows.iter().map(|(name, row)| ((*name).to_owned(), row.json())).collect();
        let report = json!({
            "seed": self.seed,
            "envoy": envoy,
            "requests": requests,
            "seconds": took.as_secs(),
            "good": self.failed == 0,
            "rows": rows,
        });
        let file = artifacts::checkout().join(FILE);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&file, format!("{report:#}\n"))?;
        let Self { passed, failed, skipped, .. } = self;
        println!("chaos: {requests} requests in {} s with Envoy {envoy}, seed {}", took.as_secs(), self.seed);
        let verdict = if *failed == 0 { "ok" } else { "FAILED" };
        println!(
            "test result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; 0 filtered out"
        );
        Ok(if *failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Row {
    fn json(&self) -> Value {
        let columns: Map<String, Value> = Column::ALL
            .iter()
            .filter_map(|column| {
                let counts = self.counts.get(column)?;
                let counts: Map<_, _> =
                    counts.iter().map(|(outcome, count)| (outcome.to_string(), json!(count))).collect();
                Some((format!("{column:?}"), Value::from(counts)))
            })
            .collect();
        json!({
            "rounds": self.rounds,
            "recovery_seconds": self.recovery.as_secs_f64(),
            "skipped": self.skipped,
            "answers": columns,
        })
    }
}

/// The counts of a column in a few words: `service 12 good, 3 × 503`.
fn brief(column: Column, counts: &Counts) -> Option<String> {
    let parts: Vec<String> = counts
        .iter()
        .map(|(outcome, count)| match outcome {
            Outcome::Good => format!("{count} good"),
            other => format!("{count} × {other}"),
        })
        .collect();
    (!parts.is_empty()).then(|| format!("{} {}", title(column), parts.join(", ")))
}

/// The name of a column in messages.
fn title(column: Column) -> &'static str {
    match column {
        Column::Filter => "filter",
        Column::Service => "service",
        Column::Limited => "limit",
        Column::Strict => "strict limit",
        Column::CellAtFault => "cell at fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FAULTS;

    #[test]
    fn a_breach_makes_the_run_fail() {
        let fault = &FAULTS[0];
        let mut report = Report::new(1, Duration::ZERO);
        report.add(fault, 1, Ended::Recovered(Answers::default()), true);
        assert_eq!((report.passed, report.failed), (1, 0));
        report.add(fault, 2, Ended::Recovered(Answers::default()), false);
        report.add(fault, 3, Ended::Skipped("no disk"), true);
        assert_eq!((report.passed, report.failed, report.skipped), (1, 1, 1));
        report.breaches("before the first fault", None, &["the wrong cell".to_owned()]);
        assert_eq!(report.failed, 2);
        report.add(fault, 4, Ended::Never, false);
        assert_eq!(report.failed, 3);
    }

    #[test]
    fn rounds_are_summed_and_the_longest_recovery_counts() {
        let fault = &FAULTS[0];
        let answers = |count, seconds| Answers {
            counts: BTreeMap::from([(Column::Service, Counts::from([(Outcome::Status(503), count)]))]),
            recovery: Some(Duration::from_secs(seconds)),
        };
        let mut report = Report::new(1, Duration::ZERO);
        report.add(fault, 1, Ended::Recovered(answers(2, 5)), true);
        report.add(fault, 2, Ended::Recovered(answers(3, 1)), true);
        let row = report.rows[fault.name].json();
        assert_eq!(row["answers"]["Service"]["503"], 5);
        assert_eq!((&row["recovery_seconds"], &row["rounds"]), (&json!(5.0), &json!(2)));
    }
}
