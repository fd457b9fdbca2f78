//! Cellgate's filter with a timer. Every callback goes to the filter, and a histogram records the time that a request's
//! callbacks take until the decision.
//!
//! The module answers `GET /-/timed` itself: `{"decisions": [[nanoseconds, count], …], "clock": nanoseconds, "memory":
//! bytes}`. `decisions` has the decisions since the last such request, `clock` the cost of one clock reading, and
//! `memory` the size of the VM's memory. Each callback reads the clock twice; about one reading is part of its time.
// The clock and the memory exist only in a module for Envoy.
#![cfg(target_arch = "wasm32")]
#![expect(missing_docs, reason = "the SDK's macro exports undocumented symbols")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use cellgate_bench_micro::Histogram;
use cellgate_filter::{Envoy, Host, Root, Stream};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use serde_json::json;

/// The path that this module answers itself.
const REPORT_PATH: &[u8] = b"/-/timed";

/// The number of clock readings that are timed together.
const READINGS: u64 = 10_000;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(TimedRoot { filter: Root::in_envoy(), decisions: Rc::default() }));
}}

struct TimedRoot {
    filter: Root<Envoy>,
    decisions: Rc<RefCell<Histogram>>,
}

struct TimedStream {
    filter: Stream<Envoy>,
    /// Nanoseconds in callbacks so far; `None` after the decision.
    spent: Option<u64>,
    decisions: Rc<RefCell<Histogram>>,
}

impl Context for TimedRoot {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        self.filter.on_grpc_call_response(token, status, size);
    }
}

impl RootContext for TimedRoot {
    fn on_configure(&mut self, size: usize) -> bool {
        self.filter.on_configure(size)
    }

    fn on_tick(&mut self) {
        self.filter.on_tick();
    }

    fn get_type(&self) -> Option<ContextType> {
        self.filter.get_type()
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let start = now();
        let filter = self.filter.open();
        let spent = Some(now().saturating_sub(start));
        Some(Box::new(TimedStream { filter, spent, decisions: Rc::clone(&self.decisions) }))
    }
}

impl TimedStream {
    fn timed(&mut self, callback: impl FnOnce(&mut Stream<Envoy>) -> Action) -> Action {
        let start = now();
        let action = callback(&mut self.filter);
        let taken = now().saturating_sub(start);
        if let Some(spent) = &mut self.spent {
            *spent += taken;
        }
        // The filter continues a request when it has decided.
        if action == Action::Continue {
            self.decided();
        }
        action
    }

    fn decided(&mut self) {
        if let Some(spent) = self.spent.take() {
            self.decisions.borrow_mut().record(spent);
        }
    }

    fn answer(&self) -> String {
        let start = now();
        for _ in 1..READINGS {
            now();
        }
        let clock = now().saturating_sub(start) / READINGS;
        let mut histogram = self.decisions.borrow_mut();
        let decisions: Vec<_> = histogram.buckets().collect();
        histogram.clear();
        json!({"decisions": decisions, "clock": clock, "memory": memory()}).to_string()
    }
}

impl Context for TimedStream {}

impl HttpContext for TimedStream {
    fn on_http_request_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        if end_of_stream && is_report_request() {
            self.spent = None;
            Envoy.respond(200, "application/json", &self.answer());
            return Action::Pause;
        }
        self.timed(|filter| filter.on_http_request_headers(count, end_of_stream))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.timed(|filter| filter.on_http_request_body(size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.timed(|filter| filter.on_http_request_trailers(count))
    }
}

/// A rejected request never continues, so its time is recorded here.
impl Drop for TimedStream {
    fn drop(&mut self) {
        self.decided();
    }
}

fn is_report_request() -> bool {
    let headers = Envoy.request_headers();
    headers.is_some_and(|headers| headers.iter().any(|(name, value)| name == ":path" && value == REPORT_PATH))
}

/// Nanoseconds since 1970, by Envoy's clock.
fn now() -> u64 {
    let since = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default()
}

/// The size of the VM's memory in bytes. It never shrinks.
fn memory() -> usize {
    /// WebAssembly's page size.
    const PAGE: usize = 64 * 1024;
    core::arch::wasm32::memory_size::<0>() * PAGE
}
