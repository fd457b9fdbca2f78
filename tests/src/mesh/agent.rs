//! Istio's agent, which stands between a proxy and istiod in every pod: it fetches Wasm modules and checks their digests.

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

/// Where it keeps modules. It takes no other place.
const MODULES: &str = "/var/lib/istio/data";

/// A running agent, without a proxy of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    socket: PathBuf,
    _status: KeptPort,
}

impl Agent {
    /// Starts it and waits until proxies can connect. `directory` must exist.
    ///
    /// # Errors
    /// When it is missing, ends, or has no place for modules.
    pub async fn start(mesh: &Mesh, directory: &Path) -> Result<Self> {
        let advice = || format!("Istio's agent keeps modules in {MODULES}: make it, and give it to whoever runs this");
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
        // The proxy is started elsewhere, and has its certificates from there.
        command.envs([("DISABLE_ENVOY", "true"), ("FILE_MOUNTED_CERTS", "true"), ("JWT_POLICY", "none")]);
        command.envs([("CREDENTIAL_FETCHER_TYPE", ""), ("INSTANCE_IP", "127.0.0.1")]);
        command.envs([("POD_NAME", "agent"), ("POD_NAMESPACE", "default")]);
        // What cannot be fetched is tried once more, not for minutes.
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

    /// Where its proxy asks for its configuration.
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
