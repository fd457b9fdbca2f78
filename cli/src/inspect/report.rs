//! The report for people, and as JSON.

use std::fmt::Write as _;

use cellgate_ext_proc::inspection::{Inspection, LogState, RateLimitsInForce, RefusalCount, RefusedFile, TlsInForce};
use serde_json::{Value, json};

use super::Inspected;
use crate::limits::store_text;
use crate::shown_text::shown;
use cellgate_ext_proc::units::{duration, milliseconds, size};

/// One service as aligned text.
#[must_use]
pub(crate) fn text(service: &Inspected) -> String {
    let Inspection {
        version,
        build,
        started_at,
        uptime_seconds,
        config,
        budget,
        open_streams,
        limits,
        rate_limits,
        log,
        tls,
        refusals,
        ..
    } = &service.inspection;
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Clients write the ids of requests, and a server that is not Cellgate writes all of it. Writing into a string cannot fail.
        let _ok = writeln!(text, "{label:<13}{}", shown(value));
    };
    line("service", &service.url);
    line("version", &format!("{version} (build {build})"));
    line("running", &format!("{}, since {started_at}", duration(*uptime_seconds)));
    line("ready", &readiness(&service.inspection));
    let version = if config.version.is_empty() { "(no version)" } else { &config.version };
    line("config", &format!("{version}, loaded {} from {}", config.loaded_at, config.file));
    line("digest", &config.digest);
    if let Some(refused) = &config.refused {
        let rest = "`cellgate check` and the log line with event=\"config_refused\" have the whole error";
        line("", &format!("{}. {rest}", refused_text(refused, "a newer file")));
    }
    let percent = budget.used_bytes.saturating_mul(100).checked_div(budget.limit_bytes).unwrap_or_default();
    let (used, limit, waiting) = (size(budget.used_bytes), size(budget.limit_bytes), budget.waiting_streams);
    line("byte budget", &format!("{used} of {limit} ({percent} %), {waiting} streams wait"));
    line("streams", &format!("{open_streams} open, at most {} on a connection", limits.streams_per_connection));
    line("limits", &format!("message {}, buffered body {}", size(limits.message_bytes), size(limits.stream_bytes)));
    let (decision, delay) = (milliseconds(limits.decision_timeout_ms), milliseconds(limits.drain_delay_ms));
    let drain = milliseconds(limits.drain_timeout_ms);
    let wait = milliseconds(limits.budget_timeout_ms);
    line("timeouts", &format!("decision {decision}, byte budget {wait}, drain delay {delay}, drain {drain}"));
    line("rate limits", &rate_limits_text(rate_limits));
    if let Some(log) = log {
        line("log level", &log_text(log));
    }
    line("tls", &tls.as_ref().map_or_else(|| "off".to_owned(), tls_text));
    if let Some(refused) = tls.as_ref().and_then(|tls| tls.refused.as_ref()) {
        line("", &refused_text(refused, "newer files"));
    }
    let (stream_errors, connections) = (&service.inspection.stream_errors, &service.inspection.refused_connections);
    for (label, refusals) in [("refusals", refusals), ("failures", stream_errors), ("connections", connections)] {
        for (number, refusal) in table(refusals).iter().enumerate() {
            line(if number == 0 { label } else { "" }, refusal);
        }
        if refusals.is_empty() {
            line(label, "none");
        }
    }
    text
}

/// The documents of several services with their URLs.
#[must_use]
pub(crate) fn json(services: &[Inspected], differences: &[String]) -> Value {
    let services: Vec<_> =
        services.iter().map(|service| json!({ "url": service.url, "service": service.document })).collect();
    json!({ "services": services, "differences": differences })
}

fn rate_limits_text(RateLimitsInForce { names, store }: &RateLimitsInForce) -> String {
    if names.is_empty() { "none".to_owned() } else { format!("{}; {}", names.join(", "), store_text(store)) }
}

fn readiness(service: &Inspection) -> String {
    if service.ready { "yes".to_owned() } else { format!("no: {}", service.not_ready_reasons.join(", ")) }
}

fn log_text(LogState { level, suppressed_lines, dropped_lines }: &LogState) -> String {
    let returns = match level.returns_in_seconds {
        Some(seconds) => format!(", and {} again in {}", level.start_level, duration(seconds)),
        None => String::new(),
    };
    format!(
        "{}{returns}; {suppressed_lines} lines left out as repeats, {dropped_lines} lost to a slow reader",
        level.level
    )
}

fn tls_text(tls: &TlsInForce) -> String {
    let clients = if tls.client_certificates { "with client certificates" } else { "for any client" };
    let expiry = match tls.expires_in_seconds {
        0 => "has expired".to_owned(),
        seconds => format!("expires in {}", duration(seconds)),
    };
    format!("on, {clients}; the certificate {expiry}, at {}", tls.not_after)
}

fn refused_text(refused: &RefusedFile, what: &str) -> String {
    let RefusedFile { at, error } = refused;
    format!("{what} refused at {at}: {error}")
}

/// A line for each reason: its name, its number, and its last refusal.
fn table(refusals: &[RefusalCount]) -> Vec<String> {
    let width =
        |text: fn(&RefusalCount) -> String| refusals.iter().map(|one| text(one).len()).max().unwrap_or_default();
    let (reasons, counts) = (width(|one| one.reason.clone()), width(|one| one.count.to_string()));
    let line = |one: &RefusalCount| {
        let status = one.last_status.map(|status| format!(" with {status}")).unwrap_or_default();
        let request = &one.last_request_id;
        let request = if request.is_empty() { String::new() } else { format!(", request {request}") };
        format!("{:<reasons$}  {:>counts$}, last at {}{status}{request}", one.reason, one.count, one.last_at)
    };
    refusals.iter().map(line).collect()
}
