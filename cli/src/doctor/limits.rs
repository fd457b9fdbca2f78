//! Envoy's limits compared with Cellgate's, and the timeouts of idle requests.

use std::time::Duration;

use cellgate_routing::Config;
use cellgate_routing::source::Place;
use serde_json::Value;

use super::dump::Chain;
use super::finding::Notes;
use super::message::{duration, has, list, number, text};

/// Envoy's default for `per_connection_buffer_limit_bytes`.
const DEFAULT_BUFFER: u64 = 1 << 20;

/// Envoy's default for `initial_stream_window_size`.
const DEFAULT_WINDOW: u64 = 16 << 20;

/// Examines a listener and its connection manager.
pub(super) fn examine(chain: &Chain<'_>, routes: Option<&Value>, config: Option<&Config>, notes: &mut Notes) {
    if let Some(config) = config {
        bodies(chain, config.limits.inspect_bytes, notes);
    }
    underscores(chain, config, notes);
    idle(chain, routes.zip(config).and_then(|(routes, config)| idle_of_cells(routes, config)), notes);
}

/// Envoy's limits of buffered body bytes for HTTP/1.1 and HTTP/2.
pub(super) fn in_force(chain: &Chain<'_>) -> (u64, u64) {
    let buffer = number(chain.listener, "per_connection_buffer_limit_bytes").unwrap_or(DEFAULT_BUFFER);
    let window = number(chain.manager, "http2_protocol_options.initial_stream_window_size").unwrap_or(DEFAULT_WINDOW);
    (buffer, window)
}

/// Above the smaller limit, Envoy answers 413 without the filter.
fn bodies(chain: &Chain<'_>, inspect: u64, notes: &mut Notes) {
    let (buffer, window) = in_force(chain);
    let mut fits = true;
    for (limit, protocol, field) in [
        (buffer, "HTTP/1.1", "the listener's per_connection_buffer_limit_bytes"),
        (window, "HTTP/2", "the connection manager's initial_stream_window_size"),
    ] {
        if limit < inspect {
            fits = false;
            notes.error(
                format!("{field} is {limit}, below inspect_bytes {inspect}: over {protocol} Envoy answers 413 to bodies between the two"),
                format!("raise it to {inspect}, or lower limits.inspect_bytes to {limit} in both tiers"),
            );
        }
    }
    if fits {
        notes.ok(format!("the filter holds bodies of at most {inspect} bytes; Envoy's limits are {buffer} (HTTP/1.1) and {window} (HTTP/2)"));
    }
}

fn underscores(chain: &Chain<'_>, config: Option<&Config>, notes: &mut Notes) {
    let spelling = config.map_or("x_cell".to_owned(), |config| config.routing_header.replace('-', "_"));
    let action = text(chain.manager, "common_http_protocol_options.headers_with_underscores_action");
    match action {
        "REJECT_REQUEST" | "DROP_HEADER" => {
            notes.ok(format!("headers with underscores: {action}"));
        }
        _ => {
            notes.ok(format!("headers with underscores are accepted, and the filter removes a client's own {spelling}"))
        }
    }
    let outcome = match action {
        "REJECT_REQUEST" => "Envoy answers 400 to every request that has it",
        "DROP_HEADER" => "Envoy removes it, and the key with it",
        _ => return,
    };
    let of_keys = config.iter().flat_map(|config| &config.sources).filter_map(|source| match &source.place {
        Place::Header(name) if name.contains('_') => Some(name),
        _ => None,
    });
    for name in of_keys {
        notes.error(
            format!("the key's header {name} has an underscore: {outcome}"),
            "rename the header, or remove headers_with_underscores_action",
        );
    }
}

/// The longest idle timeout of the cells' routes, if all of them have one.
fn idle_of_cells(routes: &Value, config: &Config) -> Option<Duration> {
    let all = list(routes, "virtual_hosts").iter().flat_map(|host| list(host, "routes"));
    let matches = |route: &&Value| {
        let mut headers = list(route, "match.headers").iter();
        has(route, "route") && headers.any(|matcher| text(matcher, "name").eq_ignore_ascii_case(&config.routing_header))
    };
    let times = all.filter(matches).map(|route| duration(route, "route.idle_timeout").filter(|time| !time.is_zero()));
    times.reduce(|one, other| Some(one?.max(other?))).flatten()
}

fn idle(chain: &Chain<'_>, of_cells: Option<Duration>, notes: &mut Notes) {
    match duration(chain.manager, "stream_idle_timeout") {
        None | Some(Duration::ZERO) if of_cells.is_some() => {
            let seconds = of_cells.unwrap_or_default().as_secs_f64();
            let arriving = duration(chain.manager, "request_timeout").filter(|time| !time.is_zero());
            let before = arriving.map_or("no time limit".to_owned(), |time| {
                format!("{} s to arrive, by request_timeout", time.as_secs_f64())
            });
            notes.ok(format!(
                "an idle request with a cell ends after {seconds} s (idle_timeout of its route); without a cell it has {before}"
            ));
        }
        Some(Duration::ZERO) => notes.error(
            "stream_idle_timeout is off: a request never ends if its service stops responding",
            "set stream_idle_timeout, 30s for example",
        ),
        Some(time) => notes.ok(format!("an idle request ends after {} s", time.as_secs_f64())),
        None if has(chain.manager, "stream_idle_timeout") => {
            notes.unknown("stream_idle_timeout cannot be read", "look at the connection manager in the dump")
        }
        None => notes.warning(
            "an idle request ends after 5 minutes, Envoy's default",
            "set stream_idle_timeout, 30s for example",
        ),
    }
}
