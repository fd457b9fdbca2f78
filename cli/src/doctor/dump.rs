//! A configuration dump of Envoy's `/config_dump?include_eds` or istiod's `/debug/config_dump`: its listeners, routes, clusters,
//! endpoints and discovered extensions. Secrets are not read.

use std::collections::BTreeMap;

use serde_json::Value;

use super::message::{at, has, is_a, list, number, text};

/// The resources of a proxy, by name.
#[derive(Debug, Default)]
pub(crate) struct Dump {
    pub(super) listeners: Vec<Value>,
    pub(super) routes: BTreeMap<String, Value>,
    pub(super) clusters: BTreeMap<String, Value>,
    pub(super) endpoints: BTreeMap<String, Endpoints>,
    pub(super) extensions: BTreeMap<String, Extension>,
    /// Proxy-wasm filters whose name in the chain istiod's dump does not contain.
    pub(super) unnamed: Vec<Extension>,
    /// The resources that Envoy has refused: name and error.
    pub(super) refused: Vec<(String, String)>,
    /// The resources that Envoy is still waiting to use.
    pub(super) warming: Vec<String>,
    /// Envoy's version: major and minor.
    pub(super) version: Option<(u64, u64)>,
}

/// A cluster's endpoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Endpoints {
    pub(super) total: usize,
    pub(super) healthy: usize,
    /// The labels of each endpoint for the choice of a transport socket: in Istio, whether it has a sidecar.
    pub(super) labels: Vec<Value>,
}

/// A discovered extension's configuration.
#[derive(Debug)]
pub(super) struct Extension {
    pub(super) version: String,
    pub(super) config: Value,
}

/// One HTTP connection manager of a listener.
#[derive(Clone, Debug)]
pub(super) struct Chain<'a> {
    /// `LISTENER` or `LISTENER chain CHAIN`.
    pub(super) place: String,
    pub(super) listener: &'a Value,
    pub(super) manager: &'a Value,
}

/// An HTTP filter with its configuration, inline or discovered.
#[derive(Clone, Copy, Debug)]
pub(super) struct HttpFilter<'a> {
    pub(super) name: &'a str,
    /// The entry in the chain.
    pub(super) entry: &'a Value,
    /// The typed configuration; null if a discovered one is missing.
    pub(super) config: &'a Value,
    /// The version of a discovered configuration, if it has one.
    pub(super) version: Option<&'a str>,
}

/// The JSON is not a configuration dump.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a configuration dump: it has no `configs` with listeners and clusters")]
pub(crate) struct NoDump;

impl Dump {
    /// Parses a dump.
    ///
    /// # Errors
    /// The document is not a dump.
    pub(crate) fn read(document: &Value) -> Result<Self, NoDump> {
        let mut dump = Self::default();
        let mut known = false;
        for config in list(document, "configs") {
            known |= dump.take(config);
        }
        if known { Ok(dump) } else { Err(NoDump) }
    }

