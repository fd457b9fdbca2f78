//! Rate limits and concurrency limits: the service must get the filter's decision, the attributes by which limits count, and
//! the end of responses.

use cellgate_routing::{BodyMode, Config, LimitKeyPart, Settlement};
use serde_json::Value;

use super::deferral::{body_mode, sees_response_end, sees_response_headers};
use super::finding::{Notes, enumerate};
use super::message::{flag, texts};
use super::processors::STREAMED;

/// The filter's decision.
const HANDOVER: &str = "filter_state['wasm.cellgate_handover']";

/// The first URI of the client's certificate.
const PEER: &str = "connection.uri_san_peer_certificate";

/// The client's address.
const CLIENT_ADDRESS: &str = "source.address";

/// Whether the filter hands requests over to the service for their limits.
pub(super) fn are_counted(config: &Config) -> bool {
    let has_limits = !config.rate_limits.is_empty() || !config.concurrency_limits.is_empty();
    has_limits && !config.shadow
}

/// Examines what the processors of the body modes send to the service.
pub(super) fn examine(processors: &[(BodyMode, &Value)], config: &Config, notes: &mut Notes) {
    if !are_counted(config) {
        return;
    }
    // The modes whose processor does not send an attribute.
    let without = |attribute: &str| -> Vec<String> {
        let is_sent = |processor: &Value| texts(processor, "request_attributes").any(|sent| sent == attribute);
        let missing = processors.iter().filter(|(_, processor)| !is_sent(processor));
        missing.map(|(mode, _)| format!("`{}`", mode.label())).collect()
    };
    let mut wrong = Vec::new();
    // In the other modes the service decides again.
    let headers = format!("`{}`", BodyMode::Headers.label());
    if without(HANDOVER).contains(&headers) {
        wrong.push(format!(
            "{headers}: the service does not get the filter's decision: it refuses requests that were decided by their \
             body, with `body_unread`"
        ));
    }
    for (part, word, attribute) in
        [(LimitKeyPart::Peer, "peer", PEER), (LimitKeyPart::ClientAddress, "client_address", CLIENT_ADDRESS)]
    {
        let rates = config.rate_limits.iter().map(|limit| (&limit.name, &limit.key));
        let all = rates.chain(config.concurrency_limits.iter().map(|limit| (&limit.name, &limit.key)));
        let names: Vec<&str> = all.filter(|(_, key)| key.contains(&part)).map(|(name, _)| &**name).collect();
        let modes = without(attribute);
        if !names.is_empty() && !modes.is_empty() {
            wrong.push(format!("{}: limits by `{word}` ({}) count no request", enumerate(&modes), enumerate(&names)));
        }
    }
    for what in &wrong {
        let fix = format!("set request_attributes: [{HANDOVER}, {PEER}, {CLIENT_ADDRESS}]");
        notes.error(what.clone(), fix);
    }
    if wrong.is_empty() && processors.iter().any(|(mode, _)| *mode == BodyMode::Headers) {
        let rates = (config.rate_limits.len(), "rate limit");
        let counts = [rates, (config.concurrency_limits.len(), "concurrency limit")];
        let counted: Vec<_> = counts.into_iter().filter(|(number, _)| *number > 0).map(number_of).collect();
        notes.ok(format!("the service gets what it needs to count {}", counted.join(" and ")));
    }
    if !config.concurrency_limits.is_empty() {
        examine_responses(processors, notes);
    }
    let settlements: Vec<&Settlement> =
        config.rate_limits.iter().filter_map(|limit| limit.settlement.as_ref()).collect();
    if !settlements.is_empty() {
        examine_settlement(processors, &settlements, notes);
    }
}

/// Examines whether the service sees the responses that settle costs.
fn examine_settlement(processors: &[(BodyMode, &Value)], settlements: &[&Settlement], notes: &mut Notes) {
    let needs_end = settlements.iter().any(|settlement| settlement.needs().end);
    let mut is_wrong = false;
    for (mode, processor) in processors {
        let asks = sees_response_headers(processor) && (!needs_end || sees_response_end(processor));
        let fix = match body_mode(processor) {
            _ if asks => continue,
            STREAMED if needs_end => "set response_header_mode: SEND and response_trailer_mode: SEND",
            STREAMED => "set response_header_mode: SEND",
            _ if flag(processor, "allow_mode_override") => continue,
            _ => "set allow_mode_override: true",
        };
        is_wrong = true;
        let what = format!(
            "`{}`: the service does not see the responses that settle costs: estimates stay, and a limit with `on_failure: \
             release` refunds every request",
            mode.label()
        );
        notes.error(what, fix);
    }
    if !is_wrong {
        notes.ok("the service sees the responses that settle costs");
    }
}

/// Examines whether the service sees the end of responses. It asks for it by an override, which Envoy ignores in streamed mode.
fn examine_responses(processors: &[(BodyMode, &Value)], notes: &mut Notes) {
    let mut is_wrong = false;
    for (mode, processor) in processors {
        let fix = match body_mode(processor) {
            _ if sees_response_end(processor) => continue,
            STREAMED => "set response_trailer_mode: SEND",
            _ if flag(processor, "allow_mode_override") => continue,
            _ => "set allow_mode_override: true",
        };
        is_wrong = true;
        let what = format!(
            "`{}`: a request under a concurrency limit may stop counting before its response has ended",
            mode.label()
        );
        notes.error(what, fix);
    }
    if !is_wrong {
        notes.ok("requests under a concurrency limit count until their responses have ended");
    }
}

/// Reports limits without a service.
pub(super) fn without_service(notes: &mut Notes) {
    notes.error(
        "there is no service behind the filter, and only the service counts requests under limits: they get no cell",
        "add the service's filter (docs/envoy.md), or remove `rate_limits` and `concurrency_limits`",
    );
}

/// Reports replicas that may count alone: a dump of Envoy does not tell whether they share a store.
pub(super) fn of_replicas(count: usize, notes: &mut Notes) {
    if count > 1 {
        notes.unknown(
            format!(
                "whether the {count} replicas share a store: without one, each has its own allowance for every rate limit"
            ),
            "`cellgate inspect` shows the store of each replica; set one, or divide the limits: docs/rate-limits.md",
        );
    }
}

fn number_of((number, noun): (usize, &str)) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
