//! The selection of cases and variants for a run.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::baseline;
use crate::cases::{Case, NamedBy};
use crate::comparisons;
use crate::exchange::Exchange;
use crate::row::Row;
use crate::variant::Variant;
use crate::variants;

/// The selected cases and variants. Envoy alone is always among them.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    cases: Vec<Case>,
    variants: Vec<&'static Variant>,
    /// Only the rows that a goal needs, and Envoy alone for the same cases.
    goals_only: bool,
}

impl Plan {
    /// Selects the cases whose names begin with one of `cases`, and the variants with these names. An empty list
    /// selects all. A quick plan has only the rows that the goals need. `baseline` adds the other build of each
    /// variant.
    ///
    /// # Errors
    /// When a name matches no case or variant.
    pub(crate) fn new(cases: &[String], variants: &[String], quick: bool, baseline: bool) -> Result<Self> {
        for name in cases {
            let found = Case::all().iter().any(|case| case.name().starts_with(name));
            let all: Vec<_> = Case::all().iter().map(Case::name).collect();
            ensure!(found, "no case name begins with `{name}`; the cases are {}", all.join(", "));
        }
        for name in variants {
            let found = variants::all().any(|variant| variant.name == name);
            let all: Vec<_> = variants::all().map(|variant| variant.name).collect();
            ensure!(found, "`{name}` is not a variant; the variants are {}", all.join(", "));
        }
        let named = |case: &Case| cases.is_empty() || cases.iter().any(|name| case.name().starts_with(name));
        let mut plan = Self {
            cases: Case::all().into_iter().filter(named).collect(),
            variants: if baseline { baseline::with_counterparts() } else { variants::all().collect() },
            goals_only: quick,
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

    /// The variants that must run.
    pub(crate) fn variants(&self) -> &[&'static Variant] {
        &self.variants
    }

    /// One row for each case in each running variant.
    pub(crate) fn rows(&self, running: impl Iterator<Item = &'static Variant> + Clone) -> Vec<Row> {
        let mut rows = Vec::new();
        for case in &self.cases {
            // All variants share the bodies: copies for each would take gigabytes.
            let bodies = case.bodies();
            let sent = [NamedBy::Client, NamedBy::Body, NamedBy::Header].map(|by| (by, case.exchanges(&bodies, by)));
            let exchanges = |by| sent.iter().find(|(named, _)| *named == by).map(|(_, sent)| Arc::clone(sent));
            for variant in running.clone().filter(|variant| self.includes(case, variant)) {
                let exchanges: Arc<[Exchange]> = exchanges(variant.named_by).unwrap_or_default();
                let exchanges = if variant.decodes { case.decoded(&exchanges) } else { exchanges };
                rows.push(Row::new(*case, variant, exchanges));
            }
        }
        rows
    }

    fn includes(&self, case: &Case, variant: &Variant) -> bool {
        !self.goals_only
            || is_baseline(variant)
            || comparisons::all().iter().any(|comparison| comparison.needs(case, variant))
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
    fn an_empty_selection_measures_everything() {
        let plan = plan(&[], &[], false).unwrap();
        assert_eq!((plan.cases.len(), plan.variants.len()), (Case::all().len(), variants::all().count()));
    }

    #[test]
    fn envoy_alone_is_always_measured() {
        let plan = plan(&["64KB-objects"], &["filter"], false).unwrap();
        let names: Vec<_> = plan.variants.iter().map(|variant| variant.name).collect();
        assert_eq!(names, ["plain", "filter"]);
        assert!(plan.cases.len() > 1 && plan.cases.iter().all(|case| case.name().starts_with("64KB-objects")));
    }

    #[test]
    fn a_quick_plan_has_every_row_that_a_goal_needs() {
        let plan = plan(&[], &[], true).unwrap();
        assert!(plan.cases.len() < Case::all().len());
        let rows = plan.rows(plan.variants.iter().copied());
        for comparison in comparisons::all() {
            let needed = rows.iter().filter(|row| comparison.needs(&row.case, row.variant)).count();
            assert_eq!(needed, 2, "{}", comparison.name());
        }
    }

    #[test]
    fn the_other_build_is_measured_in_the_same_cases() {
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
    fn an_unknown_name_is_rejected_with_the_valid_names() {
        assert!(plan(&["65KB"], &[], false).unwrap_err().to_string().contains("64KB-objects-last-h1"));
        assert!(plan(&[], &["luna"], false).unwrap_err().to_string().contains("wasm-noop"));
    }
}
