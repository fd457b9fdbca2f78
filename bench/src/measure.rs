//! The measurement: rounds of interleaved batches.
//!
//! A batch is as many requests as cost the proxy a given CPU time, of one case, through one variant. In each round every
//! case is measured in every variant, one right after the other, so that what disturbs the machine disturbs neighbours
//! alike; what we report compares batches of the same round.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cellgate_tests::cell::Cell;

use crate::cases::{Case, SIZES};
use crate::exchange::Protocol;
use crate::load::CONNECTIONS;
use crate::row::{Batch, Outcome, Row};
use crate::stage::{Contender, Stage};
use crate::variant::{Cannot, Variant};

/// How much is measured. Many rounds of short batches, because a disturbed round can then be told from the others: of
/// eleven, [`crate::stats::interval`] ignores two at each end, of sixteen four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Batches of each case and variant.
    pub(crate) rounds: usize,
    /// How long they may take. A busy machine gets fewer of them, but never fewer than [`LEAST_ROUNDS`].
    pub(crate) limit: Duration,
    /// The CPU time of the proxy and its service in each batch.
    pub(crate) batch: Duration,
    /// How long further rounds may go on for comparisons that noise leaves open.
    pub(crate) patience: Duration,
}

/// Eight are the fewest of which [`crate::stats::interval`] ignores one at each end.
const LEAST_ROUNDS: usize = 8;

/// A batch's CPU time: much more than a process switch costs, and short enough for many rounds.
const BATCH: Duration = Duration::from_millis(60);

/// Small requests through each variant before anything is counted. V8 compiles a module quickly at first, and its
/// functions well only when they have been called often: with 2 500 requests, filters looked alike that are not.
const WARM_UP: usize = 10_000;

/// The same where there is no module. LuaJIT compiles after some tens.
const WARM_UP_NATIVE: usize = 2_000;

/// A measurement under way.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    stage: &'a mut Stage,
    effort: Effort,
    /// In the order of the cases, then of the variants.
    rows: Vec<Row>,
}

impl Effort {
    /// For the goals alone.
    pub(crate) const QUICK: Self =
        Self { rounds: 16, limit: Duration::from_secs(110), batch: BATCH, patience: Duration::from_secs(30) };
    /// For figures to quote.
    pub(crate) const FULL: Self =
        Self { rounds: 11, limit: Duration::from_secs(16 * 60), batch: BATCH, patience: Duration::from_secs(4 * 60) };
}

impl<'a> Session<'a> {
    /// Warms everything up, proves what cannot be done, and finds out how many requests make a batch.
    ///
    /// # Errors
    /// At the first request that comes to another end than it should.
    pub(crate) async fn open(stage: &'a mut Stage, rows: Vec<Row>, effort: Effort) -> Result<Self> {
        let mut session = Self { stage, effort, rows };
        for contender in &mut session.stage.contenders {
            warm_up(contender).await.with_context(|| contender.variant.name)?;
        }
        let cases = session.rows.chunk_by(same_case).count();
        for (number, of_case) in session.rows.chunk_by_mut(same_case).enumerate() {
            eprintln!("trying {} of {cases}: {}", number + 1, title(of_case));
            for row in of_case {
                let contender = contender(&mut session.stage.contenders, row.variant)?;
                let outcome = match row.outcome {
                    Outcome::Cannot(cannot) => prove(row, contender, cannot).await,
                    Outcome::Measured(_) => batch(row, contender, &session.stage.cells, effort).await.map(|_| ()),
                };
                outcome.with_context(|| row.name())?;
            }
        }
        Ok(session)
    }

    /// All rounds of everything.
    ///
    /// # Errors
    /// At the first request that comes to another end than it should.
    pub(crate) async fn rounds(&mut self) -> Result<()> {
        let Effort { rounds, limit, .. } = self.effort;
        let start = Instant::now();
        for round in 0..rounds {
            if round >= LEAST_ROUNDS && start.elapsed() > limit {
                eprintln!("the machine is busy: no more than {round} rounds");
                return Ok(());
            }
            eprintln!("round {} of {rounds}, about {} left", round + 1, minutes(left(&self.rows, rounds - round)));
            self.round(round, &|_| true).await?;
        }
        Ok(())
    }

    /// One more round of some rows.
    ///
    /// # Errors
    /// At the first request that comes to another end than it should.
    pub(crate) async fn one_more(&mut self, wanted: &(dyn Fn(&Row) -> bool + Sync)) -> Result<()> {
        let round = self.rows.iter().map(|row| row.batches().len()).max().unwrap_or(0);
        self.round(round, wanted).await
    }

