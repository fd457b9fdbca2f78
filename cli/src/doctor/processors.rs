//! Other processors in the chain that stream bodies. Before Envoy 1.39, two processors in the mode FULL_DUPLEX_STREAMED lose
//! bodies: some chunked bodies with a late key reach the cell empty, and the client gets 200.

use serde_json::Value;

use super::dump::{Chain, Dump, HttpFilter};
use super::finding::{Notes, enumerate};
use super::message::{flag, texts};
use super::routes;

/// The mode for bodies of any size.
pub(super) const STREAMED: &str = "FULL_DUPLEX_STREAMED";

/// The first version of Envoy with which two of them work.
const FIRST_GOOD: (u64, u64) = (1, 39);

const FIX: &str = "update Envoy to 1.39 (Istio 1.31), or defer by `buffer` (chart: extProc.bodyMode: buffer)";

/// Examines processors besides `ours`, which is in that mode.
pub(super) fn examine(dump: &Dump, chain: &Chain<'_>, ours: &str, notes: &mut Notes) {
    let filters = dump.http_filters(chain.manager);
    for other in filters.iter().filter(|other| other.name != ours) {
        let routes = dump.routes_of(chain.manager);
        let places = routes.map(|routes| routes::that_set(routes, other.name, is_streamed)).unwrap_or_default();
        if is_streamed(other.config) && !flag(other.entry, "disabled") {
            report(dump, &format!("`{}` is another processor in the mode {STREAMED}", other.name), notes);
        } else if !places.is_empty() {
            let places = enumerate(&places);
            report(dump, &format!("`{}` is another processor in the mode {STREAMED} on {places}", other.name), notes);
        } else if awaits_processor(other) {
            notes.unknown(
                format!(
                    "the configuration of the processor `{}` has not arrived: its mode may be {STREAMED}",
                    other.name
                ),
                "run the doctor again when it has arrived",
            );
        }
    }
}

fn report(dump: &Dump, what: &str, notes: &mut Notes) {
    match dump.version {
        Some(version @ (major, minor)) if version >= FIRST_GOOD => {
            notes.ok(format!("{what}: Envoy {major}.{minor} serves both"));
        }
        Some((major, minor)) => {
            notes.error(format!("{what}: in Envoy {major}.{minor} some bodies arrive empty, with 200"), FIX);
        }
        None => notes.unknown(
            format!("{what}: before Envoy 1.39 some bodies arrive empty, with 200, and the dump does not contain Envoy's version"),
            format!("use the gateway's own admin port (--admin); before 1.39: {FIX}"),
        ),
    }
}

/// Whether a configuration of a filter or of a route has a processor in this mode, directly, as an override or behind a matcher.
fn is_streamed(config: &Value) -> bool {
    match config {
        Value::Object(fields) => fields.iter().any(|(name, value)| match &**name {
            "request_body_mode" | "requestBodyMode" => value == STREAMED,
            _ => is_streamed(value),
        }),
        Value::Array(values) => values.iter().any(is_streamed),
        _ => false,
    }
}

/// Whether the chain discovers a processor whose configuration has not arrived.
fn awaits_processor(filter: &HttpFilter<'_>) -> bool {
    let mut kinds = texts(filter.entry, "config_discovery.type_urls");
    filter.config.is_null() && kinds.any(|kind| kind.ends_with(".ExternalProcessor"))
}
