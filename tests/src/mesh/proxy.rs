//! Stock Envoy as a gateway or a sidecar. It gets its configuration from istiod and its certificates from its own
//! [`Sds`].

mod bootstrap;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::net::TcpStream;

pub use bootstrap::{Discovery, Kind};

use super::Mesh;
use super::sds::Sds;
use crate::envoy::{AccessLine, Admin, access_log, read_admin_address};
use crate::process::Process;
use crate::{artifacts, wait};

/// The node metadata that a proxy sends to istiod.
#[derive(Clone, Debug)]
pub struct Role {
    /// Gateway or sidecar.
    pub kind: Kind,
    /// Its pod's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its service account: its identity.
    pub service_account: String,
    /// Its pod's labels.
    pub labels: Value,
    /// Its pod's address.
    pub address: Ipv4Addr,
}

/// A running proxy. Dropping it stops it, and fails the test if Envoy has rejected an update of istiod, unless
/// [`Proxy::may_refuse`] has been called.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    admin: Admin,
    role: Role,
    may_refuse: bool,
    _sds: Sds,
}

impl Proxy {
    /// Starts Envoy and waits for istiod's first responses. `directory` must exist.
    ///
    /// # Errors
    /// When it is missing, exits, or gets no response in time. The message has its log.
    pub async fn start(mesh: &Mesh, role: Role, directory: &Path) -> Result<Self> {
        Self::start_by(mesh, Discovery::Istiod(mesh.istiod().discovery()), role, directory).await
    }

