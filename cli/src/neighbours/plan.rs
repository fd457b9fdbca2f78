//! The plan: what a release installs in the cluster. The chart writes it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The objects and settings of a release. The format is JSON; unknown fields are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleasePlan {
    /// The release's name: the label `app.kubernetes.io/instance` of its objects.
    pub(crate) release: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// The prefix of its objects' names.
    pub(crate) name: String,
    /// The header that its routes match on.
    pub(crate) routing_header: String,
    /// The hosts whose requests go to cells.
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    /// Istio Gateways as `namespace/name`, and `mesh` for sidecars.
    #[serde(default)]
    pub(crate) gateways: Vec<String>,
    /// Gateways of the Gateway API as `namespace/name`.
    #[serde(default)]
    pub(crate) parents: Vec<String>,
    /// The cells' services, and the ext-proc service.
    #[serde(default)]
    pub(crate) services: Vec<Service>,
    /// The proxies with the filter.
    #[serde(default)]
    pub(crate) proxies: Vec<Proxy>,
    /// `limits.inspect_bytes`.
    pub(crate) inspect_bytes: u64,
    /// Whether deferred bodies go to the service in the mode `FULL_DUPLEX_STREAMED`.
    #[serde(default)]
    pub(crate) streams: bool,
    /// The `priority` of the EnvoyFilter that puts the filter first.
    #[serde(default)]
    pub(crate) priority: i64,
    /// Istio's namespace.
    pub(crate) istio_namespace: String,
    /// Istio's version as `MAJOR.MINOR`, or empty if unknown.
    #[serde(default)]
    pub(crate) istio_version: String,
    /// The parts that the release's Telemetry resources set: `tracing`, `tracing.providers`,
    /// `tracing.randomSamplingPercentage` and `accessLogging`.
    #[serde(default)]
    pub(crate) telemetry: Vec<String>,
    /// Objects that the user accepts, as `KIND/NAMESPACE/NAME`.
    #[serde(default)]
    pub(crate) accepted: Vec<String>,
}

/// A service and the DestinationRule that the release has for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// The full host name.
    pub(crate) host: String,
    /// The namespace of its DestinationRule.
    pub(crate) namespace: String,
    /// The value of the chart that configures the traffic to it: `cells.cell-a`.
    pub(crate) value: String,
}

/// Proxies that get the filter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proxy {
    /// Their namespace.
    pub(crate) namespace: String,
    /// Their labels, if they are selected by labels.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// The names of Gateways or Services that select them otherwise.
    #[serde(default)]
    pub(crate) targets: Vec<String>,
    /// `GATEWAY`, `SIDECAR_INBOUND` or `SIDECAR_OUTBOUND`, as EnvoyFilters call it.
    pub(crate) context: String,
}

impl Proxy {
    /// Whether an object with these `targetRefs` and labels selects them; `None` if only the labels of their pods show it. An
    /// object without both selects all proxies of its namespace.
    pub(super) fn is_selected(&self, targets: &[Value], labels: Option<&Map<String, Value>>) -> Option<bool> {
        if !targets.is_empty() {
            let mut names = targets.iter().filter_map(|target| target.get("name")?.as_str());
            return Some(names.any(|name| self.targets.iter().any(|target| target == name)));
        }
        let Some(labels) = labels else { return Some(true) };
        // An unknown label of a proxy may have any value.
        let known = |(key, value): (&String, &Value)| self.labels.get(key).map(|label| *value == **label);
        if labels.iter().any(|label| known(label) == Some(false)) {
            Some(false)
        } else if labels.iter().all(|label| known(label) == Some(true)) {
            Some(true)
        } else {
            None
        }
    }
}

impl ReleasePlan {
    /// Parses a plan.
    ///
    /// # Errors
    /// The text is not JSON, or not a plan.
    pub(crate) fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The namespaces to read if the account may not read all.
    pub(super) fn namespaces(&self) -> Vec<&str> {
        let mut namespaces: Vec<&str> = vec![&self.namespace, &self.istio_namespace];
        namespaces.extend(self.services.iter().map(|service| &*service.namespace));
        namespaces.extend(self.proxies.iter().map(|proxy| &*proxy.namespace));
        namespaces.extend(self.gateway_namespaces());
        namespaces.sort_unstable();
        namespaces.dedup();
        namespaces.retain(|namespace| !namespace.is_empty());
        namespaces
    }

    /// The namespaces of the proxies that send requests to the cells.
    pub(super) fn client_namespaces(&self) -> Vec<&str> {
        let mut namespaces: Vec<&str> = self.proxies.iter().map(|proxy| &*proxy.namespace).collect();
        if namespaces.is_empty() {
            // The release does not install the filter: the proxies are most likely in the namespaces of the Gateways.
            namespaces.extend(self.gateway_namespaces());
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        namespaces
    }

    fn gateway_namespaces(&self) -> impl Iterator<Item = &str> {
        let gateways = self.gateways.iter().chain(&self.parents);
        gateways.filter_map(|gateway| Some(gateway.split_once('/')?.0))
    }

    /// Whether Istio's proxies are known to be Envoy 1.39 or later: Istio 1.31 brings it.
    pub(super) fn has_envoy_1_39(&self) -> Option<bool> {
        let (major, minor) = self.istio_version.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?) >= (1, 31))
    }
}
