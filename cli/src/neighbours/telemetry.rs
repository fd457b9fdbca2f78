//! Telemetry resources for the same proxies. Istio applies all that select a workload, the oldest first, and a later one replaces
//! the fields that it sets: its custom tags as a whole, the provider and the percentage of its traces, its providers of access logs. One that selects a workload
//! replaces those of the namespace and of the mesh in the same way.

use serde_json::Value;

use super::NeighbourNotes;
use super::object::{Object, Objects, TELEMETRY, list};
use super::plan::{Proxy, ReleasePlan};
use crate::doctor::enumerate;

pub(super) fn examine(plan: &ReleasePlan, objects: &Objects, notes: &mut NeighbourNotes) {
    if plan.telemetry.is_empty() {
        return;
    }
    let all: Vec<Object<'_>> = objects.of("telemetry.istio.io", TELEMETRY).collect();
    for object in all.iter().filter(|object| !object.is_of(plan)) {
        let applies: Vec<(&Proxy, Option<bool>)> =
            plan.proxies.iter().map(|proxy| (proxy, applies_to(plan, object, proxy))).collect();
        let proxy = applies.iter().find(|(_, applies)| *applies == Some(true)).map(|(proxy, _)| *proxy);
        let ours = proxy.and_then(|proxy| ours_for(plan, &all, proxy));
        let fields = shared(plan, object, ours);
        if fields.is_empty() {
            continue;
        }
        let fields = enumerate(&fields);
        if proxy.is_some() {
            compare(object, ours, &fields, notes);
        } else if applies.iter().any(|(_, applies)| applies.is_none()) {
            notes.unknown(
                object,
                format!("sets {fields}, and selects its proxies by other labels"),
                "compare the labels of the proxies' pods: if they are the same proxies, the newer of the two resources replaces \
                 these fields of the older one",
            );
        }
    }
}

/// The release's resource for a proxy, if it is in the cluster.
fn ours_for<'a, 'o>(plan: &ReleasePlan, all: &'a [Object<'o>], proxy: &Proxy) -> Option<&'a Object<'o>> {
    all.iter().find(|own| {
        own.is_of(plan) && own.namespace() == proxy.namespace && applies_to(plan, own, proxy) != Some(false)
    })
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

fn compare(object: &Object<'_>, ours: Option<&Object<'_>>, fields: &str, notes: &mut NeighbourNotes) {
    let is_newer = selects_workloads(object) && ours.is_some_and(|ours| object.age() > ours.age());
    if is_newer {
        notes.warning(
            object,
            format!(
                "is newer and for the same proxies: its {fields} replace those of the release, so decisions or traces are missing"
            ),
            "add the release's tags and providers to it (`kubectl get telemetry` shows them), or move what it sets to \
             istio.telemetry and delete it",
        );
    } else {
        notes.warning(
            object,
            format!("is for the same proxies: the release's Telemetry replaces its {fields} there"),
            "repeat what you need of it in istio.telemetry.tracing, and in the provider of istio.telemetry.accessLog",
        );
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
