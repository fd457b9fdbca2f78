//! What a run measures: which cases, in which variants.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::baseline;
use crate::cases::{Case, NamedBy};
use crate::exchange::Exchange;
use crate::promises;
use crate::row::Row;
use crate::variant::Variant;
use crate::variants;

/// The choice. The baseline is always in it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    cases: Vec<Case>,
    variants: Vec<&'static Variant>,
    /// Only what a promise needs, and the baseline beside it.
    promised_only: bool,
}

impl Plan {
    /// The cases whose names begin with one of `cases`, in the variants named; all where nothing is named. A quick plan
    /// has only what the goals need. `baseline`: with the other build of each variant that has one.
    ///
    /// # Errors
    /// When a name means nothing.
    pub(crate) fn new(cases: &[String], variants: &[String], quick: bool, baseline: bool) -> Result<Self> {
        for name in cases {
            let found = Case::all().iter().any(|case| case.name().starts_with(name));
            let all: Vec<_> = Case::all().iter().map(Case::name).collect();
            ensure!(found, "no case begins with `{name}`; there are {}", all.join(", "));
        }
        for name in variants {
            let found = variants::all().any(|variant| variant.name == name);
            let all: Vec<_> = variants::all().map(|variant| variant.name).collect();
            ensure!(found, "no variant is `{name}`; there are {}", all.join(", "));
        }
        let named = |case: &Case| cases.is_empty() || cases.iter().any(|name| case.name().starts_with(name));
        let mut plan = Self {
            cases: Case::all().into_iter().filter(named).collect(),
            variants: if baseline { baseline::with_counterparts() } else { variants::all().collect() },
            promised_only: quick,
        };
        plan.variants.retain(|variant| {
            is_baseline(variant) || variants.is_empty() || variants.iter().any(|name| variant.base() == name)
        });
        let everything = plan.clone();
        plan.cases
            .retain(|case| everything.variants.iter().any(|own| !is_baseline(own) && everything.includes(case, own)));
        plan.variants
            .retain(|own| is_baseline(own) || everything.cases.iter().any(|case| everything.includes(case, own)));
        Ok(plan)
    }

    /// What must run.
    pub(crate) fn variants(&self) -> &[&'static Variant] {
        &self.variants
    }

    /// A row for each case in each of the variants that do run.
    pub(crate) fn rows(&self, running: impl Iterator<Item = &'static Variant> + Clone) -> Vec<Row> {
        let mut rows = Vec::new();
        for case in &self.cases {
            // Shared by all variants: together they would take gigabytes.
            let bodies = case.bodies();
            let sent = [NamedBy::Client, NamedBy::Body, NamedBy::Header].map(|by| (by, case.exchanges(&bodies, by)));
            let exchanges = |by| sent.iter().find(|(named, _)| *named == by).map(|(_, sent)| Arc::clone(sent));
            for variant in running.clone().filter(|variant| self.includes(case, variant)) {
                let exchanges: Arc<[Exchange]> = exchanges(variant.named_by).unwrap_or_default();
                rows.push(Row::new(*case, variant, exchanges));
            }
        }
        rows
    }

    fn includes(&self, case: &Case, variant: &Variant) -> bool {
        !self.promised_only
            || is_baseline(variant)
            || promises::all().iter().any(|promise| promise.needs(case, variant))
    }
}

fn is_baseline(variant: &Variant) -> bool {
    variant.name == Variant::PLAIN.name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(cases: &[&str], variants: &[&str], quick: bool) -> Result<Plan> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Plan::new(&owned(cases), &owned(variants), quick, false)
    }

    #[test]
    fn without_a_choice_everything_is_measured() {
        let plan = plan(&[], &[], false).unwrap();
        assert_eq!((plan.cases.len(), plan.variants.len()), (Case::all().len(), variants::all().count()));
    }

    #[test]
    fn the_baseline_is_there_unasked() {
        let plan = plan(&["64KB-objects"], &["filter"], false).unwrap();
        let names: Vec<_> = plan.variants.iter().map(|variant| variant.name).collect();
        assert_eq!(names, ["plain", "filter"]);
        assert!(plan.cases.len() > 1 && plan.cases.iter().all(|case| case.name().starts_with("64KB-objects")));
    }

    #[test]
    fn a_quick_plan_has_what_the_goals_need() {
        let plan = plan(&[], &[], true).unwrap();
        assert!(plan.cases.len() < Case::all().len());
        let rows = plan.rows(plan.variants.iter().copied());
        for promise in promises::all() {
            let needed = rows.iter().filter(|row| promise.needs(&row.case, row.variant)).count();
            assert_eq!(needed, 2, "{}", promise.name());
        }
    }

    #[test]
    fn another_build_is_measured_wherever_this_one_is() {
        let plan = Plan::new(&["64KB-objects-last".to_owned()], &["filter".to_owned()], false, true).unwrap();
        let names: Vec<_> = plan.variants.iter().map(|variant| variant.name).collect();
        assert_eq!(names, ["plain", "filter", "filter-baseline"]);
        let quick = Plan::new(&[], &[], true, true).unwrap();
        let rows = quick.rows(quick.variants.iter().copied());
        for row in rows.iter().filter(|row| row.variant.another_build_of.is_some()) {
            let pair = rows.iter().find(|own| own.case == row.case && own.variant.name == row.variant.base());
            assert!(pair.is_some(), "{}", row.name());
        }
        assert!(rows.iter().any(|row| row.variant.name == "service-streamed-baseline"));
    }

    #[test]
    fn what_means_nothing_is_refused_with_what_there_is() {
        assert!(plan(&["65KB"], &[], false).unwrap_err().to_string().contains("64KB-objects-last-h1"));
        assert!(plan(&[], &["luna"], false).unwrap_err().to_string().contains("wasm-noop"));
    }
}