    /// Like [`Proxy::start`], with another configuration source.
    ///
    /// # Errors
    /// As above.
    pub async fn start_by(mesh: &Mesh, discovery: Discovery<'_>, role: Role, directory: &Path) -> Result<Self> {
        let leaf = mesh.authority().workload(&role.namespace, &role.service_account)?;
        let sds = Sds::start(leaf, mesh.authority().certificate()).await?;
        let file = |suffix: &str| directory.join(format!("{}.{suffix}", role.name));
        let config = bootstrap::build(&role, &discovery, sds.address());
        std::fs::write(file("json"), serde_json::to_string_pretty(&config)?)?;
        let mut command = Command::new(artifacts::envoy()?);
        command.arg("--config-path").arg(file("json"));
        command.arg("--admin-address-path").arg(file("admin"));
        command.args(["--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "50"]);
        command.args(["--log-level", "warning", "--component-log-level", "wasm:info,misc:error"]);
        let process = Process::spawn(role.kind.name(), &mut command, &file("log"))?;
        let admin = Admin::new(read_admin_address(&process, &file("admin")).await?);
        let proxy = Self { process, admin, role, may_refuse: false, _sds: sds };
        wait::until("istiod's first response", || async {
            proxy.process.must_run()?;
            let answered = proxy.admin.stat("listener_manager.lds.update_attempt").await.unwrap_or(0) > 0;
            Ok(answered.then_some(()))
        })
        .await?;
        Ok(proxy)
    }

    /// Waits until it accepts connections on a port of its address.
    ///
    /// # Errors
    /// On a timeout, or when it has rejected an update.
    pub async fn listening(&self, port: u16) -> Result<SocketAddr> {
        let address = SocketAddr::V4(SocketAddrV4::new(self.role.address, port));
        wait::until(&format!("{} to listen on {address}", self.role.name), || async {
            self.process.must_run()?;
            self.must_accept().await?;
            Ok(TcpStream::connect(address).await.ok())
        })
        .await?;
        Ok(address)
    }

    /// Waits until Envoy's configuration dump meets a condition. `what` is for the error message.
    ///
    /// # Errors
    /// On a timeout, or when Envoy has rejected an update.
    pub async fn configured(&self, what: &str, is_met: impl Fn(&Value) -> bool) -> Result<()> {
        wait::until(&format!("{what} at {}", self.role.name), || async {
            self.process.must_run()?;
            self.must_accept().await?;
            Ok(is_met(&self.admin.config_dump().await?).then_some(()))
        })
        .await
    }

    /// Waits until Envoy has the module and the configuration of a release's filter.
    ///
    /// # Errors
    /// On a timeout, or when Envoy has rejected it.
    pub async fn has_filter(&self, name: &str, configuration: &str) -> Result<()> {
        let is_in_force = |dump: &Value| {
            http_filters(dump).iter().any(|filter| filter == name)
                && filter_configuration(dump, name).is_some_and(|text| text == configuration)
        };
        self.configured(&format!("the filter {name}"), is_in_force).await
    }

    /// Fails if Envoy has rejected an update of istiod.
    ///
    /// # Errors
    /// When Envoy has rejected one. The message has the reason.
    pub async fn must_accept(&self) -> Result<()> {
        let refused = self.admin.stats("update_rejected").await?;
        if let Some((name, _)) = refused.into_iter().find(|(_, count)| *count > 0)
            && !self.may_refuse
        {
            bail!("{} rejected an update ({name}):\n{}", self.role.name, self.process.log());
        }
        Ok(())
    }

    /// Allows Envoy to reject updates, for tests that cause it.
    pub fn may_refuse(&mut self) {
        self.may_refuse = true;
    }

    /// The current [`http_filters`].
    ///
    /// # Errors
    /// When Envoy does not respond.
    pub async fn http_filters(&self) -> Result<Vec<String>> {
        Ok(http_filters(&self.admin.config_dump().await?))
    }

    /// The lines of the access log so far.
    ///
    /// # Errors
    /// When a line is malformed.
    pub fn access_log(&self) -> Result<Vec<AccessLine>> {
        let log = self.process.log();
        let complete = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
        access_log::parse(complete.lines().filter(|line| line.starts_with('{')))
    }

    /// Waits for the access log line with this path and query.
    ///
    /// # Errors
    /// On a timeout.
    pub async fn access_line(&self, path: &str) -> Result<AccessLine> {
        let what = format!("the access log line of {path}");
        wait::until(&what, || async { Ok(self.access_log()?.into_iter().find(|line| line.text("path") == path)) }).await
    }

    /// Envoy's admin interface: statistics and dumps.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Its node metadata.
    #[must_use]
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// The program, for signals and its log.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Envoy logs a rejection at the log level that it has here.
        let log = self.process.log();
        let refusal = log.lines().find(|line| line.contains("rejected: "));
        if let (Some(line), false, false) = (refusal, self.may_refuse, std::thread::panicking()) {
            panic!("{} rejected an update: {line}", self.role.name);
        }
    }
}

/// The names of the HTTP filters of all active listeners, in order. Draining listeners are left out.
#[must_use]
pub fn http_filters(dump: &Value) -> Vec<String> {
    let mut names = Vec::new();
    visit(dump, "active_state", &mut |listener| {
        visit(listener, "http_filters", &mut |filters| {
            let filters = filters.as_array().into_iter().flatten();
            names.extend(filters.filter_map(|filter| filter["name"].as_str()).map(str::to_owned));
        });
    });
    names
}

/// The configuration of a filter as Envoy has it from extension discovery.
fn filter_configuration<'a>(dump: &'a Value, name: &str) -> Option<&'a str> {
    let sections = dump["configs"].as_array()?.iter();
    let mut filters = sections.flat_map(|section| section["ecds_filters"].as_array().into_iter().flatten());
    let filter = filters.find(|filter| filter["ecds_filter"]["name"] == name)?;
    filter["ecds_filter"]["typed_config"]["config"]["configuration"]["value"].as_str()
}

/// Calls `found` with every value of a key, at any depth.
pub fn visit(value: &Value, key: &str, found: &mut impl FnMut(&Value)) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| visit(value, key, found)),
        Value::Object(map) => {
            for (name, value) in map {
                if name == key {
                    found(value);
                }
                visit(value, key, found);
            }
        }
        _ => (),
    }
}
