//! The processors to which the filter's deferrals go: one for each mode, with the settings that it needs.

use serde_json::Value;

use super::dump::Chain;
use super::finding::Notes;
use super::limits;
use super::message::{at, duration, flag, is_a, list, text, texts};
use super::processors::STREAMED;

/// How a deferral's mode is to be processed.
pub(super) struct Mode {
    pub(super) name: &'static str,
    body: &'static str,
    trailers: &'static str,
    /// Whether the filter defers in it at present.
    pub(super) is_used: bool,
}

pub(super) const MODES: [Mode; 3] = [
    Mode { name: "buffer", body: "BUFFERED", trailers: "SEND", is_used: true },
    Mode { name: "stream", body: STREAMED, trailers: "SEND", is_used: true },
    Mode { name: "headers", body: "NONE", trailers: "SKIP", is_used: false },
];

/// The processor that takes a mode.
pub(super) fn processor<'a>(matcher: &'a Value, mode: &str) -> Option<&'a Value> {
    let wanted = format!("{mode};");
    let in_list = list(matcher, "matcher_list.matchers").iter().find_map(|entry| {
        let predicate = at(entry, "predicate.single_predicate");
        let matched = text(predicate, "value_match.prefix");
        (!matched.is_empty() && wanted.starts_with(matched)).then(|| at(entry, "on_match"))
    });
    let in_tree = || {
        let prefixes = at(matcher, "matcher_tree.prefix_match_map.map").as_object()?;
        let longest = prefixes.iter().filter(|(prefix, _)| wanted.starts_with(prefix.as_str()));
        longest.max_by_key(|(prefix, _)| prefix.len()).map(|(_, on_match)| on_match)
    };
    let action = at(in_list.or_else(in_tree)?, "action.typed_config");
    Some(at(action, "typed_config.typed_config")).filter(|config| is_a(config, "ExternalProcessor"))
}

/// Looks at a mode's processor.
pub(super) fn examine(chain: &Chain<'_>, processor: &Value, mode: &Mode, notes: &mut Notes) {
    let place = |what: &str| format!("`{}`: {what}", mode.name);
    let cluster = text(processor, "grpc_service.envoy_grpc.cluster_name");
    // Beside another processor in the mode of `stream`, on an Envoy that cannot do with two of them.
    let buffers = body_mode(processor) == "BUFFERED";
    if buffers && mode.body == STREAMED {
        let (buffer, window) = limits::in_force(chain);
        notes.ok(place(&format!(
            "as one message: deferred bodies beyond Envoy's limit, {buffer} (HTTP/1.1) and {window} (HTTP/2) bytes, are answered 413"
        )));
    }
    let mut wrong = of_modes(processor, mode);
    wrong.extend(of_failures(processor));
    wrong.extend(of_authority(processor, cluster));
    for (what, fix) in &wrong {
        notes.error(place(what), fix.clone());
    }
    if !texts(processor, "metadata_options.receiving_namespaces.untyped").any(|name| name == "cellgate") {
        notes.warning(
            place("the access log does not get the service's reason"),
            "set metadata_options: { receiving_namespaces: { untyped: [cellgate] } }",
        );
    }
    if buffers && duration(processor, "message_timeout").is_none() {
        notes.warning(
            place("message_timeout is 200 ms, Envoy's default: a busy service is answered 504"),
            "set message_timeout above the service's --decision-timeout",
        );
    }
    if text(processor, "status_on_error.code").is_empty() {
        notes.warning(
            place("errors of the service, and requests that are too many for it, are answered 500"),
            "set status_on_error: { code: ServiceUnavailable }",
        );
    }
    if wrong.is_empty() {
        notes.ok(place(&format!("{}, by cluster {cluster}", body_mode(processor))));
    }
}

/// What is wrong, and what to do about it.
type Fault = (String, String);

/// What the service would not see of a request.
fn of_modes(processor: &Value, mode: &Mode) -> Vec<Fault> {
    let mut wrong = Vec::new();
    let body = body_mode(processor);
    if body != mode.body && (mode.body, body) != (STREAMED, "BUFFERED") {
        wrong.push((format!("request_body_mode is {body}"), format!("set request_body_mode: {}", mode.body)));
    }
    let trailers = set_or(text(processor, "processing_mode.request_trailer_mode"), "SKIP");
    if trailers != mode.trailers {
        let fix = format!("set request_trailer_mode: {}", mode.trailers);
        wrong.push((format!("request_trailer_mode is {trailers}"), fix));
    }
    if text(processor, "processing_mode.request_header_mode") == "SKIP" {
        wrong.push(("the service does not see the head".into(), "set request_header_mode: SEND".into()));
    }
    wrong
}

/// What would let a request go on without the service's word.
fn of_failures(processor: &Value) -> Vec<Fault> {
    let mut wrong = Vec::new();
    if flag(processor, "failure_mode_allow") {
        let open = "failure_mode_allow lets requests go on when the service fails";
        wrong.push((open.into(), "set failure_mode_allow: false".into()));
    }
    if flag(processor, "observability_mode") {
        wrong.push(("observability_mode ignores the service's answers".into(), "remove observability_mode".into()));
    }
    if flag(processor, "disable_clear_route_cache") || text(processor, "route_cache_action") == "RETAIN" {
        wrong.push((
            "the route is not picked again after the service's answer".into(),
            "set route_cache_action: DEFAULT".into(),
        ));
    }
    wrong
}

/// What HTTP/2 servers refuse.
fn of_authority(processor: &Value, cluster: &str) -> Option<Fault> {
    let sent = set_or(text(processor, "grpc_service.envoy_grpc.authority"), cluster);
    sent.contains('|').then(|| {
        (
            format!("the authority is `{sent}`, which HTTP/2 servers refuse"),
            "set envoy_grpc.authority to the service's host name".into(),
        )
    })
}

/// Its mode for bodies.
pub(super) fn body_mode(processor: &Value) -> &str {
    set_or(text(processor, "processing_mode.request_body_mode"), "NONE")
}

/// Dumps leave defaults out.
fn set_or<'a>(value: &'a str, default: &'a str) -> &'a str {
    if matches!(value, "" | "DEFAULT") { default } else { value }
}
