//! A mesh for tests: Istio's control plane on a real API server, stock Envoy proxies, helm, and the chart's pods as
//! processes. `make test-mesh` runs the tests that use it.
//!
//! A test installs its own release with its own names and addresses, so tests run in parallel:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use cellgate_tests::mesh::Mesh;
//! use cellgate_tests::mesh::release::Setup;
//! use serde_json::json;
//!
//! # async fn test(mesh: &Arc<Mesh>) -> anyhow::Result<()> {
//! // Three cells, each in its own namespace, a gateway, and the chart with these values over the sample's.
//! let release = Setup::new(mesh).with(json!({"extProc": {"replicas": 1}})).install().await?;
//!
//! let answer = release.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await;
//! assert_eq!(answer.cell(), "cell-b");
//! assert_eq!(release.cell("cell-b").complete(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! - `control_plane`, `istiod`: started once for all tests.
//! - [`kube`]: objects of the API server, as JSON.
//! - [`helm`]: install, upgrade, rollback, test, uninstall.
//! - `node`: the ext-proc service's pods, and those of `helm test`.
//! - [`gateway`], `workload`, [`proxy`]: the proxies and workloads, with [`identity`] and `sds` for certificates.
//! - [`collector`]: the receiver of traces, as a Service of the mesh.
//! - [`agent`]: Istio's agent between a proxy and istiod, which changes the configuration.
//! - [`release`]: all parts for one test.

mod address;
pub mod agent;
pub mod collector;
mod control_plane;
pub mod gateway;
pub mod helm;
pub mod identity;
mod istiod;
pub mod kube;
pub mod load;
mod node;
pub mod proxy;
pub mod release;
mod sds;
pub mod tools;
mod workload;

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use address::Addresses;
use collector::Collector;
use control_plane::ControlPlane;
use identity::{Authority, TRUST_DOMAIN};
use istiod::Istiod;
use kube::Kube;

/// A running mesh without workloads. Dropping it stops it.
#[derive(Debug)]
pub struct Mesh {
    istiod: Istiod,
    control_plane: ControlPlane,
    authority: Authority,
    addresses: Addresses,
    names: AtomicU32,
    collector: OnceCell<Collector>,
    directory: TempDir,
}

impl Mesh {
    /// Starts the control plane.
    ///
    /// # Errors
    /// When a part is missing or does not start. The message has its log.
    pub async fn start() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("cellgate-mesh-").tempdir()?;
        let control_plane = ControlPlane::start(directory.path()).await?;
        let istiod = Istiod::start(control_plane.kube(), directory.path()).await?;
        let (authority, addresses) = (Authority::new(TRUST_DOMAIN)?, Addresses::take()?);
        let (names, collector) = (AtomicU32::new(0), OnceCell::new());
        Ok(Self { istiod, control_plane, authority, addresses, names, collector, directory })
    }

    /// The API server.
    #[must_use]
    pub fn kube(&self) -> &Kube {
        self.control_plane.kube()
    }

    /// istiod.
    #[must_use]
    pub fn istiod(&self) -> &Istiod {
        &self.istiod
    }

    /// etcd, the API server and its proxy.
    #[must_use]
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The authority that signs the workloads' certificates.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Addresses for workloads.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The collector of traces, which is started when the first test asks for it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn collector(&self) -> Result<&Collector> {
        self.collector.get_or_try_init(|| Collector::start(self)).await
    }

    /// A directory for one test, and a name that is unique in this mesh.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn place(&self) -> Result<(String, std::path::PathBuf)> {
        let name = format!("t{}", self.names.fetch_add(1, Ordering::Relaxed) + 1);
        let directory = self.directory.path().join(&name);
        std::fs::create_dir(&directory)?;
        Ok((name, directory))
    }

    /// Creates a namespace that admits only restricted pods, with its default service account.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create_namespace(&self, name: &str) -> Result<()> {
        let labels = serde_json::json!({"pod-security.kubernetes.io/enforce": "restricted"});
        self.kube()
            .apply_all(&[
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}),
                kube::object("v1", "ServiceAccount", name, "default"),
            ])
            .await
    }
}
