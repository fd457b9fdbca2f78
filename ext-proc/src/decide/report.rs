//! The report as text and as JSON.

use std::fmt::Write as _;

use cellgate_routing::{Decision, Outcome, SourceValue};
use serde_json::{Value, json};

use super::trace::Change;
use super::{Report, Verdict};

/// The report as aligned text.
#[must_use]
pub fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    for (label, value) in lines(report) {
        // Writing into a string cannot fail.
        let _ok = writeln!(text, "{label:<10}{value}");
    }
    text
}

/// The lines of the report, each with its label. A line without a label continues the one before.
#[must_use]
pub fn lines(report: &Report<'_>) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut line = |label: &'static str, value: &str| lines.push((label, value.to_owned()));
    line("request", &format!("{}, {} bytes of body", report.line, report.body_bytes));
    if !report.ignored.is_empty() {
        line("ignored", &format!("{}, which do not change the request", report.ignored.join(" ")));
    }
    line("stripped", &if report.stripped.is_empty() { "nothing".to_owned() } else { report.stripped.join(", ") });
    let scope = match report.excluded {
        Some(reason) => reason.text(),
        None if report.hostless => "in scope, because it has no host: set one with -H 'host: NAME'",
        None => "in scope",
    };
    line("scope", scope);
    let width = report.findings.iter().map(|(source, _)| source.len()).max().unwrap_or_default();
    for (number, (source, held)) in report.findings.iter().enumerate() {
        let label = if number == 0 { "key" } else { "" };
        let (value, changes) = (value_text(held), changes(report, number));
        let only = if let [only] = changes { format!(" ({})", place_text(only)) } else { String::new() };
        line(label, &format!("{}. {source:<width$}  {value}{only}", number + 1));
        for change in changes.iter().filter(|_| changes.len() > 1) {
            line("", &format!("   {}", change_text(change)));
        }
    }
    if let Some(found) = &report.refused_type {
        line("type", &type_text(found, report.config.readable_types()));
    }
    if let Some(decoding) = &report.decoding {
        line("decoded", &decoding.text());
    }
    if let Some(broken) = report.broken {
        let of = if report.decoding.is_some() { " of the decoded text" } else { "" };
        line("body", &format!("{} at byte {}{of}: {}", broken.reason, broken.offset, broken.expected));
    }
    if let Some(scan) = scan_text(report) {
        line("scan", &scan);
    }
    for (tier, verdict) in [("filter", &report.filter), ("service", &report.service)] {
        line(tier, &format!("{}: {}", verdict.how, decision_text(verdict.decision, report)));
        if let Some(conflict) = verdict.conflict {
            line("", &format!("then ends the request: {}", decision_text(conflict, report)));
        }
    }
    for (label, value) in report.limits.lines() {
        line(label, &value);
    }
    let end = report.last().end();
    line("reason", &format!("{}: {}", end.reason, end.reason.text()));
    line("decision", &outcome_text(end.outcome, report));
    lines
}

/// The report as a JSON document.
#[must_use]
pub fn json(report: &Report<'_>) -> Value {
    let end = report.last().end();
    let sources = report.findings.iter().enumerate();
    let sources = sources.map(|(number, (source, held))| value_json(source, held, changes(report, number)));
    let sources: Vec<Value> = sources.collect();
    let (limits, handover) = report.limits.json();
    json!({
        "request": { "line": report.line, "body_bytes": report.body_bytes },
        "ignored": report.ignored,
        "stripped": report.stripped,
        "in_scope": report.excluded.is_none(),
        "sources": sources,
        "refused_type": report.refused_type.as_ref().map(|found| json!({
            "found": found,
            "readable": report.config.readable_types().collect::<Vec<_>>(),
        })),
        "scan": report.trace.as_ref().map(|trace| json!({
            "bytes": trace.scanned,
            "of": report.body_bytes,
            "known_after": trace.known_after,
        })),
        "decoded": report.decoding.as_ref().map(|decoding| decoding.json()),
        "malformed": report.broken.map(|broken| json!({
            "reason": broken.reason.label(),
            "offset": broken.offset,
            "expected": broken.expected,
        })),
        "filter": verdict_json(&report.filter, report),
        "service": verdict_json(&report.service, report),
        "limits": limits,
        "handover": handover,
        "decision": decision_json(end, report),
    })
}

