//! DestinationRules for the same services. Istio looks in the proxy's namespace first, then in the service's. Of several rules
//! there, it uses the oldest one's traffic policy.

use serde_json::Value;

use super::NeighbourNotes;
use super::hosts;
use super::object::{Object, Objects};
use super::plan::{ReleasePlan, Service};

pub(super) fn examine(plan: &ReleasePlan, objects: &Objects, notes: &mut NeighbourNotes) {
    let all: Vec<Object<'_>> = objects.of("networking.istio.io", "DestinationRule").collect();
    for object in all.iter().filter(|object| !object.is_of(plan)) {
        let Some(host) = object.spec().get("host").and_then(Value::as_str) else {
            let namespaces = plan.services.iter().any(|service| service.namespace == object.namespace());
            if namespaces {
                notes.unknown(object, "its spec.host is not a name, so it was not compared", "correct it");
            }
            continue;
        };
        let host = hosts::full(host, object.namespace());
        for service in &plan.services {
            let ours = all.iter().find(|rule| {
                rule.is_of(plan) && rule.namespace() == service.namespace && rule.spec()["host"] == *service.host
            });
            compare(plan, object, &host, service, ours, notes);
        }
    }
}

fn compare(
    plan: &ReleasePlan,
    object: &Object<'_>,
    host: &str,
    service: &Service,
    ours: Option<&Object<'_>>,
    notes: &mut NeighbourNotes,
) {
    let exact = host.eq_ignore_ascii_case(&service.host);
    if !hosts::covers(host, &service.host) {
        return;
    }
    let Service { host, value, namespace } = service;
    let adopt = format!(
        "put its trafficPolicy and subsets into {value} and delete it, or give it a `workloadSelector`; or name it in \
         neighbours.accept"
    );
    let own = object.texts("exportTo").unwrap_or_default();
    // For proxies in Istio's namespace, only rules that are not exported come first.
    let comes_first = object.namespace() != plan.istio_namespace || own == ["."];
    let of_clients =
        comes_first && plan.client_namespaces().contains(&object.namespace()) && object.namespace() != namespace;
    // Istio does not merge rules with another `exportTo`: the last one takes precedence.
    let apart = !own.is_empty();
    let older = ours.is_none_or(|ours| object.age() < ours.age());
    let sees = |namespaces: &[&str]| namespaces.iter().any(|namespace| object.is_seen_from(namespace));
    if of_clients {
        notes.error(
            object,
            format!(
                "is for {host} in the namespace of the proxies, where Istio looks first: {value} would have neither its \
                 circuit breaker nor its ejection nor its retry budget"
            ),
            adopt,
        );
    } else if !exact || object.namespace() != namespace || !sees(&plan.client_namespaces()) {
        // A wildcard or another namespace's rule comes after the release's own.
    } else if object.spec().get("workloadSelector").is_some() {
        notes.ok(object, format!("is for {host} and some clients only, by its workloadSelector"));
    } else if apart && !older {
        notes.error(
            object,
            format!(
                "is newer, for {host}, and has an exportTo: Istio uses it instead of the rule of {value}, with its circuit \
                 breaker, ejection and retry budget"
            ),
            adopt,
        );
    } else if object.spec().get("trafficPolicy").is_none() {
        notes.ok(object, format!("adds subsets to {host}"));
    } else if apart && ours.is_some() {
        notes.warning(
            object,
            format!("is older and for {host}, and has an exportTo: Istio uses the rule of {value}"),
            adopt,
        );
    } else if older {
        notes.error(
            object,
            format!(
                "is older and for {host}: Istio uses its traffic policy and ignores the rule of {value}, with its circuit \
                 breaker, ejection and retry budget"
            ),
            adopt,
        );
    } else {
        notes.warning(
            object,
            format!("is newer than the rule of {value} for {host}, so Istio ignores its traffic policy"),
            adopt,
        );
    }
}
