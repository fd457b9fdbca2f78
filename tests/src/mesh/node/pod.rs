//! One pod of the Deployment.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Inner;
use super::container::{Container, Place, exit_code};
use super::network_policy::{Destination, allow_egress};
use super::volumes::Volumes;
use crate::client::{self, Response};
use crate::mesh::collector;
use crate::mesh::proxy::Proxy;
use crate::mesh::workload::{Port, Workload, WorkloadSpec};
use crate::ports::KeptPort;
use crate::process::{Process, Signal};
use crate::wait;

/// A pod that has become ready.
#[derive(Debug)]
pub struct Pod {
    name: String,
    revision: String,
    address: Ipv4Addr,
    ports: Vec<Port>,
    // Dropped in this order, the sidecar first.
    workload: Workload,
    process: Process,
    volumes: Volumes,
    grace: Duration,
    _kept: Vec<KeptPort>,
}

impl Pod {
    /// Starts a pod from a template, and waits until it is ready and its services select it.
    pub(super) async fn start(inner: &Arc<Inner>, name: String, revision: &str, template: &Value) -> Result<Self> {
        let pod = admitted(inner, &name, revision, template).await?;
        let container = Container::of(&pod)?;
        let address = inner.mesh.addresses().next();
        let directory = inner.directory.join(&name);
        let volumes = Volumes::mount(&pod, &container, &directory, &inner.state().config_maps, None)?;
        let (mut ports, mut kept) = (container.ports(), Vec::new());
        if inner.sidecars.is_some() {
            // The sidecar listens on the pod's ports, and the program on others.
            for port in &mut ports {
                let taken = KeptPort::take()?;
                port.program = Some(taken.address()?);
                kept.push(taken);
            }
        }
        let api_server = inner.mesh.control_plane().address();
        let hosts = reached_hosts(inner, &pod).await?;
        let place = Place { pod: &pod, volumes: &volumes, address, ports: &ports, api_server, hosts: &hosts };
        let process = container.start(&place, &directory.join("log"))?;
        let (path, port) = container.readiness()?;
        let probed = ports.iter().find(|known| known.name == port || known.number.to_string() == port);
        let probed =
            probed.with_context(|| format!("the readiness probe's port {port} is not a port of the container"))?;
        let probed = probed.listener(address);
        wait::until(&format!("the pod {name} to be ready"), || async {
            process.must_run()?;
            Ok(client::get(probed, &path).await.is_ok_and(|answer| answer.status.is_success()).then_some(()))
        })
        .await?;
        let plan = WorkloadSpec {
            name: name.clone(),
            namespace: inner.namespace.clone(),
            service_account: pod["spec"]["serviceAccountName"].as_str().unwrap_or("default").to_owned(),
            labels: pod["metadata"]["labels"].clone(),
            address,
            ports: ports.clone(),
        };
        let workload = Workload::join(&inner.mesh, plan, inner.sidecars, &directory).await?;
        let grace = Duration::from_secs(pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30));
        Ok(Self { name, revision: revision.to_owned(), address, ports, workload, process, volumes, grace, _kept: kept })
    }

    /// Removes the pod from its services and stops it: SIGTERM, then SIGKILL after its grace period. Returns its exit
    /// code unless it was killed.
    pub(super) async fn end(&self, inner: &Inner) -> Result<Option<i32>> {
        self.leave(inner).await?;
        self.process.signal(Signal::TERM)?;
        match tokio::time::timeout(self.grace, exit_code(&self.process)).await {
            Ok(code) => code,
            Err(_) => {
                self.process.kill();
                Ok(None)
            }
        }
    }

    /// Removes the pod from its services.
    pub(super) async fn leave(&self, inner: &Inner) -> Result<()> {
        self.workload.leave(&inner.mesh).await
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The program, for signals and its log.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its sidecar, if it has one.
    #[must_use]
    pub fn sidecar(&self) -> Option<&Proxy> {
        self.workload.sidecar()
    }

    /// Sends a GET to one of the program's ports, such as `/metrics` to `http-admin`.
    ///
    /// # Errors
    /// When it does not respond.
    pub async fn get(&self, port: &str, path: &str) -> Result<Response> {
        let port = self.ports.iter().find(|known| known.name == port).with_context(|| format!("no port {port:?}"))?;
        client::get(port.listener(self.address), path).await
    }

    pub(super) fn revision(&self) -> &str {
        &self.revision
    }

    pub(super) fn volumes(&self) -> &Volumes {
        &self.volumes
    }
}

/// The hosts of Services that the pod's arguments may name, and that NetworkPolicies let it reach.
async fn reached_hosts(inner: &Inner, pod: &Value) -> Result<Vec<(&'static str, Ipv4Addr)>> {
    let kube = inner.mesh.kube();
    let policies = kube.list(&inner.list("/apis/networking.k8s.io/v1", "networkpolicies")).await?;
    let path = format!("/api/v1/namespaces/{}", collector::NAMESPACE);
    let Some(namespace) = kube.get(&path).await? else { return Ok(Vec::new()) };
    let collector = inner.mesh.collector().await?;
    let destination = Destination {
        namespace_labels: &namespace["metadata"]["labels"],
        labels: collector.labels(),
        port: collector::PORT,
    };
    let is_reached = allow_egress(&policies, &pod["metadata"]["labels"], destination);
    Ok(is_reached.then_some((collector::HOST, collector.address())).into_iter().collect())
}

/// The pod of a template as the API server admits it, with defaults.
async fn admitted(inner: &Inner, name: &str, revision: &str, template: &Value) -> Result<Value> {
    let mut pod = template.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["namespace"] = json!(inner.namespace);
    pod["metadata"]["labels"]["pod-template-hash"] = json!(revision);
    inner.mesh.kube().admit(&pod).await.with_context(|| format!("the pod {name} is not admitted"))
}
