//! Telemetry resources for the same proxies. Istio applies all that select a workload, the oldest first, and a later one replaces
//! the fields that it sets: its custom tags as a whole, the provider and the percentage of its traces, its providers of access logs. One that selects a workload
//! replaces those of the namespace and of the mesh in the same way.

use std::collections::BTreeSet;

use serde_json::Value;

use super::NeighbourNotes;
use super::object::{Object, Objects, TELEMETRY, list};
use super::plan::{Proxy, ReleasePlan};
use crate::doctor::enumerate;

/// What happens to the fields that both a resource and the release's set for a proxy, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// Only the labels of the pods show whether it is for the same proxy.
    Unknown,
    /// The release's resource replaces its fields.
    Replaced,
    /// Its fields replace those of the release's resource.
    Replaces,
}

pub(super) fn examine(plan: &ReleasePlan, objects: &Objects, notes: &mut NeighbourNotes) {
    if plan.telemetry.is_empty() {
        return;
    }
    let all: Vec<Object<'_>> = objects.of("telemetry.istio.io", TELEMETRY).collect();
    for object in all.iter().filter(|object| !object.is_of(plan)) {
        let effects: Vec<(Effect, Vec<&'static str>)> =
            plan.proxies.iter().filter_map(|proxy| effect(plan, &all, object, proxy)).collect();
        let Some(worst) = effects.iter().map(|(effect, _)| *effect).max() else { continue };
        let of_worst = effects.iter().filter(|(effect, _)| *effect == worst).flat_map(|(_, fields)| fields);
        let fields: BTreeSet<&str> = of_worst.copied().collect();
        note(object, worst, &enumerate(&Vec::from_iter(fields)), notes);
    }
}

/// The effect for one proxy, and the fields; `None` if there is none.
fn effect(
    plan: &ReleasePlan,
    all: &[Object<'_>],
    object: &Object<'_>,
    proxy: &Proxy,
) -> Option<(Effect, Vec<&'static str>)> {
    let applies = applies_to(plan, object, proxy);
    if applies == Some(false) {
        return None;
    }
    let ours = ours_for(plan, all, proxy);
    let fields = shared(plan, object, ours);
    if fields.is_empty() {
        return None;
    }
    let is_newer = selects_workloads(object) && ours.is_some_and(|ours| object.age() > ours.age());
    let effect = match (applies, is_newer) {
        (None, _) => Effect::Unknown,
        (_, true) => Effect::Replaces,
        (_, false) => Effect::Replaced,
    };
    Some((effect, fields))
}

/// The release's resource for a proxy, if it is in the cluster: rather one that certainly selects the proxy than one that may, and
/// the newest of these.
fn ours_for<'a, 'o>(plan: &ReleasePlan, all: &'a [Object<'o>], proxy: &Proxy) -> Option<&'a Object<'o>> {
    let own = all.iter().filter(|own| own.is_of(plan) && own.namespace() == proxy.namespace);
    let selecting = own.map(|own| (applies_to(plan, own, proxy), own)).filter(|(applies, _)| *applies != Some(false));
    selecting.max_by_key(|(applies, own)| (applies.is_some(), own.age())).map(|(_, own)| own)
}

/// The fields that both it and the release's resources set, to different values as far as it is known.
fn shared(plan: &ReleasePlan, object: &Object<'_>, ours: Option<&Object<'_>>) -> Vec<&'static str> {
    let is_ours = |part: &str| plan.telemetry.iter().any(|own| own == part);
    let mut fields = Vec::new();
    for (field, name, part) in [
        ("tracing.customTags", "customTags", "tracing"),
        ("tracing.disableSpanReporting", "disableSpanReporting", "tracing"),
        ("tracing.providers", "providers", "tracing.providers"),
        ("tracing.randomSamplingPercentage", "randomSamplingPercentage", "tracing.randomSamplingPercentage"),
    ] {
        let set = tracing(object, name);
        if is_ours(part) && !set.is_empty() && ours.is_none_or(|ours| tracing(ours, name) != set) {
            fields.push(field);
        }
    }
    if is_ours("accessLogging") && !list(object.spec(), "accessLogging").is_empty() {
        fields.push("accessLogging");
    }
    fields
}

/// The values of a field of `tracing`.
fn tracing<'a>(object: &Object<'a>, field: &str) -> Vec<&'a Value> {
    list(object.spec(), "tracing").iter().filter_map(|entry| entry.get(field)).collect()
}

fn note(object: &Object<'_>, effect: Effect, fields: &str, notes: &mut NeighbourNotes) {
    match effect {
        Effect::Replaces => notes.warning(
            object,
            format!(
                "is newer and for the same proxies: its {fields} replace those of the release, so decisions or traces are missing"
            ),
            "add the release's tags and providers to it (`kubectl get telemetry` shows them), or move what it sets to \
             istio.telemetry and delete it",
        ),
        Effect::Replaced => notes.warning(
            object,
            format!("is for the same proxies: the release's Telemetry replaces its {fields} there"),
            "repeat what you need of it in istio.telemetry.tracing, and in the provider of istio.telemetry.accessLog",
        ),
        Effect::Unknown => notes.unknown(
            object,
            format!("sets {fields}, and selects its proxies by other labels"),
            "compare the labels of the proxies' pods: if they are the same proxies, the newer of the two resources replaces \
             these fields of the older one",
        ),
    }
}

/// Whether it selects workloads, and not all of a namespace or of the mesh.
fn selects_workloads(object: &Object<'_>) -> bool {
    !list(object.spec(), "targetRefs").is_empty() || labels(object).is_some_and(|labels| !labels.is_empty())
}

fn labels<'a>(object: &Object<'a>) -> Option<&'a serde_json::Map<String, Value>> {
    object.spec().get("selector").and_then(|selector| selector.get("matchLabels")?.as_object())
}

/// Whether it applies to these proxies; `None` if only the labels of their pods show it.
fn applies_to(plan: &ReleasePlan, object: &Object<'_>, proxy: &Proxy) -> Option<bool> {
    // Istio ignores selectors in its own namespace for proxies of other namespaces.
    let is_of_mesh = object.namespace() == plan.istio_namespace && !selects_workloads(object);
    if object.namespace() != proxy.namespace && !is_of_mesh {
        return Some(false);
    }
    proxy.is_selected(list(object.spec(), "targetRefs"), labels(object))
}
