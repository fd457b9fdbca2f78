//! Istio's agent, which runs between a proxy and istiod in every pod. It fetches Wasm modules and checks their digests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::net::UnixStream;

use super::Mesh;
use super::proxy::Discovery;
use super::tools;
use crate::ports::KeptPort;
use crate::process::Process;
use crate::wait;

/// The agent's directory of modules. It cannot be configured.
const MODULES: &str = "/var/lib/istio/data";

/// A running agent without a proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    socket: PathBuf,
    _status: KeptPort,
}

impl Agent {
    /// Starts the agent and waits until proxies can connect. `directory` must exist.
    ///
    /// # Errors
    /// When it is missing, exits, or cannot write its directory of modules.
    pub async fn start(mesh: &Mesh, directory: &Path) -> Result<Self> {
        let advice = || {
            format!(
                "Istio's agent needs the directory {MODULES}: create it, and make it writable for the user of these tests"
            )
        };
        std::fs::create_dir_all(MODULES).with_context(advice)?;
        tempfile::tempdir_in(MODULES).with_context(advice)?;
        let status = KeptPort::take()?;
        let config = json!({
            "discoveryAddress": mesh.istiod().discovery(),
            "controlPlaneAuthPolicy": "NONE",
            "configPath": directory.join("agent"),
            "statusPort": status.address()?.port(),
        });
        let mut command = Command::new(tools::program("pilot-agent")?);
        command.current_dir(directory).env("PROXY_CONFIG", config.to_string());
        // The proxy is started separately, with its own certificates.
        command.envs([("DISABLE_ENVOY", "true"), ("FILE_MOUNTED_CERTS", "true"), ("JWT_POLICY", "none")]);
        command.envs([("CREDENTIAL_FETCHER_TYPE", ""), ("INSTANCE_IP", "127.0.0.1")]);
        command.envs([("POD_NAME", "agent"), ("POD_NAMESPACE", "default")]);
        // Retries a failed fetch once, instead of for minutes.
        command.env("WASM_HTTP_REQUEST_MAX_RETRIES", "1");
        command.args(["proxy", "router"]);
        let process = Process::spawn("pilot-agent", &mut command, &directory.join("agent.log"))?;
        let socket = directory.join("agent/XDS");
        wait::until("Istio's agent", || async {
            process.must_run()?;
            Ok(UnixStream::connect(&socket).await.ok())
        })
        .await?;
        Ok(Self { process, socket, _status: status })
    }

    /// The configuration source for its proxy.
    #[must_use]
    pub fn discovery(&self) -> Discovery<'_> {
        Discovery::Agent(&self.socket)
    }

    /// The program, for signals and its log.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}
