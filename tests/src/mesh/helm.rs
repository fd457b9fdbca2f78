//! Runs the helm program.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::kube::Kube;
use super::tools;

/// Helm for one release.
#[derive(Clone, Debug)]
pub struct Helm {
    binary: PathBuf,
    kubeconfig: PathBuf,
    directory: PathBuf,
    release: String,
    namespace: String,
}

impl Helm {
    /// Helm for `release` in `namespace`; `directory` keeps its files.
    ///
    /// # Errors
    /// When it is missing.
    pub fn new(kube: &Kube, directory: &Path, release: &str, namespace: &str) -> Result<Self> {
        Ok(Self {
            binary: tools::program("helm")?,
            kubeconfig: kube.kubeconfig().to_owned(),
            directory: directory.to_owned(),
            release: release.to_owned(),
            namespace: namespace.to_owned(),
        })
    }

    /// `helm install` of the chart with these values and additional options.
    ///
    /// # Errors
    /// When helm fails. The message has its output.
    pub async fn install(&self, values: &Value, options: &[&str]) -> Result<String> {
        self.with_values("install", values, options).await
    }

    /// `helm upgrade` with only these values and additional options.
    ///
    /// # Errors
    /// When helm fails. The message has its output.
    pub async fn upgrade(&self, values: &Value, options: &[&str]) -> Result<String> {
        self.with_values("upgrade", values, options).await
    }

    /// `helm rollback` to a revision with additional options.
    ///
    /// # Errors
    /// When helm fails. The message has its output.
    pub async fn rollback(&self, revision: u32, options: &[&str]) -> Result<String> {
        self.run(&[&["rollback", &self.release, &revision.to_string()], options].concat()).await
    }

    /// `helm uninstall`.
    ///
    /// # Errors
    /// When helm fails. The message has its output.
    pub async fn uninstall(&self, options: &[&str]) -> Result<String> {
        self.run(&[&["uninstall", &self.release], options].concat()).await
    }

    /// `helm test`.
    ///
    /// # Errors
    /// When the test fails. The message has helm's output.
    pub async fn test(&self, options: &[&str]) -> Result<String> {
        self.run(&[&["test", &self.release], options].concat()).await
    }

    /// Any helm command in this release's namespace.
    ///
    /// # Errors
    /// When helm fails. The message has its output.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let Output { status, stdout, stderr } = self
            .command()
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output()
            .await?;
        let printed = String::from_utf8_lossy(&stdout).into_owned();
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "helm {}: {}\n{printed}", arguments.join(" "), said.trim());
        Ok(printed)
    }

    async fn with_values(&self, command: &str, values: &Value, options: &[&str]) -> Result<String> {
        let file = self.directory.join("values.json");
        std::fs::write(&file, serde_json::to_string_pretty(values)?)?;
        let (chart, file) = (tools::chart(), file.to_string_lossy().into_owned());
        let chart = chart.to_string_lossy();
        self.run(&[&[command, &self.release, &chart, "--values", &file], options].concat()).await
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        // Ignores the user's own helm settings.
        for (variable, directory) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, self.directory.join("helm").join(directory));
        }
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--namespace").arg(&self.namespace);
        command
    }
}
