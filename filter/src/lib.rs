//! Cellgate's proxy-wasm filter: decides inside Envoy what can be decided there, and marks the rest for ext-proc.
//!
//! A callback of Envoy's goes one way: the SDK (`proxy_wasm`) → [`Root`] or [`Stream`] → [`Request`] →
//! [`cellgate_routing::Inspection`] (the rule), and back as hostcalls through [`Host`]. Everything but [`Envoy`] runs natively, where the
//! tests script Envoy's callbacks against a host that enforces Envoy's rules.
//!
//! Envoy must be configured with `allow_on_headers_stop_iteration: true`, or a paused request never sees its body.
#![forbid(unsafe_code)]

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
mod stream;
mod strip;

pub use host::{Envoy, Fields, Host, Level, Unreleased};
pub use metrics::Metrics;
pub use plugin::{NotConfigured, Plugin};
pub use request::{Action, Request};
pub use root::Root;
pub use stream::Stream;

/// The SDK allocates each header's name and value: an allocator that is quick with small pieces pays.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Where Envoy starts the module. A module that links this crate as a library has its own.
#[cfg(all(feature = "entry", target_arch = "wasm32"))]
mod entry {
    use crate::{Envoy, Host, Level, Root, panic};

    proxy_wasm::main! {{
        // Not the SDK's hook, which logs the whole message. No hook is known before.
        std::panic::set_hook(Box::new(|info| {
            Envoy.log(Level::Critical, &panic::line(info.payload(), info.location()));
        }));
        proxy_wasm::set_root_context(|_| Box::new(Root::new(Envoy)));
    }}
}
