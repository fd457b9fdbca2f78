//! The rate limits: every name is unique, every limit can apply, and every value is one that a request can have.

mod carried;
mod concurrency_limits;
mod cost;
mod descriptor_limits;
mod key_parts;
mod limit_scope;
mod plans;
mod settle;

use std::collections::BTreeSet;

use super::super::path::Step;
use super::super::raw::{RawField, RawRateLimit, RawSource, RawTable, RawWhenStoreFails};
use super::super::report::Report;
use super::super::text::quote;
use super::Cells;
use super::sources::{clash, source};
use carried::{carried_limit, claim};
use cellgate_limiting::{Enforcement, Limit, WhenStoreFails};
use cellgate_routing::source::Source;
use cellgate_routing::{CostRule, MAX_RATE_LIMITS, RateLimit, Reason};
pub(super) use concurrency_limits::concurrency_limits;
use cost::cost;
pub(super) use descriptor_limits::descriptor_limits;
use key_parts::key_parts;
use limit_scope::limit_scope;
use plans::{PlanFields, PlanKey, plans};
use settle::settlement;

const SECTION: Step<'static> = Step::Field("rate_limits");

/// The longest name of a limit, in bytes.
const MAX_LIMIT_NAME: usize = 64;

/// The parts of the configuration against which limits are checked.
#[derive(Clone, Copy)]
pub(super) struct LimitContext<'c> {
    pub(super) routing_header: &'c str,
    pub(super) cells: &'c Cells<'c>,
    pub(super) key_bytes: usize,
}

/// The path of a limit, and what it is checked against.
#[derive(Clone, Copy)]
struct LimitPlace<'c> {
    context: LimitContext<'c>,
    item: [Step<'c>; 2],
}

/// Builds the limits, and adds the sources of their values to those of the routing key.
pub(super) fn rate_limits(
    raw: &[RawField<RawRateLimit<'_>>],
    sources: &mut Vec<Source>,
    context: LimitContext<'_>,
    report: &mut Report<'_>,
) -> Vec<RateLimit> {
    if raw.len() > MAX_RATE_LIMITS {
        report.problem(&[SECTION], &|| format!("expected at most {MAX_RATE_LIMITS} limits, found {}", raw.len()));
    }
    let mut limits: Vec<RateLimit> = Vec::with_capacity(raw.len().min(MAX_RATE_LIMITS));
    let mut names = BTreeSet::new();
    for (index, raw) in raw.iter().enumerate().take(MAX_RATE_LIMITS) {
        let Some(raw) = raw.given() else { continue };
        let place = LimitPlace { context, item: [SECTION, Step::Item(index)] };
        let name = report.required(&raw.name, &place.field("name"));
        if let Some(name) = name {
            check_name(name, &mut names, place, report);
        }
        let mut limit = rate_limit(raw, place, sources, report);
        // A refused name is in no other limit.
        limit.name = name.map(|name| Box::from(*name)).unwrap_or_default();
        limits.push(limit);
    }
    limits
}

/// Refuses a name that is malformed, or one of the earlier ones.
fn check_name<'n>(name: &'n str, earlier: &mut BTreeSet<&'n str>, place: LimitPlace<'_>, report: &mut Report<'_>) {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let path = place.field("name");
    if name.is_empty() || name.len() > MAX_LIMIT_NAME || !name.bytes().all(is_legal) {
        report.problem(&path, &|| {
            format!("expected a name of 1 to {MAX_LIMIT_NAME} of `a-z`, `0-9`, `-` and `_`, found {}", quote(name))
        });
    } else if !earlier.insert(name) {
        report.problem(&path, &|| format!("duplicate limit {}: give each limit a name of its own", quote(name)));
    }
}

