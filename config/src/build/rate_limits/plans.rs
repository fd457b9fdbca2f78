//! The limit of each key: every plan is defined, and every key is possible.

use super::super::super::path::{Step, append, name_segment};
use super::super::super::raw::{RawField, RawTable};
use super::super::super::report::Report;
use super::super::super::suggest::hint;
use super::super::super::text::{quote, shorten};
use super::super::placement::not_a_key;
use super::super::scope::method;
use super::{LimitPlace, has_entries, limit, not_a_value};
use cellgate_limiting::{Limit, Plans, PlansBuilder};
use cellgate_routing::{LimitKeyPart, check_key, sorted};

const PLANS: &str = "plans";
const PLAN_OF: &str = "plan_of";
const OVERRIDES: &str = "overrides";

/// The fields that give each key its limit.
#[derive(Clone, Copy)]
pub(super) struct PlanFields<'r, 'a> {
    pub(super) limit: &'r RawField<&'a str>,
    pub(super) plans: &'r RawField<RawTable<'a, &'a str>>,
    pub(super) plan_of: &'r RawField<RawTable<'a, &'a str>>,
    pub(super) overrides: &'r RawField<RawTable<'a, &'a str>>,
    /// Whether the request names its plan.
    pub(super) has_plan_from: bool,
}

/// The parts of a key whose values have plans.
#[derive(Clone, Copy)]
pub(super) struct PlanKey<'p> {
    /// The field of the parts.
    pub(super) field: &'static str,
    /// How many there are. `None`: the field is no list.
    pub(super) parts: Option<usize>,
    /// The only part, if it does not have every value.
    pub(super) only: Option<&'p LimitKeyPart>,
}

/// The plans, and each limit with its path within the limit.
pub(super) fn plans(
    raw: PlanFields<'_, '_>,
    key: PlanKey<'_>,
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) -> (Plans, Vec<(String, Limit)>) {
    let default = raw.limit.given().and_then(|text| limit(text, &place.field("limit"), report));
    for (name, table) in [(PLAN_OF, raw.plan_of), (OVERRIDES, raw.overrides)] {
        if let Some(parts) = key.parts
            && has_entries(table)
            && parts != 1
        {
            let field = key.field;
            report.problem(&place.field(name), &|| {
                format!("the entries are values of the only part of `{field}`, and this {field} has {parts} parts")
            });
        } else if let (Some(part), Some(RawTable(entries))) = (key.only, table.given()) {
            for (index, (key, _)) in entries.iter().enumerate() {
                let [section, item, table] = place.field(name);
                check_value(part, key, &[section, item, table, Step::Name(index)], place, report);
            }
        }
    }
    let plans = limits(raw.plans, PLANS, place, report);
    for (index, (name, _)) in raw.plans.given().map_or(&[][..], |table| &table.0).iter().enumerate() {
        if let Err(reason) = check_key(name.as_bytes(), place.context.key_bytes) {
            let [section, item, table] = place.field(PLANS);
            let path = [section, item, table, Step::Name(index)];
            report.problem(&path, &|| not_a_value(name, reason, place.context.key_bytes));
        }
    }
    let keys = keys(raw, place, report);
    let overrides = limits(raw.overrides, OVERRIDES, place, report);
    let mut named: Vec<_> = default.map(|limit| ("limit".to_owned(), limit)).into_iter().collect();
    for (table, entries) in [(PLANS, &plans), (OVERRIDES, &overrides)] {
        for (name, limit) in entries {
            let mut path = table.to_owned();
            append(&mut path, &name_segment(name));
            named.push((path, *limit));
        }
    }
    let plans = PlansBuilder { default, plans, keys, overrides }.build();
    let plans = plans.unwrap_or_else(|error| {
        // Only if a table has an entry twice or an unknown plan, which has its own problem.
        report.problem(&place.item, &|| error.to_string());
        Plans::default()
    });
    (plans, named)
}