fn value_text(held: &SourceValue) -> String {
    match held {
        SourceValue::NotReached => "not reached".to_owned(),
        SourceValue::NotRead => "not read".to_owned(),
        SourceValue::Nothing => "nothing".to_owned(),
        SourceValue::Key(key) => format!("{key:?}"),
        SourceValue::Unusable(reason) => format!("{reason}: {}", reason.text()),
    }
}

/// The values of a source in the course of the scan, unless an earlier source decided.
fn changes<'a>(report: &'a Report<'_>, number: usize) -> &'a [Change] {
    let is_reached = report.findings.get(number).is_some_and(|(_, held)| *held != SourceValue::NotReached);
    let trace = report.trace.as_ref().filter(|_| is_reached);
    trace.and_then(|trace| trace.changes.get(number)).map_or(&[], Vec::as_slice)
}

fn change_text(change: &Change) -> String {
    let value = match &change.value {
        SourceValue::Unusable(reason) => reason.to_string(),
        value => value_text(value),
    };
    format!("{value} {}", place_text(change))
}

fn place_text(change: &Change) -> String {
    let place = change.place.as_ref().map(|place| format!(", in {place}")).unwrap_or_default();
    format!("after {} bytes{place}", change.bytes)
}

fn type_text<'a>(found: &str, readable: impl Iterator<Item = &'a str>) -> String {
    let found = if found.is_empty() { "none".to_owned() } else { format!("{found:?}") };
    let readable: Vec<_> = readable.collect();
    format!("{found}; the sources read {}", readable.join(", "))
}

fn scan_text(report: &Report<'_>) -> Option<String> {
    let (trace, all) = (report.trace.as_ref()?, report.body_bytes);
    Some(match trace.known_after {
        _ if report.broken.is_some() => format!("stops after {} of {all} bytes", trace.scanned),
        Some(bytes) => format!("after {bytes} of {all} bytes, only a conflict can change the decision"),
        None => format!("the decision needs all {all} bytes"),
    })
}

fn change_json(change: &Change) -> Value {
    let (key, reason) = match &change.value {
        SourceValue::Key(key) => (Some(key), None),
        SourceValue::Unusable(reason) => (None, Some(reason.label())),
        SourceValue::NotReached | SourceValue::NotRead | SourceValue::Nothing => (None, None),
    };
    let mut json = json!({ "bytes": change.bytes, "key": key, "reason": reason });
    if let (Value::Object(members), Some(place)) = (&mut json, &change.place) {
        members.extend(place.json().into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    json
}

fn value_json(source: &str, held: &SourceValue, changes: &[Change]) -> Value {
    let changes: Vec<_> = changes.iter().map(change_json).collect();
    let (state, key, reason) = match held {
        SourceValue::NotReached => ("not_reached", None, None),
        SourceValue::NotRead => ("not_read", None, None),
        SourceValue::Nothing => ("nothing", None, None),
        SourceValue::Key(key) => ("key", Some(key), None),
        SourceValue::Unusable(reason) => ("unusable", None, Some(reason.label())),
    };
    json!({ "source": source, "held": state, "key": key, "reason": reason, "changes": changes })
}

fn outcome_text(outcome: Outcome, report: &Report<'_>) -> String {
    match outcome {
        Outcome::Cell(cell) => format!("cell {}", report.config.cell_name(cell)),
        Outcome::Reject(status) => format!("reject with status {status}"),
        Outcome::Defer => "defer to the service".to_owned(),
        Outcome::Pass => "pass without a cell".to_owned(),
    }
}

fn decision_text(decision: Decision, report: &Report<'_>) -> String {
    format!("{} ({})", outcome_text(decision.outcome, report), decision.reason)
}

/// A decision as a JSON document.
#[must_use]
pub fn decision_json(decision: Decision, report: &Report<'_>) -> Value {
    let (cell, status) = match decision.outcome {
        Outcome::Cell(cell) => (Some(report.config.cell_name(cell)), None),
        Outcome::Reject(status) => (None, Some(status)),
        Outcome::Defer | Outcome::Pass => (None, None),
    };
    json!({
        "outcome": decision.outcome.label(),
        "reason": decision.reason.label(),
        "cell": cell,
        "status": status,
    })
}

fn verdict_json(verdict: &Verdict, report: &Report<'_>) -> Value {
    json!({
        "how": verdict.how,
        "decision": decision_json(verdict.decision, report),
        "conflict": verdict.conflict.map(|conflict| decision_json(conflict, report)),
    })
}
