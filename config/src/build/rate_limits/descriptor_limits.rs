//! The rate limits of descriptors: every name is unique, every limit can apply, and no two apply to the same descriptors.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::bounds::MAX_DESCRIPTOR_TEXT;
use super::super::super::path::Step;
use super::super::super::raw::{RawAlways, RawDescriptorLimit, RawDescriptorPart, RawField};
use super::super::super::report::Report;
use super::super::super::text::quote;
use super::{LimitContext, LimitPlace, PlanFields, PlanKey, check_name, enforcement, has_entries, limit, plans};
use cellgate_routing::{
    DescriptorLimit, DescriptorPart, DescriptorRule, EntryValues, MAX_DESCRIPTOR_LIMITS, MAX_KEY_PARTS,
};

const SECTION: Step<'static> = Step::Field("descriptor_limits");

const DESCRIPTOR: &str = "descriptor";

/// Builds the limits. `names` are those of limits of requests: no limit of descriptors has one of them.
pub(in super::super) fn descriptor_limits<'n>(
    raw: &'n [RawField<RawDescriptorLimit<'_>>],
    mut names: BTreeSet<&'n str>,
    context: LimitContext<'_>,
    report: &mut Report<'_>,
) -> Vec<DescriptorLimit> {
    if raw.len() > MAX_DESCRIPTOR_LIMITS {
        report.problem(&[SECTION], &|| format!("expected at most {MAX_DESCRIPTOR_LIMITS} limits, found {}", raw.len()));
    }
    let mut earlier = BTreeMap::new();
    let mut limits = Vec::with_capacity(raw.len().min(MAX_DESCRIPTOR_LIMITS));
    for (index, raw) in raw.iter().enumerate().take(MAX_DESCRIPTOR_LIMITS) {
        let Some(raw) = raw.given() else { continue };
        let place = LimitPlace { context, item: [SECTION, Step::Item(index)] };
        let name = report.required(&raw.name, &place.field("name")).copied();
        if let Some(name) = name {
            check_name(name, &mut names, place, report);
        }
        let domain = report.required(&raw.domain, &place.field("domain")).copied();
        check_text(domain, &place.field("domain"), report);
        let parts = report.required(&raw.descriptor, &place.field(DESCRIPTOR));
        let key = parts.map(|parts| descriptor(parts, place, report));
        if let (Some(domain), Some(Some(key))) = (domain, &key)
            && let Some(other) = earlier.insert((domain, identity(key)), name.unwrap_or_default())
        {
            report.problem(&place.field(DESCRIPTOR), &|| {
                format!("the limit {} has the same domain and descriptor: remove one of the two", quote(other))
            });
        }
        let rule = rule(raw, key.as_ref().map(|key| key.as_deref()), place, report);
        limits.push(DescriptorLimit {
            name: name.unwrap_or_default().into(),
            domain: domain.unwrap_or_default().into(),
            key: key.flatten().unwrap_or_default(),
            rule,
            enforcement: enforcement(&raw.shadow),
            when_store_fails: raw.when_store_fails.given().copied().map(Into::into).unwrap_or_default(),
        });
    }
    limits
}

/// The entries. `None` if one is refused.
fn descriptor(
    raw: &[RawField<RawDescriptorPart<'_>>],
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<DescriptorPart>> {
    if raw.is_empty() || raw.len() > MAX_KEY_PARTS {
        report.problem(&place.field(DESCRIPTOR), &|| {
            format!("expected from 1 to {MAX_KEY_PARTS} entries, found {}", raw.len())
        });
        return None;
    }
    let [section, item, field] = place.field(DESCRIPTOR);
    let mut parts = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let path = [section, item, field, Step::Item(index)];
        parts.push(raw.given().and_then(|raw| part(raw, path, report)));
    }
    parts.into_iter().collect()
}

fn part(raw: &RawDescriptorPart<'_>, path: [Step<'_>; 4], report: &mut Report<'_>) -> Option<DescriptorPart> {
    let [section, item, field, index] = path;
    let path = |name: &'static str| [section, item, field, index, Step::Field(name)];
    let key = report.required(&raw.key, &path("key")).copied();
    check_text(key, &path("key"), report);
    let value = raw.value.given().copied();
    check_text(value, &path("value"), report);
    let shared = raw.shared.given().copied().unwrap_or_default();
    let prefix = value.and_then(|value| value.strip_suffix('*'));
    if shared && prefix.is_none() && matches!(raw.value, RawField::Absent | RawField::Given(_)) {
        report.problem(&path("shared"), &|| {
            "`shared` is for a `value` that ends with `*`: end the value with `*`, or remove this field".into()
        });
    }
    let values = match (value, prefix) {
        (_, Some(prefix)) => EntryValues::Prefix { prefix: prefix.into(), shared },
        (Some(value), None) => EntryValues::One(value.into()),
        (None, None) => EntryValues::Any,
    };
    let is_refused = matches!(raw.value, RawField::Refused);
    key.filter(|_| !is_refused).map(|key| DescriptorPart { key: key.into(), values })
}

