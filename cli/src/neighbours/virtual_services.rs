//! VirtualServices for the same host on the same gateways. Istio merges their routes into one list: the routes of the oldest
//! object first, and routes for all requests last.

use serde_json::Value;

use super::gateways::{Shared, full};
use super::hosts::{self, Relation};
use super::object::{Object, Objects, list, texts};
use super::plan::ReleasePlan;
use super::{NeighbourNotes, http_routes};
use crate::doctor::enumerate;

/// The requests that the routes of a VirtualService match.
#[derive(Default)]
struct MatchedRequests {
    /// Requests by path, whatever their routing header is.
    some: Vec<String>,
    /// All requests that match no other route.
    rest: bool,
}

pub(super) fn examine(plan: &ReleasePlan, objects: &Objects, notes: &mut NeighbourNotes) {
    if plan.hosts.is_empty() || plan.gateways.is_empty() {
        return;
    }
    let shared = Shared::find(plan, objects);
    let plan = &ReleasePlan { hosts: hosts::served(&plan.hosts, shared.servers()), ..plan.clone() };
    let all: Vec<Object<'_>> = objects.of("networking.istio.io", "VirtualService").collect();
    let ours = all
        .iter()
        .find(|object| object.is_of(plan) && (object.namespace(), object.name()) == (&*plan.namespace, &*plan.name));
    for object in all.iter().filter(|object| !object.is_of(plan)) {
        let gateways = shared.of(object);
        let possible = shared.possibly_of(object);
        if (gateways.is_empty() && possible.is_empty())
            || !plan.client_namespaces().iter().any(|namespace| object.is_seen_from(namespace))
        {
            continue;
        }
        let Some(theirs) = object.texts("hosts") else {
            notes.unknown(object, "its spec.hosts is not a list of names, so it was not compared", "correct it");
            continue;
        };
        let theirs: Vec<String> = theirs.into_iter().map(|host| hosts::full(host, object.namespace())).collect();
        let theirs = hosts::served(&theirs, shared.servers());
        if gateways.is_empty() {
            possibly_shared(plan, object, &theirs, &possible, notes);
        } else {
            compare(plan, object, &theirs, ours, &gateways, notes);
        }
    }
}

/// Reports a VirtualService that may be in the same proxies. Only the labels of their pods show whether it is.
fn possibly_shared(
    plan: &ReleasePlan,
    object: &Object<'_>,
    theirs: &[String],
    gateways: &[String],
    notes: &mut NeighbourNotes,
) {
    let same = |host: &&String| plan.hosts.iter().any(|ours| hosts::relation(host, ours) == Relation::Same);
    let same: Vec<&str> = theirs.iter().filter(same).map(String::as_str).collect();
    if !same.is_empty() {
        notes.unknown(
            object,
            format!("serves {} by the Gateway {}, which selects its proxies by other labels", enumerate(&same), enumerate(gateways)),
            "compare the labels of the proxies' pods: if they are the same proxies, take the host over (docs/operate.md)",
        );
    }
}

fn compare(
    plan: &ReleasePlan,
    object: &Object<'_>,
    theirs: &[String],
    ours: Option<&Object<'_>>,
    gateways: &[String],
    notes: &mut NeighbourNotes,
) {
    let with = |wanted: Relation| -> Vec<&str> {
        let stands = |host: &&String| plan.hosts.iter().any(|ours| hosts::relation(host, ours) == wanted);
        theirs.iter().filter(stands).map(String::as_str).collect()
    };
    let inside = with(Relation::Inside);
    if !inside.is_empty() {
        notes.more_specific(object, &inside);
    }
    let same = with(Relation::Same);
    if same.is_empty() {
        return;
    }
    if object.spec().get("http").is_some_and(|http| !http.is_array()) {
        notes.unknown(object, "its spec.http is not a list of routes, so it was not compared", "correct it");
        return;
    }
    let takes = takes(object, &plan.routing_header, gateways);
    if takes.some.is_empty() && !takes.rest {
        // It has TCP or TLS routes only, or routes for other gateways.
        return;
    }
    let same = enumerate(&same);
    if gateways.iter().any(|gateway| gateway == "mesh") {
        notes.error(
            object,
            format!(
                "is for {same} in sidecars too, where Istio uses one VirtualService for a host and ignores the other"
            ),
            "move its routes into routes.extra and delete it, or remove mesh from one of the two",
        );
    } else if ours.is_none_or(|ours| object.age() < ours.age()) {
        older(object, &takes, &same, notes);
    } else {
        newer(object, &takes, &same, notes);
    }
}

