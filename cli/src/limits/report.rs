//! The reports for people.

use std::fmt::Write as _;

use cellgate_ext_proc::limits::{Forgotten, KeyUsage, LimitList, LimitOf, LimitSummary, StoreStatus};

use cellgate_ext_proc::units::milliseconds;

use crate::shown_text::shown;

/// The limits and the store as aligned text.
#[must_use]
pub(crate) fn list_text(list: &LimitList) -> String {
    let mut text = String::new();
    let width = list.limits.iter().map(|limit| limit.name.len()).max().unwrap_or_default().max("store".len());
    let mut line = |label: &str, value: &str| write_line(&mut text, label, value, width);
    for limit in &list.limits {
        line(&limit.name, &summary(limit));
    }
    if list.limits.is_empty() {
        line("none", "the configuration in force has no rate limits");
    }
    line("store", &store_text(&list.store));
    text
}

/// The state and the counts of the store, in a line.
#[must_use]
pub(crate) fn store_text(store: &StoreStatus) -> String {
    let StoreStatus { state, problem, keys, max_keys, evictions, overflow_charges } = store;
    let of = if state == "embedded" { "store in the service" } else { "shared store" };
    let state = match (state.as_str(), problem) {
        ("embedded", _) => String::new(),
        (state, None) => format!(" {state}"),
        (state, Some(problem)) => format!(" {state} ({problem})"),
    };
    let remedy = if *overflow_charges == 0 { "" } else { " (it was full: raise --max-limit-keys)" };
    format!(
        "{of}{state}, {keys} of at most {max_keys} keys in the process, {evictions} evictions, \
         {overflow_charges} charges in the overflow{remedy}"
    )
}

/// The use of a key, as aligned text.
#[must_use]
pub(crate) fn key_text(usage: &KeyUsage) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| write_line(&mut text, label, value, "remaining".len());
    line("limit", &usage.name);
    line("digest", &usage.digest);
    let limit = usage.limit.as_deref().unwrap_or("none");
    line("allows", &format!("{limit} ({})", origin(usage.limit_is)));
    line("used", &units(usage.used));
    if let Some(outstanding) = usage.outstanding {
        line("leased", &format!("{outstanding} of these are with filters, which have not reported them as spent"));
    }
    if let Some(remaining) = usage.remaining {
        line("remaining", &units(remaining));
    }
    let full = match usage.full_in_ms {
        0 => "now".to_owned(),
        time => format!("in {}, if no request comes", milliseconds(time)),
    };
    line("full", &full);
    text
}

/// The outcome of a reset, as aligned text.
#[must_use]
pub(crate) fn reset_text(forgotten: &Forgotten) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| write_line(&mut text, label, value, "forgotten".len());
    line("limit", &forgotten.name);
    line("digest", &forgotten.digest);
    let what = match (forgotten.was_in_use, forgotten.units) {
        (false, _) => "nothing: the key had nothing in use".to_owned(),
        // The service has counted it while the shared store was gone.
        (true, 0) => "what was in use".to_owned(),
        (true, number) => units(number),
    };
    line("forgotten", &what);
    if forgotten.outstanding > 0 {
        let term = milliseconds(forgotten.lease_term_ms);
        let out = units(forgotten.outstanding);
        line("leased", &format!("{out} stay with filters, which may spend them until {term} after their last report"));
    }
    text
}

fn write_line(text: &mut String, label: &str, value: &str, width: usize) {
    let label = shown(label);
    // Writing into a string cannot fail.
    let _ok = writeln!(text, "{label:<width$}  {}", shown(value));
}

/// `100/min by routing_key, 2 plans, 1 key with a limit of its own; local when the store fails`.
fn summary(limit: &LimitSummary) -> String {
    let key =
        if limit.key.is_empty() { "all requests together".to_owned() } else { format!("by {}", limit.key.join(", ")) };
    let default = limit.limit.as_deref().unwrap_or("no limit by default");
    let mut parts = vec![format!("{default} {key}")];
    if !limit.plans.is_empty() {
        let plans: Vec<_> = limit.plans.iter().map(|(name, limit)| format!("{name} {limit}")).collect();
        parts.push(format!("plans {}", plans.join(", ")));
    }
    for (number, what) in [(limit.keys_with_plan, "with a plan"), (limit.overrides, "with a limit of its own")] {
        if number > 0 {
            let noun = if number == 1 { "key" } else { "keys" };
            parts.push(format!("{number} {noun} {what}"));
        }
    }
    if let Some(source) = &limit.plan_from {
        parts.push(format!("plan from {source}"));
    }
    if let Some(source) = &limit.limit_from {
        let at_most = limit.at_most.as_ref().map(|at_most| format!(", at most {at_most}")).unwrap_or_default();
        parts.push(format!("limit from {source}{at_most}"));
    }
    if limit.shadow {
        parts.push("shadow: refuses nothing".to_owned());
    }
    if let Some(outstanding) = limit.outstanding {
        parts.push(format!("leased: {} with filters", units(outstanding)));
    }
    parts.push(format!("{} when the store fails", limit.when_store_fails));
    parts.join("; ")
}

fn origin(of: LimitOf) -> &'static str {
    match of {
        LimitOf::Override => "the key's own limit",
        LimitOf::Plan => "the plan of the key",
        LimitOf::Default => "the limit of all other keys",
        LimitOf::Lowest => "the lowest of any key, since the value is unusable",
        LimitOf::LastCharge => "the last request's; its claims decide the limit",
        LimitOf::Requests => "claims of requests decide the limit, and nothing is in use",
        LimitOf::Nothing => "the configuration has no limit for this key, so its requests are not counted",
    }
}

fn units(number: u64) -> String {
    format!("{number} unit{}", if number == 1 { "" } else { "s" })
}
