//! The rate limits of a request: which count it, by which key, and what it costs. Nobody knows here what is in use.

use std::fmt::Write as _;

use cellgate_limiting::{Enforcement, LimitOrigin};
use cellgate_routing::{
    BodyReader, ConcurrencyFinding, Config, Decider, Decision, DueAllowance, DueLimits, HeadResult, LimitFinding,
    LimitKeyPart, NotCounted, Outcome, RateLimit, Reason,
};
use serde_json::{Value, json};

use super::Request;
use crate::fields::RequestHead;

/// The rate limits of a request, explained.
#[derive(Debug)]
pub struct LimitReport {
    /// In the order of the configuration.
    limits: Vec<LimitLine>,
    /// How the request reaches the service, which checks the limits. `None`: no limit counts it.
    checked: Option<Checked>,
}

/// How a request reaches the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checked {
    /// The filter has decided, and may spend leased units of each limit. Otherwise it sends the headers only.
    Leased,
    /// The filter has decided, and sends the headers only.
    HeadersOnly,
    /// A limit needs a value from the body.
    WithBody,
    /// The filter has not decided.
    Deferred,
}

/// A limit as the report shows it.
#[derive(Debug)]
struct LimitLine {
    name: String,
    text: String,
    json: Value,
}

impl LimitReport {
    /// Explains the limits of a request with this decision. `filter` is that of the filter, and `is_handed_over` whether it
    /// hands its decision over. `decider` is that of the service.
    pub(super) fn of(
        decider: &Decider,
        head: &RequestHead<'_>,
        request: &Request,
        (filter, is_handed_over): (Decision, bool),
        decision: Decision,
    ) -> Self {
        let end = request.end_of_stream;
        let mut due = decider.due_limits(head, end);
        let key = read(decider, head, request, &mut due);
        let findings = decider.explain_limits(head, end, &due, decision, key.as_deref());
        let in_flight = decider.explain_concurrency(head, end, &due, decision, key.as_deref());
        let is_in_flight = in_flight.iter().any(|finding| finding.values.is_ok());
        let is_counted = is_in_flight || findings.iter().any(|finding| finding.allowance.is_ok());
        let checked = match filter {
            _ if !is_counted => None,
            _ if is_handed_over && !is_in_flight && are_leased(&findings) => Some(Checked::Leased),
            _ if is_handed_over => Some(Checked::HeadersOnly),
            Decision { reason: Reason::LimitDue, .. } => Some(Checked::WithBody),
            _ => Some(Checked::Deferred),
        };
        let rates = findings.iter().map(|finding| line(finding, decision));
        let limits = rates.chain(in_flight.iter().map(|finding| concurrency_line(finding, decision)));
        Self { limits: limits.collect(), checked }
    }

    /// The limits of a configuration in shadow mode, which counts nothing.
    pub(super) fn of_shadow(config: &Config) -> Self {
        let rates = config.rate_limits.iter().map(|limit| &limit.name);
        let names = rates.chain(config.concurrency_limits.iter().map(|limit| &limit.name));
        let limits = names.map(|name| {
            let text = "not counted: the configuration says `shadow: true`".to_owned();
            let json = json!({ "name": name, "counted": false, "why": "shadow" });
            LimitLine { name: name.to_string(), text, json }
        });
        Self { limits: limits.collect(), checked: None }
    }

    /// A line for each limit, and one for how the request reaches the service.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let width = self.limits.iter().map(|limit| limit.name.len()).max().unwrap_or_default();
        let labels = std::iter::once("limits").chain(std::iter::repeat(""));
        let limits = self.limits.iter().map(|limit| format!("{:<width$}  {}", limit.name, limit.text));
        let mut lines: Vec<_> = labels.zip(limits).collect();
        if let Some(checked) = self.checked {
            let how = match checked {
                Checked::Leased => {
                    "none while the filter has leased units; without them it hands over, headers only, and the service checks \
                     the limits"
                }
                Checked::HeadersOnly => "the filter hands over, headers only; the service checks the limits",
                Checked::WithBody => "the filter hands over with the body; the service checks the limits",
                Checked::Deferred => "the filter defers anyway; the service checks the limits",
            };
            lines.push(("handover", how.to_owned()));
        }
        lines
    }

    /// The members `limits` and `handover` of the JSON report.
    pub(super) fn json(&self) -> (Value, Value) {
        let limits = self.limits.iter().map(|limit| limit.json.clone()).collect();
        let handover = self.checked.map(|checked| match checked {
            Checked::Leased => "lease",
            Checked::HeadersOnly => "headers",
            Checked::WithBody => "body",
            Checked::Deferred => "deferred",
        });
        (Value::Array(limits), handover.into())
    }
}

