//! The report as text and as JSON.

use std::fmt::Write as _;

use cellgate_routing::{Decision, Outcome, SourceValue};
use serde_json::{Value, json};

use super::{Report, Verdict};

/// The report as aligned text.
#[must_use]
pub(crate) fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ok = writeln!(text, "{label:<10}{value}");
    };
    line("request", &format!("{}, {} bytes of body", report.line, report.body_bytes));
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
        line(label, &format!("{}. {source:<width$}  {}", number + 1, value_text(held)));
    }
    if let Some(broken) = report.broken {
        line("body", &format!("{} at byte {}: {}", broken.reason, broken.offset, broken.expected));
    }
    for (tier, verdict) in [("filter", &report.filter), ("service", &report.service)] {
        line(tier, &format!("{}: {}", verdict.how, decision_text(verdict.decision, report)));
        if let Some(conflict) = verdict.conflict {
            line("", &format!("then ends the request: {}", decision_text(conflict, report)));
        }
    }
    let end = report.last().end();
    line("reason", &format!("{}: {}", end.reason, end.reason.text()));
    line("decision", &outcome_text(end.outcome, report));
    text
}

/// The report as a JSON document.
#[must_use]
pub(crate) fn json(report: &Report<'_>) -> Value {
    let end = report.last().end();
    let sources: Vec<Value> = report.findings.iter().map(|(source, held)| value_json(source, held)).collect();
    json!({
        "request": { "line": report.line, "body_bytes": report.body_bytes },
        "stripped": report.stripped,
        "in_scope": report.excluded.is_none(),
        "sources": sources,
        "malformed": report.broken.map(|broken| json!({
            "reason": broken.reason.label(),
            "offset": broken.offset,
            "expected": broken.expected,
        })),
        "filter": verdict_json(&report.filter, report),
        "service": verdict_json(&report.service, report),
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

fn value_json(source: &str, held: &SourceValue) -> Value {
    let (state, key, reason) = match held {
        SourceValue::NotReached => ("not_reached", None, None),
        SourceValue::NotRead => ("not_read", None, None),
        SourceValue::Nothing => ("nothing", None, None),
        SourceValue::Key(key) => ("key", Some(key), None),
        SourceValue::Unusable(reason) => ("unusable", None, Some(reason.label())),
    };
    json!({ "source": source, "held": state, "key": key, "reason": reason })
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

fn decision_json(decision: Decision, report: &Report<'_>) -> Value {
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
