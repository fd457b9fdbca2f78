//! A release of the chart for one test, with namespaces, cells, a gateway, and a node for its pods.

mod cells;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::Mesh;
use super::gateway::Gateway;
use super::helm::Helm;
use super::node::Node;
use super::proxy::{Proxy, Role};
use super::workload::Reach;
use crate::cell::Cell;
use crate::client::{Request, Response};
pub use cells::{Endpoint, MeshCell};
pub use values::merge;

/// The name of the gateway and of its service account.
pub const GATEWAY: &str = "gateway";

/// The settings of a release. Its names are known before it is installed.
#[derive(Clone, Debug)]
pub struct Setup {
    mesh: Arc<Mesh>,
    name: String,
    directory: PathBuf,
    cells: Vec<String>,
    endpoints: BTreeMap<String, Vec<Endpoint>>,
    values: Value,
    options: Vec<String>,
}

impl Setup {
    /// Three cells behind one gateway, both tiers, no mTLS.
    ///
    /// # Panics
    /// When the disk is full.
    #[must_use]
    pub fn new(mesh: &Arc<Mesh>) -> Self {
        let (name, directory) = mesh.place().unwrap_or_else(|error| panic!("{error:#}"));
        let cells: Vec<String> = ["cell-a", "cell-b", "cell-c"].map(str::to_owned).into();
        let mut setup = Self {
            mesh: Arc::clone(mesh),
            name,
            directory,
            cells,
            endpoints: BTreeMap::new(),
            values: Value::Null,
            options: Vec::new(),
        };
        setup.values = values::sample(&setup);
        setup
    }

    /// Merges values into those set so far: objects are merged, `null` removes, anything else replaces.
    #[must_use]
    pub fn with(mut self, values: Value) -> Self {
        merge(&mut self.values, values);
        self
    }

    /// Sets the endpoints of a cell. The default is one endpoint with the cell's name.
    #[must_use]
    pub fn endpoints(mut self, cell: &str, endpoints: impl Into<Vec<Endpoint>>) -> Self {
        self.endpoints.insert(cell.to_owned(), endpoints.into());
        self
    }

    /// Additional options for `helm install`, such as `--wait`.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options = options.iter().map(ToString::to_string).collect();
        self
    }

    /// The name of the release and of its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The gateway's namespace.
    #[must_use]
    pub fn gateway_namespace(&self) -> String {
        format!("{}-ingress", self.name)
    }

    /// A cell's namespace.
    #[must_use]
    pub fn cell_namespace(&self, cell: &str) -> String {
        format!("{}-{cell}", self.name)
    }

    /// The current values.
    #[must_use]
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// Creates the namespaces and the cells, installs the chart, starts the gateway, and waits until requests are
    /// routed.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn install(self) -> Result<Release> {
        let release = self.prepare().await?;
        release.install().await?;
        Ok(release)
    }

    /// Does everything of [`Setup::install`] except for installing the chart.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn prepare(self) -> Result<Release> {
        let mesh = &self.mesh;
        let gateway_namespace = self.gateway_namespace();
        mesh.create_namespace(&self.name).await?;
        mesh.create_namespace(&gateway_namespace).await?;
        let is_traced = self.values["istio"]["telemetry"]["tracing"]["enabled"] == true;
        let reach = if is_traced { Reach::Collector } else { Reach::Nothing };
        let sidecars = (self.values["mtls"]["enabled"] == true).then_some(reach);
        let mut cells = Vec::new();
        for name in &self.cells {
            let namespace = self.cell_namespace(name);
            cells::create_service(mesh, &namespace).await?;
            let alone = [Endpoint::new(name, json!({}))];
            for endpoint in self.endpoints.get(name).map_or(&alone[..], Vec::as_slice) {
                cells.push(MeshCell::start(mesh, endpoint, &namespace, sidecars, &self.directory).await?);
            }
        }
        let node = Node::start(mesh, &self.name, sidecars, self.directory.join("node"));
        let gateway = Gateway::start(mesh, &gateway_namespace, GATEWAY, &self.directory).await?;
        let mut values = self.values;
        let url = json!({"test": {"url": format!("http://{}", gateway.address())}});
        if values["test"]["url"].is_null() {
            merge(&mut values, url);
        }
        let helm = Helm::new(mesh.kube(), &self.directory, &self.name, &self.name)?;
        Ok(Release {
            gateway,
            node,
            cells,
            helm,
            values,
            options: self.options,
            name: self.name,
            gateway_namespace,
            directory: self.directory,
            mesh: self.mesh,
        })
    }
}

