//! Goals that compare two variants, and the rule for when noise makes a comparison unclear.
//!
//! A comparison has a ratio in each round, between batches of that round. The goal holds if the median of the ratios is
//! on the right side of the goal's limit. The noise must therefore be smaller than the distance from the limit, not
//! from 1: equal costs can be measured as well as different ones. With more noise, the report calls the goal unclear.

use cellgate_bench_documents::KeyAt;

use crate::cases::{Case, SIZES};
use crate::goals::Goal;
use crate::row::{Batch, Row};
use crate::stats::{Spread, interval};
use crate::variant::Variant;

/// The uncertainty of a median, as a fraction of the goal, that does not matter. With less uncertainty, the median
/// decides the goal.
const TOLERANCE: f64 = 0.025;

/// A goal for the ratio of two variants' CPU times.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    what: &'static str,
    over: &'static str,
    under: &'static str,
    case: Case,
    figure: fn(&Batch) -> f64,
    goal: f64,
    at_most: bool,
}

/// All comparisons.
pub(crate) fn all() -> Vec<Comparison> {
    let [tiny, small, middle, large, _] = SIZES;
    let plain = Case::plain;
    let first = |size| Case { key: KeyAt::First, ..plain(size) };
    let filter =
        Pair { what: "Envoy with the filter over Envoy with a no-op wasm filter", over: "filter", under: "wasm-noop" };
    let peek = Pair {
        what: "Envoy with the filter, releasing at the key, over Envoy with a filter that copies the body",
        over: "filter-peek",
        under: "wasm-copy-stream",
    };
    let mut all: Vec<Comparison> = [(tiny, 1.19), (small, 1.23), (middle, 1.50), (large, 1.92)]
        .map(|(size, goal)| filter.at_most(plain(size), proxy, goal))
        .into();
    all.extend([middle, large].map(|size| peek.at_most(first(size), proxy, 1.05)));
    let buffered = Pair {
        what: "the service over one that does nothing, BUFFERED",
        over: "service-buffered",
        under: "ext-proc-noop-buffered",
    };
    let streamed = Pair {
        what: "the service over one that does nothing, FULL_DUPLEX_STREAMED",
        over: "service-streamed",
        under: "ext-proc-noop-streamed",
    };
    for (pair, at_one_megabyte) in [(buffered, 1.3), (streamed, 1.4)] {
        let goals = [(tiny, 1.0), (small, 1.0), (middle, 1.25), (large, at_one_megabyte)];
        all.extend(goals.map(|(size, goal)| pair.at_most(plain(size), service, goal)));
    }
    let headers = Pair {
        what: "the service over one that does nothing, headers only",
        over: "service-headers",
        under: "ext-proc-noop-headers",
    };
    all.push(headers.at_most(plain(small), service, 1.15));
    let traced = Pair {
        what: "the service with traces of 1 % of the requests over the service without",
        over: "service-traced",
        under: "service-streamed",
    };
    all.push(traced.at_most(plain(small), service, 1.03));
    all.extend(of_peers());
    all
}

/// The goals for alternatives: each costs at least a multiple of Cellgate.
fn of_peers() -> impl Iterator<Item = Comparison> {
    let [tiny, small, middle, large, _] = SIZES;
    let lua = Pair { what: "Envoy with Lua over Envoy with the filter", over: "lua", under: "filter" };
    let metadata = Pair {
        what: "Envoy with json_to_metadata over Envoy with the filter",
        over: "json-to-metadata",
        under: "filter",
    };
    let go =
        Pair { what: "a body router in Go over the service, BUFFERED", over: "go-router", under: "service-buffered" };
    let at_least = |pair: Pair, figure, goals: &[_]| -> Vec<Comparison> {
        goals.iter().map(|(size, goal)| pair.at_least(Case::plain(*size), figure, *goal)).collect()
    };
    let all = [
        at_least(lua, proxy, &[(small, 1.3), (middle, 4.5), (large, 9.0)]),
        at_least(metadata, proxy, &[(small, 1.7), (middle, 11.0), (large, 25.0)]),
        at_least(go, service, &[(tiny, 3.5), (small, 4.6), (middle, 15.0), (large, 20.0)]),
    ];
    all.into_iter().flatten()
}

