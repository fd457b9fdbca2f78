//! A proxy-wasm filter that holds a request until its body is complete, copies every new byte of it into the VM and
//! looks at none: the least that a filter must do which decides by the body.
//!
//! The counter `bench.copied_bytes` proves to the benchmark that it did. It costs a fifth of a microsecond.
#![expect(missing_docs, reason = "the SDK's macro exports undocumented symbols")]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MetricType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { copied: None }));
}}

struct Root {
    /// The counter, or `None` if the host has not got it.
    copied: Option<u32>,
}

struct Request {
    counter: Option<u32>,
    copied: usize,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.copied = hostcalls::define_metric(MetricType::Counter, "bench.copied_bytes").ok();
        self.copied.is_some()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { counter: self.copied, copied: 0 }))
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        if end_of_stream { Action::Continue } else { Action::Pause }
    }

    fn on_http_request_body(&mut self, held: usize, end_of_stream: bool) -> Action {
        let new = held.saturating_sub(self.copied);
        if new > 0 {
            let bytes = self.get_http_request_body(self.copied, new).unwrap_or_default();
            self.copied += std::hint::black_box(&bytes).len();
        }
        if !end_of_stream {
            return Action::Pause;
        }
        if let (Some(counter), Ok(copied)) = (self.counter, i64::try_from(self.copied)) {
            // A benchmark that misses the count says so.
            let _ = hostcalls::increment_metric(counter, copied);
        }
        Action::Continue
    }
}
