//! The measurement: rounds of interleaved batches.
//!
//! A batch is a number of requests of one case through one variant. The number is chosen so that a batch takes a given
//! CPU time. In each round, the batches of one case run through all variants directly after each other, so that a
//! disturbance of the machine affects neighbours alike. The report compares batches of the same round.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cellgate_tests::cell::Cell;

use crate::cases::{Case, SIZES};
use crate::content::Coding;
use crate::load::CONNECTIONS;
use crate::row::{Batch, Outcome, Row};
use crate::stage::{RunningVariant, Stage};
use crate::variant::{Cannot, Variant};

/// The extent of a measurement. Many rounds with short batches make a disturbed round visible: of eleven rounds,
/// [`crate::stats::interval`] ignores two at each end, of sixteen four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort {
    /// The number of batches of each case and variant.
    pub(crate) rounds: usize,
    /// The time limit for all rounds. On a busy machine fewer rounds run, but at least [`LEAST_ROUNDS`].
    pub(crate) limit: Duration,
    /// The CPU time of the proxy and its service in each batch.
    pub(crate) batch: Duration,
    /// The time limit for further rounds of comparisons that are still unclear.
    pub(crate) patience: Duration,
}

/// The smallest number of rounds of which [`crate::stats::interval`] ignores one at each end.
const LEAST_ROUNDS: usize = 8;

/// The CPU time of a batch: much longer than a process switch, and short enough for many rounds.
const BATCH: Duration = Duration::from_millis(60);

/// The number of small requests through each variant before the measurement. V8 optimises a function only after many
/// calls. After 2 500 requests, different filters still had the same cost.
const WARM_UP: usize = 10_000;

/// The same for variants without a proxy-wasm module. LuaJIT compiles after some tens of calls.
const WARM_UP_NATIVE: usize = 2_000;

/// A measurement in progress.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    stage: &'a mut Stage,
    effort: Effort,
    /// Ordered by case, then by variant.
    rows: Vec<Row>,
}

impl Effort {
    /// Enough for the goals.
    pub(crate) const QUICK: Self =
        Self { rounds: 16, limit: Duration::from_secs(110), batch: BATCH, patience: Duration::from_secs(30) };
    /// Enough for published figures.
    pub(crate) const FULL: Self =
        Self { rounds: 11, limit: Duration::from_secs(16 * 60), batch: BATCH, patience: Duration::from_secs(4 * 60) };
}

impl<'a> Session<'a> {
    /// Warms up every variant, checks that unsupported cases fail as stated, and finds the number of requests per
    /// batch.
    ///
    /// # Errors
    /// At the first request that has an unexpected result.
    pub(crate) async fn open(stage: &'a mut Stage, rows: Vec<Row>, effort: Effort) -> Result<Self> {
        let mut session = Self { stage, effort, rows };
        for running in &mut session.stage.running {
            warm_up(running).await.with_context(|| running.variant.name)?;
        }
        let cases = session.rows.chunk_by(same_case).count();
        for (number, of_case) in session.rows.chunk_by_mut(same_case).enumerate() {
            eprintln!("checking case {} of {cases}: {}", number + 1, title(of_case));
            for row in of_case {
                let running = running(&mut session.stage.running, row.variant)?;
                let outcome = match row.outcome {
                    Outcome::Cannot(cannot) => prove(row, running, cannot).await,
                    Outcome::Measured(_) => batch(row, running, &session.stage.cells, effort).await.map(|_| ()),
                };
                outcome.with_context(|| row.name())?;
            }
        }
        Ok(session)
    }

