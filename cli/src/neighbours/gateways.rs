//! Istio's Gateways that use the same proxies as the release's. Istio merges their servers on one port, so routes of any of them
//! are in one list with the release's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::object::{Object, Objects, list, texts};
use super::plan::ReleasePlan;

/// The Gateways with the same proxies as the release, as `namespace/name`, and `mesh` for sidecars.
pub(super) struct Shared {
    /// The release's own Gateways, and others that select the same proxies.
    certain: BTreeSet<String>,
    /// Gateways that select by other labels, which the same proxies may have.
    possible: BTreeSet<String>,
    /// The hosts of their servers.
    servers: Vec<String>,
}

/// Whether another Gateway's selector selects the release's proxies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Overlap {
    None,
    Possible,
    Certain,
}

impl Shared {
    /// Compares all Gateways with the release's, and with the labels of its proxies.
    pub(super) fn find(plan: &ReleasePlan, objects: &Objects) -> Self {
        let all: Vec<Object<'_>> = objects.of("networking.istio.io", "Gateway").collect();
        let certain = plan.gateways.iter().map(|gateway| full(gateway, &plan.namespace)).collect();
        let mut shared = Self { certain, possible: BTreeSet::new(), servers: Vec::new() };
        let mut known: Vec<BTreeMap<&str, &str>> =
            all.iter().filter(|gateway| shared.certain.contains(&name(gateway))).map(selector).collect();
        let gateways = plan.proxies.iter().filter(|proxy| proxy.context == "GATEWAY");
        known.extend(gateways.map(|proxy| proxy.labels.iter().map(|(key, value)| (&**key, &**value)).collect()));
        known.retain(|labels| !labels.is_empty());
        for gateway in &all {
            let theirs = selector(gateway);
            match known.iter().map(|labels| overlap(&theirs, labels)).max() {
                Some(Overlap::Certain) => drop(shared.certain.insert(name(gateway))),
                Some(Overlap::Possible) => drop(shared.possible.insert(name(gateway))),
                Some(Overlap::None) | None => {}
            }
        }
        let is_met =
            |gateway: &&Object<'_>| shared.certain.contains(&name(gateway)) || shared.possible.contains(&name(gateway));
        let servers = all.iter().filter(is_met).flat_map(|gateway| list(gateway.spec(), "servers"));
        let hosts = servers.flat_map(|server| texts(server, "hosts").unwrap_or_default());
        // `NAMESPACE/HOST` also names the namespace whose routes the server accepts.
        shared.servers = hosts.map(|host| host.rsplit('/').next().unwrap_or(host).to_owned()).collect();
        shared
    }

    /// The hosts of the servers of all Gateways that could be read.
    pub(super) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// The Gateways of a VirtualService that the release also uses.
    pub(super) fn of(&self, virtual_service: &Object<'_>) -> Vec<String> {
        bound(virtual_service).into_iter().filter(|gateway| self.certain.contains(gateway)).collect()
    }

    /// The Gateways of a VirtualService that may use the same proxies.
    pub(super) fn possibly_of(&self, virtual_service: &Object<'_>) -> Vec<String> {
        bound(virtual_service).into_iter().filter(|gateway| self.possible.contains(gateway)).collect()
    }
}

/// The full names of the Gateways of a VirtualService.
fn bound(virtual_service: &Object<'_>) -> Vec<String> {
    let named = virtual_service.texts("gateways").unwrap_or_default();
    let named = if named.is_empty() { vec!["mesh"] } else { named };
    named.into_iter().map(|gateway| full(gateway, virtual_service.namespace())).collect()
}

/// The full name of a Gateway that a VirtualService of a namespace names.
pub(super) fn full(gateway: &str, namespace: &str) -> String {
    let gateway = gateway.strip_prefix("./").unwrap_or(gateway);
    if gateway == "mesh" || gateway.contains('/') {
        return gateway.to_owned();
    }
    // Istio's older syntax: `NAME.NAMESPACE.svc.cluster.local`.
    match gateway.split_once('.') {
        Some((name, rest)) => format!("{}/{name}", rest.split('.').next().unwrap_or_default()),
        None => format!("{namespace}/{gateway}"),
    }
}

fn name(gateway: &Object<'_>) -> String {
    format!("{}/{}", gateway.namespace(), gateway.name())
}

fn selector<'a>(gateway: &Object<'a>) -> BTreeMap<&'a str, &'a str> {
    let labels = gateway.spec().get("selector").and_then(Value::as_object);
    labels.into_iter().flatten().filter_map(|(key, value)| Some((&**key, value.as_str()?))).collect()
}

/// Whether a proxy of the release can have the labels of both. A Gateway without a selector selects all proxies.
fn overlap(theirs: &BTreeMap<&str, &str>, ours: &BTreeMap<&str, &str>) -> Overlap {
    let mut common = theirs.iter().filter_map(|(key, value)| Some((*value, *ours.get(key)?))).peekable();
    if theirs.is_empty() {
        Overlap::Certain
    } else if common.peek().is_none() {
        Overlap::Possible
    } else if common.all(|(one, other)| one == other) {
        Overlap::Certain
    } else {
        Overlap::None
    }
}
