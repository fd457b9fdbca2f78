//! An Envoy with a module of `bench/filters` and no upstreams. Envoy itself responds to every routed request with a 200
//! and the name of the request's cell.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use cellgate_tests::artifacts;
use cellgate_tests::cell::Cell;
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::envoy::Envoy;
use cellgate_tests::options::{Chain, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cases::BUFFER_LIMIT;

const ROUTES: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";

/// The running Envoy. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Vm {
    envoy: Envoy,
    _cells: Vec<Cell>,
    _directory: TempDir,
}

impl Vm {
    /// Starts Envoy with a module, given as a path below `target/wasm32-unknown-unknown`.
    ///
    /// # Errors
    /// When the module is missing, or Envoy is missing or does not start.
    pub(crate) async fn start(module: &str) -> Result<Self> {
        let path = artifacts::checkout().join("target/wasm32-unknown-unknown").join(module);
        if !path.is_file() {
            bail!("{} does not exist: run `make bench`, which builds it", path.display());
        }
        let directory = tempfile::Builder::new().prefix("cellgate-micro-").tempdir()?;
        let mut cells = Vec::new();
        for name in ["cell-a", "cell-b", "cell-c"] {
            cells.push(Cell::start(name).await?);
        }
        let mut options = Options::default().chain(Chain::Filter).module(path).buffer_limit(BUFFER_LIMIT);
        options = options.adjust(answer_at_once);
        let started = Envoy::start(&mut options, &cells, None, directory.path()).await;
        let envoy = started.with_context(|| module.to_owned())?;
        Ok(Self { envoy, _cells: cells, _directory: directory })
    }

    /// The address for clients.
    pub(crate) fn address(&self) -> SocketAddr {
        self.envoy.address()
    }

    /// Sends a GET that the module itself answers.
    ///
    /// # Errors
    /// When the response is not JSON with status 200.
    pub(crate) async fn ask(&self, path: &str) -> Result<Value> {
        let response = Http1::connect(self.address()).await?.send(&Request::get(path)).await?;
        if !response.status.is_success() {
            bail!("the module responded with {} to {path}", response.status);
        }
        Ok(response.json())
    }
}

fn answer_at_once(bootstrap: &mut Value) {
    let routes = bootstrap.pointer_mut(ROUTES).and_then(Value::as_array_mut);
    for route in routes.into_iter().flatten() {
        let cell = route.pointer("/match/headers/0/string_match/exact").cloned();
        if let (Some(cell), Some(route)) = (cell, route.as_object_mut()) {
            route.remove("route");
            route.insert("direct_response".to_owned(), json!({"status": 200, "body": {"inline_string": cell}}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_routes_to_cells_become_direct_responses() {
        let to_cell = json!({"match": {"headers": [{"string_match": {"exact": "cell-b"}}]}, "route": {}});
        let refusal = json!({"match": {"prefix": "/"}, "direct_response": {"status": 421}});
        let host = json!({"routes": [to_cell, refusal]});
        let manager = json!({"route_config": {"virtual_hosts": [host]}});
        let listener = json!({"filter_chains": [{"filters": [{"typed_config": manager}]}]});
        let mut bootstrap = json!({"static_resources": {"listeners": [listener]}});
        answer_at_once(&mut bootstrap);
        let routes = bootstrap.pointer(ROUTES).unwrap();
        assert_eq!(routes[0]["direct_response"], json!({"status": 200, "body": {"inline_string": "cell-b"}}));
        assert_eq!(routes[0].get("route"), None);
        assert_eq!(routes[1]["direct_response"]["status"], 421);
    }
}