    /// Runs all rounds.
    ///
    /// # Errors
    /// At the first request that has an unexpected result.
    pub(crate) async fn rounds(&mut self) -> Result<()> {
        let Effort { rounds, limit, .. } = self.effort;
        let start = Instant::now();
        for round in 0..rounds {
            if round >= LEAST_ROUNDS && start.elapsed() > limit {
                eprintln!(
                    "stopped after {round} of {rounds} rounds: the time limit is reached, because the machine is busy"
                );
                return Ok(());
            }
            eprintln!("round {} of {rounds}, about {} left", round + 1, minutes(left(&self.rows, rounds - round)));
            self.round(round, &|_| true).await?;
        }
        Ok(())
    }

    /// Runs one more round of the wanted rows.
    ///
    /// # Errors
    /// At the first request that has an unexpected result.
    pub(crate) async fn one_more(&mut self, wanted: &(dyn Fn(&Row) -> bool + Sync)) -> Result<()> {
        let round = self.rows.iter().map(|row| row.batches().len()).max().unwrap_or(0);
        self.round(round, wanted).await
    }

    /// The measurements so far.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Ends the measurement.
    pub(crate) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Runs one batch of each wanted row: case by case, and within a case variant by variant.
    async fn round(&mut self, round: usize, wanted: &(dyn Fn(&Row) -> bool + Sync)) -> Result<()> {
        let Self { stage, effort, rows } = self;
        for of_case in rows.chunk_by_mut(same_case) {
            let name = title(of_case);
            let mut turn: Vec<&mut Row> = of_case.iter_mut().filter(|row| row.is_measured() && wanted(row)).collect();
            if turn.is_empty() {
                continue;
            }
            for index in order(turn.len(), round) {
                let Some(row) = turn.get_mut(index) else { continue };
                let running = running(&mut stage.running, row.variant)?;
                let cost = batch(row, running, &stage.cells, *effort).await.with_context(|| row.name())?;
                if let Outcome::Measured(batches) = &mut row.outcome {
                    batches.push(cost);
                }
            }
            eprintln!("  {name}: {} µs", latest(&turn));
        }
        Ok(())
    }
}

/// Sends the smallest requests, or small ones of each format if the variant does not read JSON.
async fn warm_up(running: &mut RunningVariant) -> Result<()> {
    let [tiny, small, ..] = SIZES;
    let others = [Case::multipart(), Case::grpc(), Case::ndjson()].map(|case| Case { size: small, ..case });
    let encoded = Coding::ALL.map(|coding| Case::encoded(small, coding));
    let reads = running.variant.reads;
    let all = [Case::plain(tiny)].into_iter().chain(others).chain(encoded).filter(|case| reads(case.content));
    let reads_json = reads(Case::plain(tiny).content);
    let cases: Vec<Case> = all.take(if reads_json { 1 } else { usize::MAX }).collect();
    let requests = if running.variant.chain.has_filter() { WARM_UP } else { WARM_UP_NATIVE };
    eprintln!("warm-up of {}: {requests} requests", running.variant.name);
    for case in cases {
        let exchanges = case.exchanges(&case.bodies(), running.variant.named_by);
        let exchanges = if running.variant.decodes { case.decoded(&exchanges) } else { exchanges };
        running.client(case.protocol).run(&exchanges, requests).await?;
    }
    Ok(())
}

/// Runs one batch and returns its CPU time. Fails if a response was wrong or Envoy's counter has the wrong value. Sets
/// the number of requests of the next batch.
async fn batch(row: &mut Row, running: &mut RunningVariant, cells: &[Cell], effort: Effort) -> Result<Batch> {
    let start = Instant::now();
    let requests = row.requests;
    let proof = (row.variant.proof)(&row.case, requests as u64);
    let counted = match proof {
        Some((counter, _)) => running.stat(counter).await?,
        None => 0,
    };
    let arrived = arrived(cells);
    let before = running.used()?;
    running.client(row.case.protocol).run(&row.exchanges, requests).await?;
    running.scrape().await?;
    let after = running.used()?;
    let arrived = self::arrived(cells) - arrived;
    ensure!(arrived == requests as u64, "{arrived} of {requests} requests reached the cells");
    if let Some((counter, expected)) = proof {
        let counted = running.stat(counter).await?.saturating_sub(counted);
        ensure!(counted == expected, "Envoy's counter {counter} rose by {counted}, expected {expected}");
    }
    let (proxy, service) = (after.proxy.saturating_sub(before.proxy), after.service.saturating_sub(before.service));
    row.requests = requests_for(effort.batch, proxy + service, requests);
    row.took = start.elapsed();
    Ok(Batch::new(proxy, service, requests))
}

