//! What the filter asks of Envoy: the only hostcalls.
//!
//! The SDK panics on a status it does not expect and on text that is not UTF-8, and one panic answers 503 to every
//! request in flight on the worker. So only calls that cannot fail in the phase they are made in are here, and each
//! says why. (Statuses as in proxy-wasm-cpp-host's `exports.cc` and Envoy's `context.cc`.)

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

/// Header or trailer fields, in the order received. Names are lower case.
pub type Fields = Vec<(String, Vec<u8>)>;

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
}

/// Envoy, or a stand-in that enforces its rules.
pub trait Host {
    /// The plugin's configuration. Only while being configured.
    fn configuration(&self) -> Option<Vec<u8>>;

    /// All request headers. Only in the headers callback.
    fn request_headers(&self) -> Fields;

    /// Removes every value of a request header.
    fn remove_request_header(&self, unreleased: &Unreleased, name: &str);

    /// Lets the request go on, with a header that replaces every value of that name. The caller returns `Continue`.
    fn release(&self, unreleased: Unreleased, header: Option<(&str, &str)>);

    /// All request trailers. Only in the trailers callback.
    fn request_trailers(&self) -> Fields;

    /// Removes every value of a request trailer. Only in the trailers callback.
    fn remove_request_trailer(&self, name: &str);

    /// A piece of the body as Envoy holds it now. Only in the body callback, and `start + size` at most its size.
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

/// Envoy itself.
#[derive(Clone, Copy, Debug)]
pub struct Envoy;

impl Host for Envoy {
    #[expect(clippy::disallowed_methods, reason = "an absent configuration is NotFound, which the SDK expects")]
    fn configuration(&self) -> Option<Vec<u8>> {
        // The size is a bound, not a promise. usize::MAX would do too, as the start is 0 and cannot overflow.
        hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the map exists in this phase; Envoy's codecs admit only tokens as names, and values stay bytes"
    )]
    fn request_headers(&self) -> Fields {
        hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "the map exists until the request is released, see Unreleased")]
    fn remove_request_header(&self, _unreleased: &Unreleased, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
    }

    #[expect(clippy::disallowed_methods, reason = "the map exists until the request is released, see Unreleased")]
    fn release(&self, _unreleased: Unreleased, header: Option<(&str, &str)>) {
        if let Some((name, value)) = header {
            let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value.as_bytes()));
        }
    }

    #[expect(clippy::disallowed_methods, reason = "as for request_headers: the map exists in the trailers callback")]
    fn request_trailers(&self) -> Fields {
        hostcalls::get_map_bytes(MapType::HttpRequestTrailers).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "the map exists in the trailers callback")]
    fn remove_request_trailer(&self, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestTrailers, name);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "no buffer is NotFound, which the SDK expects; a range inside the buffer is never BadArgument"
    )]
    fn request_body(&self, start: usize, size: usize) -> Vec<u8> {
        hostcalls::get_buffer(BufferType::HttpRequestBody, start, size).ok().flatten().unwrap_or_default()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "only a second answer is BadArgument, and the state after one is final"
    )]
    fn respond(&self, status: u16, content_type: &str, body: &str) {
        let headers = vec![("content-type", content_type)];
        let _ = hostcalls::send_http_response(u32::from(status), headers, Some(body.as_bytes()));
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the stream exists in every request callback, and the state is mutable"
    )]
    fn set_property(&self, name: &str, value: &str) {
        let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
    }

    #[expect(clippy::disallowed_methods, reason = "only an unknown metric type is refused")]
    fn define_counter(&self, name: &str) -> u32 {
        // Metric ids start above zero; counting on an unknown one is an error that `count` leaves aside.
        hostcalls::define_metric(MetricType::Counter, name).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "the SDK returns NotFound and BadArgument as errors")]
    fn count(&self, counter: u32, by: u64) {
        if let Ok(by @ 1..) = i64::try_from(by) {
            let _ = hostcalls::increment_metric(counter, by);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "only Ok and NotFound are returned, and the SDK expects both")]
    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        hostcalls::get_shared_data(key).ok()?.0
    }

    #[expect(clippy::disallowed_methods, reason = "without a version to compare, only Ok is returned")]
    fn set_shared(&self, key: &str, value: &str) {
        let _ = hostcalls::set_shared_data(key, Some(value.as_bytes()), None);
    }

    #[expect(clippy::disallowed_methods, reason = "only an unknown level is refused")]
    fn log(&self, level: Level, line: &str) {
        let level = match level {
            Level::Info => LogLevel::Info,
            Level::Error => LogLevel::Error,
        };
        let _ = hostcalls::log(level, line);
    }
}
