//! EnvoyFilters for the same proxies: limits, processors and other filters. Istio applies them in the order of `priority`, so
//! a later one takes precedence.

use serde_json::Value;

use super::NeighbourNotes;
use super::object::{Object, Objects, list};
use super::plan::{Proxy, ReleasePlan};

pub(super) fn examine(plan: &ReleasePlan, objects: &Objects, notes: &mut NeighbourNotes) {
    for object in objects.of("networking.istio.io", "EnvoyFilter").filter(|object| !object.is_of(plan)) {
        let candidates = || plan.proxies.iter().map(|proxy| (proxy, applies_to(plan, &object, proxy)));
        let proxies: Vec<&Proxy> =
            candidates().filter(|(_, applies)| *applies == Some(true)).map(|(proxy, _)| proxy).collect();
        if proxies.is_empty() {
            let patches = list(object.spec(), "configPatches").iter();
            if candidates().any(|(_, applies)| applies.is_none()) && patches.into_iter().any(matters) {
                notes.unknown(
                    &object,
                    "sets limits or adds filters, and selects its proxies by other labels",
                    "compare the labels of the proxies' pods: if they are the same proxies, check its settings",
                );
            }
            continue;
        }
        if object.spec().get("configPatches").is_some_and(|patches| !patches.is_array()) {
            notes.unknown(&object, "its spec.configPatches is not a list, so it was not read", "correct it");
            continue;
        }
        for patch in
            list(object.spec(), "configPatches").iter().filter(|patch| proxies.iter().any(|proxy| is_for(patch, proxy)))
        {
            limits(plan, &object, patch, notes);
            filters(plan, &object, patch, notes);
        }
    }
}

/// Whether a patch sets limits or adds filters.
fn matters(patch: &Value) -> bool {
    let mut found = Vec::new();
    numbers(patch, &mut found);
    !found.is_empty() || patch.get("applyTo").and_then(Value::as_str) == Some("HTTP_FILTER")
}

/// Whether it applies to these proxies; `None` if only the labels of their pods show it.
fn applies_to(plan: &ReleasePlan, object: &Object<'_>, proxy: &Proxy) -> Option<bool> {
    if object.namespace() != proxy.namespace && object.namespace() != plan.istio_namespace {
        return Some(false);
    }
    let labels = object.spec().get("workloadSelector").and_then(|selector| selector.get("labels")?.as_object());
    proxy.is_selected(list(object.spec(), "targetRefs"), labels)
}

fn is_for(patch: &Value, proxy: &Proxy) -> bool {
    let context = patch.get("match").and_then(|matches| matches.get("context")?.as_str()).unwrap_or("ANY");
    context == "ANY" || context == proxy.context
}

/// Reports limits of Envoy below `inspect_bytes`: Envoy answers 413 to bodies between the two.
fn limits(plan: &ReleasePlan, object: &Object<'_>, patch: &Value, notes: &mut NeighbourNotes) {
    let mut found = Vec::new();
    if let Some(value) = patch.get("patch").and_then(|patch| patch.get("value")) {
        numbers(value, &mut found);
    }
    for (field, bytes) in found {
        if bytes < plan.inspect_bytes {
            notes.error(
                object,
                format!(
                    "sets {field} to {bytes}, below limits.inspect_bytes ({}): Envoy answers 413 to bodies between the two",
                    plan.inspect_bytes
                ),
                format!("raise it there, or set config.limits.inspect_bytes to at most {bytes}"),
            );
        } else {
            notes.ok(object, format!("sets {field} to {bytes}, which stays in force"));
        }
    }
}

/// The buffer limits anywhere in a patch's value.
fn numbers<'a>(value: &'a Value, found: &mut Vec<(&'a str, u64)>) {
    let Value::Object(fields) = value else {
        if let Value::Array(values) = value {
            values.iter().for_each(|value| numbers(value, found));
        }
        return;
    };
    for (field, value) in fields {
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        match (field.as_str(), number) {
            (
                "per_connection_buffer_limit_bytes"
                | "perConnectionBufferLimitBytes"
                | "initial_stream_window_size"
                | "initialStreamWindowSize",
                Some(number),
            ) => found.push((field, number)),
            _ => numbers(value, found),
        }
    }
}

/// Reports filters that a patch adds to the chain.
fn filters(plan: &ReleasePlan, object: &Object<'_>, patch: &Value, notes: &mut NeighbourNotes) {
    if patch.get("applyTo").and_then(Value::as_str) != Some("HTTP_FILTER") {
        return;
    }
    let Some(action) = patch.get("patch") else { return };
    let text = action.to_string();
    if plan.streams && text.contains("ext_proc") && text.contains("FULL_DUPLEX_STREAMED") {
        second_processor(plan, object, "adds another processor in the mode FULL_DUPLEX_STREAMED", notes);
    }
    let priority = object.spec().get("priority").and_then(Value::as_i64).unwrap_or_default();
    let first = action.get("operation").and_then(Value::as_str) == Some("INSERT_FIRST");
    if first && priority > plan.priority {
        notes.warning(
            object,
            format!("puts its filter before Cellgate's, because its priority is {priority}: it sees clients' own routing headers"),
            format!("lower its priority below {}, or raise filter.priority", plan.priority),
        );
    }
}

/// Reports another processor in the mode `FULL_DUPLEX_STREAMED`, beside the release's own.
pub(super) fn second_processor(plan: &ReleasePlan, object: &Object<'_>, what: &str, notes: &mut NeighbourNotes) {
    let fix = "update Istio to 1.31 (Envoy 1.39), or set extProc.bodyMode to buffer: before Envoy 1.39 two such \
               processors lose bodies, and the cell gets them empty";
    match plan.has_envoy_1_39() {
        Some(true) => notes.ok(object, what),
        Some(false) => notes.error(object, what, fix),
        None => notes.unknown(object, format!("{what}; Istio's version is unknown"), fix),
    }
}
