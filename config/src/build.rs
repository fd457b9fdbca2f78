//! Raw structs to a [`Config`] in which every rule between the parts holds.
//!
//! Each step notes its problems and goes on, so that one run reports all of them. The caller drops the built
//! configuration if there is a problem.

mod cells;
mod claims;
mod content_encodings;
mod content_types;
mod decided_by;
mod headers;
mod placement;
mod policy;
mod rate_limits;
mod scope;
mod sources;
mod sync;

use std::time::Duration;

use super::bounds::{MAX_ITEMS, MAX_VERSION};
use super::path::Step;
use super::raw::{RawConfig, RawField, RawLimits, RawList};
use super::report::Report;
use cellgate_routing::{Config, Limits};
use cells::Cells;

/// In a policy, the name of the cell in `placement.default`.
const DEFAULT: &str = "default";

/// Builds a configuration, and notes every problem in the report, except those that only follow from a refused value.
pub(super) fn build(raw: &RawConfig<'_>, rate_limits_fingerprint: u64, report: &mut Report<'_>) -> Config {
    let version = raw.version.given().map_or("", |version| version);
    if version.chars().count() > MAX_VERSION || version.chars().any(char::is_control) {
        report.problem(&[Step::Field("version")], &|| {
            format!("expected at most {MAX_VERSION} characters, none of them a control character")
        });
    }
    let routing_header = report.required(&raw.routing_header, &[Step::Field("routing_header")]);
    let routing_header = routing_header.map(|name| headers::routing_header(name, report)).unwrap_or_default();
    let cells = Cells::new(report.required(&raw.cells, &[Step::Field("cells")]), report);
    let limits = raw.limits.given().map_or(LARGEST, |raw| limits(raw, report));
    let sources = report.required(&raw.key, &[Step::Field("key")]);
    let sources = sources.map(|raw| sources::sources(raw, &routing_header, report)).unwrap_or_default();
    let raw_placement = report.required(&raw.placement, &[Step::Field("placement")]);
    let default = raw_placement.map_or(&RawField::Refused, |placement| &placement.default);
    let policy = raw.policy.given().map(|raw| policy::policy(raw, &cells, default, report)).unwrap_or_default();
    let placement = raw_placement
        .map(|raw| placement::placement(raw, &cells, limits.key_bytes, policy.uses_slots(), report))
        .unwrap_or_default();
    let place =
        rate_limits::LimitContext { routing_header: &routing_header, cells: &cells, key_bytes: limits.key_bytes };
    // The sources of one body are read in one query.
    let mut all_sources = sources.clone();
    let rate_limits = raw.rate_limits.given();
    let rate_limits =
        rate_limits.map(|raw| rate_limits::rate_limits(raw, &mut all_sources, place, report)).unwrap_or_default();
    let concurrency_limits = raw.concurrency_limits.given();
    let concurrency_limits = concurrency_limits
        .map(|raw| rate_limits::concurrency_limits(raw, &rate_limits, &mut all_sources, place, report))
        .unwrap_or_default();
    let descriptor_limits = raw.descriptor_limits.given();
    let descriptor_limits = descriptor_limits
        .map(|raw| {
            let of_requests = rate_limits.iter().map(|limit| &*limit.name);
            let names = of_requests.chain(concurrency_limits.iter().map(|limit| &*limit.name));
            rate_limits::descriptor_limits(raw, names.collect(), place, report)
        })
        .unwrap_or_default();
    let sync = raw.sync.given().map(|raw| sync::sync(raw, report));
    if raw.sync.is_absent() {
        sync::require_for_leases(raw.rate_limits.given().map_or(&[], Vec::as_slice), report);
    }
    Config {
        version: version.into(),
        routing_header,
        cells: cells.names.iter().map(|name| Box::from(*name)).collect(),
        scope: raw
            .applies_to
            .given()
            .map(|raw| scope::scope(raw, &[Step::Field("applies_to")], report))
            .unwrap_or_default(),
        content_types: raw
            .content_types
            .given()
            .map(|raw| content_types::content_types(raw, report))
            .unwrap_or_default(),
        content_encodings: content_encodings::content_encodings(&raw.content_encodings, report),
        sources,
        claims: claims::claims(raw.claims.given(), report),
        duplicates: raw.duplicates.given().copied().unwrap_or_default().into(),
        placement,
        policy,
        rate_limits,
        rate_limits_fingerprint,
        concurrency_limits,
        descriptor_limits,
        sync,
        shadow: raw.shadow.given().copied().unwrap_or_default(),
        decided_by: raw.decided_by.given().map(|raw| decided_by::decided_by(raw, &cells, report)),
        limits,
    }
}

