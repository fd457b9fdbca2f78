//! A simple proxy-wasm filter for comparison. It holds a request until the body is complete, copies the body into the
//! VM, parses it into a `serde_json::Value`, and looks the value at `/tenant/id` up in a map.
//!
//! Its faults:
//! - It takes the last of two keys, even if the cell takes the first.
//! - A request with trailers keeps the routing header of its client, because no body callback has `end_of_stream`.
//! - A body above Envoy's buffer limit gets a 413.
//! - The VM's memory grows to several times the largest body and never shrinks.
//!
//! The cells come from `placement.exact` in the plugin's configuration, which has Cellgate's format.
#![expect(missing_docs, reason = "the SDK's macro exports undocumented symbols")]

use std::collections::HashMap;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { cells: Rc::default() }));
}}

/// The routing header: the routes match on it.
const ROUTING_HEADER: &str = "x-cell";

/// The cell of each tenant.
type Cells = HashMap<String, String>;

struct Root {
    cells: Rc<Cells>,
}

struct Request {
    cells: Rc<Cells>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let cells = self.get_plugin_configuration().and_then(|config| cells(&config));
        self.cells = Rc::new(cells.unwrap_or_default());
        !self.cells.is_empty()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { cells: Rc::clone(&self.cells) }))
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            self.set_http_request_header(ROUTING_HEADER, None);
            return Action::Continue;
        }
        Action::Pause
    }

    fn on_http_request_body(&mut self, held: usize, end_of_stream: bool) -> Action {
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, held).unwrap_or_default();
        self.set_http_request_header(ROUTING_HEADER, cell_of(&self.cells, &body));
        Action::Continue
    }
}

/// The cell of the tenant in the body.
fn cell_of<'a>(cells: &'a Cells, body: &[u8]) -> Option<&'a str> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let tenant = document.pointer("/tenant/id")?.as_str()?;
    cells.get(tenant).map(String::as_str)
}

/// Reads `placement.exact`.
fn cells(config: &[u8]) -> Option<Cells> {
    let config: Value = serde_json::from_slice(config).ok()?;
    let exact = config.pointer("/placement/exact")?.as_object()?;
    let pairs = exact.iter().filter_map(|(tenant, cell)| Some((tenant.clone(), cell.as_str()?.to_owned())));
    Some(pairs.collect())
}
