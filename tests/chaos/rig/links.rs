//! The connections between the parts. Each goes through a proxy of Toxiproxy, which slows it, cuts it or silences it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::ports::KeptPort;
use cellgate_tests::process::Process;
use cellgate_tests::wait;
use serde_json::{Value, json};

/// A running Toxiproxy.
#[derive(Debug)]
pub(crate) struct Links {
    _process: Process,
    api: KeptPort,
    ports: BTreeMap<String, KeptPort>,
}

impl Links {
    /// Starts `$TOXIPROXY`, without a proxy so far.
    ///
    /// # Errors
    /// It is missing, or does not start.
    pub(crate) async fn start(directory: &Path) -> Result<Self> {
        let program =
            std::env::var_os("TOXIPROXY").context("TOXIPROXY must name a toxiproxy-server: run `make chaos`")?;
        let api = KeptPort::take()?;
        let address = api.address()?;
        let mut command = Command::new(program);
        command.args(["-host", "127.0.0.1", "-port", &address.port().to_string()]);
        let process = Process::spawn("toxiproxy", &mut command, &directory.join("toxiproxy.log"))?;
        wait::until("Toxiproxy", || async {
            process.must_run()?;
            Ok(ask(address, "GET", "/version", None).await.ok())
        })
        .await?;
        Ok(Self { _process: process, api, ports: BTreeMap::new() })
    }

    /// A link to a server. Returns its address for clients.
    ///
    /// # Errors
    /// Toxiproxy refuses it.
    pub(crate) async fn add(&mut self, name: &str, server: SocketAddr) -> Result<SocketAddr> {
        let port = KeptPort::take()?;
        let address = port.address()?;
        let proxy =
            json!({"name": name, "listen": address.to_string(), "upstream": server.to_string(), "enabled": true});
        self.ask("POST", "/proxies", Some(&proxy)).await?;
        self.ports.insert(name.to_owned(), port);
        Ok(address)
    }

    /// The address of a link for clients.
    ///
    /// # Errors
    /// There is no such link.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr> {
        self.ports.get(name).with_context(|| format!("there is no link {name}"))?.address()
    }

    /// Closes the port and ends the connections, as the end of the server does.
    ///
    /// # Errors
    /// Toxiproxy refuses it.
    pub(crate) async fn close(&self, name: &str) -> Result<()> {
        self.ask("POST", &format!("/proxies/{name}"), Some(&json!({"enabled": false}))).await
    }

    /// Opens the port again.
    ///
    /// # Errors
    /// Toxiproxy refuses it.
    pub(crate) async fn open(&self, name: &str) -> Result<()> {
        self.ask("POST", &format!("/proxies/{name}"), Some(&json!({"enabled": true}))).await
    }

    /// Opens the port again, in front of another server.
    ///
    /// # Errors
    /// Toxiproxy refuses it.
    pub(crate) async fn lead(&self, name: &str, server: SocketAddr) -> Result<()> {
        let change = json!({"enabled": true, "upstream": server.to_string()});
        self.ask("POST", &format!("/proxies/{name}"), Some(&change)).await
    }

    /// Adds a toxic in both directions.
    ///
    /// # Errors
    /// Toxiproxy refuses it.
    pub(crate) async fn poison(&self, name: &str, toxic: &str, attributes: &Value) -> Result<()> {
        for stream in ["upstream", "downstream"] {
            let toxic = json!({
                "name": format!("{toxic}_{stream}"),
                "type": toxic,
                "stream": stream,
                "attributes": attributes,
            });
            self.ask("POST", &format!("/proxies/{name}/toxics"), Some(&toxic)).await?;
        }
        Ok(())
    }

    /// Removes all toxics and opens all links.
    ///
    /// # Errors
    /// Toxiproxy refuses it.
    pub(crate) async fn mend(&self) -> Result<()> {
        self.ask("POST", "/reset", None).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<()> {
        ask(self.api.address()?, method, path, body).await
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Result<()> {
    let mut request = Request::new(method, path).header("host", address.to_string()).header("connection", "close");
    if method == "POST" {
        request = request.json(body.map(Value::to_string).unwrap_or_default());
    }
    let answer = Http1::connect(address).await?.send(&request).await.with_context(|| format!("Toxiproxy: {path}"))?;
    ensure!(answer.status.is_success(), "Toxiproxy: {path}: {} {}", answer.status, answer.text());
    Ok(())
}
