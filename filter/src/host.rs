//! What the filter asks of Envoy: the only hostcalls.
//!
//! One trap answers 503 to every request in flight on the worker and costs a reload of the VM, and the SDK
//! (`proxy_wasm::hostcalls`) panics on every status that it does not expect. So each call is made only where Envoy gives an
//! expected one:
//!
//! | hostcalls | expected | another status comes | so it is called |
//! |---|---|---|---|
//! | `get_buffer` | `Ok`, `NotFound` | if the start lies behind the end | in the buffer's own callback, within the size that Envoy names there |
//! | `get_map_bytes` | `Ok` | if there is no such map now | in the map's own callback |
//! | `set_map_value_bytes`, `remove_map_value` | `Ok` | if the request was let go; if there are no trailers | with [`Unreleased`]; in the trailers callback |
//! | `set_property` | `Ok` | if there is no stream | in a request's callbacks |
//! | `get_property` | `Ok`, `NotFound`, two failures | never | in a request's callbacks |
//! | `send_http_response`, `set_tick_period`, `log` | `Ok` | never | anywhere |
//! | `define_metric` | `Ok` | never for a counter | in a root's callbacks and at the end of its last request |
//! | `increment_metric` | `Ok`, `NotFound`, `BadArgument` | never | like `define_metric` |
//! | `get_shared_data` | `Ok`, `NotFound` | never | while being configured |
//! | `set_shared_data` | `Ok`, `CasMismatch` | never | while being configured |
//!
//! Two panics are left. `get_map_bytes` panics on a name that is not UTF-8: Envoy's codecs let none through. And a VM that
//! has no memory for what Envoy hands over ends there.

mod envoy;
mod fields;

use std::time::Duration;

pub use envoy::Envoy;
pub use fields::Fields;

/// The right to change a request's headers. Envoy ends the VM when they are changed after the request was let go, so
/// this is handed out once per request and used up by [`Host::release`].
#[derive(Debug)]
pub struct Unreleased(());

impl Unreleased {
    /// For a request whose headers Envoy is about to show. One per request.
    pub(crate) fn at_headers() -> Self {
        Self(())
    }
}

/// How loud a line in Envoy's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Shown with `--component-log-level wasm:info`.
    Info,
    /// Shown by default.
    Error,
    /// Shown by default: the VM is about to end.
    Critical,
}

/// Envoy, or a stand-in that enforces its rules.
pub trait Host {
    /// The plugin's configuration. Only while being configured.
    fn configuration(&self) -> Option<Vec<u8>>;

    /// Asks for a callback of the root once in each such period. Only while being configured.
    fn tick_every(&self, period: Duration);

    /// All request headers. Only in the headers callback. `None`: they cannot be seen, so nothing can be removed.
    fn request_headers(&self) -> Option<Fields>;

    /// The URI that the client's certificate names: the first one, and a SPIFFE certificate has no other. `None`: there is
    /// no TLS, no certificate or no URI in it.
    fn peer_uri(&self) -> Option<Vec<u8>>;

    /// Removes every value of a request header.
    fn remove_request_header(&self, unreleased: &Unreleased, name: &str);

    /// Lets the request go on, with a header that replaces every value of that name. The caller returns `Continue`.
    /// `false`: the header could not be set, and the request must not go on.
    #[must_use]
    fn release(&self, unreleased: Unreleased, header: Option<(&str, &str)>) -> bool;

    /// All request trailers. Only in the trailers callback. `None`: as for the headers.
    fn request_trailers(&self) -> Option<Fields>;

    /// Removes every value of a request trailer. Only in the trailers callback.
    fn remove_request_trailer(&self, name: &str);

    /// A piece of the body as Envoy holds it now. Only in the body callback, and `start + size` at most its size. Less
    /// than `size` bytes: it cannot be seen.
    fn request_body(&self, start: usize, size: usize) -> Vec<u8>;

    /// Answers the client, or resets the stream if an answer is already on its way. At most once per request; the
    /// caller returns `Pause`.
    fn respond(&self, status: u16, content_type: &str, body: &str);

    /// Sets filter state that access logs read as `%FILTER_STATE(wasm.NAME:PLAIN)%`.
    fn set_property(&self, name: &str, value: &str);

    /// Makes a counter or finds it again. Envoy shows it as `wasmcustom.NAME`.
    fn define_counter(&self, name: &str) -> u32;

    /// Adds to a counter.
    fn count(&self, counter: u32, by: u64);

    /// A value that all workers of the VM share.
    fn shared(&self, key: &str) -> Option<Vec<u8>>;

    /// Sets a shared value; the last one wins.
    fn set_shared(&self, key: &str, value: &str);

    /// Writes a line to Envoy's log. Never anything of a request.
    fn log(&self, level: Level, line: &str);
}
