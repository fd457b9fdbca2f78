//! The filter's hostcalls. No other module calls Envoy.
//!
//! After one trap, Envoy answers 503 to every request in flight on the worker and reloads the VM. The SDK
//! (`proxy_wasm::hostcalls`) panics on every status that it does not expect. So the filter makes each call only where
//! Envoy returns an expected status:
//!
//! | hostcalls | expected | Envoy returns another status | so the call is made |
//! |---|---|---|---|
//! | `get_buffer` | `Ok`, `NotFound` | if the start lies behind the end | in the buffer's own callback, within the size that Envoy names there |
//! | `get_map_bytes` | `Ok` | if there is no such map now | in the map's own callback |
//! | `set_map_value_bytes`, `remove_map_value` | `Ok` | if the request is released; if there are no trailers | with [`Unreleased`]; in the trailers callback |
//! | `set_property` | `Ok` | if there is no stream | in a request's callbacks |
//! | `get_property` | `Ok`, `NotFound`, two failures | never | in a request's callbacks, and while being configured |
//! | `send_http_response`, `set_tick_period`, `log` | `Ok` | never | anywhere |
//! | `define_metric` | `Ok` | never for a counter | in a root's callbacks and at the end of its last request |
//! | `increment_metric` | `Ok`, `NotFound`, `BadArgument` | never | like `define_metric` |
//! | `get_shared_data` | `Ok`, `NotFound` | never | while being configured |
//! | `set_shared_data` | `Ok`, `CasMismatch` | never | while being configured |
//! | `get_current_time` | `Ok` | never | anywhere |
//! | `dispatch_grpc_call` | `Ok`, two failures | never | in a root's timer |
//!
//! Two panics remain. `get_map_bytes` panics on a name that is not UTF-8, which Envoy's codecs reject. And a VM traps when
//! it has no memory for the data that Envoy writes.

mod envoy;
mod fields;

use std::time::Duration;

pub use envoy::Envoy;
pub use fields::Fields;
use proxy_wasm::types::LogLevel;

/// The right to change a request's headers. A change after the release traps, so each request has one such value and
/// [`Host::release`] consumes it.
#[derive(Debug)]
pub struct Unreleased(());

impl Unreleased {
    /// For a request whose headers Envoy is about to show. One per request.
    pub(crate) fn at_headers() -> Self {
        Self(())
    }
}

/// Envoy, or a fake that enforces Envoy's rules.
pub trait Host {
    /// The plugin's configuration. The caller must be in the configuration callback.
    fn configuration(&self) -> Option<Vec<u8>>;

    /// Makes Envoy call the root's timer once per period. The caller must be in a root's callback, and not in the timer's own.
    fn tick_every(&self, period: Duration);

    /// All request headers. The caller must be in the headers callback. `None`: Envoy does not show them.
    fn request_headers(&self) -> Option<Fields>;

    /// The first URI in the peer's certificate; a SPIFFE certificate has only one. `None`: there is no TLS, no
    /// certificate or no URI in it.
    fn peer_uri(&self) -> Option<Vec<u8>>;

    /// The client's address, with its port. Envoy may have read it from X-Forwarded-For.
    fn client_address(&self) -> Option<Vec<u8>>;

    /// The dynamic metadata of the filters in front: a serialised `envoy.config.core.v3.Metadata`. In this form values keep
    /// their types. Empty if there is none.
    fn metadata(&self) -> Vec<u8>;

    /// Removes every value of a request header.
    fn remove_request_header(&self, unreleased: &Unreleased, name: &str);

    /// Releases the request, with a header that replaces every value of that name. The caller must return `Continue`.
    /// `false`: Envoy did not set the header, and the request must not go on.
    #[must_use]
    fn release(&self, unreleased: Unreleased, header: Option<(&str, &str)>) -> bool;

    /// All request trailers. The caller must be in the trailers callback. `None`: Envoy does not show them.
    fn request_trailers(&self) -> Option<Fields>;

    /// Removes every value of a request trailer. The caller must be in the trailers callback.
    fn remove_request_trailer(&self, name: &str);

    /// Copies a part of Envoy's body buffer. The caller must be in the body callback, and `start + size` at most the
    /// buffer's size. Fewer than `size` bytes: Envoy does not show the part.
    fn request_body(&self, start: usize, size: usize) -> Vec<u8>;

    /// Sends a local reply, or resets the stream if a response has begun. At most once per request. The caller must
    /// return `Pause`.
    fn respond(&self, status: u16, content_type: &str, body: &str);

    /// Sets filter state that access logs read as `%FILTER_STATE(wasm.NAME:PLAIN)%`.
    fn set_property(&self, name: &str, value: &str);

    /// Defines a counter, or finds the one of this name. Envoy shows it as `wasmcustom.NAME`.
    fn define_counter(&self, name: &str) -> u32;

    /// Adds to a counter.
    fn count(&self, counter: u32, by: u64);

    /// A number that no other VM of this Envoy gets under the same shared key. 0 if there is none.
    fn claim_number(&self, key: &str) -> u32;

    /// Nanoseconds since 1970. Envoy's clock has a resolution of microseconds.
    fn now(&self) -> u64;

    /// The name of this Envoy: its node ID. Empty if it has none.
    fn node_id(&self) -> Vec<u8>;

    /// Makes a unary call of gRPC, whose end Envoy tells the root. The caller must be in a root's callback. `service` is a
    /// serialised `envoy.config.core.v3.GrpcService`. Returns the call's token, which no other call of this VM has. `None`: the
    /// call is not made.
    fn call(&self, service: &str, name: &str, method: &str, message: &[u8], timeout: Duration) -> Option<u32>;

    /// The message of the response. The caller must be in the callback of its call, and `size` the size that Envoy names there.
    fn grpc_response(&self, size: usize) -> Vec<u8>;

    /// A value in the memory that all workers share.
    fn shared(&self, key: &str) -> Option<Vec<u8>>;

    /// Sets a shared value. The last write wins.
    fn set_shared(&self, key: &str, value: &str);

    /// Writes a line to Envoy's log. The caller must not log any part of a request. Envoy shows `Error` and `Critical` by
    /// default, and `Info` with `--component-log-level wasm:info`.
    fn log(&self, level: LogLevel, line: &str);
}
