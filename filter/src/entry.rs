//! The callbacks that Envoy makes, by the names of the proxy-wasm ABI 0.2.1.
//!
//! Envoy calls what a module exports and skips the rest. So nothing is exported that has nothing to do: a callback for
//! a response costs each request about half a microsecond. That, and the SDK's panics on what a host may answer, is why
//! these few lines stand in place of the SDK's.
#![expect(unsafe_code, reason = "exported names; no function here reads a pointer")]

use std::cell::RefCell;

use crate::contexts::Contexts;
use crate::host::{self, Envoy, Host, Level};
use crate::panic;
use crate::request::Action;

thread_local! {
    static CONTEXTS: RefCell<Contexts<Envoy>> = const { RefCell::new(Contexts::new(Envoy)) };
}

/// Envoy makes no callback inside another; if it did, the inner one would get `otherwise`.
fn with<T>(otherwise: T, call: impl FnOnce(&mut Contexts<Envoy>) -> T) -> T {
    CONTEXTS.with(|contexts| match contexts.try_borrow_mut() {
        Ok(mut contexts) => call(&mut contexts),
        Err(_) => otherwise,
    })
}

/// Which ABI this is. Envoy looks for the name.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // None is known.
    std::panic::set_hook(Box::new(|info| Envoy.log(Level::Critical, &panic::line(info.payload(), info.location()))));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    host::allocate(size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    with((), |contexts| contexts.create(id, parent));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, _size: u32) -> u32 {
    with(false, |contexts| contexts.configure(id)).into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: u32, end_of_stream: u32) -> u32 {
    with(Action::Pause, |contexts| contexts.on_headers(id, end_of_stream != 0)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, size: usize, end_of_stream: u32) -> u32 {
    with(Action::Pause, |contexts| contexts.on_body(id, size, end_of_stream != 0)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, _count: u32) -> u32 {
    with(Action::Pause, |contexts| contexts.on_trailers(id)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    with((), |contexts| contexts.delete(id));
}
