//! Telemetry resources for the same proxies. Istio applies all that select a workload, the oldest first, and a later one replaces
//! the fields that it sets: its custom tags as a whole, its providers of access logs as a whole. One that selects a workload
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
        let fields = shared(plan, object);
        if fields.is_empty() {
            continue;
        }
        let proxy = applies.iter().find(|(_, applies)| *applies == Some(true)).map(|(proxy, _)| *proxy);
        match proxy {
            Some(proxy) => compare(plan, object, &all, proxy, &fields, notes),
            None if applies.iter().any(|(_, applies)| applies.is_none()) => notes.unknown(
                object,
                format!("sets {}, and selects its proxies by other labels", enumerate(&fields)),
                "compare the labels of the proxies' pods: if they are the same proxies, the newer of the two resources replaces \
                 these fields of the older one",
            ),
            None => {}
        }
    }
}

/// The fields that both it and the release's resources set.
fn shared(plan: &ReleasePlan, object: &Object<'_>) -> Vec<&'static str> {
    let has = |part: &str, field: &str| list(object.spec(), part).iter().any(|entry| entry.get(field).is_some());
    let is_ours = |part: &str| plan.telemetry.iter().any(|own| own == part);
    let mut fields = Vec::new();
    if is_ours("tracing") && has("tracing", "customTags") {
        fields.push("tracing.customTags");
    }
    if is_ours("tracing") && (has("tracing", "disableSpanReporting")) {
        fields.push("tracing.disableSpanReporting");
    }
    if is_ours("accessLogging") && !list(object.spec(), "accessLogging").is_empty() {
        fields.push("accessLogging");
    }
    fields
}

fn compare(
    plan: &ReleasePlan,
    object: &Object<'_>,
    all: &[Object<'_>],
    proxy: &Proxy,
    fields: &[&str],
    notes: &mut NeighbourNotes,
) {
    let fields = enumerate(fields);
    let ours = all.iter().find(|own| {
        own.is_of(plan) && own.namespace() == proxy.namespace && applies_to(plan, own, proxy) != Some(false)
    });
    let is_newer = selects_workloads(object) && ours.is_some_and(|ours| object.age() > ours.age());
    if is_newer {
        notes.warning(
            object,
            format!(
                "is newer and for the same proxies: its {fields} replace those of the release, so decisions are missing"
            ),
            "add the release's tags and providers to it (`kubectl get telemetry` shows them), or move what it sets to \
             istio.telemetry and delete it",
        );
    } else {
        notes.warning(
            object,
            format!("is for the same proxies: the release's Telemetry replaces its {fields} there"),
            "repeat what you need of it in istio.telemetry.tracing.customTags, and in the provider of \
             istio.telemetry.accessLog",
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
