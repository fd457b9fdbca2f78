//! Cellgate's proxy-wasm filter: decides a request inside Envoy, or defers it to the ext-proc service.
//!
//! Each of Envoy's callbacks takes one path: the SDK (`proxy_wasm`) → [`Root`] or [`Stream`] → [`Request`] →
//! [`cellgate_routing::Inspection`] (the rule), and back as hostcalls through [`Host`]. Everything except [`Envoy`] also runs natively: the
//! tests script Envoy's callbacks against a fake host that enforces Envoy's rules.
//!
//! Envoy must be configured with `allow_on_headers_stop_iteration: true`, or a paused request never receives its body.
#![forbid(unsafe_code)]

#[cfg(test)]
mod fake;
mod head;
mod host;
mod leases;
mod metrics;
// Only `entry` uses it.
#[cfg(any(test, all(feature = "entry", target_arch = "wasm32")))]
mod panic;
mod plugin;
mod request;
mod root;
mod stream;
mod strip;

pub use host::{Envoy, Fields, Host, Unreleased};
pub use leases::{LeaseSession, LeaseSessions};
pub use metrics::Metrics;
pub use plugin::{ConfigurationRefused, Plugin};
pub use request::Request;
pub use root::Root;
pub use stream::Stream;

/// The SDK allocates each header's name and value, so an allocator that is fast for small blocks pays off.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// The entry point that Envoy calls. A module that links this crate as a library has its own.
#[cfg(all(feature = "entry", target_arch = "wasm32"))]
mod entry {
    use proxy_wasm::types::LogLevel;

    use crate::{Envoy, Host, Root, panic};

    proxy_wasm::main! {{
        // In place of the SDK's hook, which logs the whole message.
        std::panic::set_hook(Box::new(|info| {
            Envoy.log(LogLevel::Critical, &panic::line(info.payload(), info.location()));
        }));
        proxy_wasm::set_root_context(|_| Box::new(Root::in_envoy()));
    }}
}
