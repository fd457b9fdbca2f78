//! An HTTP stream of the SDK: forwards Envoy's callbacks to the request.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::host::Host;
use crate::plugin::Plugin;
use crate::request::Request;

/// A request, or none if there was no configuration when Envoy opened the stream. Envoy opens no such stream; the
/// filter refuses its request all the same.
#[derive(Debug)]
pub struct Stream<H: Host> {
    host: H,
    request: Option<Request<H>>,
}

impl<H: Host> Stream<H> {
    pub(crate) fn new(host: H, plugin: Option<Rc<Plugin<H>>>) -> Self {
        Self { host, request: plugin.map(Request::new) }
    }
}

impl<H: Host> Context for Stream<H> {}

impl<H: Host> HttpContext for Stream<H> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let Some(request) = &mut self.request else {
            self.host.respond(503, "text/plain", "cellgate is not configured\n");
            return Action::Pause;
        };
        request.on_headers(end_of_stream)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.request.as_mut().map_or(Action::Pause, |request| request.on_body(size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.request.as_mut().map_or(Action::Pause, Request::on_trailers)
    }

    /// A callback's own result releases a request. Envoy loses body frames of one that is resumed elsewhere, so the module
    /// must not even have the call, which the SDK would make here.
    fn resume_http_request(&self) {}

    /// As for the request.
    fn resume_http_response(&self) {}
}

/// The SDK drops a stream when Envoy deletes it. `on_done` and `on_log` would be two more callbacks for each request.
impl<H: Host> Drop for Stream<H> {
    fn drop(&mut self) {
        if let Some(request) = &mut self.request {
            request.on_end();
        }
    }
}

#[cfg(test)]
mod tests;
