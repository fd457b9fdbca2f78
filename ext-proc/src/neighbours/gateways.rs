//! Istio's Gateways: which of them are in the same proxies as the release's. Istio merges what they serve on one port, so a
//! route bound to any of them meets the release's.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::object::{Object, Objects};
use super::plan::Plan;

/// Names as `namespace/name`, with `mesh` for sidecars.
pub(super) struct Shared(BTreeSet<String>);

impl Shared {
    /// The release's Gateways, and those whose selector can choose the same proxies.
    pub(super) fn find(plan: &Plan, objects: &Objects) -> Self {
        let all: Vec<Object<'_>> = objects.of("networking.istio.io", "Gateway").collect();
        let mut names: BTreeSet<String> = plan.gateways.iter().cloned().collect();
        let ours: Vec<&Map<String, Value>> =
            all.iter().filter(|gateway| names.contains(&name(gateway))).filter_map(selector).collect();
        let meets = |theirs: &Map<String, Value>| ours.iter().any(|ours| agree(theirs, ours));
        let others = all.iter().filter(|gateway| selector(gateway).is_some_and(meets)).map(name);
        names.extend(others.collect::<Vec<_>>());
        Self(names)
    }

    /// What a VirtualService is bound to, as far as the release is too.
    pub(super) fn of(&self, virtual_service: &Object<'_>) -> Vec<String> {
        let bound = virtual_service.texts("gateways").unwrap_or_default();
        let bound = if bound.is_empty() { vec!["mesh"] } else { bound };
        let full = |gateway: &str| match gateway {
            "mesh" => "mesh".to_owned(),
            _ if gateway.contains('/') => gateway.to_owned(),
            _ => format!("{}/{gateway}", virtual_service.namespace()),
        };
        bound.into_iter().map(full).filter(|gateway| self.0.contains(gateway)).collect()
    }
}

fn name(gateway: &Object<'_>) -> String {
    format!("{}/{}", gateway.namespace(), gateway.name())
}

fn selector<'a>(gateway: &Object<'a>) -> Option<&'a Map<String, Value>> {
    gateway.spec().get("selector")?.as_object()
}

/// Whether a proxy can have the labels of both.
fn agree(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.iter().any(|(key, value)| other.get(key) == Some(value))
        && one.iter().all(|(key, value)| other.get(key).is_none_or(|others| others == value))
}
