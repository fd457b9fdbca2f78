//! A cell of the mesh: a namespace with one service, and the workloads that are its endpoints.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use super::values::merge;
use crate::cell::Cell;
use crate::mesh::Mesh;
use crate::mesh::kube::object;
use crate::mesh::proxy::Proxy;
use crate::mesh::workload::{Port, Reach, Workload, WorkloadSpec};

/// The service's name in each cell's namespace, and its workload's label and service account.
pub(super) const SERVICE: &str = "api";

/// The service's port.
pub(super) const PORT: u16 = 8080;

/// One of a cell's endpoints.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The name in its responses and for [`super::Release::cell`].
    pub name: String,
    /// Labels in addition to the service's selector. `istio-locality` sets its locality.
    pub labels: Value,
}

impl Endpoint {
    /// An endpoint with these labels.
    #[must_use]
    pub fn new(name: &str, labels: Value) -> Self {
        Self { name: name.to_owned(), labels }
    }
}

/// Creates a cell's namespace and service.
pub(super) async fn create_service(mesh: &Mesh, namespace: &str) -> Result<()> {
    mesh.create_namespace(namespace).await?;
    let mut service = object("v1", "Service", namespace, SERVICE);
    service["spec"] = json!({
        "selector": {"app": SERVICE},
        "ports": [{"name": "http", "port": PORT, "targetPort": "http"}],
    });
    mesh.kube().apply_all(&[object("v1", "ServiceAccount", namespace, SERVICE), service]).await
}

/// An endpoint of a cell with its workload in the mesh.
#[derive(Debug)]
pub struct MeshCell {
    workload: Workload,
    cell: Cell,
}

impl MeshCell {
    /// Starts a cell and makes it an endpoint of its namespace's service.
    pub(super) async fn start(
        mesh: &Arc<Mesh>,
        endpoint: &Endpoint,
        namespace: &str,
        sidecar: Option<Reach>,
        directory: &Path,
    ) -> Result<Self> {
        let cell = Cell::start(&endpoint.name).await?;
        let (address, number) = if sidecar.is_some() {
            (mesh.addresses().next(), PORT)
        } else {
            (std::net::Ipv4Addr::LOCALHOST, cell.address().port())
        };
        let program = sidecar.map(|_| cell.address());
        let mut labels = json!({"app": SERVICE});
        merge(&mut labels, endpoint.labels.clone());
        let plan = WorkloadSpec {
            name: endpoint.name.clone(),
            namespace: namespace.to_owned(),
            service_account: SERVICE.to_owned(),
            labels,
            address,
            ports: vec![Port { name: "http".to_owned(), number, protocol: "HTTP", program }],
        };
        let workload = Workload::join(mesh, plan, sidecar, directory).await?;
        Ok(Self { workload, cell })
    }

    /// The cell itself.
    #[must_use]
    pub fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Its sidecar, if it has one.
    #[must_use]
    pub fn sidecar(&self) -> Option<&Proxy> {
        self.workload.sidecar()
    }
}
