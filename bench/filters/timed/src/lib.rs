//! Cellgate's filter, which also counts how long its decisions take: every callback is passed on to the filter, and the
//! time that all callbacks of a request take until its decision goes into a histogram.
//!
//! `GET /-/timed` is answered here: `{"decisions": [[nanoseconds, count], …], "clock": nanoseconds, "memory": bytes}` with
//! the decisions since the last such question, what reading the clock costs, and the VM's memory. The clock is read
//! twice for each callback, and about one of these readings is inside what is measured.
// Its clock and its memory are those of a module for Envoy.
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

/// What is answered here.
const QUESTION: &[u8] = b"/-/timed";

/// How many readings of the clock are measured together.
const READINGS: u64 = 10_000;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(TimedRoot { filter: Root::new(Envoy), decisions: Rc::default() }));
}}

struct TimedRoot {
    filter: Root<Envoy>,
    decisions: Rc<RefCell<Histogram>>,
}

struct TimedStream {
    filter: Stream<Envoy>,
    /// Nanoseconds in callbacks so far, as long as the request is not decided.
    spent: Option<u64>,
    decisions: Rc<RefCell<Histogram>>,
}

impl Context for TimedRoot {}

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
        // The filter lets a request go on when it has decided.
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
        if end_of_stream && is_question() {
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

/// Refused requests never went on.
impl Drop for TimedStream {
    fn drop(&mut self) {
        self.decided();
    }
}

fn is_question() -> bool {
    let headers = Envoy.request_headers();
    headers.is_some_and(|headers| headers.iter().any(|(name, value)| name == ":path" && value == QUESTION))
}

/// Nanoseconds since 1970, by Envoy's clock.
fn now() -> u64 {
    let since = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default()
}

/// What the VM has taken so far, in bytes; it gives none back.
fn memory() -> usize {
    /// Of WebAssembly.
    const PAGE: usize = 64 * 1024;
    core::arch::wasm32::memory_size::<0>() * PAGE
}
