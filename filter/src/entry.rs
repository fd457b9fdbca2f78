//! Where Envoy starts the module.

use crate::host::Envoy;
use crate::root::Root;

proxy_wasm::main! {{
    // Also installs the SDK's panic hook: a panic, though none is known, is logged before the VM stops.
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::new(Envoy)));
}}
