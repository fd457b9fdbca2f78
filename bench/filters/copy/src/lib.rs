//! A proxy-wasm filter that copies every byte of a body into the VM and inspects none of them. By default it holds the
//! request until the body is complete, like a filter that decides by the whole body. With `{"mode": "stream"}` it
//! forwards each chunk at once, like a filter that only observes.
//!
//! The counter `bench.copied_bytes` proves the copies to the benchmark. It costs 0.2 µs per request.
#![expect(missing_docs, reason = "the SDK's macro exports undocumented symbols")]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MetricType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { copied: None, holds: true }));
}}

struct Root {
    /// The counter, or `None` if the host could not define it.
    copied: Option<u32>,
    holds: bool,
}

struct Request {
    counter: Option<u32>,
    holds: bool,
    /// Bytes of the held body that were copied.
    seen: usize,
    /// All bytes that were copied.
    copied: usize,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.copied = hostcalls::define_metric(MetricType::Counter, "bench.copied_bytes").ok();
        self.copied.is_some()
    }

    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        self.holds = !configuration.windows(STREAM.len()).any(|window| window == STREAM);
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { counter: self.copied, holds: self.holds, seen: 0, copied: 0 }))
    }
}

/// The configuration of a filter that does not hold contains this text. A search keeps a JSON parser out of the module.
const STREAM: &[u8] = br#""stream""#;

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        if end_of_stream || !self.holds { Action::Continue } else { Action::Pause }
    }

    fn on_http_request_body(&mut self, there: usize, end_of_stream: bool) -> Action {
        let new = there.saturating_sub(self.seen);
        if new > 0 {
            let bytes = self.get_http_request_body(self.seen, new).unwrap_or_default();
            self.copied += std::hint::black_box(&bytes).len();
        }
        if !end_of_stream && self.holds {
            self.seen = there;
            return Action::Pause;
        }
        if end_of_stream && let (Some(counter), Ok(copied)) = (self.counter, i64::try_from(self.copied)) {
            // The benchmark reports a count that is too low.
            let _ = hostcalls::increment_metric(counter, copied);
        }
        Action::Continue
    }
}
