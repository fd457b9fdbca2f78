//! Cellgate's proxy-wasm filter: decides inside Envoy what can be decided there, and marks the rest for ext-proc.
//!
//! A callback of Envoy's goes one way: [`HttpFilter`] (the SDK's traits) → [`Request`] (the state machine) → the core in
//! `cellgate_routing`, and back as hostcalls through [`Host`]. Everything but [`Envoy`] runs natively, where the tests
//! script Envoy's callbacks against a host that enforces Envoy's rules.
//!
//! Envoy must be configured with `allow_on_headers_stop_iteration: true`, or a paused request never sees its body.
#![forbid(unsafe_code)]

mod context;
mod defer;
#[cfg(feature = "entry")]
mod entry;
#[cfg(test)]
mod fake;
mod host;
mod metrics;
mod plugin;
mod request;
mod root;
mod strip;

pub use context::{HttpFilter, Unconfigured};
pub use defer::Mode;
pub use host::{Envoy, Fields, Host, Level, Unreleased};
pub use metrics::Metrics;
pub use plugin::{NotConfigured, Plugin};
pub use request::Request;
pub use root::Root;