/// A limit without its name.
fn rate_limit(
    raw: &RawRateLimit<'_>,
    place: LimitPlace<'_>,
    sources: &mut Vec<Source>,
    report: &mut Report<'_>,
) -> RateLimit {
    let key = report.required(&raw.key, &place.field("key"));
    let parts = key.map(|raw| key_parts(raw, place, sources, report)).unwrap_or_default();
    let plan_from = raw.plan_from.given().and_then(|raw| claim(&raw.0, &place.field("plan_from"), place, report));
    let limit_from = raw.limit_from.given().and_then(|raw| carried_limit(raw, place, report));
    if can_never_apply(raw) && !report.is_incomplete(&place.item) {
        report.problem(&place.item, &|| {
            "this limit can never apply: give it `limit`, `overrides`, `limit_from`, or `plans` with `plan_of` or \
             `plan_from`"
                .into()
        });
    }
    let fields = PlanFields {
        limit: &raw.limit,
        plans: &raw.plans,
        plan_of: &raw.plan_of,
        overrides: &raw.overrides,
        has_plan_from: !raw.plan_from.is_absent(),
    };
    let only = if let [part] = &*parts { part.as_ref() } else { None };
    let key = PlanKey { field: "key", parts: key.map(|_| parts.len()), only };
    let (plans, bursts) = plans(fields, key, place, report);
    let at_most = limit_from.as_ref().map(|carried| ("limit_from.at_most".into(), carried.at_most));
    let cost = raw.cost.given().and_then(|raw| cost(raw, place, sources, report)).unwrap_or(CostRule::Fixed(1));
    cost::check_bursts(&cost, bursts.into_iter().chain(at_most), place, report);
    let scope = raw.applies_to.given().map(|raw| limit_scope(raw, place, report));
    let (scope, cells) = scope.unwrap_or_default();
    RateLimit {
        name: Box::default(),
        key: parts.into_iter().flatten().collect(),
        plans,
        plan_from,
        limit_from,
        scope,
        cells,
        cost,
        settlement: settlement(raw, place, report),
        enforcement: enforcement(&raw.shadow),
        is_leased: raw.lease.given().copied().unwrap_or_default(),
        when_store_fails: raw.when_store_fails.given().copied().map(Into::into).unwrap_or_default(),
    }
}

fn enforcement(shadow: &RawField<bool>) -> Enforcement {
    if shadow.given().copied().unwrap_or_default() { Enforcement::Shadow } else { Enforcement::Enforce }
}

/// Whether no request has a limit. A refused field may give it one.
fn can_never_apply(raw: &RawRateLimit<'_>) -> bool {
    let has_plan = has_entries(&raw.plan_of) || !raw.plan_from.is_absent();
    raw.limit.is_absent()
        && raw.limit_from.is_absent()
        && !has_entries(&raw.overrides)
        && !(has_plan && has_entries(&raw.plans))
}

/// Whether a table has an entry. A refused table may have one.
fn has_entries<T>(table: &RawField<RawTable<'_, T>>) -> bool {
    match table {
        RawField::Absent => false,
        RawField::Refused => true,
        RawField::Given(RawTable(entries)) => !entries.is_empty(),
    }
}

/// A source that is read together with those of the routing key and of other limits.
fn shared_source(
    raw: &RawSource<'_>,
    path: &[Step<'_>],
    place: LimitPlace<'_>,
    sources: &mut Vec<Source>,
    report: &mut Report<'_>,
) -> Option<Source> {
    let (name, source) = source(raw, path, place.context.routing_header, report)?;
    if let Some(message) = clash(&source.place, sources) {
        report.problem(&[path, &[Step::Field(name)]].concat(), &|| message.clone());
        return None;
    }
    sources.push(source.clone());
    Some(source)
}

/// Why a text is no value of a request.
fn not_a_value(text: &str, reason: Reason, key_bytes: usize) -> String {
    match reason {
        Reason::KeyEmpty => "expected a text, found an empty one".into(),
        Reason::KeyTooLong => format!("expected at most {key_bytes} bytes (`limits.key_bytes`), found {}", text.len()),
        _ => format!("expected a text without control characters, found {}", quote(text)),
    }
}

/// A limit from its text.
fn limit(text: &str, path: &[Step<'_>], report: &mut Report<'_>) -> Option<Limit> {
    match text.parse() {
        Ok(limit) => Some(limit),
        Err(error) => {
            report.problem(path, &|| format!("{} is no limit: {error}", quote(text)));
            None
        }
    }
}

impl<'c> LimitPlace<'c> {
    /// The path of a field of the limit.
    fn field(&self, name: &'c str) -> [Step<'c>; 3] {
        let [section, item] = self.item;
        [section, item, Step::Field(name)]
    }
}

impl From<RawWhenStoreFails> for WhenStoreFails {
    fn from(raw: RawWhenStoreFails) -> Self {
        match raw {
            RawWhenStoreFails::Allow => Self::Allow,
            RawWhenStoreFails::Deny => Self::Deny,
            RawWhenStoreFails::Local => Self::Local,
        }
    }
}