/// The limits of a table that are not refused.
fn limits<'a>(
    raw: &RawField<RawTable<'a, &'a str>>,
    table: &'static str,
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) -> Vec<(&'a str, Limit)> {
    let Some(RawTable(entries)) = raw.given() else { return Vec::new() };
    let [section, item, table] = place.field(table);
    let mut limits = Vec::with_capacity(entries.len());
    for (index, (name, text)) in entries.iter().enumerate() {
        let Some(text) = text.given() else { continue };
        let path = [section, item, table, Step::Entry(index)];
        limits.extend(limit(text, &path, report).map(|limit| (*name, limit)));
    }
    limits
}

/// The keys that have a plan that is defined, and not refused.
fn keys<'a>(raw: PlanFields<'_, 'a>, place: LimitPlace<'_>, report: &mut Report<'_>) -> Vec<(&'a str, &'a str)> {
    let defined = match raw.plans {
        RawField::Given(RawTable(entries)) => &entries[..],
        RawField::Refused => return Vec::new(),
        RawField::Absent => &[],
    };
    if defined.is_empty() {
        if !report.is_incomplete(&place.item) {
            refuse_without_plans(raw, place, report);
        }
        return Vec::new();
    }
    let by_name = sorted(defined.iter().map(|(name, text)| (*name, text.given())).collect::<Vec<_>>());
    let [section, item, table] = place.field(PLAN_OF);
    let mut keys = Vec::new();
    for (index, (key, plan)) in raw.plan_of.given().map_or(&[][..], |table| &table.0).iter().enumerate() {
        let Some(plan) = plan.given() else { continue };
        let index_of_plan = by_name.binary_search_by_key(plan, |(name, _)| *name).ok();
        match index_of_plan.and_then(|index| by_name.get(index)) {
            Some((_, Some(text))) if text.parse::<Limit>().is_ok() => keys.push((*key, *plan)),
            // A refused limit has its own problem.
            Some(_) => {}
            None => report.problem(&[section, item, table, Step::Entry(index)], &|| {
                let names = || defined.iter().map(|(name, _)| *name);
                format!("{} is not one of the plans {}{}", quote(plan), list(names()), hint(plan, names()))
            }),
        }
    }
    keys
}

/// Refuses what names plans if there are none.
fn refuse_without_plans(raw: PlanFields<'_, '_>, place: LimitPlace<'_>, report: &mut Report<'_>) {
    for (name, is_given) in [(PLAN_OF, has_entries(raw.plan_of)), ("plan_from", raw.has_plan_from)] {
        if is_given {
            report.problem(&place.field(name), &|| {
                "this limit has no plans: define them in `plans`, or remove this field".into()
            });
        }
    }
}

/// Refuses a text that the only part of the key never is.
fn check_value(
    part: &LimitKeyPart,
    text: &str,
    path: &[Step<'_>],
    LimitPlace { context, .. }: LimitPlace<'_>,
    report: &mut Report<'_>,
) {
    let message = match part {
        LimitKeyPart::Cell => {
            context.cells.find(text, path, report);
            None
        }
        LimitKeyPart::Method => method(text).err(),
        // `cellgate check` warns of a text that is no address: reading addresses would add 6 KB to the filter's module.
        LimitKeyPart::ClientAddress | LimitKeyPart::Peer => {
            check_key(text.as_bytes(), usize::MAX).err().map(|reason| not_a_key(text, reason, OVERRIDES, usize::MAX))
        }
        LimitKeyPart::RoutingKey | LimitKeyPart::Path { .. } | LimitKeyPart::Value { .. } => {
            check_key(text.as_bytes(), context.key_bytes)
                .err()
                .map(|reason| not_a_key(text, reason, OVERRIDES, context.key_bytes))
        }
    };
    if let Some(message) = message {
        report.problem(path, &|| message.clone());
    }
}

/// The names of plans for a message.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MAX_LISTED: usize = 8;
    let mut names = names;
    let listed: Vec<_> = names.by_ref().take(MAX_LISTED).map(shorten).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    format!("[{}{more}]", listed.join(", "))
}
