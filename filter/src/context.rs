//! The SDK's traits: each callback is passed on, nothing is decided here.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::host::{Envoy, Host};
use crate::request::Request;
use crate::root::Root;

/// A request as the SDK sees it.
#[derive(Debug)]
pub struct HttpFilter<H: Host>(Request<H>);

/// A request that came before any configuration. Envoy sends none then; if one comes, it is refused, not passed on.
#[derive(Debug)]
pub struct Unconfigured;

impl<H> Context for Root<H> {}

impl<H: Host + Clone + 'static> RootContext for Root<H> {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.configure()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match self.plugin() {
            Some(plugin) => Box::new(HttpFilter(Request::new(plugin))),
            // The SDK panics on None.
            None => Box::new(Unconfigured),
        })
    }
}

impl<H: Host> Context for HttpFilter<H> {}

impl<H: Host> HttpContext for HttpFilter<H> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.0.on_headers(end_of_stream)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.0.on_body(size, end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.0.on_trailers()
    }

    fn on_log(&mut self) {
        self.0.on_end();
    }
}

impl Context for Unconfigured {}

impl HttpContext for Unconfigured {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        Envoy.respond(503, "text/plain", "cellgate is not configured\n");
        Action::Pause
    }
}
