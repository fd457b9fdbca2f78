//! Envoy's admin interface.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::client::{self, Response};
use crate::wait;

/// A client of the admin interface.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    address: SocketAddr,
}

impl Admin {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The address of the admin interface.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a GET for any admin path.
    ///
    /// # Errors
    /// When Envoy does not respond.
    pub async fn get(&self, path: &str) -> Result<Response> {
        client::get(self.address, path).await
    }

    /// A counter or gauge by its exact name; 0 if Envoy has not created it yet.
    ///
    /// # Errors
    /// When Envoy does not respond.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        let stats = self.stats(name).await?;
        Ok(stats.into_iter().find(|(found, _)| found == name).map_or(0, |(_, value)| value))
    }

    /// Every counter and gauge whose name contains `part`.
    ///
    /// # Errors
    /// When Envoy does not respond.
    pub async fn stats(&self, part: &str) -> Result<Vec<(String, u64)>> {
        // The parameter is a regular expression, so every byte with a meaning in one, or in a URL, becomes `.`.
        let filter: String =
            part.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '.' }).collect();
        let answer = self.get(&format!("/stats?filter={filter}")).await?;
        ensure!(answer.status.is_success(), "/stats: {} {}", answer.status, answer.text());
        let text = answer.text();
        let values = text.lines().filter_map(|line| line.rsplit_once(": "));
        Ok(values.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// Waits until a counter or gauge satisfies a condition, and returns its value.
    ///
    /// # Panics
    /// On a timeout.
    pub async fn wait_for_stat(&self, name: &str, is_met: impl Fn(u64) -> bool) -> u64 {
        let reached = wait::until(name, || async { Ok(Some(self.stat(name).await?).filter(|value| is_met(*value))) });
        match reached.await {
            Ok(value) => value,
            Err(error) => panic!("{error}, which is {:?}", self.stat(name).await),
        }
    }

    /// Envoy's version, such as `1.40.0`, for behaviour that differs between versions.
    ///
    /// # Errors
    /// When Envoy does not respond.
    pub async fn version(&self) -> Result<String> {
        // REVISION/VERSION/STATE/BUILD/TLS
        let info = self.get("/server_info").await?.json();
        let version = info["version"].as_str().and_then(|parts| parts.split('/').nth(1));
        Ok(version.context("no version in /server_info")?.to_owned())
    }

    /// `/config_dump`.
    ///
    /// # Errors
    /// When Envoy does not respond.
    pub async fn config_dump(&self) -> Result<Value> {
        Ok(self.get("/config_dump").await?.json())
    }
}
