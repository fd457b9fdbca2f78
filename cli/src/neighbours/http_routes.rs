//! HTTPRoutes for the same host on the same Gateways of the Gateway API. The longest path takes precedence, whatever the age.

use serde_json::Value;

use super::hosts::{self, Relation};
use super::object::{Object, Objects, list};
use super::plan::ReleasePlan;
use super::{NeighbourNotes, envoy_filters};
use crate::doctor::enumerate;

const GROUP: &str = "gateway.networking.k8s.io";
const CHALLENGE: &str = "/.well-known/acme-challenge/";

/// Whether a path is that of an HTTP challenge of ACME (RFC 8555, 8.3), which belongs to no tenant.
pub(super) fn is_challenge(path: &str) -> bool {
    // A method may precede the path. A regular expression may match more than its beginning.
    let path = path.rsplit(' ').next().unwrap_or(path);
    path.strip_prefix(CHALLENGE).is_some_and(|rest| {
        rest.trim_end_matches('*')
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    })
}

pub(super) fn examine(plan: &ReleasePlan, objects: &Objects, notes: &mut NeighbourNotes) {
    let ours = objects.of(GROUP, "HTTPRoute").find(|object| object.is_of(plan) && object.name() == plan.name);
    let all = ["HTTPRoute", "GRPCRoute"].into_iter().flat_map(|kind| objects.of(GROUP, kind));
    for object in all.filter(|object| !object.is_of(plan)) {
        let parents = parents(&object);
        let shared = parents.iter().any(|parent| plan.parents.contains(parent));
        if shared && plan.streams && leads_to_pool(&object) {
            // Istio runs an ext_proc filter of its own for an InferencePool.
            let what =
                "leads to an InferencePool, for which Istio adds another processor in the mode FULL_DUPLEX_STREAMED";
            envoy_filters::second_processor(plan, &object, what, notes);
        }
        let Some(theirs) = object.texts("hostnames") else {
            notes.unknown(&object, "its spec.hostnames is not a list of names, so it was not compared", "correct it");
            continue;
        };
        // A route without hostnames is for all hosts of its Gateways.
        let same = |ours: &String| {
            theirs.is_empty() || theirs.iter().any(|theirs| hosts::relation(theirs, ours) == Relation::Same)
        };
        let inside = |theirs: &&&str| plan.hosts.iter().any(|ours| hosts::relation(theirs, ours) == Relation::Inside);
        let inside: Vec<&str> = theirs.iter().filter(inside).copied().collect();
        if shared && !inside.is_empty() {
            notes.more_specific(&object, &inside);
        }
        let same: Vec<&str> = plan.hosts.iter().filter(|ours| same(ours)).map(String::as_str).collect();
        if same.is_empty() {
            continue;
        }
        if shared {
            let older = ours.is_none_or(|ours| object.age() < ours.age());
            compare(&object, &enumerate(&same), older, notes);
        } else if !theirs.is_empty() && !plan.gateways.is_empty() {
            notes.warning(
                &object,
                format!("serves {} by the Gateway {}", enumerate(&same), enumerate(&parents)),
                "if that Gateway uses the same proxies as routes.gateways, its routes and the cells' are in one list; \
                 give it another host",
            );
        }
    }
}

fn compare(object: &Object<'_>, same: &str, older: bool, notes: &mut NeighbourNotes) {
    let mut taken = Vec::new();
    let mut rest = false;
    for rule in list(object.spec(), "rules") {
        let matches = list(rule, "matches");
        rest |= matches.is_empty();
        for condition in matches {
            match requests_of(condition, object.kind() == "GRPCRoute") {
                Some(requests) => taken.push(requests),
                None => rest = true,
            }
        }
    }
    if !taken.is_empty() && taken.iter().all(|path| is_challenge(path)) && !rest {
        notes.ok(object, format!("answers certificate challenges for {same}"));
    } else if !taken.is_empty() {
        notes.error(
            object,
            format!(
                "takes {} of {same} from the cells: in the Gateway API the longer path takes precedence, whatever the \
                 routing header",
                enumerate(&taken)
            ),
            "remove these rules, or give them a host of their own; or name it in neighbours.accept",
        );
    } else if rest && older {
        notes.error(
            object,
            format!("serves {same} today: once the cells have routes there, it only gets requests without a decision"),
            "delete it, or give it a host of its own; or name it in neighbours.accept",
        );
    } else if rest {
        notes.warning(object, format!("has rules for {same} that are not reached"), "delete it");
    }
}

fn leads_to_pool(object: &Object<'_>) -> bool {
    let backends = list(object.spec(), "rules").iter().flat_map(|rule| list(rule, "backendRefs"));
    backends.into_iter().any(|backend| backend.get("kind").and_then(Value::as_str) == Some("InferencePool"))
}

/// The Gateways of a route, as `namespace/name`.
fn parents(object: &Object<'_>) -> Vec<String> {
    let text = |parent: &Value, field: &str| parent.get(field).and_then(Value::as_str).map(str::to_owned);
    let gateways = list(object.spec(), "parentRefs")
        .iter()
        .filter(|parent| text(parent, "kind").is_none_or(|kind| kind == "Gateway"));
    gateways
        .filter_map(|parent| {
            let namespace = text(parent, "namespace").unwrap_or_else(|| object.namespace().to_owned());
            Some(format!("{namespace}/{}", text(parent, "name")?))
        })
        .collect()
}

/// The requests of a match that takes precedence over the cells' rules, which have the path `/` and one header; `None` for
/// other matches.
fn requests_of(condition: &Value, is_grpc: bool) -> Option<String> {
    if let (true, Some(method)) = (is_grpc, condition.get("method")) {
        let part = |field| method.get(field).and_then(Value::as_str).unwrap_or("*");
        return Some(format!("/{}/{}", part("service"), part("method")));
    }
    let path = condition.get("path").and_then(|path| path.get("value")?.as_str()).unwrap_or("/");
    let kind = condition.get("path").and_then(|path| path.get("type")?.as_str()).unwrap_or("PathPrefix");
    let method = condition.get("method").and_then(Value::as_str);
    // More headers, or as many headers and a query parameter, take precedence.
    let headers = list(condition, "headers").len() + list(condition, "queryParams").len().min(1);
    let path = match (kind, path) {
        ("PathPrefix", "/") if method.is_none() && headers < 2 => return None,
        ("PathPrefix", path) => format!("{path}*"),
        (_, path) => path.to_owned(),
    };
    Some(match method {
        Some(method) => format!("{method} {path}"),
        None => path,
    })
}
