//! Raw structs to a [`Config`] in which every rule between the parts holds.
//!
//! Each step notes its problems and goes on, so that one run reports all of them. The caller drops the built
//! configuration if there is a problem.

mod cells;
mod claims;
mod content_types;
mod decided_by;
mod headers;
mod placement;
mod policy;
mod scope;
mod sources;

use super::bounds::{MAX_ITEMS, MAX_VERSION};
use super::path::Step;
use super::raw::{RawConfig, RawLimits};
use super::report::Report;
use super::{Config, Limits};
use cells::Cells;

/// In a policy, the name of the cell in `placement.default`.
const DEFAULT: &str = "default";

/// Builds a configuration, and notes every problem in the report.
pub(super) fn build(raw: &RawConfig, report: &mut Report<'_>) -> Config {
    if raw.version.chars().count() > MAX_VERSION || raw.version.chars().any(char::is_control) {
        report.problem(&[Step::Field("version")], || {
            format!("expected at most {MAX_VERSION} characters, none of them a control character")
        });
    }
    let cells = Cells::new(&raw.cells, report);
    let limits = limits(&raw.limits, report);
    let routing_header = headers::routing_header(&raw.routing_header, report);
    let sources = sources::sources(&raw.key, &routing_header, report);
    let policy = policy::policy(&raw.policy, &cells, raw.placement.default.as_deref(), report);
    let placement = placement::placement(&raw.placement, &cells, limits.key_bytes, policy.uses_slots(), report);
    Config {
        version: raw.version.clone(),
        routing_header,
        cells: raw.cells.clone(),
        scope: scope::scope(&raw.applies_to, report),
        content_types: content_types::content_types(&raw.content_types, report),
        sources,
        claims: claims::claims(&raw.claims, report),
        duplicates: raw.duplicates,
        placement,
        policy,
        shadow: raw.shadow,
        decided_by: raw.decided_by.as_ref().map(|raw| decided_by::decided_by(raw, &cells, report)),
        limits,
    }
}

fn limits(raw: &RawLimits, report: &mut Report<'_>) -> Limits {
    let (inspect_bytes, stream_bytes) = (raw.inspect_bytes.0, raw.stream_bytes.0);
    if stream_bytes < inspect_bytes {
        report.problem(&[Step::Field("limits"), Step::Field("stream_bytes")], || {
            format!(
                "expected at least `limits.inspect_bytes` ({inspect_bytes} bytes), found {stream_bytes}: the service \
                 handles the bodies that are too large for the filter"
            )
        });
    }
    // Both are at most 4,096.
    let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits { inspect_bytes, stream_bytes, key_bytes: small(raw.key_bytes.0), depth: small(raw.depth.0) }
}

/// Parses each item of a list, which may be absent but not empty.
fn list<T>(
    items: Option<&[Box<str>]>,
    fields: &[&str],
    report: &mut Report<'_>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let path: Vec<Step<'_>> = fields.iter().copied().map(Step::Field).collect();
    let items = items?;
    if items.is_empty() {
        report.problem(&path, || "the list is empty: add an item, or remove the field to use its default".into());
    } else if items.len() > MAX_ITEMS {
        report.problem(&path, || format!("expected at most {MAX_ITEMS} items, found {}", items.len()));
    }
    let mut parsed = Vec::with_capacity(items.len().min(MAX_ITEMS));
    for (index, item) in items.iter().enumerate().take(MAX_ITEMS) {
        match parse(item) {
            Ok(item) => parsed.push(item),
            Err(message) => report.problem(&[&path[..], &[Step::Item(index)]].concat(), || message),
        }
    }
    Some(parsed)
}
