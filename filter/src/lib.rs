//! Cellgate's proxy-wasm filter: decides inside Envoy what can be decided there, and marks the rest for ext-proc.
//!
//! A callback of Envoy's goes one way: `entry` (the names of the proxy-wasm ABI) → [`Contexts`] → [`Request`] (the state
//! machine) → the core in `cellgate_routing`, and back as hostcalls through [`Host`]. Everything but `entry` and [`Envoy`]
//! runs natively, where the tests script Envoy's callbacks against a host that enforces Envoy's rules.
//!
//! Envoy must be configured with `allow_on_headers_stop_iteration: true`, or a paused request never sees its body.
#![deny(unsafe_code)]

mod contexts;
mod defer;
// Its names belong to a module for Envoy.
#[cfg(all(feature = "entry", target_arch = "wasm32"))]
mod entry;
#[cfg(test)]
mod fake;
mod host;
mod metrics;
// Only `entry` uses it.
#[cfg(any(test, all(feature = "entry", target_arch = "wasm32")))]
mod panic;
mod plugin;
mod request;
mod root;
mod strip;

pub use contexts::Contexts;
pub use defer::Mode;
pub use host::{Envoy, Fields, Host, Level, Unreleased};
pub use metrics::Metrics;
pub use plugin::{NotConfigured, Plugin};
pub use request::{Action, Request};
pub use root::Root;
