//! The cost of a request.

use super::super::super::path::Step;
use super::super::super::raw::RawCost;
use super::super::super::report::Report;
use super::{LimitPlace, shared_source};
use cellgate_limiting::Limit;
use cellgate_routing::CostRule;
use cellgate_routing::source::Source;

const COST: &str = "cost";

pub(super) fn cost(
    raw: &RawCost<'_>,
    place: LimitPlace<'_>,
    sources: &mut Vec<Source>,
    report: &mut Report<'_>,
) -> Option<CostRule> {
    let (content_length, source, at_most, otherwise) = match raw {
        RawCost::Fixed(units) => return Some(CostRule::Fixed(units.0)),
        RawCost::Measured { content_length, source, at_most, otherwise } => {
            (content_length, source, at_most, otherwise)
        }
    };
    let path = place.field(COST);
    let [section, item, cost] = path;
    let field = |name| [section, item, cost, Step::Field(name)];
    if content_length.is_absent() && source.places.is_empty() {
        // Perhaps one of them is misspelt.
        if !report.is_incomplete(&path) {
            report.problem(&path, &|| {
                "expected `content_length: 64KiB`, or the place of a number, such as `header: x-cost`".into()
            });
        }
        return None;
    }
    if otherwise.is_absent() {
        report.problem(&field("otherwise"), &|| {
            "this required field is missing: the units of a request without such a number".into()
        });
    }
    if content_length.is_absent() {
        if at_most.is_absent() {
            report.problem(&field("at_most"), &|| {
                "this required field is missing: the most units of a request, because the client writes the number"
                    .into()
            });
        }
        let source = shared_source(source, &path, place, sources, report);
        let (at_most, otherwise) = (at_most.given()?.0, otherwise.given()?.0);
        if otherwise > at_most {
            report
                .problem(&field("otherwise"), &|| format!("expected at most `at_most` ({at_most}), found {otherwise}"));
        }
        return Some(CostRule::Number { source: source?, at_most, otherwise });
    }
    let place_name = source.places.first().map(|(name, _)| *name);
    let at_most = (!at_most.is_absent()).then_some("at_most");
    if let Some(name) = place_name.or(source.rule_field()).or(at_most) {
        report.problem(&field(name), &|| {
            format!("`{name}` is for a number in the request: remove it, or remove `content_length`")
        });
    }
    Some(CostRule::ContentLength { unit_bytes: content_length.given()?.0, otherwise: otherwise.given()?.0 })
}

/// Refuses a fixed cost that is over a burst: no request would ever be admitted. The limits have their names.
pub(super) fn check_bursts(
    cost: &CostRule,
    limits: impl Iterator<Item = (String, Limit)>,
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) {
    let CostRule::Fixed(units) = cost else { return };
    let mut small = limits.filter(|(_, limit)| u64::from(limit.burst()) < *units);
    if let Some((name, limit)) = small.next() {
        report.problem(&place.field(COST), &|| {
            format!(
                "a request costs {units} units and `{name}` has a burst of {}, so it admits no request: lower the cost, or \
                 raise the burst to at least {units}",
                limit.burst()
            )
        });
    }
}
