//! All parts together: three cells, the ext-proc service, and Envoy with the filter.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::cell::Cell;
use crate::client::{Http1, Http2, Request, Response};
use crate::envoy::{Admin, Envoy};
use crate::ext_proc::ExtProc;
use crate::options::Options;

/// A running stack on its own ports. Dropping it stops every part. A failing test shows the logs.
#[derive(Debug)]
pub struct Stack {
    // Dropped in this order: Envoy first, so that it does not report errors when the others stop.
    envoy: Envoy,
    ext_proc: Option<ExtProc>,
    cells: Vec<Cell>,
    options: Options,
    directory: TempDir,
}

impl Stack {
    /// Starts every part and waits until all are ready.
    ///
    /// # Panics
    /// When a part does not start. The message has its log.
    pub async fn start(options: Options) -> Self {
        Self::try_start(options).await.unwrap_or_else(|error| panic!("the stack did not start: {error:#}"))
    }

    /// Like [`Stack::start`], but returns the error.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn try_start(mut options: Options) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("cellgate-").tempdir()?;
        let mut cells = Vec::new();
        for name in cell_names(&options.config)? {
            cells.push(Cell::start(&name).await?);
        }
        let ext_proc = if options.chain.has_service() {
            Some(ExtProc::start(&options.effective_config(), directory.path(), &options.service_options).await?)
        } else {
            None
        };
        let address = ext_proc.as_ref().map(|service| service.addresses().grpc);
        let envoy = Envoy::start(&mut options, &cells, address, directory.path()).await?;
        Ok(Self { envoy, ext_proc, cells, options, directory })
    }

    /// Sends one request over HTTP/1.1 on a new connection.
    ///
    /// # Panics
    /// When there is no complete response.
    pub async fn send(&self, request: &Request) -> Response {
        let answer = async { self.connect().await.send(request).await };
        answer.await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Sends one request over HTTP/2 on a new connection.
    ///
    /// # Panics
    /// When there is no complete response.
    pub async fn send_h2(&self, request: &Request) -> Response {
        let answer = async { self.connect_h2().await.send(request).await };
        answer.await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// `POST path` with a JSON body.
    ///
    /// # Panics
    /// When there is no complete response.
    pub async fn post_json(&self, path: &str, body: impl Into<bytes::Bytes>) -> Response {
        self.send(&Request::post(path).json(body)).await
    }

    /// `GET path`.
    ///
    /// # Panics
    /// When there is no complete response.
    pub async fn get(&self, path: &str) -> Response {
        self.send(&Request::get(path)).await
    }

    /// An HTTP/1.1 connection to Envoy.
    ///
    /// # Panics
    /// When Envoy refuses it.
    pub async fn connect(&self) -> Http1 {
        Http1::connect(self.address()).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// An HTTP/2 connection to Envoy.
    ///
    /// # Panics
    /// When Envoy refuses it.
    pub async fn connect_h2(&self) -> Http2 {
        Http2::connect(self.address()).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.envoy.address()
    }

    /// A cell by its name.
    ///
    /// # Panics
    /// When the configuration has no such cell.
    #[must_use]
    #[track_caller]
    pub fn cell(&self, name: &str) -> &Cell {
        let found = self.cells.iter().find(|cell| cell.name() == name);
        found.unwrap_or_else(|| panic!("there is no cell {name:?}"))
    }

    /// Every cell, in the order of the configuration.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Envoy: its log, access log and configuration.
    #[must_use]
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// Envoy's statistics.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        self.envoy.admin()
    }

    /// The ext-proc service.
    ///
    /// # Panics
    /// When the chain has none.
    #[must_use]
    #[track_caller]
    pub fn ext_proc(&self) -> &ExtProc {
        self.ext_proc.as_ref().unwrap_or_else(|| panic!("the chain {:?} has no service", self.options.chain))
    }

    /// Envoy's count of ext-proc streams: 0 while the filter decides every request.
    ///
    /// # Panics
    /// When Envoy does not respond.
    pub async fn ext_proc_streams(&self) -> u64 {
        self.admin().stat("cluster.ext-proc.upstream_rq_total").await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Gives both tiers another configuration and waits until the filter uses it. The service reloads its file
    /// asynchronously, so a test must wait for the change that it needs.
    ///
    /// # Errors
    /// When a tier rejects it.
    pub async fn apply(&self, config: &Value) -> Result<()> {
        let config = self.options.complete(config.clone());
        if let Some(service) = &self.ext_proc {
            service.write_config(&config.to_string())?;
        }
        if self.options.chain.has_filter() {
            self.envoy.update_filter(&config).await?;
        }
        Ok(())
    }

    /// The stack's own directory: configurations and logs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

fn cell_names(config: &Value) -> Result<Vec<String>> {
    let names = config["cells"].as_array().context("the configuration has no list of cells")?;
    Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