/// Reports an older VirtualService: its routes are before the cells'.
fn older(object: &Object<'_>, takes: &MatchedRequests, same: &str, notes: &mut NeighbourNotes) {
    const TAKE_OVER: &str = "move its routes into routes.extra if they are to stay before the cells, and delete it \
                             (docs/operate.md, \"Take over a host\"); or name it in neighbours.accept";
    let challenges = !takes.some.is_empty() && takes.some.iter().all(|path| http_routes::is_challenge(path));
    if challenges && !takes.rest {
        notes.ok(object, format!("answers certificate challenges for {same}"));
    } else if takes.some.is_empty() {
        notes.error(
            object,
            format!(
                "serves {same} today: once the cells have routes there, it only gets requests without a decision, \
                 instead of routes.undecided"
            ),
            TAKE_OVER,
        );
    } else {
        let rest = if takes.rest { ", and requests without a decision" } else { "" };
        notes.error(
            object,
            format!(
                "is older, so its routes for {same} stand before the cells': it takes {}{rest}, whatever tenant the \
                 request names",
                enumerate(&takes.some)
            ),
            TAKE_OVER,
        );
    }
}

/// Reports a newer VirtualService: its routes are behind the cells'.
fn newer(object: &Object<'_>, takes: &MatchedRequests, same: &str, notes: &mut NeighbourNotes) {
    if !takes.some.is_empty() {
        notes.warning(
            object,
            format!("takes requests for {same} without a decision, on {}", enumerate(&takes.some)),
            "move its routes into routes.extra, and delete it",
        );
    }
    if takes.rest {
        notes.warning(
            object,
            format!(
                "has a route for every other request of {same} that is never reached: routes.undecided is before it"
            ),
            "delete the route, or set routes.undecided to the intended cell",
        );
    }
}

/// The requests that the routes match. A route on the routing header matches requests that the filter has decided.
fn takes(object: &Object<'_>, routing_header: &str, gateways: &[String]) -> MatchedRequests {
    let mut takes = MatchedRequests::default();
    for route in list(object.spec(), "http") {
        let matches = list(route, "match");
        if matches.is_empty() {
            takes.rest = true;
        }
        // A match may be for some of the object's gateways only.
        let is_here = |condition: &&Value| {
            let named = texts(condition, "gateways").unwrap_or_default();
            named.is_empty() || named.iter().any(|named| gateways.contains(&full(named, object.namespace())))
        };
        for condition in matches.iter().filter(is_here) {
            match requests_of(condition, routing_header) {
                Some(requests) if !takes.some.contains(&requests) => takes.some.push(requests),
                Some(_) => {}
                None => takes.rest = true,
            }
        }
    }
    takes
}

fn wants_header(condition: &Value, header: &str) -> bool {
    condition
        .get("headers")
        .and_then(Value::as_object)
        .is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case(header)))
}

/// The requests of a match; `None` for all requests.
fn requests_of(condition: &Value, routing_header: &str) -> Option<String> {
    let path = ["prefix", "exact", "regex"].into_iter().find_map(|form| {
        let text = condition.get("uri")?.get(form)?.as_str()?;
        Some(if form == "prefix" { format!("{text}*") } else { text.to_owned() })
    });
    let path = path.filter(|path| path != "/*");
    let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty) || value.is_null();
    let others: Vec<&str> = condition
        .as_object()?
        .iter()
        .filter(|(field, value)| {
            !matches!(field.as_str(), "uri" | "name" | "ignoreUriCase" | "gateways") && !empty(value)
        })
        .map(|(field, _)| field.as_str())
        .collect();
    if wants_header(condition, routing_header) {
        return Some(format!("requests with {routing_header} on {}", path.as_deref().unwrap_or("/*")));
    }
    match (path, others.is_empty()) {
        (None, true) => None,
        (path, true) => path,
        (path, false) => Some(format!("{} with conditions on {}", path.as_deref().unwrap_or("/*"), others.join(", "))),
    }
}
