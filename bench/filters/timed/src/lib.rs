//! Cellgate's filter, which also counts how long its decisions take: every callback is passed on to the filter, and the
//! time that all callbacks of a request take until its decision goes into a histogram.
//!
//! `GET /-/timed` is answered here: `{"decisions": [[nanoseconds, count], …], "clock": nanoseconds, "memory": bytes}` with
//! the decisions since the last such question, what reading the clock costs, and the VM's memory. The clock is read
//! twice for each callback, and about one of these readings is inside what is measured.
// Its names and the hostcall belong to a module for Envoy.
#![cfg(target_arch = "wasm32")]
#![expect(unsafe_code, reason = "exported names, and one hostcall")]

use std::cell::RefCell;
use std::collections::HashMap;

use cellgate_bench_micro::Histogram;
use cellgate_filter::{Action, Contexts, Envoy, Host};
use serde_json::json;

/// What is answered here.
const QUESTION: &[u8] = b"/-/timed";

/// How many readings of the clock are measured together.
const READINGS: u64 = 10_000;

struct Timed {
    filter: Contexts<Envoy>,
    /// Nanoseconds in callbacks so far, for each request that is not decided yet.
    spent: HashMap<u32, u64>,
    decisions: Histogram,
}

thread_local! {
    static TIMED: RefCell<Option<Timed>> = const { RefCell::new(None) };
}

impl Timed {
    fn new() -> Self {
        Self { filter: Contexts::new(Envoy), spent: HashMap::new(), decisions: Histogram::default() }
    }

    fn create(&mut self, id: u32, parent: u32) {
        let start = now();
        self.filter.create(id, parent);
        if parent != 0 {
            self.spent.insert(id, now().saturating_sub(start));
        }
    }

    fn on_headers(&mut self, id: u32, end_of_stream: bool) -> Action {
        if end_of_stream && is_question() {
            self.spent.remove(&id);
            Envoy.respond(200, "application/json", &self.answer());
            return Action::Pause;
        }
        self.timed(id, |filter| filter.on_headers(id, end_of_stream))
    }

    fn timed(&mut self, id: u32, callback: impl FnOnce(&mut Contexts<Envoy>) -> Action) -> Action {
        let start = now();
        let action = callback(&mut self.filter);
        let taken = now().saturating_sub(start);
        if let Some(spent) = self.spent.get_mut(&id) {
            *spent += taken;
        }
        // The filter lets a request go on when it has decided.
        if action == Action::Continue {
            self.decided(id);
        }
        action
    }

    fn decided(&mut self, id: u32) {
        if let Some(spent) = self.spent.remove(&id) {
            self.decisions.record(spent);
        }
    }

    fn delete(&mut self, id: u32) {
        // Refused requests never went on.
        self.decided(id);
        self.filter.delete(id);
    }

    fn answer(&mut self) -> String {
        let start = now();
        for _ in 1..READINGS {
            now();
        }
        let clock = now().saturating_sub(start) / READINGS;
        let decisions: Vec<_> = self.decisions.buckets().collect();
        self.decisions.clear();
        json!({"decisions": decisions, "clock": clock, "memory": memory()}).to_string()
    }
}

fn is_question() -> bool {
    let headers = Envoy.request_headers();
    headers.is_some_and(|headers| headers.iter().any(|(name, value)| name == b":path" && value == QUESTION))
}

/// Envoy makes no callback inside another; if it did, the inner one would get `otherwise`.
fn with<T>(otherwise: T, call: impl FnOnce(&mut Timed) -> T) -> T {
    TIMED.with(|timed| match timed.try_borrow_mut() {
        Ok(mut timed) => call(timed.get_or_insert_with(Timed::new)),
        Err(_) => otherwise,
    })
}

/// Nanoseconds since 1970, by Envoy's clock.
fn now() -> u64 {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    }
    let mut time = 0;
    // SAFETY: the host writes eight bytes to where it is told, before it returns.
    let _ = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    time
}

/// What the VM has taken so far, in bytes; it gives none back.
fn memory() -> usize {
    /// Of WebAssembly.
    const PAGE: usize = 64 * 1024;
    core::arch::wasm32::memory_size::<0>() * PAGE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {}

/// Where the host puts what it hands over.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut u8 {
    Box::leak(Box::<[u8]>::new_uninit_slice(size)).as_mut_ptr().cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    with((), |timed| timed.create(id, parent));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, _size: u32) -> u32 {
    with(false, |timed| timed.filter.configure(id)).into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: u32, end_of_stream: u32) -> u32 {
    with(Action::Pause, |timed| timed.on_headers(id, end_of_stream != 0)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, size: usize, end_of_stream: u32) -> u32 {
    with(Action::Pause, |timed| timed.timed(id, |filter| filter.on_body(id, size, end_of_stream != 0))) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, _count: u32) -> u32 {
    with(Action::Pause, |timed| timed.timed(id, |filter| filter.on_trailers(id))) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    with((), |timed| timed.delete(id));
}