    fn take(&mut self, config: &Value) -> bool {
        if is_a(config, "ListenersConfigDump") {
            self.take_listeners(config);
        } else if is_a(config, "RoutesConfigDump") {
            for entry in entries(config, &["static_route_configs", "dynamic_route_configs"]) {
                let route = at(entry, "route_config");
                self.refuse("routes", text(route, "name"), entry);
                // Routes without a name are also inside their listener.
                if !text(route, "name").is_empty() {
                    self.routes.insert(text(route, "name").to_owned(), route.clone());
                }
            }
        } else if is_a(config, "ClustersConfigDump") {
            for entry in entries(config, &["static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters"]) {
                let cluster = at(entry, "cluster");
                self.refuse("cluster", text(cluster, "name"), entry);
                self.clusters.insert(text(cluster, "name").to_owned(), cluster.clone());
            }
            let warming = list(config, "dynamic_warming_clusters").iter();
            self.warming.extend(warming.map(|entry| format!("cluster {}", text(entry, "cluster.name"))));
        } else if is_a(config, "EndpointsConfigDump") {
            for entry in entries(config, &["static_endpoint_configs", "dynamic_endpoint_configs"]) {
                let assignment = at(entry, "endpoint_config");
                let count = count(assignment);
                self.endpoints.insert(text(assignment, "cluster_name").to_owned(), count);
            }
        } else if is_a(config, "EcdsConfigDump") {
            for entry in list(config, "ecds_filters") {
                let filter = at(entry, "ecds_filter");
                self.refuse("extension", text(filter, "name"), entry);
                let version = text(entry, "version_info").to_owned();
                if is_a(filter, "Wasm") {
                    self.unnamed.push(Extension { version, config: filter.clone() });
                } else {
                    let config = at(filter, "typed_config").clone();
                    self.extensions.insert(text(filter, "name").to_owned(), Extension { version, config });
                }
            }
        } else {
            if is_a(config, "BootstrapConfigDump") {
                let number = |part| number(config, &format!("bootstrap.node.user_agent_build_version.version.{part}"));
                self.version = number("major_number").zip(number("minor_number"));
            }
            return false;
        }
        true
    }

    fn take_listeners(&mut self, config: &Value) {
        for entry in list(config, "static_listeners") {
            self.listeners.push(at(entry, "listener").clone());
        }
        for entry in list(config, "dynamic_listeners") {
            let name = text(entry, "name");
            self.refuse("listener", name, entry);
            if has(entry, "active_state.listener") {
                self.listeners.push(at(entry, "active_state.listener").clone());
            } else if has(entry, "warming_state.listener") {
                self.listeners.push(at(entry, "warming_state.listener").clone());
                self.warming.push(format!("listener {name}"));
            }
        }
    }

    fn refuse(&mut self, kind: &str, name: &str, entry: &Value) {
        let details = text(entry, "error_state.details");
        if !details.is_empty() {
            self.refused.push((format!("{kind} {name}"), details.to_owned()));
        }
    }

    /// Every HTTP connection manager.
    pub(super) fn chains(&self) -> Vec<Chain<'_>> {
        self.listeners.iter().flat_map(chains).collect()
    }

    /// The HTTP filters of a chain, with discovered configurations filled in.
    pub(super) fn http_filters<'a>(&'a self, manager: &'a Value) -> Vec<HttpFilter<'a>> {
        list(manager, "http_filters")
            .iter()
            .map(|entry| {
                let name = text(entry, "name");
                let discovered = has(entry, "config_discovery").then(|| self.extensions.get(name)).flatten();
                match discovered {
                    Some(extension) => {
                        HttpFilter { name, entry, config: &extension.config, version: extension.version() }
                    }
                    None => HttpFilter { name, entry, config: at(entry, "typed_config"), version: None },
                }
            })
            .collect()
    }

    /// A chain's routes, inline or discovered. `None` if they have not arrived.
    pub(super) fn routes_of<'a>(&'a self, manager: &'a Value) -> Option<&'a Value> {
        if has(manager, "route_config") {
            return Some(at(manager, "route_config"));
        }
        self.routes.get(text(manager, "rds.route_config_name"))
    }

    /// A cluster's endpoints, if the dump has them.
    pub(super) fn endpoints_of(&self, cluster: &Value) -> Option<Endpoints> {
        let named = |path: &str| Some(text(cluster, path)).filter(|name| !name.is_empty());
        let known = [named("eds_cluster_config.service_name"), named("name")];
        known
            .into_iter()
            .flatten()
            .find_map(|name| self.endpoints.get(name).cloned())
            .or_else(|| has(cluster, "load_assignment").then(|| count(at(cluster, "load_assignment"))))
    }
}

impl Extension {
    /// The version. Files and Envoy's own dump do not always have one.
    pub(super) fn version(&self) -> Option<&str> {
        Some(&*self.version).filter(|version| !version.is_empty())
    }
}

fn entries<'a>(config: &'a Value, lists: &[&str]) -> Vec<&'a Value> {
    lists.iter().flat_map(|name| list(config, name)).collect()
}

