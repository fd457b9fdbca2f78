//! The story of a request, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::access_entry::AccessEntry;
use super::log_scan::{LogScan, PassedOver};
use super::tier_decision::{FilterDecision, TierDecision};
use super::{advice, fault};
use crate::shown_text::{escaped, shown};
use cellgate_ext_proc::units::size;

/// The story as text for a terminal. It has no control or invisible characters of the log, which clients write.
pub(crate) fn text(scan: &LogScan) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ok = writeln!(text, "{label:<10}{}", shown(value));
    };
    let entries = scan.entries();
    line("request", scan.id());
    line("log", &log_text(scan, entries.len()));
    let mut next: Vec<String> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        line("", "");
        let proxy = entry.proxy().map(|proxy| format!(", {proxy}")).unwrap_or_default();
        line(&format!("entry {}", index + 1), &format!("{}{proxy}", entry.time()));
        story(entry, &mut line);
        let faults = fault::of(entry);
        for fault in &faults {
            line("fault", &format!("{} ({})", fault.text, fault.name));
        }
        for advice in advice::of(entry, &faults) {
            if !next.contains(&advice) {
                next.push(advice);
            }
        }
    }
    if !next.is_empty() {
        line("", "");
    }
    for advice in next {
        line("next", &advice);
    }
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// The story as a JSON document. Control and invisible characters of the log are escapes.
pub(crate) fn json(scan: &LogScan) -> String {
    let entries: Vec<_> = scan.entries().into_iter().map(entry_json).collect();
    let PassedOver { requests, other, broken, too_long } = scan.passed_over();
    let document = json!({
        "request_id": scan.id(),
        "entries": entries,
        "further_entries": scan.further(),
        "near": scan.near(),
        "passed_over": { "requests": requests, "other": other, "broken": broken, "too_long": too_long },
    });
    escaped(&format!("{document:#}\n"))
}

fn log_text(scan: &LogScan, entries: usize) -> String {
    let PassedOver { requests, other, broken, too_long } = scan.passed_over();
    let noun = if entries == 1 { "entry" } else { "entries" };
    let mut text = format!("{entries} {noun}");
    if scan.further() > 0 {
        let _ok = write!(text, " of {}", scan.further() + entries as u64);
    }
    let passed =
        [(requests, "of other requests"), (other, "in other formats"), (broken, "cut off"), (too_long, "over 256 KiB")];
    let passed: Vec<_> =
        passed.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !passed.is_empty() {
        let _ok = write!(text, "; lines passed over: {}", passed.join(", "));
    }
    text
}

/// The lines of one entry.
fn story(entry: &AccessEntry, line: &mut impl FnMut(&str, &str)) {
    let text = |field: &str| entry.text(field).unwrap_or_default();
    let number = |field: &str| entry.number(field).unwrap_or_default();
    let peer = entry.text("peer").map(|peer| format!(", from {peer}")).unwrap_or_default();
    let received = size(number("bytes_received"));
    let (method, authority, path, protocol) = (text("method"), text("authority"), text("path"), text("protocol"));
    line("request", &format!("{method} {authority}{path}, {protocol}, {received} of body{peer}"));
    let (filter, service) = (FilterDecision::of(entry), TierDecision::of_service(entry));
    match &filter {
        Some(FilterDecision { decision, is_shadow: false }) => line("filter", &decision.words()),
        Some(FilterDecision { decision, is_shadow: true }) => {
            line("filter", &format!("changed nothing (shadow). Without shadow: {}", decision.words()));
        }
        None if entry.text("cellgate_filter").is_some() => line("filter", "a decision that this version does not know"),
        None => line("filter", "no decision: it is not in this proxy, or did not see the whole head and body"),
    }
    match &service {
        Some(decision) => line("service", &decision.words()),
        None if filter.as_ref().is_some_and(FilterDecision::is_deferral) => line("service", "gave no decision"),
        None => {}
    }
    if let Some(cell) = cell(filter.as_ref(), service.as_ref()) {
        line("cell", cell);
    }
    if let Some(cluster) = entry.text("upstream_cluster") {
        line("upstream", &upstream_text(entry, cluster));
    }
    line("answer", &answer_text(entry));
    line("time", &time_text(entry));
    if let Some(trace) = entry.text("trace_id") {
        line("trace", trace);
    }
}