/// Refuses an empty and a long text.
fn check_text(text: Option<&str>, path: &[Step<'_>], report: &mut Report<'_>) {
    match text {
        Some("") => report.problem(path, &|| "expected a text, found an empty one".into()),
        Some(text) if text.len() > MAX_DESCRIPTOR_TEXT => {
            report.problem(path, &|| format!("expected at most {MAX_DESCRIPTOR_TEXT} bytes, found {}", text.len()));
        }
        Some(_) | None => {}
    }
}

/// Two limits with the same identity apply to the same descriptors.
fn identity(key: &[DescriptorPart]) -> Vec<(String, Option<String>)> {
    let part = |part: &DescriptorPart| {
        let values = match &part.values {
            EntryValues::Any => None,
            EntryValues::One(value) => Some(value.to_string()),
            EntryValues::Prefix { prefix, .. } => Some(format!("{prefix}*")),
        };
        (part.key.to_string(), values)
    };
    key.iter().map(part).collect()
}

/// The rule of a limit. `key` has its entries: `None` if the field is no list, `Some(None)` if an entry is refused.
fn rule(
    raw: &RawDescriptorLimit<'_>,
    key: Option<Option<&[DescriptorPart]>>,
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) -> DescriptorRule {
    let tables = [("plans", &raw.plans), ("plan_of", &raw.plan_of), ("overrides", &raw.overrides)];
    let texts = [("limit", &raw.limit), ("override_at_most", &raw.override_at_most)];
    if !raw.always.is_absent() {
        let given = texts.iter().filter(|(_, field)| !field.is_absent()).map(|(name, _)| *name);
        let given = given.chain(tables.iter().filter(|(_, field)| !field.is_absent()).map(|(name, _)| *name));
        for name in given {
            report.problem(&place.field(name), &|| {
                "with `always` nothing is counted: remove this field, or remove `always`".into()
            });
        }
        return match raw.always.given() {
            Some(RawAlways::Deny) => DescriptorRule::Deny,
            Some(RawAlways::Allow) | None => DescriptorRule::Allow,
        };
    }
    if can_never_apply(raw) && !report.is_incomplete(&place.item) {
        report.problem(&place.item, &|| {
            "this limit can never apply: give it `limit`, `overrides`, `override_at_most`, `always`, or `plans` with \
             `plan_of`"
                .into()
        });
    }
    if let Some(Some([DescriptorPart { values: EntryValues::One(_) | EntryValues::Prefix { shared: true, .. }, .. }])) =
        key
    {
        for (name, _) in tables.iter().skip(1).filter(|(_, table)| has_entries(table)) {
            report.problem(&place.field(name), &|| {
                "the only entry has one allowance, which `limit` limits: remove this field, or let the entry have every value"
                    .into()
            });
        }
    }
    let fields = PlanFields {
        limit: &raw.limit,
        plans: &raw.plans,
        plan_of: &raw.plan_of,
        overrides: &raw.overrides,
        has_plan_from: false,
    };
    let parts = key.and_then(|key| key.map(<[_]>::len));
    let (plans, _) = plans(fields, PlanKey { field: DESCRIPTOR, parts, only: None }, place, report);
    let path = place.field("override_at_most");
    let override_at_most = raw.override_at_most.given().and_then(|text| limit(text, &path, report));
    DescriptorRule::Count { plans, override_at_most }
}

/// Whether no descriptor has a limit. A refused field may give it one.
fn can_never_apply(raw: &RawDescriptorLimit<'_>) -> bool {
    raw.limit.is_absent()
        && raw.override_at_most.is_absent()
        && !has_entries(&raw.overrides)
        && !(has_entries(&raw.plan_of) && has_entries(&raw.plans))
}