/// The goals whose variants are both among these rows.
pub(crate) fn goals(rows: &[Row]) -> Vec<Goal> {
    all().iter().filter_map(|comparison| comparison.goal(rows)).collect()
}

/// The comparisons that these rows leave unclear, with their goals.
pub(crate) fn unclear(rows: &[Row]) -> Vec<(Comparison, Goal)> {
    let measured = all().into_iter().filter_map(|comparison| Some((comparison.goal(rows)?, comparison)));
    measured.filter(|(goal, _)| goal.unclear.is_some()).map(|(goal, comparison)| (comparison, goal)).collect()
}

impl Comparison {
    /// The names of the comparison and of its case.
    pub(crate) fn name(&self) -> String {
        format!("{}, {}, key {}", self.what, self.case.size.label, self.case.key.name())
    }

    /// Whether the comparison uses this case and variant, or another build of the variant.
    pub(crate) fn needs(&self, case: &Case, variant: &Variant) -> bool {
        self.case == *case && (self.over == variant.base() || self.under == variant.base())
    }

    fn goal(&self, rows: &[Row]) -> Option<Goal> {
        let ratios = self.ratios(rows)?;
        let unclear = missing_rounds(&ratios, self.goal);
        let value = Spread::of(ratios)?;
        Some(Goal { name: self.name(), value, goal: self.goal, at_most: self.at_most, unclear })
    }

    /// The ratio in each round that has both variants; `None` if one was not measured.
    fn ratios(&self, rows: &[Row]) -> Option<Vec<f64>> {
        let batches = |name: &str| {
            let row = rows.iter().find(|row| row.case == self.case && row.variant.name == name)?;
            Some(row.batches()).filter(|batches| !batches.is_empty())
        };
        let pairs = batches(self.over)?.iter().zip(batches(self.under)?);
        Some(pairs.map(|(over, under)| (self.figure)(over) / (self.figure)(under)).collect())
    }
}

struct Pair {
    what: &'static str,
    over: &'static str,
    under: &'static str,
}

impl Pair {
    fn at_most(&self, case: Case, figure: fn(&Batch) -> f64, goal: f64) -> Comparison {
        let Self { what, over, under } = *self;
        Comparison { what, over, under, case, figure, goal, at_most: true }
    }

    fn at_least(&self, case: Case, figure: fn(&Batch) -> f64, goal: f64) -> Comparison {
        Comparison { at_most: false, ..self.at_most(case, figure, goal) }
    }
}

fn proxy(batch: &Batch) -> f64 {
    batch.proxy
}

fn service(batch: &Batch) -> f64 {
    batch.service
}

/// The number of further rounds that would show on which side of `goal` the median lies; `None` if these rounds show
/// it.
///
/// They show it if the median's confidence interval lies on one side, or is so narrow that the side does not matter.
/// The interval's width is proportional to one over the square root of the number of rounds.
pub(crate) fn missing_rounds(ratios: &[f64], goal: f64) -> Option<usize> {
    let rounds = ratios.len();
    let Some(interval) = interval(ratios) else {
        return Some(crate::stats::FEWEST - rounds);
    };
    let half = (interval.max - interval.min) / 2.0;
    let clear = goal < interval.min || goal > interval.max;
    if clear || half <= TOLERANCE * goal {
        return None;
    }
    let room = (interval.median - goal).abs().max(TOLERANCE * goal);
    let enough = (rounds as f64 * (half / room).powi(2)).ceil() as usize;
    Some(enough.saturating_sub(rounds).max(1))
}

#[cfg(test)]
mod tests;
