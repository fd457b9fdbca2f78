//! etcd and kube-apiserver: a real API server with admission, RBAC and pod security. There is no controller manager,
//! scheduler or kubelet; [`super::node`] does their work for the chart's pods.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rcgen::KeyPair;
use serde_json::json;

use super::identity::Authority;
use super::kube::Kube;
use super::tools;
use crate::ports::KeptPort;
use crate::process::Process;
use crate::wait;

/// The administrator's bearer token; the API server listens on the loopback interface only.
const TOKEN: &str = "administrator";

/// A running control plane. Dropping it stops it.
#[derive(Debug)]
pub struct ControlPlane {
    kube: Kube,
    processes: Vec<Process>,
    address: SocketAddr,
    authority: PathBuf,
    _ports: [KeptPort; 3],
}

impl ControlPlane {
    /// Starts both, waits until the API server is ready, and installs the custom resource definitions.
    ///
    /// # Errors
    /// When a program is missing, exits, or is not ready in time. The message has its log.
    pub async fn start(directory: &Path) -> Result<Self> {
        let ports = [KeptPort::take()?, KeptPort::take()?, KeptPort::take()?];
        let [client, peer, secure] = [ports[0].address()?, ports[1].address()?, ports[2].address()?];
        let files = Files::write(directory, secure)?;
        let etcd = Process::spawn("etcd", &mut etcd(directory, client, peer)?, &directory.join("etcd.log"))?;
        let mut command = api_server(&files, client, secure)?;
        let api_server = Process::spawn("kube-apiserver", &mut command, &directory.join("kube-apiserver.log"))?;
        let kubectl = tools::program("kubectl")?;
        let mut command = Command::new(&kubectl);
        command.arg("--kubeconfig").arg(&files.kubeconfig).args(["proxy", "--port=0"]);
        let proxy = Process::spawn("kubectl", &mut command, &directory.join("kubectl-proxy.log"))?;
        let address = wait::until("kubectl proxy", || async {
            proxy.must_run()?;
            Ok(proxy.log().lines().find_map(|line| line.strip_prefix("Starting to serve on ")?.parse().ok()))
        });
        let kube = Kube::new(address.await?, kubectl, files.kubeconfig.clone());
        wait::until("the API server", || async {
            etcd.must_run()?;
            api_server.must_run()?;
            // The proxy responds with an error until the API server is ready.
            Ok(kube.kubectl(&["get", "--raw", "/readyz"], "").await.ok())
        })
        .await?;
        // The processes stop in this order.
        let control_plane = Self {
            kube,
            processes: vec![proxy, api_server, etcd],
            address: secure,
            authority: files.authority,
            _ports: ports,
        };
        control_plane.define_resources().await?;
        Ok(control_plane)
    }

    /// The API server.
    #[must_use]
    pub fn kube(&self) -> &Kube {
        &self.kube
    }

    /// The TLS address of the API server itself.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the authority that signed the API server's certificate.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn authority(&self) -> Result<String> {
        std::fs::read_to_string(&self.authority).with_context(|| self.authority.display().to_string())
    }

    /// The programs, for their logs.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    async fn define_resources(&self) -> Result<()> {
        let files = tools::resource_definitions()?;
        let files: Vec<&str> = files.iter().filter_map(|file| file.to_str()).collect();
        let mut arguments = vec!["apply", "--server-side"];
        arguments.extend(files.iter().flat_map(|file| ["--filename", file]));
        self.kube.kubectl(&arguments, "").await?;
        let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
        self.kube.kubectl(&established, "").await?;
        Ok(())
    }
}

/// The files that the API server reads.
struct Files {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    /// Signs service accounts' tokens.
    signing_key: PathBuf,
    verification_key: PathBuf,
    tokens: PathBuf,
    kubeconfig: PathBuf,
}

impl Files {
    fn write(directory: &Path, api_server: SocketAddr) -> Result<Self> {
        let authority = Authority::new("kubernetes")?;
        let server = authority.server()?;
        let signer = KeyPair::generate()?;
        let write = |name: &str, text: &str| {
            let file = directory.join(name);
            std::fs::write(&file, text).with_context(|| file.display().to_string())?;
            anyhow::Ok(file)
        };
        let authority = write("ca.crt", &authority.certificate())?;
        // JSON is YAML.
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://{api_server}"), "certificate-authority": authority,
            }}],
            "users": [{"name": "administrator", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "administrator"}}],
            "current-context": "test",
        });
        Ok(Self {
            authority,
            certificate: write("api.crt", &server.certificate)?,
            key: write("api.key", &server.key)?,
            signing_key: write("accounts.key", &signer.serialize_pem())?,
            verification_key: write("accounts.pub", &signer.public_key_pem())?,
            tokens: write("tokens.csv", &format!("{TOKEN},administrator,administrator,system:masters\n"))?,
            kubeconfig: write("kubeconfig", &kubeconfig.to_string())?,
        })
    }
}

fn etcd(directory: &Path, client: SocketAddr, peer: SocketAddr) -> Result<Command> {
    let mut command = Command::new(tools::program("etcd")?);
    command.arg("--data-dir").arg(directory.join("etcd"));
    // The data need not survive a crash of the machine.
    command.arg("--unsafe-no-fsync");
    command.args(["--log-level", "warn", "--initial-cluster", &format!("default=http://{peer}")]);
    for option in ["--listen-client-urls", "--advertise-client-urls"] {
        command.args([option, &format!("http://{client}")]);
    }
    for option in ["--listen-peer-urls", "--initial-advertise-peer-urls"] {
        command.args([option, &format!("http://{peer}")]);
    }
    Ok(command)
}

fn api_server(files: &Files, etcd: SocketAddr, secure: SocketAddr) -> Result<Command> {
    let mut command = Command::new(tools::program("kube-apiserver")?);
    command.arg(format!("--etcd-servers=http://{etcd}"));
    command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]);
    command.arg(format!("--secure-port={}", secure.port()));
    command.arg("--tls-cert-file").arg(&files.certificate).arg("--tls-private-key-file").arg(&files.key);
    command.arg("--client-ca-file").arg(&files.authority).arg("--token-auth-file").arg(&files.tokens);
    command.args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16"]);
    command.arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local");
    command.arg("--service-account-key-file").arg(&files.verification_key);
    command.arg("--service-account-signing-key-file").arg(&files.signing_key);
    command.args(["--endpoint-reconciler-type=none", "--profiling=false"]);
    // As in most clusters. Pod security rejects privileged pods.
    command.arg("--allow-privileged=true");
    Ok(command)
}