/// Checks that a case that a variant does not support gets the stated status.
async fn prove(row: &Row, running: &mut RunningVariant, cannot: Cannot) -> Result<()> {
    let Cannot::Status(status) = cannot else { return Ok(()) };
    let exchange = row.exchanges.first().context("no exchanges")?;
    let answer = running.client(row.case.protocol).once(exchange).await?;
    ensure!(answer.status == status, "expected {status}, got {}", answer.summary());
    Ok(())
}

/// The order of a round. Each round begins with another row, and every second round runs backwards. A row finds the
/// caches as its predecessor left them, so of two neighbours each must be second equally often.
pub(crate) fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.rotate_left(round.checked_rem(count).unwrap_or(0));
    if !round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

fn running<'a>(variants: &'a mut [RunningVariant], variant: &Variant) -> Result<&'a mut RunningVariant> {
    variants.iter_mut().find(|running| running.variant.name == variant.name).context("the variant is not running")
}

fn same_case(row: &Row, other: &Row) -> bool {
    row.case == other.case
}

fn arrived(cells: &[Cell]) -> u64 {
    cells.iter().map(Cell::complete).sum()
}

/// The number of requests that take the CPU time `wanted`, if `requests` of them took `used`.
pub(crate) fn requests_for(wanted: Duration, used: Duration, requests: usize) -> usize {
    let each = used.as_secs_f64() / requests as f64;
    let enough = if each > 0.0 { (wanted.as_secs_f64() / each).ceil() as usize } else { requests };
    enough.max(CONNECTIONS)
}

/// The expected duration of `rounds` rounds, from the duration of the last one.
fn left(rows: &[Row], rounds: usize) -> Duration {
    let once: Duration = rows.iter().filter(|row| row.is_measured()).map(|row| row.took).sum();
    once * u32::try_from(rounds).unwrap_or(u32::MAX)
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 90 { format!("{seconds} s") } else { format!("{} min", seconds.div_ceil(60)) }
}

fn title(of_case: &[Row]) -> String {
    of_case.first().map(|row| row.case.title()).unwrap_or_default()
}

/// The last figure of each variant, in µs.
fn latest(of_case: &[&mut Row]) -> String {
    let figure =
        |row: &&mut Row| row.batches().last().map(|batch| format!("{} {:.0}", row.variant.name, batch.total()));
    of_case.iter().filter_map(figure).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_the_wanted_cpu_time() {
        let hundredth = Duration::from_millis(10);
        assert_eq!(requests_for(Duration::from_millis(200), hundredth, 100), 2000);
        assert_eq!(requests_for(Duration::from_millis(200), Duration::from_secs(10), 10), CONNECTIONS);
        assert_eq!(requests_for(Duration::from_millis(200), Duration::ZERO, 64), 64);
    }

    #[test]
    fn of_two_neighbours_each_is_second_equally_often() {
        let later = |round: &usize| {
            let order = order(5, *round);
            let place = |index| order.iter().position(|found| *found == index);
            place(2) < place(3)
        };
        assert_eq!((0..20).filter(later).count(), 10);
        assert_eq!(order(3, 1), [0, 2, 1]);
        assert_eq!(order(0, 7), [0; 0]);
    }

    #[test]
    fn a_duration_is_shown_in_seconds_or_minutes() {
        assert_eq!(minutes(Duration::from_secs(89)), "89 s");
        assert_eq!(minutes(Duration::from_secs(91)), "2 min");
    }
}