/// Limits that nothing exceeds, in place of refused ones.
const LARGEST: Limits = Limits {
    inspect_bytes: u64::MAX,
    stream_bytes: u64::MAX,
    key_bytes: usize::MAX,
    depth: usize::MAX,
    decoded_bytes: u64::MAX,
    decoded_ratio: u64::MAX,
    decode_time: Duration::MAX,
};

fn limits(raw: &RawLimits, report: &mut Report<'_>) -> Limits {
    let inspect_bytes = raw.inspect_bytes.given().map(|size| size.0);
    let stream_bytes = raw.stream_bytes.given().map(|size| size.0);
    if let (Some(inspect_bytes), Some(stream_bytes)) = (inspect_bytes, stream_bytes)
        && stream_bytes < inspect_bytes
    {
        report.problem(&[Step::Field("limits"), Step::Field("stream_bytes")], &|| {
            format!(
                "expected at least `limits.inspect_bytes` ({inspect_bytes} bytes), found {stream_bytes}: the service \
                 handles the bodies that are too large for the filter"
            )
        });
    }
    // Both are at most 4,096.
    let small = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX);
    Limits {
        inspect_bytes: inspect_bytes.unwrap_or(LARGEST.inspect_bytes),
        stream_bytes: stream_bytes.unwrap_or(LARGEST.stream_bytes),
        key_bytes: small(raw.key_bytes.given().map(|number| number.0)),
        depth: small(raw.depth.given().map(|number| number.0)),
        decoded_bytes: raw.decoded_bytes.given().map_or(LARGEST.decoded_bytes, |size| size.0),
        decoded_ratio: raw.decoded_ratio.given().map_or(LARGEST.decoded_ratio, |number| number.0),
        decode_time: raw.decode_ms.given().map_or(LARGEST.decode_time, |number| Duration::from_millis(number.0)),
    }
}

/// The items of a list that are not refused, each with its index.
fn items<'a>(list: &RawField<RawList<'a>>) -> impl Iterator<Item = (usize, &'a str)> {
    let items = list.given().into_iter().flatten().enumerate();
    items.filter_map(|(index, item)| Some((index, *item.given()?)))
}

/// Parses each item of a list, which may be absent but not empty.
fn parse_list<T>(
    raw: &RawField<RawList<'_>>,
    path: &[Step<'_>],
    report: &mut Report<'_>,
    parse: &dyn Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let length = raw.given().map(Vec::len);
    if length == Some(0) {
        report.problem(path, &|| "the list is empty: add an item, or remove the field to use its default".into());
    } else if let Some(length) = length
        && length > MAX_ITEMS
    {
        report.problem(path, &|| format!("expected at most {MAX_ITEMS} items, found {length}"));
    }
    let mut parsed = Vec::with_capacity(length.unwrap_or(0).min(MAX_ITEMS));
    for (index, item) in items(raw).take(MAX_ITEMS) {
        match parse(item) {
            Ok(item) => parsed.push(item),
            Err(message) => report.problem(&[path, &[Step::Item(index)]].concat(), &|| message.clone()),
        }
    }
    parsed
}
