//! The measurement: rounds of interleaved batches.
//!
//! A batch is as many requests as cost Envoy a given CPU time, of one case, through one variant. In each round every
//! case is measured in every variant, one right after the other, so that what disturbs the machine disturbs neighbours
//! alike; what we report is then relative to the baseline's batch beside it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use cellgate_tests::cell::Cell;

use crate::cases::Case;
use crate::load::Exchange;
use crate::stage::{CONNECTIONS, Contender, Stage, Used};
use crate::variants::Variant;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Batches of each case and variant.
    pub(crate) rounds: usize,
    /// Envoy's CPU time in each batch.
    pub(crate) batch: Duration,
}

/// All batches of one case through one variant, in the order of the rounds.
#[derive(Debug)]
pub(crate) struct Row {
    /// The requests.
    pub(crate) case: Case,
    /// The way they took.
    pub(crate) variant: Variant,
    /// What they cost, or why the row says nothing.
    pub(crate) batches: Result<Vec<Batch>, String>,
    exchanges: Arc<[Exchange]>,
    requests: usize,
}

/// What one batch cost: microseconds of CPU time per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Batch {
    /// In Envoy.
    pub(crate) envoy: f64,
    /// In the ext-proc service; 0 where none is asked.
    pub(crate) service: f64,
}

impl Effort {
    /// For a first impression, in two or three minutes.
    pub(crate) const QUICK: Self = Self { rounds: 5, batch: Duration::from_millis(200) };
    /// For figures to quote.
    pub(crate) const FULL: Self = Self { rounds: 7, batch: Duration::from_millis(400) };
}

impl Batch {
    /// In both.
    pub(crate) fn total(self) -> f64 {
        self.envoy + self.service
    }

    fn new(used: Used, requests: usize) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
        Self { envoy: each(used.envoy), service: each(used.service) }
    }
}

impl Row {
    pub(crate) fn new(case: Case, variant: Variant) -> Self {
        let exchanges = case.exchanges(variant.named_by());
        Self { case, variant, batches: Ok(Vec::new()), exchanges, requests: first_guess(case) }
    }

    fn invalidate(&mut self, why: &anyhow::Error) {
        let problem = format!("{why:#}").trim().to_owned();
        eprintln!("  INVALID: {}, {}: {problem}", self.case.title(), self.variant.title());
        self.batches = Err(problem);
    }
}

/// Measures every case in every variant. The rows are in the order of the cases, then of the variants.
pub(crate) async fn measure(stage: &mut Stage, effort: Effort) -> Vec<Row> {
    let mut rows: Vec<Row> = Case::all()
        .into_iter()
        .flat_map(|case| stage.contenders.iter().map(move |contender| Row::new(case, contender.variant)))
        .collect();
    let variants = stage.contenders.len();
    for (number, of_case) in rows.chunks_mut(variants).enumerate() {
        eprintln!("warm-up {} of {}: {}", number + 1, Case::all().len(), title(of_case));
        for (row, contender) in of_case.iter_mut().zip(&mut stage.contenders) {
            match run(row, contender, &stage.cells).await {
                Ok(used) => row.requests = requests_for(effort.batch, used.envoy, row.requests),
                Err(error) => row.invalidate(&error),
            }
        }
    }
    for round in 0..effort.rounds {
        eprintln!("round {} of {}", round + 1, effort.rounds);
        for of_case in rows.chunks_mut(variants) {
            round_of(of_case, stage, effort, round).await;
        }
    }
    rows
}

/// One batch of a case in every variant, each round beginning with another one.
async fn round_of(of_case: &mut [Row], stage: &mut Stage, effort: Effort, round: usize) {
    let count = of_case.len();
    let mut pairs: Vec<_> = of_case.iter_mut().zip(&mut stage.contenders).collect();
    pairs.rotate_left(round.checked_rem(count).unwrap_or(0));
    for (row, contender) in pairs {
        if row.batches.is_err() {
            continue;
        }
        match run(row, contender, &stage.cells).await {
            Ok(used) => {
                let batch = Batch::new(used, row.requests);
                if let Ok(batches) = &mut row.batches {
                    batches.push(batch);
                }
                row.requests = requests_for(effort.batch, used.envoy, row.requests);
            }
            Err(error) => row.invalidate(&error),
        }
    }
    eprintln!("  {}: {}", title(of_case), latest(of_case));
}

/// One batch: its CPU time, if every answer was right and Envoy counted what it should have.
async fn run(row: &Row, contender: &mut Contender, cells: &[Cell]) -> Result<Used> {
    let (counter, expected) = row.variant.proof(row.requests as u64, row.case.bytes as u64);
    let counted = contender.stat(counter).await?;
    let arrived = arrived(cells);
    let before = contender.used()?;
    contender.client.run(&row.exchanges, row.requests).await?;
    let after = contender.used()?;
    let arrived = self::arrived(cells) - arrived;
    ensure!(arrived == row.requests as u64, "{arrived} requests arrived, not {}", row.requests);
    let counted = contender.stat(counter).await?.saturating_sub(counted);
    ensure!(counted == expected, "{counter} went up by {counted}, not by {expected}");
    Ok(Used { envoy: after.envoy.saturating_sub(before.envoy), service: after.service.saturating_sub(before.service) })
}

fn arrived(cells: &[Cell]) -> u64 {
    cells.iter().map(Cell::complete).sum()
}

/// For the warm-up: about a tenth of a second of Envoy's time.
fn first_guess(case: Case) -> usize {
    (40_000_000 / (case.bytes + 40_000)).max(4 * CONNECTIONS)
}

/// How many requests cost `wanted`, when `requests` of them cost `used`.
fn requests_for(wanted: Duration, used: Duration, requests: usize) -> usize {
    let each = used.as_secs_f64() / requests as f64;
    let enough = if each > 0.0 { (wanted.as_secs_f64() / each).ceil() as usize } else { requests };
    enough.max(CONNECTIONS)
}

fn title(of_case: &[Row]) -> String {
    of_case.first().map(|row| row.case.title()).unwrap_or_default()
}

/// The newest figure of each variant, in µs.
fn latest(of_case: &[Row]) -> String {
    let figures = of_case.iter().map(|row| match row.batches.as_ref().map(|batches| batches.last()) {
        Ok(Some(batch)) => format!("{:.0}", batch.total()),
        Ok(None) | Err(_) => "-".to_owned(),
    });
    format!("{} µs", figures.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_costs_what_it_should() {
        let hundredth = Duration::from_millis(10);
        assert_eq!(requests_for(Duration::from_millis(200), hundredth, 100), 2000);
        assert_eq!(requests_for(Duration::from_millis(200), Duration::from_secs(10), 10), CONNECTIONS);
        assert_eq!(requests_for(Duration::from_millis(200), Duration::ZERO, 64), 64);
    }

    #[test]
    fn the_cost_is_per_request() {
        let used = Used { envoy: Duration::from_millis(200), service: Duration::from_millis(50) };
        let batch = Batch::new(used, 1000);
        assert_eq!(batch, Batch { envoy: 200.0, service: 50.0 });
        assert!((batch.total() - 250.0).abs() < 1e-9);
    }
}
