//! An HTTP stream as the SDK knows it: passes Envoy's callbacks on to the request's state machine.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types;

use crate::host::Host;
use crate::plugin::Plugin;
use crate::request::{Action, Request};

/// A request, or none if no configuration was in force when Envoy opened the stream. Envoy sends none then; if one comes,
/// it is refused, not passed on.
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
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> types::Action {
        let Some(request) = &mut self.request else {
            self.host.respond(503, "text/plain", "cellgate is not configured\n");
            return types::Action::Pause;
        };
        request.on_headers(end_of_stream).into()
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> types::Action {
        self.request.as_mut().map_or(Action::Pause, |request| request.on_body(size, end_of_stream)).into()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> types::Action {
        self.request.as_mut().map_or(Action::Pause, Request::on_trailers).into()
    }
}

/// The SDK drops a stream when Envoy deletes it. `on_done` and `on_log` would be two more callbacks for each request.
impl<H: Host> Drop for Stream<H> {
    fn drop(&mut self) {
        if let Some(request) = &mut self.request {
            request.on_end();
        }
    }
}

impl From<Action> for types::Action {
    fn from(action: Action) -> Self {
        match action {
            Action::Continue => Self::Continue,
            Action::Pause => Self::Pause,
        }
    }
}

#[cfg(test)]
mod tests;
