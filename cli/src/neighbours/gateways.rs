//! Istio's Gateways: which of them are in the same proxies as the release's. Istio merges what they serve on one port, so a
//! route bound to any of them meets the release's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::object::{Object, Objects, list, texts};
use super::plan::Plan;

/// Names as `namespace/name`, with `mesh` for sidecars.
pub(super) struct Shared {
    /// The release's own, and those that choose the same proxies.
    certain: BTreeSet<String>,
    /// Those that choose by other labels, which the same proxies may have or not.
    possible: BTreeSet<String>,
    /// The hosts that their servers name.
    servers: Vec<String>,
}

/// How another Gateway's selector stands to what is known of the release's proxies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meeting {
    Apart,
    Possible,
    Certain,
}

impl Shared {
    /// Compares all Gateways with the release's, and with the labels of its proxies.
    pub(super) fn find(plan: &Plan, objects: &Objects) -> Self {
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
            match known.iter().map(|labels| meeting(&theirs, labels)).max() {
                Some(Meeting::Certain) => drop(shared.certain.insert(name(gateway))),
                Some(Meeting::Possible) => drop(shared.possible.insert(name(gateway))),
                Some(Meeting::Apart) | None => {}
            }
        }
        let is_met =
            |gateway: &&Object<'_>| shared.certain.contains(&name(gateway)) || shared.possible.contains(&name(gateway));
        let servers = all.iter().filter(is_met).flat_map(|gateway| list(gateway.spec(), "servers"));
        let hosts = servers.flat_map(|server| texts(server, "hosts").unwrap_or_default());
        // `NAMESPACE/HOST` says whose routes a server takes, too.
        shared.servers = hosts.map(|host| host.rsplit('/').next().unwrap_or(host).to_owned()).collect();
        shared
    }

    /// The hosts that the servers name, as far as the Gateways could be read.
    pub(super) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// What a VirtualService is bound to, as far as the release is too.
    pub(super) fn of(&self, virtual_service: &Object<'_>) -> Vec<String> {
        bound(virtual_service).into_iter().filter(|gateway| self.certain.contains(gateway)).collect()
    }

    /// What it is bound to, as far as that may be in the same proxies.
    pub(super) fn possibly_of(&self, virtual_service: &Object<'_>) -> Vec<String> {
        bound(virtual_service).into_iter().filter(|gateway| self.possible.contains(gateway)).collect()
    }
}

/// The Gateways that a VirtualService names, in full.
fn bound(virtual_service: &Object<'_>) -> Vec<String> {
    let named = virtual_service.texts("gateways").unwrap_or_default();
    let named = if named.is_empty() { vec!["mesh"] } else { named };
    named.into_iter().map(|gateway| full(gateway, virtual_service.namespace())).collect()
}

/// A Gateway's name as a VirtualService of a namespace says it.
pub(super) fn full(gateway: &str, namespace: &str) -> String {
    let gateway = gateway.strip_prefix("./").unwrap_or(gateway);
    if gateway == "mesh" || gateway.contains('/') {
        return gateway.to_owned();
    }
    // `NAME.NAMESPACE.svc.cluster.local` is Istio's older way to say it.
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

/// Whether a proxy of the release can have the labels of both. A Gateway without a selector is for all proxies.
fn meeting(theirs: &BTreeMap<&str, &str>, ours: &BTreeMap<&str, &str>) -> Meeting {
    let mut common = theirs.iter().filter_map(|(key, value)| Some((*value, *ours.get(key)?))).peekable();
    if theirs.is_empty() {
        Meeting::Certain
    } else if common.peek().is_none() {
        Meeting::Possible
    } else if common.all(|(one, other)| one == other) {
        Meeting::Certain
    } else {
        Meeting::Apart
    }
}