/// Reads the values of the body for the limits, as far as the service does. Returns the routing key.
fn read(decider: &Decider, head: &RequestHead<'_>, request: &Request, due: &mut DueLimits) -> Option<String> {
    match decider.open(head, request.end_of_stream) {
        HeadResult::Decided(_) => {
            match decider.open_for_limits(head, due).filter(|_| due.needs_body()) {
                Some(mut reading) => scan(&mut reading, decider, &request.body, due),
                None => due.read_no_body(),
            }
            decider.head_key(head)
        }
        HeadResult::NeedsBody(mut reading) => {
            scan(&mut reading, decider, &request.body, due);
            reading.key().map(str::to_owned)
        }
    }
}

fn scan(reading: &mut BodyReader, decider: &Decider, body: &[u8], due: &mut DueLimits) {
    let limit = usize::try_from(decider.config().limits.stream_bytes).unwrap_or(usize::MAX);
    let within = body.get(..limit).unwrap_or(body);
    let is_whole = within.len() == body.len();
    if reading.push(within).is_ok() && is_whole {
        reading.finish();
    }
    due.read_body(reading.scanned(), is_whole);
}

/// Whether all limits that count the request are leased.
fn are_leased(findings: &[LimitFinding<'_>]) -> bool {
    findings.iter().filter(|finding| finding.allowance.is_ok()).all(|finding| finding.rule.is_leased)
}

fn line(finding: &LimitFinding<'_>, decision: Decision) -> LimitLine {
    let rule = finding.rule;
    let (text, json) = match &finding.allowance {
        Ok(allowance) => {
            let parts: Vec<_> = rule.key.iter().map(ToString::to_string).collect();
            (counted_text(allowance, &parts, rule), counted_json(allowance, &parts, rule))
        }
        Err(why) => not_counted(&rule.name, &rule.key, *why, decision),
    };
    LimitLine { name: rule.name.to_string(), text, json }
}

/// `routing_key "acme": at most 20 in flight`.
fn concurrency_line(finding: &ConcurrencyFinding<'_>, decision: Decision) -> LimitLine {
    let rule = finding.rule;
    let (text, json) = match &finding.values {
        Ok(values) => {
            let parts: Vec<_> = rule.key.iter().map(ToString::to_string).collect();
            let is_shadow = rule.enforcement == Enforcement::Shadow;
            let shadow = if is_shadow { "; shadow: refuses nothing" } else { "" };
            let text = format!("{}: at most {} in flight{shadow}", key_text(&parts, values), rule.at_most);
            let json = json!({
                "name": rule.name,
                "counted": true,
                "key": key_json(&parts, values),
                "in_flight_at_most": rule.at_most,
                "shadow": is_shadow,
            });
            (text, json)
        }
        Err(why) => not_counted(&rule.name, &rule.key, *why, decision),
    };
    LimitLine { name: rule.name.to_string(), text, json }
}

fn not_counted(name: &str, key: &[LimitKeyPart], why: NotCounted, decision: Decision) -> (String, Value) {
    let label = match why {
        NotCounted::Decision => "decision",
        NotCounted::OutOfScope(_) => "out_of_scope",
        NotCounted::OtherCell => "other_cell",
        NotCounted::NoValue(_) => "no_value",
        NotCounted::NoLimit => "no_limit",
    };
    let part = |place: usize| key.get(place).map(ToString::to_string).unwrap_or_default();
    let text = format!("not counted: {}", why_text(why, decision, part));
    (text, json!({ "name": name, "counted": false, "why": label }))
}

/// `routing_key "acme"`.
fn key_text(parts: &[String], values: &[Option<String>]) -> String {
    let value = |value: &Option<String>| match value {
        Some(text) => format!("{text:?}"),
        None => "(unusable, so with all unusable ones)".to_owned(),
    };
    let key: Vec<_> = parts.iter().zip(values).map(|(part, held)| format!("{part} {}", value(held))).collect();
    if key.is_empty() { "all requests together".to_owned() } else { key.join(", ") }
}

fn key_json(parts: &[String], values: &[Option<String>]) -> Vec<Value> {
    parts.iter().zip(values).map(|(part, value)| json!({ "part": part, "value": value })).collect()
}

/// `routing_key "acme": 100/min (the limit of all other keys), costs 1`.
fn counted_text(allowance: &DueAllowance<'_>, parts: &[String], rule: &RateLimit) -> String {
    let DueAllowance { values, limit, origin, cost } = allowance;
    let key = key_text(parts, values);
    let origin = match origin {
        LimitOrigin::Carried => "of the request's claim".to_owned(),
        LimitOrigin::Override => "the key's own limit".to_owned(),
        LimitOrigin::PlanOfKey(plan) => format!("the key's plan {plan}"),
        LimitOrigin::NamedPlan(plan) => format!("plan {plan} of the request's claim"),
        LimitOrigin::Default => "the limit of all other keys".to_owned(),
        LimitOrigin::Lowest => "the lowest of any key, since the value is unusable".to_owned(),
    };
    let mut text = format!("{key}: {limit} ({origin}), costs {cost}");
    if *cost > u64::from(limit.burst()) {
        text += ", which is over the burst, so it is never within the limit";
    }
    if let Some(settlement) = &rule.settlement {
        let _ = write!(text, ", until settled by {settlement}");
    }
    if rule.is_leased {
        text += "; leased";
    }
    if rule.enforcement == Enforcement::Shadow {
        text += "; shadow: refuses nothing";
    }
    text
}

fn counted_json(allowance: &DueAllowance<'_>, parts: &[String], rule: &RateLimit) -> Value {
    let DueAllowance { values, limit, origin, cost } = allowance;
    let key = key_json(parts, values);
    let (origin, plan) = match origin {
        LimitOrigin::Carried => ("limit_from", None),
        LimitOrigin::Override => ("override", None),
        LimitOrigin::PlanOfKey(plan) => ("plan_of", Some(plan)),
        LimitOrigin::NamedPlan(plan) => ("plan_from", Some(plan)),
        LimitOrigin::Default => ("default", None),
        LimitOrigin::Lowest => ("lowest", None),
    };
    json!({
        "name": rule.name,
        "counted": true,
        "key": key,
        "limit": limit.to_string(),
        "limit_is": origin,
        "plan": plan,
        "cost": cost,
        "settled_by": rule.settlement.as_ref().map(ToString::to_string),
        "leased": rule.is_leased,
        "shadow": rule.enforcement == Enforcement::Shadow,
    })
}

fn why_text(why: NotCounted, decision: Decision, part: impl Fn(usize) -> String) -> String {
    match why {
        NotCounted::Decision => match decision {
            Decision { outcome: Outcome::Reject(_), .. } => "the request is refused".to_owned(),
            Decision { reason: Reason::DecidedBefore, .. } => "the peer's Cellgate has counted it".to_owned(),
            Decision { reason, .. } => format!("Cellgate leaves the request alone ({reason})"),
        },
        NotCounted::OutOfScope(reason) => format!("outside of its `applies_to` ({reason})"),
        NotCounted::OtherCell => "not for a cell in its `applies_to.cells`".to_owned(),
        NotCounted::NoValue(place) => format!("the request has no {}", part(place)),
        NotCounted::NoLimit => "no limit for its key".to_owned(),
    }
}
