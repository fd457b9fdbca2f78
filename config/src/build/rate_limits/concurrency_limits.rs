//! The concurrency limits, from the parts of rate limits.

use std::collections::BTreeSet;

use super::super::super::path::Step;
use super::super::super::raw::{RawConcurrencyLimit, RawField};
use super::super::super::report::Report;
use super::{LimitContext, LimitPlace, check_name, enforcement, key_parts, limit_scope};
use cellgate_routing::source::Source;
use cellgate_routing::{ConcurrencyLimit, MAX_CONCURRENCY_LIMITS, RateLimit};

const SECTION: Step<'static> = Step::Field("concurrency_limits");

/// Builds the limits. `rate_limits` have other names, and `sources` are those of the routing key and of `rate_limits`.
pub(in super::super) fn concurrency_limits(
    raw: &[RawField<RawConcurrencyLimit<'_>>],
    rate_limits: &[RateLimit],
    sources: &mut Vec<Source>,
    context: LimitContext<'_>,
    report: &mut Report<'_>,
) -> Vec<ConcurrencyLimit> {
    if raw.len() > MAX_CONCURRENCY_LIMITS {
        report
            .problem(&[SECTION], &|| format!("expected at most {MAX_CONCURRENCY_LIMITS} limits, found {}", raw.len()));
    }
    let mut names: BTreeSet<_> = rate_limits.iter().map(|limit| &*limit.name).collect();
    let mut limits = Vec::with_capacity(raw.len().min(MAX_CONCURRENCY_LIMITS));
    for (index, raw) in raw.iter().enumerate().take(MAX_CONCURRENCY_LIMITS) {
        let Some(raw) = raw.given() else { continue };
        let place = LimitPlace { context, item: [SECTION, Step::Item(index)] };
        let name = report.required(&raw.name, &place.field("name")).copied();
        if let Some(name) = name {
            check_name(name, &mut names, place, report);
        }
        let key = report.required(&raw.key, &place.field("key"));
        let key = key.map(|raw| key_parts(raw, place, sources, report)).unwrap_or_default();
        let at_most = report.required(&raw.at_most, &place.field("at_most")).map(|number| number.0);
        let scope = raw.applies_to.given().map(|raw| limit_scope(raw, place, report));
        let (scope, cells) = scope.unwrap_or_default();
        limits.push(ConcurrencyLimit {
            name: name.unwrap_or_default().into(),
            key: key.into_iter().flatten().collect(),
            // A refused number limits nothing.
            at_most: at_most.and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX),
            scope,
            cells,
            enforcement: enforcement(&raw.shadow),
        });
    }
    limits
}