/// The cell that was decided: by the service, or by the filter without it.
fn cell<'a>(filter: Option<&'a FilterDecision>, service: Option<&'a TierDecision>) -> Option<&'a str> {
    match (filter, service) {
        (_, Some(service)) => service.cell(),
        (Some(FilterDecision { decision, is_shadow: false }), None) => decision.cell(),
        _ => None,
    }
}

fn upstream_text(entry: &AccessEntry, cluster: &str) -> String {
    let host = entry.text("upstream_host").map(|host| format!(" at {host}")).unwrap_or_default();
    let attempts = match entry.number("upstream_attempts") {
        None | Some(0) => ", not reached".to_owned(),
        Some(1) => String::new(),
        Some(attempts) => format!(", {attempts} attempts: the proxy sent the request again {} times", attempts - 1),
    };
    format!("{cluster}{host}{attempts}")
}

fn answer_text(entry: &AccessEntry) -> String {
    match entry.number("status") {
        None | Some(0) => "none".to_owned(),
        Some(status) => {
            let by = match entry.text("response_code_details") {
                Some("via_upstream") => " from the upstream",
                Some(details) if details.starts_with("cellgate_") => " from the service",
                Some(_) => " from the proxy",
                None => "",
            };
            format!("{status}{by}, {} of body", size(entry.number("bytes_sent").unwrap_or_default()))
        }
    }
}

/// `1530 ms; since the start: the request had arrived after 2 ms, …`.
fn time_text(entry: &AccessEntry) -> String {
    let steps = [
        ("request_ms", "the request had arrived"),
        ("request_sent_ms", "it had been sent to the upstream"),
        ("response_ms", "the answer of the upstream began"),
    ];
    let steps: Vec<_> =
        steps.iter().filter_map(|(field, what)| Some(format!("{what} after {} ms", entry.number(field)?))).collect();
    let total = format!("{} ms", entry.number("duration_ms").unwrap_or_default());
    if steps.is_empty() { total } else { format!("{total}: {}", steps.join(", ")) }
}

fn entry_json(entry: &AccessEntry) -> Value {
    let (filter, service) = (FilterDecision::of(entry), TierDecision::of_service(entry));
    let faults = fault::of(entry);
    let tier = match (&filter, &service) {
        (_, Some(_)) => Some("service"),
        (Some(filter), None) if !filter.is_deferral() => Some("filter"),
        _ => None,
    };
    let next = advice::of(entry, &faults);
    let faults: Vec<_> = faults.iter().map(|fault| json!({ "name": fault.name, "text": fault.text })).collect();
    json!({
        "proxy": entry.proxy(),
        "fields": entry.fields(),
        "decided_by": tier,
        "cell": cell(filter.as_ref(), service.as_ref()),
        "filter": filter.as_ref().map(|filter| filter.decision.json()),
        "shadow": filter.as_ref().is_some_and(|filter| filter.is_shadow),
        "service": service.as_ref().map(TierDecision::json),
        "faults": faults,
        "next": next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shown_text::is_hidden;

    #[test]
    fn no_character_of_a_client_reaches_the_terminal_hidden() {
        let hostile = "id\u{9b}31m\u{202e}\u{2066}\u{2028}\u{200b}";
        let line = json!({
            "time": "2026-11-30T10:00:00.000Z", "log_format": "cellgate/1", "request_id": hostile, "method": hostile,
            "path": hostile, "authority": hostile, "peer": hostile, "trace_id": hostile, hostile: hostile,
            "upstream_cluster": hostile, "upstream_host": hostile, "cellgate_service_reason": "slot",
            "cellgate_service_cell": hostile, "response_code_details": hostile, "status": 200,
        });
        let mut scan = LogScan::new(hostile);
        scan.read(format!("[pod/{hostile}/x] {line}").as_bytes()).unwrap();
        assert!(scan.is_found());
        for output in [text(&scan), json(&scan)] {
            assert!(!output.chars().any(|character| character != '\n' && is_hidden(character)), "{output:?}");
        }
        let document: Value = serde_json::from_str(&json(&scan)).unwrap();
        assert_eq!(document["request_id"], hostile);
    }
}
