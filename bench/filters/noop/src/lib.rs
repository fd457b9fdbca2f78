//! A proxy-wasm filter that does nothing. It shows the cost of any proxy-wasm filter before its own work.
#![expect(missing_docs, reason = "the SDK's macro exports undocumented symbols")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

/// Every callback keeps its default implementation, which continues.
struct Request;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request))
    }
}

impl Context for Request {}

impl HttpContext for Request {}
