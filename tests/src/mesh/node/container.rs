//! The single container of a pod, run as a process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::volumes::Volumes;
use crate::artifacts;
use crate::mesh::workload::Port;
use crate::process::Process;

/// A container's specification.
#[derive(Debug)]
pub(super) struct Container(Value);

/// The environment of a container.
pub(super) struct Place<'a> {
    pub(super) pod: &'a Value,
    pub(super) volumes: &'a Volumes,
    pub(super) address: Ipv4Addr,
    pub(super) ports: &'a [Port],
    /// The environment variables of the API server, which every container gets.
    pub(super) api_server: SocketAddr,
    /// The hosts of Services that the pod reaches, with the address of their pod.
    pub(super) hosts: &'a [(&'a str, Ipv4Addr)],
}

impl Container {
    /// The container of a pod or of a pod template.
    pub(super) fn of(pod: &Value) -> Result<Self> {
        let containers = pod["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
        ensure!(containers.len() == 1, "this node supports pods with one container; this pod has {}", containers.len());
        ensure!(pod["spec"]["initContainers"].is_null(), "this node does not support init containers");
        Ok(Self(containers[0].clone()))
    }

    /// Its mounts: volume name and path.
    pub(super) fn mounts(&self) -> impl Iterator<Item = (&str, &str)> {
        let mounts = self.0["volumeMounts"].as_array().into_iter().flatten();
        mounts.filter_map(|mount| Some((mount["name"].as_str()?, mount["mountPath"].as_str()?)))
    }

    /// Its named ports.
    pub(super) fn ports(&self) -> Vec<Port> {
        let ports = self.0["ports"].as_array().into_iter().flatten();
        let named = ports.filter_map(|port| {
            let name = port["name"].as_str()?.to_owned();
            let protocol = if name.starts_with("grpc") { "GRPC" } else { "HTTP" };
            let number = u16::try_from(port["containerPort"].as_u64()?).ok()?;
            Some(Port { name, number, protocol, program: None })
        });
        named.collect()
    }

    /// The path and the port of its readiness probe.
    pub(super) fn readiness(&self) -> Result<(String, String)> {
        let probe = &self.0["readinessProbe"]["httpGet"];
        let path = probe["path"]
            .as_str()
            .context("this node supports only httpGet readiness probes, which this container does not have")?;
        let port = match &probe["port"] {
            Value::String(name) => name.clone(),
            number => number.to_string(),
        };
        Ok((path.to_owned(), port))
    }

    /// Starts it.
    pub(super) fn start(&self, place: &Place<'_>, log: &Path) -> Result<Process> {
        // The image's entry point is the program under test. A `command` has its path in the image.
        let mut command = Command::new(artifacts::cellgate()?);
        command.env_clear();
        command.env("KUBERNETES_SERVICE_HOST", place.api_server.ip().to_string());
        command.env("KUBERNETES_SERVICE_PORT", place.api_server.port().to_string());
        for variable in self.0["env"].as_array().into_iter().flatten() {
            command.env(variable["name"].as_str().unwrap_or_default(), self.variable(variable, place)?);
        }
        let words = |field: &str| self.0[field].as_array().cloned().unwrap_or_default();
        let arguments = words("command").into_iter().skip(1).chain(words("args"));
        command.args(arguments.map(|word| place.localise(word.as_str().unwrap_or_default())));
        Process::spawn("cellgate", &mut command, log)
    }

    fn variable(&self, variable: &Value, place: &Place<'_>) -> Result<String> {
        if let Some(text) = variable["value"].as_str() {
            return Ok(place.localise(text));
        }
        let metadata = &place.pod["metadata"];
        let field = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.name") => &metadata["name"],
            Some("metadata.namespace") => &metadata["namespace"],
            Some("status.podIP") => return Ok(place.address.to_string()),
            _ => bail!("this node does not support the variable {variable}"),
        };
        Ok(field.as_str().unwrap_or_default().to_owned())
    }
}

/// Waits without a timeout until a container exits, and returns its exit code unless a signal killed it.
pub(super) async fn exit_code(process: &Process) -> Result<Option<i32>> {
    loop {
        if let Some(status) = process.exit_status()? {
            return Ok(status.code());
        }
        #[expect(clippy::disallowed_methods, reason = "the interval between two checks of a condition")]
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Place<'_> {
    /// An argument with the paths and addresses of this machine.
    fn localise(&self, text: &str) -> String {
        let text = self.volumes.localise(text);
        let with_ports = self.ports.iter().fold(text, |text, port| match port.program {
            Some(program) => text.replace(&format!("[::]:{}", port.number), &program.to_string()),
            None => text,
        });
        let with_hosts =
            self.hosts.iter().fold(with_ports, |text, (host, address)| text.replace(host, &address.to_string()));
        with_hosts.replace("[::]", &self.address.to_string())
    }
}

impl Port {
    /// The address where the program itself listens.
    pub(super) fn listener(&self, address: Ipv4Addr) -> SocketAddr {
        self.program.unwrap_or(SocketAddr::from((address, self.number)))
    }
}
