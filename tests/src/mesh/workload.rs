//! A workload that services select: a program at its own address, with or without a sidecar.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::kube::object;
use super::proxy::{Kind, Proxy, Role};
use super::{Mesh, collector};

/// The label by which a workload's `Sidecar` object selects it.
const OWN_LABEL: &str = "test.cellgate/workload";

/// The description of a workload.
#[derive(Clone, Debug)]
pub(crate) struct WorkloadSpec {
    /// Unique in its namespace.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its service account.
    pub service_account: String,
    /// Its labels, by which services select it.
    pub labels: Value,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its named ports.
    pub ports: Vec<Port>,
}

/// A named port of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// The name, for a service's `targetPort`.
    pub name: String,
    /// The number.
    pub number: u16,
    /// Istio's protocol name: `HTTP`, `GRPC`.
    pub protocol: &'static str,
    /// The program's address, if it is not this port of the workload's address.
    pub program: Option<SocketAddr>,
}

/// What a workload's sidecar reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No service: its program calls none.
    Nothing,
    /// The collector of traces, which the sidecar itself calls.
    Collector,
}

/// A workload of the mesh. [`Workload::leave`] removes it from its services; dropping it stops its sidecar.
#[derive(Debug)]
pub(crate) struct Workload {
    entry: Value,
    sidecar: Option<Proxy>,
}

impl Workload {
    /// Makes the workload an endpoint of the services that select it. If it has a sidecar, that listens on its ports and
    /// forwards allowed requests to each port's `program`.
    ///
    /// # Errors
    /// When the API server rejects it or the sidecar does not start.
    pub(crate) async fn join(
        mesh: &Mesh,
        plan: WorkloadSpec,
        sidecar: Option<Reach>,
        directory: &Path,
    ) -> Result<Self> {
        let mut plan = plan;
        plan.labels[OWN_LABEL] = json!(plan.name);
        // Like the injector, this sets whether callers use mTLS. Without the label they would, for every service
        // account.
        plan.labels["security.istio.io/tlsMode"] = json!(if sidecar.is_some() { "istio" } else { "disabled" });
        let sidecar = match sidecar {
            Some(reach) => Some(start_sidecar(mesh, &plan, reach, directory).await?),
            None => None,
        };
        let WorkloadSpec { name, namespace, service_account, labels, address, ports } = plan;
        let mut entry = object("networking.istio.io/v1", "WorkloadEntry", &namespace, &name);
        let ports: Value = ports.iter().map(|port| (port.name.clone(), json!(port.number))).collect();
        entry["spec"] = json!({
            "address": address, "ports": ports, "labels": labels, "serviceAccount": service_account,
        });
        mesh.kube().apply(&entry).await?;
        Ok(Self { entry, sidecar })
    }

    /// Its sidecar, if it has one.
    #[must_use]
    pub(crate) fn sidecar(&self) -> Option<&Proxy> {
        self.sidecar.as_ref()
    }

    /// Removes it from its services. Its sidecar keeps running.
    ///
    /// # Errors
    /// When the API server rejects the change.
    pub(crate) async fn leave(&self, mesh: &Mesh) -> Result<()> {
        mesh.kube().delete(&self.entry).await
    }
}

async fn start_sidecar(mesh: &Mesh, plan: &WorkloadSpec, reach: Reach, directory: &Path) -> Result<Proxy> {
    let mut sidecar = object("networking.istio.io/v1", "Sidecar", &plan.namespace, &plan.name);
    let ingress: Vec<Value> = plan.ports.iter().map(|port| ingress(plan.address, port)).collect();
    sidecar["spec"] = json!({
        "workloadSelector": {"labels": {OWN_LABEL: plan.name}},
        "ingress": ingress,
        "egress": [egress(plan.address, reach)],
    });
    mesh.kube().apply(&sidecar).await?;
    let role = Role {
        kind: Kind::Sidecar,
        name: plan.name.clone(),
        namespace: plan.namespace.clone(),
        service_account: plan.service_account.clone(),
        labels: plan.labels.clone(),
        address: plan.address,
    };
    let proxy = Proxy::start(mesh, role, directory).await?;
    for port in &plan.ports {
        proxy.listening(port.number).await?;
    }
    Ok(proxy)
}

/// The services that the sidecar knows.
fn egress(address: Ipv4Addr, reach: Reach) -> Value {
    match reach {
        Reach::Nothing => json!({"hosts": ["~/*"]}),
        // With a port, because the default is one listener on all addresses of the machine.
        Reach::Collector => json!({
            "port": {"number": collector::PORT, "name": collector::PORT_NAME, "protocol": "GRPC"},
            "bind": address,
            "captureMode": "NONE",
            "hosts": [format!("{}/*", collector::NAMESPACE)],
        }),
    }
}

/// One port of the sidecar.
fn ingress(address: Ipv4Addr, port: &Port) -> Value {
    // In Istio, 0.0.0.0 means the workload's address.
    let program = port.program.unwrap_or(SocketAddr::from(([0, 0, 0, 0], port.number)));
    json!({
        "port": {"number": port.number, "name": port.name, "protocol": port.protocol},
        "bind": address,
        "captureMode": "NONE",
        "defaultEndpoint": program,
    })
}
