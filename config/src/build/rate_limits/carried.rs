//! A plan or a limit that comes from the request: only from a claim, and a limit only up to a bound.

use super::super::super::path::Step;
use super::super::super::raw::{RawCarriedLimit, RawSource};
use super::super::super::report::Report;
use super::super::sources::source;
use super::{LimitPlace, limit};
use cellgate_routing::CarriedLimit;
use cellgate_routing::source::Source;

pub(super) fn carried_limit(
    raw: &RawCarriedLimit<'_>,
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) -> Option<CarriedLimit> {
    let path = place.field("limit_from");
    let source = claim(&raw.source, &path, place, report);
    let [section, item, limit_from] = path;
    let path = [section, item, limit_from, Step::Field("at_most")];
    let at_most = report.required(&raw.at_most, &path).and_then(|text| limit(text, &path, report));
    Some(CarriedLimit { source: source?, at_most: at_most? })
}

/// The claim at a path. Any other place is refused.
pub(super) fn claim(
    raw: &RawSource<'_>,
    path: &[Step<'_>],
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) -> Option<Source> {
    const CLAIM: &str = "claim";
    if raw.places.is_empty() {
        if !report.is_incomplete(path) {
            report.problem(path, &|| "expected a claim such as `claim: /plan`".into());
        }
        return None;
    }
    let mut others = raw.places.iter().filter(|(name, _)| *name != CLAIM).peekable();
    if others.peek().is_none() {
        return source(raw, path, place.context.routing_header, report).map(|(_, source)| source);
    }
    for (name, _) in others {
        report.problem(&[path, &[Step::Field(name)]].concat(), &|| {
            let even_so = if *name == "header" {
                ". A header that a filter sets on one route is the client's own on another route"
            } else {
                ""
            };
            format!(
                "a client can write a `{name}` itself and so choose its own limit: use a `claim`, which Envoy has \
                 verified{even_so}"
            )
        });
    }
    None
}
