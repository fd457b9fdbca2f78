//! A cell of the mesh: a namespace with one service and one workload.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use crate::cell::Cell;
use crate::mesh::Mesh;
use crate::mesh::kube::object;
use crate::mesh::proxy::Proxy;
use crate::mesh::workload::{Plan, Port, Workload};

/// The service's name in each cell's namespace, and its workload's label and service account.
pub(super) const SERVICE: &str = "api";

/// The service's port.
pub(super) const PORT: u16 = 8080;

/// A cell with its place in the mesh.
#[derive(Debug)]
pub struct MeshCell {
    workload: Workload,
    cell: Cell,
}

impl MeshCell {
    /// Starts a cell and makes it the endpoint of a service of its namespace, which is made for it.
    pub(super) async fn start(
        mesh: &Arc<Mesh>,
        name: &str,
        namespace: &str,
        with_sidecar: bool,
        directory: &Path,
    ) -> Result<Self> {
        mesh.create_namespace(namespace).await?;
        let mut service = object("v1", "Service", namespace, SERVICE);
        service["spec"] = json!({
            "selector": {"app": SERVICE},
            "ports": [{"name": "http", "port": PORT, "targetPort": "http"}],
        });
        mesh.kube().apply_all(&[object("v1", "ServiceAccount", namespace, SERVICE), service]).await?;
        let cell = Cell::start(name).await?;
        let (address, number) = if with_sidecar {
            (mesh.addresses().next(), PORT)
        } else {
            (std::net::Ipv4Addr::LOCALHOST, cell.address().port())
        };
        let program = with_sidecar.then(|| cell.address());
        let plan = Plan {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            service_account: SERVICE.to_owned(),
            labels: json!({"app": SERVICE}),
            address,
            ports: vec![Port { name: "http".to_owned(), number, protocol: "HTTP", program }],
        };
        let workload = Workload::join(mesh, plan, with_sidecar, directory).await?;
        Ok(Self { workload, cell })
    }

    /// The cell itself.
    #[must_use]
    pub fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Its sidecar, where it has one.
    #[must_use]
    pub fn sidecar(&self) -> Option<&Proxy> {
        self.workload.sidecar()
    }
}
