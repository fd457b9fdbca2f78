//! Unmodified istiod, with the API server as its registry and plain-text gRPC to its proxies.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::identity::TRUST_DOMAIN;
use super::kube::Kube;
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

/// A running istiod. Dropping it stops it.
#[derive(Debug)]
pub struct Istiod {
    process: Process,
    discovery: SocketAddr,
    http: SocketAddr,
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
        let file = directory.join("mesh.yaml");
        std::fs::write(&file, mesh.to_string())?;
        let mut command = Command::new(tools::program("pilot-discovery")?);
        command.envs(ENVIRONMENT).arg("discovery");
        command.arg("--kubeconfig").arg(kube.kubeconfig()).arg("--meshConfig").arg(file);
        command.args(["--grpcAddr", &discovery.to_string(), "--httpAddr", &http.to_string()]);
        command.args(["--monitoringAddr", &monitoring.to_string()]);
        command.args(["--secureGRPCAddr", "", "--httpsAddr", "", "--ctrlz_port", "0"]);
        let process = Process::spawn("istiod", &mut command, &directory.join("istiod.log"))?;
        wait::until("istiod", || async {
            process.must_run()?;
            Ok(TcpStream::connect(discovery).await.ok())
        })
        .await?;
        Ok(Self { process, discovery, http, _ports: ports })
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
