//! Unmodified istiod, with the API server as its registry and plain-text gRPC to its proxies.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::identity::TRUST_DOMAIN;
use super::kube::Kube;
use super::release::merge;
use super::tools;
use crate::client;
use crate::envoy::access_log;
use crate::ports::KeptPort;
use crate::process::Process;
use crate::wait;

/// The root namespace: its configuration applies to every namespace.
pub(crate) const NAMESPACE: &str = "istio-system";

/// Disables features for which stock Envoy has no extension, and istiod's own certificate authority.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    ("ENABLE_CA_SERVER", "false"),
    ("PILOT_CERT_PROVIDER", "none"),
    ("XDS_AUTH", "false"),
    ("VALIDATION_WEBHOOK_CONFIG_NAME", ""),
    ("INJECTION_WEBHOOK_CONFIG_NAME", ""),
    ("POD_NAME", "istiod"),
    ("POD_NAMESPACE", NAMESPACE),
];

/// The file with MeshConfig, which istiod watches.
#[derive(Debug)]
struct MeshConfig {
    file: PathBuf,
    current: Mutex<Value>,
}

impl MeshConfig {
    async fn extend(&self, lines: &Value) -> Result<()> {
        let mut current = self.current.lock().await;
        merge(&mut current, lines.clone());
        // istiod must not read half of it.
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, current.to_string())?;
        Ok(std::fs::rename(draft, &self.file)?)
    }
}

/// Whether a value has all that another one has. istiod adds fields, and providers of its own.
fn has_all(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| value.get(key).is_some_and(|value| has_all(value, wanted)))
        }
        (Value::Array(value), Value::Array(wanted)) => {
            wanted.iter().all(|wanted| value.iter().any(|value| has_all(value, wanted)))
        }
        (value, wanted) => value == wanted,
    }
}

/// A running istiod. Dropping it stops it.
#[derive(Debug)]
pub struct Istiod {
    process: Process,
    discovery: SocketAddr,
    http: SocketAddr,
    mesh_config: MeshConfig,
    _ports: [KeptPort; 3],
}

impl Istiod {
    /// Starts istiod and waits until it has read all configuration and serves proxies.
    ///
    /// # Errors
    /// When it is missing, exits, or is not ready in time. The message has its log.
    pub async fn start(kube: &Kube, directory: &Path) -> Result<Self> {
        kube.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})).await?;
        let ports = [KeptPort::take()?, KeptPort::take()?, KeptPort::take()?];
        let [discovery, http, monitoring] = [ports[0].address()?, ports[1].address()?, ports[2].address()?];
        let mesh = json!({
            "trustDomain": TRUST_DOMAIN,
            "enableAutoMtls": true,
            "accessLogFile": "/dev/stdout",
            "accessLogEncoding": "JSON",
            "accessLogFormat": access_log::format("x-cell").to_string(),
            "defaultConfig": {"discoveryAddress": discovery},
        });
        let mesh_config = MeshConfig { file: directory.join("mesh.yaml"), current: Mutex::new(mesh) };
        mesh_config.extend(&json!({})).await?;
        let mut command = Command::new(tools::program("pilot-discovery")?);
        command.envs(ENVIRONMENT).arg("discovery");
        command.arg("--kubeconfig").arg(kube.kubeconfig()).arg("--meshConfig").arg(&mesh_config.file);
        command.args(["--grpcAddr", &discovery.to_string(), "--httpAddr", &http.to_string()]);
        command.args(["--monitoringAddr", &monitoring.to_string()]);
        command.args(["--secureGRPCAddr", "", "--httpsAddr", "", "--ctrlz_port", "0"]);
        let process = Process::spawn("istiod", &mut command, &directory.join("istiod.log"))?;
        wait::until("istiod", || async {
            process.must_run()?;
            Ok(TcpStream::connect(discovery).await.ok())
        })
        .await?;
        Ok(Self { process, discovery, http, mesh_config, _ports: ports })
    }

    /// The address where proxies get their configuration.
    #[must_use]
    pub fn discovery(&self) -> SocketAddr {
        self.discovery
    }

    /// The program, for signals and its log.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The address of its debug pages.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Merges lines into MeshConfig, and waits until istiod has read them. All tests share it: it must not change the proxies
    /// of others.
    ///
    /// # Errors
    /// When istiod does not accept the lines.
    pub async fn extend_mesh_config(&self, lines: &Value) -> Result<()> {
        self.mesh_config.extend(lines).await?;
        let is_read = wait::until("istiod to read MeshConfig", || async {
            Ok(has_all(&self.debug("/debug/mesh").await?, lines).then_some(()))
        });
        let Err(error) = is_read.await else { return Ok(()) };
        Err(error.context(self.debug("/debug/mesh").await?.to_string()))
    }

    /// One of istiod's debug pages, such as `/debug/syncz` or `/debug/config_dump?proxyID=NAME.NAMESPACE`.
    ///
    /// # Errors
    /// When the page does not exist.
    pub async fn debug(&self, page: &str) -> Result<Value> {
        let answer = client::get(self.http, page).await?;
        ensure!(answer.status.is_success(), "istiod's {page}: {} {}", answer.status, answer.text());
        serde_json::from_slice(&answer.body).with_context(|| format!("istiod's {page}"))
    }
}
