//! The goals that are comparisons of two variants, and when a comparison says anything.
//!
//! A promise is about a ratio, measured once in each round between batches of the same round. Whether it is kept depends
//! on which side of the goal the ratio's median lies. So what noise must not exceed is the distance from the goal, and
//! not the distance from 1: that two things cost the same can be measured as well as that they do not.

use std::fmt;

use cellgate_bench_documents::KeyAt;

use crate::cases::{Case, SIZES};
use crate::goals::Goal;
use crate::row::{Batch, Row};
use crate::stats::{Spread, interval};
use crate::variant::Variant;

/// How far a median may be off without anybody minding, as a part of the goal. A comparison that is known better than
/// this is decided by its median, on whichever side of the goal that is.
const TOLERANCE: f64 = 0.025;

/// A promise about the CPU time of one variant over that of another.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    what: &'static str,
    over: &'static str,
    under: &'static str,
    case: Case,
    figure: fn(&Batch) -> f64,
    goal: f64,
    at_most: bool,
}

/// A promise whose rounds do not tell whether it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unclear {
    /// What was measured, and what was promised.
    pub(crate) goal: Goal,
    /// How many rounds more will probably tell, if they are like those before.
    pub(crate) more: usize,
}

impl Unclear {
    /// What the measurements do not answer: `A over B is at most 1.05`, with what they say.
    pub(crate) fn question(&self) -> String {
        let Goal { name, value, goal, at_most } = &self.goal;
        let side = if *at_most { "at most" } else { "at least" };
        format!("{name}: {:.3} ({:.3} to {:.3}) is {side} {goal}", value.median, value.min, value.max)
    }
}

impl fmt::Display for Unclear {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; about {} more rounds would tell", self.question(), self.more)
    }
}

/// All promises.
pub(crate) fn all() -> Vec<Promise> {
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
    let mut all: Vec<Promise> = [(tiny, 1.08), (small, 1.12), (middle, 1.30), (large, 1.8)]
        .map(|(size, goal)| filter.at_most(plain(size), proxy, goal))
        .into();
    all.extend([middle, large].map(|size| peek.at_most(first(size), proxy, 1.05)));
    for (over, under) in
        [("service-buffered", "ext-proc-noop-buffered"), ("service-streamed", "ext-proc-noop-streamed")]
    {
        let what = if over == "service-buffered" {
            "the service over one that does nothing, BUFFERED"
        } else {
            "the service over one that does nothing, FULL_DUPLEX_STREAMED"
        };
        let pair = Pair { what, over, under };
        let goals = [(tiny, 1.15), (small, 1.15), (middle, 1.15), (large, 1.4)];
        all.extend(goals.map(|(size, goal)| pair.at_most(plain(size), service, goal)));
    }
    let headers = Pair {
        what: "the service over one that does nothing, headers only",
        over: "service-headers",
        under: "ext-proc-noop-headers",
    };
    all.push(headers.at_most(plain(small), service, 1.15));
    all.extend(of_peers());
    all
}

/// What others cost, at least, as a multiple of what Cellgate costs.
fn of_peers() -> impl Iterator<Item = Promise> {
    let [tiny, small, middle, large, _] = SIZES;
    let lua = Pair { what: "Envoy with Lua over Envoy with the filter", over: "lua", under: "filter" };
    let metadata = Pair {
        what: "Envoy with json_to_metadata over Envoy with the filter",
        over: "json-to-metadata",
        under: "filter",
    };
    let go =
        Pair { what: "a body router in Go over the service, BUFFERED", over: "go-router", under: "service-buffered" };
    let at_least = |pair: Pair, figure, goals: &[_]| -> Vec<Promise> {
        goals.iter().map(|(size, goal)| pair.at_least(Case::plain(*size), figure, *goal)).collect()
    };
    let all = [
        at_least(lua, proxy, &[(small, 1.3), (middle, 4.5), (large, 9.0)]),
        at_least(metadata, proxy, &[(small, 1.7), (middle, 11.0), (large, 25.0)]),
        at_least(go, service, &[(tiny, 3.5), (small, 4.6), (middle, 15.0), (large, 20.0)]),
    ];
    all.into_iter().flatten()
}

/// The goals that these rows tell something about.
pub(crate) fn goals(rows: &[Row]) -> Vec<Goal> {
    all().iter().filter_map(|promise| promise.goal(rows)).collect()
}

/// What these rows leave open.
pub(crate) fn unclear(rows: &[Row]) -> Vec<(Promise, Unclear)> {
    let unclear = |promise: Promise| {
        let more = missing_rounds(&promise.ratios(rows)?, promise.goal)?;
        let goal = promise.goal(rows)?;
        Some((promise, Unclear { goal, more }))
    };
    all().into_iter().filter_map(unclear).collect()
}

impl Promise {
    /// What is compared, where.
    pub(crate) fn name(&self) -> String {
        format!("{}, {}, key {}", self.what, self.case.size.label, self.case.key.name())
    }

    /// Whether a row of this case and variant is one of the two that are compared.
    pub(crate) fn needs(&self, case: &Case, variant: &Variant) -> bool {
        self.case == *case && (self.over == variant.name || self.under == variant.name)
    }

    fn goal(&self, rows: &[Row]) -> Option<Goal> {
        let value = Spread::of(self.ratios(rows)?)?;
        Some(Goal { name: self.name(), value, goal: self.goal, at_most: self.at_most })
    }

    /// The ratio in each round that has both; `None` if one of the two was not measured.
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
    fn at_most(&self, case: Case, figure: fn(&Batch) -> f64, goal: f64) -> Promise {
        let Self { what, over, under } = *self;
        Promise { what, over, under, case, figure, goal, at_most: true }
    }

    fn at_least(&self, case: Case, figure: fn(&Batch) -> f64, goal: f64) -> Promise {
        Promise { at_most: false, ..self.at_most(case, figure, goal) }
    }
}

fn proxy(batch: &Batch) -> f64 {
    batch.proxy
}

fn service(batch: &Batch) -> f64 {
    batch.service
}

/// How many rounds are missing to tell on which side of `goal` the median lies; `None` when these tell it.
///
/// They do when the interval that very probably holds the median lies on one side, or is so narrow that the side does
/// not matter. Its width goes with one over the square root of the number of rounds.
fn missing_rounds(ratios: &[f64], goal: f64) -> Option<usize> {
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