/// An installed release. Dropping it stops its processes; its istiod configuration is deleted soon after.
#[derive(Debug)]
pub struct Release {
    // Dropped in this order: the gateway first, so that it does not report errors when the others stop.
    gateway: Gateway,
    node: Node,
    cells: Vec<MeshCell>,
    helm: Helm,
    values: Value,
    options: Vec<String>,
    name: String,
    gateway_namespace: String,
    directory: PathBuf,
    mesh: Arc<Mesh>,
}

impl Release {
    /// Runs `helm install` and waits until requests are routed.
    ///
    /// # Errors
    /// When helm fails, or the release does not start.
    pub async fn install(&self) -> Result<()> {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        self.helm.install(&self.values, &options).await?;
        self.settled().await
    }

    /// Runs `helm upgrade` with values merged into the current ones, and waits until they are in force.
    ///
    /// # Errors
    /// When helm fails, or the release does not start.
    pub async fn upgrade(&mut self, values: Value) -> Result<()> {
        merge(&mut self.values, values);
        self.helm.upgrade(&self.values, &[]).await?;
        self.settled().await
    }

    /// `helm test`.
    ///
    /// # Errors
    /// When it fails. The message has the output of its pods.
    pub async fn test(&self) -> Result<()> {
        let Err(failure) = self.helm.test(&["--timeout=120s"]).await else { return Ok(()) };
        let pods = self.mesh.kube().list(&format!("/api/v1/namespaces/{}/pods", self.name)).await?;
        let printed: Vec<&str> = pods.iter().filter_map(|pod| pod["status"]["message"].as_str()).collect();
        Err(failure.context(printed.join("\n")))
    }

    /// Waits until the release's objects are in force: the Deployment is rolled out, the gateway and the cells'
    /// sidecars have the filters of their EnvoyFilters, and the gateway has the routes of the VirtualService.
    ///
    /// # Errors
    /// On a timeout.
    pub async fn settled(&self) -> Result<()> {
        self.node.settled().await?;
        for proxy in self.proxies() {
            for (name, configuration) in self.filters_of(proxy).await? {
                proxy.has_filter(&name, &configuration).await?;
            }
        }
        for (host, routes) in self.virtual_services().await? {
            self.gateway.has_routes(&host, &routes).await?;
        }
        Ok(())
    }