fn chains(listener: &Value) -> Vec<Chain<'_>> {
    let name = match text(listener, "name") {
        "" => format!("port {}", number(listener, "address.socket_address.port_value").unwrap_or_default()),
        name => name.to_owned(),
    };
    let default = Some(at(listener, "default_filter_chain")).filter(|chain| !chain.is_null());
    let all: Vec<&Value> = list(listener, "filter_chains").iter().chain(default).collect();
    let mut chains = Vec::new();
    for (index, chain) in all.iter().enumerate() {
        let label = match (text(chain, "name"), list(chain, "filter_chain_match.server_names").first()) {
            ("", Some(server)) => server.as_str().unwrap_or_default().to_owned(),
            ("", None) => (index + 1).to_string(),
            (own, _) => own.to_owned(),
        };
        let place = if all.len() == 1 { name.clone() } else { format!("{name} chain {label}") };
        let managers = list(chain, "filters").iter().map(|filter| at(filter, "typed_config"));
        let managers = managers.filter(|config| is_a(config, "HttpConnectionManager"));
        chains.extend(managers.map(|manager| Chain { place: place.clone(), listener, manager }));
    }
    chains
}

/// Counts endpoints. As in Envoy, endpoints without a health check and degraded ones are healthy.
fn count(assignment: &Value) -> Endpoints {
    let mut endpoints = Endpoints::default();
    for endpoint in list(assignment, "endpoints").iter().flat_map(|locality| list(locality, "lb_endpoints")) {
        endpoints.total += 1;
        let metadata = at(endpoint, "metadata.filter_metadata");
        endpoints.labels.push(metadata.get("envoy.transport_socket_match").cloned().unwrap_or_default());
        endpoints.healthy +=
            usize::from(matches!(text(endpoint, "health_status"), "" | "UNKNOWN" | "HEALTHY" | "DEGRADED"));
    }
    endpoints
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_dump_is_refused() {
        for document in [json!({}), json!([]), json!({"configs": []}), json!({"configs": [{"@type": "x/other"}]})] {
            assert_eq!(Dump::read(&document).unwrap_err(), NoDump);
        }
    }

    #[test]
    fn the_spelling_of_istiod_is_read() {
        let dump = json!({"configs": [
            {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "dynamicListeners": [
                {"name": "a", "activeState": {"listener": {"name": "a", "filterChains": [{"filters": [
                    {"typedConfig": {"@type": "x.HttpConnectionManager", "rds": {"routeConfigName": "http.80"}}},
                ]}]}}},
                {"name": "b", "warmingState": {"listener": {"name": "b"}}, "errorState": {"details": "no such filter"}},
            ]},
            {"@type": "x.RoutesConfigDump", "dynamicRouteConfigs": [{"routeConfig": {"name": "http.80"}}]},
            {"@type": "x.ClustersConfigDump", "dynamicActiveClusters": [
                {"cluster": {"name": "c", "edsClusterConfig": {"serviceName": "other"}}},
            ]},
            {"@type": "x.EndpointsConfigDump", "dynamicEndpointConfigs": [{"endpointConfig": {
                "clusterName": "other",
                "endpoints": [{"lbEndpoints": [{}, {"healthStatus": "UNHEALTHY"}, {"healthStatus": "HEALTHY"}]}],
            }}]},
        ]});
        let dump = Dump::read(&dump).unwrap();
        let chains = dump.chains();
        assert_eq!(chains.len(), 1);
        assert_eq!(chains[0].place, "a");
        assert!(dump.routes_of(chains[0].manager).is_some());
        assert_eq!(
            dump.endpoints_of(&dump.clusters["c"]),
            Some(Endpoints { total: 3, healthy: 2, labels: vec![Value::Null; 3] })
        );
        assert_eq!(dump.refused, [("listener b".to_owned(), "no such filter".to_owned())]);
        assert_eq!(dump.warming, ["listener b"]);
    }
}
