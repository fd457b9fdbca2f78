//! The processors that receive the filter's deferrals: one for each body mode, with the settings that the mode needs.

use cellgate_routing::{BodyMode, Config};
use serde_json::Value;

use super::dump::Chain;
use super::finding::Notes;
use super::limits;
use super::message::{at, duration, flag, is_a, list, text, texts};
use super::processors::STREAMED;
use super::rate_limits;

/// The settings that a processor needs for a body mode.
struct ModeSettings {
    body: &'static str,
    trailers: &'static str,
}

/// Whether the filter defers in this mode at present: without a body only for rate limits.
pub(super) fn is_used(mode: BodyMode, config: Option<&Config>) -> bool {
    mode != BodyMode::Headers || config.is_some_and(rate_limits::are_counted)
}

const fn settings(mode: BodyMode) -> ModeSettings {
    match mode {
        BodyMode::Buffer => ModeSettings { body: "BUFFERED", trailers: "SEND" },
        BodyMode::Stream => ModeSettings { body: STREAMED, trailers: "SEND" },
        BodyMode::Headers => ModeSettings { body: "NONE", trailers: "SKIP" },
    }
}

/// The processor to which a matcher sends the deferrals of a mode.
pub(super) fn processor(matcher: &Value, mode: BodyMode) -> Option<&Value> {
    let wanted = mode.prefix();
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

/// Checks the processor of a mode.
pub(super) fn examine(chain: &Chain<'_>, processor: &Value, mode: BodyMode, notes: &mut Notes) {
    let place = |what: &str| format!("`{}`: {what}", mode.label());
    let settings = settings(mode);
    let cluster = text(processor, "grpc_service.envoy_grpc.cluster_name");
    // An Envoy that supports one streamed processor only buffers for the second one.
    let buffers = body_mode(processor) == "BUFFERED";
    if buffers && settings.body == STREAMED {
        let (buffer, window) = limits::in_force(chain);
        notes.ok(place(&format!(
            "as one message: deferred bodies beyond Envoy's limit, {buffer} (HTTP/1.1) and {window} (HTTP/2) bytes, are answered 413"
        )));
    }
    let mut wrong = of_modes(processor, &settings);
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
    if let Some((what, fix)) = of_timeout(processor) {
        notes.warning(place(&what), fix);
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

/// A fault, and its fix.
type Fault = (String, String);

/// Envoy's default timeout, which a busy service exceeds. In streamed mode it concerns only responses.
fn of_timeout(processor: &Value) -> Option<Fault> {
    let effect = match body_mode(processor) {
        _ if duration(processor, "message_timeout").is_some() => return None,
        STREAMED if !sees_response_headers(processor) && !sees_response_end(processor) => return None,
        STREAMED => "a response of a cell is lost if the service pauses for longer: 504, or it breaks off",
        _ => "a busy service is answered 504",
    };
    Some((
        format!("message_timeout is 200 ms, Envoy's default: {effect}"),
        "set message_timeout above the service's --decision-timeout and --budget-timeout together".into(),
    ))
}

/// ModeSettings that keep a part of the request from the service.
fn of_modes(processor: &Value, settings: &ModeSettings) -> Vec<Fault> {
    let mut wrong = Vec::new();
    let body = body_mode(processor);
    if body != settings.body && (settings.body, body) != (STREAMED, "BUFFERED") {
        wrong.push((format!("request_body_mode is {body}"), format!("set request_body_mode: {}", settings.body)));
    }
    let trailers = set_or(text(processor, "processing_mode.request_trailer_mode"), "SKIP");
    if trailers != settings.trailers {
        let fix = format!("set request_trailer_mode: {}", settings.trailers);
        wrong.push((format!("request_trailer_mode is {trailers}"), fix));
    }
    if text(processor, "processing_mode.request_header_mode") == "SKIP" {
        wrong.push(("the service does not see the head".into(), "set request_header_mode: SEND".into()));
    }
    wrong
}

/// ModeSettings that let a request go on without the service's decision.
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

/// An authority that HTTP/2 servers refuse.
fn of_authority(processor: &Value, cluster: &str) -> Option<Fault> {
    let sent = set_or(text(processor, "grpc_service.envoy_grpc.authority"), cluster);
    sent.contains('|').then(|| {
        (
            format!("the authority is `{sent}`, which HTTP/2 servers refuse"),
            "set envoy_grpc.authority to the service's host name".into(),
        )
    })
}

/// The processor's body mode, by its name in Envoy.
pub(super) fn body_mode(processor: &Value) -> &str {
    set_or(text(processor, "processing_mode.request_body_mode"), "NONE")
}

/// Whether the processor sees the headers of responses without an override.
pub(super) fn sees_response_headers(processor: &Value) -> bool {
    set_or(text(processor, "processing_mode.response_header_mode"), "SEND") == "SEND"
}

/// Whether the processor sees the trailers of responses, or the end of those without trailers, without an override.
pub(super) fn sees_response_end(processor: &Value) -> bool {
    text(processor, "processing_mode.response_trailer_mode") == "SEND"
}

/// A configuration dump omits default values.
fn set_or<'a>(value: &'a str, default: &'a str) -> &'a str {
    if matches!(value, "" | "DEFAULT") { default } else { value }
}