    /// The gateway and the cells' sidecars.
    fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        [self.gateway.proxy()].into_iter().chain(self.cells.iter().filter_map(MeshCell::sidecar))
    }

    /// The filters of a proxy's EnvoyFilters: name and configuration.
    async fn filters_of(&self, proxy: &Proxy) -> Result<Vec<(String, String)>> {
        let Role { namespace, labels, .. } = proxy.role();
        let path = format!("/apis/networking.istio.io/v1alpha3/namespaces/{namespace}/envoyfilters");
        let all = self.mesh.kube().list(&path).await?;
        let selects = |filter: &&Value| {
            let wanted = filter["spec"]["workloadSelector"]["labels"].as_object();
            wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
        };
        Ok(all.iter().filter(selects).filter_map(extension).collect())
    }

    /// The hosts of the chart's VirtualServices, each with the names of its routes.
    ///
    /// # Errors
    /// When the API server does not respond.
    pub async fn virtual_services(&self) -> Result<Vec<(String, Vec<String>)>> {
        let path = format!("/apis/networking.istio.io/v1/namespaces/{}/virtualservices", self.name);
        let services = self.mesh.kube().list(&path).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let hosts = services.iter().filter_map(|service| {
            let routes = service["spec"]["http"].as_array()?.iter().filter_map(|route| text(&route["name"])).collect();
            Some((text(&service["spec"]["hosts"][0])?, routes))
        });
        Ok(hosts.collect())
    }

    /// Sends one request to the gateway over HTTP/1.1 on a new connection.
    ///
    /// # Panics
    /// When there is no complete response.
    pub async fn send(&self, request: &Request) -> Response {
        self.gateway.send(request).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Sends one request to the gateway over HTTP/2 on a new connection.
    ///
    /// # Panics
    /// When there is no complete response.
    pub async fn send_h2(&self, request: &Request) -> Response {
        self.gateway.send_h2(request).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// `POST path` with a JSON body.
    ///
    /// # Panics
    /// When there is no complete response.
    pub async fn post_json(&self, path: &str, body: impl Into<bytes::Bytes>) -> Response {
        self.send(&Request::post(path).json(body)).await
    }

    /// A cell by its name, or one of its endpoints by the endpoint's name.
    ///
    /// # Panics
    /// When the release has no such cell.
    #[must_use]
    #[track_caller]
    pub fn cell(&self, name: &str) -> &Cell {
        self.mesh_cell(name).cell()
    }

    /// A cell and its sidecar by its name.
    ///
    /// # Panics
    /// When the release has no such cell.
    #[must_use]
    #[track_caller]
    pub fn mesh_cell(&self, name: &str) -> &MeshCell {
        let found = self.cells.iter().find(|cell| cell.cell().name() == name);
        found.unwrap_or_else(|| panic!("there is no cell {name:?}"))
    }

    /// A statistic of the gateway for a cell's cluster, such as `upstream_rq_retry`.
    ///
    /// # Errors
    /// When the gateway does not respond.
    pub async fn cluster_stat(&self, cell: &str, name: &str) -> Result<u64> {
        // In Istio's statistics, a cluster's name ends with a semicolon.
        self.gateway.proxy().admin().stat(&format!("cluster.{};.{name}", self.cluster(cell))).await
    }

    /// The name of a cell's route.
    #[must_use]
    pub fn cell_route(&self, cell: &str) -> String {
        format!("{}-{cell}", self.name)
    }

    /// The gateway's name of a cell's cluster.
    #[must_use]
    pub fn cluster(&self, cell: &str) -> String {
        format!("outbound|{}||{}", cells::PORT, self.cell_host(cell))
    }

    /// The host of a cell's service.
    #[must_use]
    pub fn cell_host(&self, cell: &str) -> String {
        format!("{}.{}-{cell}.svc.cluster.local", cells::SERVICE, self.name)
    }

    /// The gateway's count of ext-proc streams: 0 while the filter decides every request.
    ///
    /// # Panics
    /// When the gateway does not respond.
    pub async fn ext_proc_streams(&self) -> u64 {
        // In Istio's statistics, a cluster's name ends with a semicolon.
        let cluster = format!("cluster.outbound|50051||{}-ext-proc.{}.svc.cluster.local;", self.name, self.name);
        let statistic = format!("{cluster}.upstream_rq_total");
        self.gateway.proxy().admin().stat(&statistic).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The gateway, to allow it to reject configuration.
    pub fn gateway_mut(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    /// The node: the ext-proc service's pods.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Helm, for this release.
    #[must_use]
    pub fn helm(&self) -> &Helm {
        &self.helm
    }

    /// The values of the last [`Release::install`] or [`Release::upgrade`].
    #[must_use]
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// The name of the release and of its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The gateway's namespace.
    #[must_use]
    pub fn gateway_namespace(&self) -> &str {
        &self.gateway_namespace
    }

    /// The namespaces of the release, the gateway and the cells.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let cells = self.cells.iter().map(|cell| format!("{}-{}", self.name, cell.cell().name()));
        [self.name.clone(), self.gateway_namespace.clone()].into_iter().chain(cells).collect()
    }

    /// The filter's name at the gateway.
    #[must_use]
    pub fn filter_name(&self) -> String {
        format!("{}-edge", self.name)
    }

    /// The test's own directory: values and logs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The mesh.
    #[must_use]
    pub fn mesh(&self) -> &Arc<Mesh> {
        &self.mesh
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        // Otherwise every gateway of the mesh would keep a cluster for each of these services.
        let Ok(runtime) = Handle::try_current() else { return };
        let namespaces = self.namespaces();
        let kube = self.mesh.kube().clone();
        runtime.spawn(async move {
            for namespace in namespaces {
                // It fails only if the mesh has stopped.
                let _ = kube.clear(&namespace).await;
            }
        });
    }
}

/// The name and the configuration of the filter that an EnvoyFilter adds.
fn extension(envoy_filter: &Value) -> Option<(String, String)> {
    let patches = envoy_filter["spec"]["configPatches"].as_array()?;
    let extension = &patches.iter().find(|patch| patch["applyTo"] == "EXTENSION_CONFIG")?["patch"]["value"];
    let configuration = &extension["typed_config"]["config"]["configuration"]["value"];
    Some((extension["name"].as_str()?.to_owned(), configuration.as_str()?.to_owned()))
}