    /// What was measured so far.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Ends it.
    pub(crate) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// One batch of each wanted row: case after case, in each the variants in turn.
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
                let contender = contender(&mut stage.contenders, row.variant)?;
                let cost = batch(row, contender, &stage.cells, *effort).await.with_context(|| row.name())?;
                if let Outcome::Measured(batches) = &mut row.outcome {
                    batches.push(cost);
                }
            }
            eprintln!("  {name}: {} µs", latest(&turn));
        }
        Ok(())
    }
}

/// Requests of the smallest kind, which no variant finds too large.
async fn warm_up(contender: &mut Contender) -> Result<()> {
    let [tiny, ..] = SIZES;
    let case = Case::plain(tiny);
    let requests = if contender.variant.chain.has_filter() { WARM_UP } else { WARM_UP_NATIVE };
    eprintln!("warm-up of {}: {requests} requests", contender.variant.name);
    let exchanges = case.exchanges(&case.bodies(), contender.variant.named_by);
    contender.client(Protocol::Http1).run(&exchanges, requests).await
}

/// One batch: its CPU time, if every answer was right and Envoy counted what it should have. Chooses the size of the
/// next one.
async fn batch(row: &mut Row, contender: &mut Contender, cells: &[Cell], effort: Effort) -> Result<Batch> {
    let start = Instant::now();
    let requests = row.requests;
    let proof = (row.variant.proof)(&row.case, requests as u64);
    let counted = match proof {
        Some((counter, _)) => contender.stat(counter).await?,
        None => 0,
    };
    let arrived = arrived(cells);
    let before = contender.used()?;
    contender.client(row.case.protocol).run(&row.exchanges, requests).await?;
    contender.scrape().await?;
    let after = contender.used()?;
    let arrived = self::arrived(cells) - arrived;
    ensure!(arrived == requests as u64, "{arrived} requests arrived, not {requests}");
    if let Some((counter, expected)) = proof {
        let counted = contender.stat(counter).await?.saturating_sub(counted);
        ensure!(counted == expected, "{counter} went up by {counted}, not by {expected}");
    }
    let (proxy, service) = (after.proxy.saturating_sub(before.proxy), after.service.saturating_sub(before.service));
    row.requests = requests_for(effort.batch, proxy + service, requests);
    row.took = start.elapsed();
    Ok(Batch::new(proxy, service, requests))
}

/// Shows that a variant cannot do what it is said not to.
async fn prove(row: &Row, contender: &mut Contender, cannot: Cannot) -> Result<()> {
    let Cannot::Status(status) = cannot else { return Ok(()) };
    let exchange = row.exchanges.first().context("no exchanges")?;
    let answer = contender.client(row.case.protocol).once(exchange).await?;
    ensure!(answer.status == status, "expected {status}, got {}", answer.summary());
    Ok(())
}

/// Who comes when in a round: beginning with another one in each, and in every other round backwards. Of two neighbours
/// the second finds the caches as the first has left them, so each must be second as often as the other.
fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.rotate_left(round.checked_rem(count).unwrap_or(0));
    if !round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

fn contender<'a>(contenders: &'a mut [Contender], variant: &Variant) -> Result<&'a mut Contender> {
    contenders.iter_mut().find(|contender| contender.variant.name == variant.name).context("it does not run")
}

fn same_case(row: &Row, other: &Row) -> bool {
    row.case == other.case
}

fn arrived(cells: &[Cell]) -> u64 {
    cells.iter().map(Cell::complete).sum()
}

/// How many requests cost `wanted`, when `requests` of them cost `used`.
fn requests_for(wanted: Duration, used: Duration, requests: usize) -> usize {
    let each = used.as_secs_f64() / requests as f64;
    let enough = if each > 0.0 { (wanted.as_secs_f64() / each).ceil() as usize } else { requests };
    enough.max(CONNECTIONS)
}

/// How long `rounds` rounds will take, going by the last one.
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

/// The newest figure of each variant, in µs.
fn latest(of_case: &[&mut Row]) -> String {
    let figure =
        |row: &&mut Row| row.batches().last().map(|batch| format!("{} {:.0}", row.variant.name, batch.total()));
    of_case.iter().filter_map(figure).collect::<Vec<_>>().join(", ")
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
    fn of_two_neighbours_each_is_second_as_often_as_the_other() {
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
    fn a_time_is_told_in_a_unit_that_fits() {
        assert_eq!(minutes(Duration::from_secs(89)), "89 s");
        assert_eq!(minutes(Duration::from_secs(91)), "2 min");
    }
}
