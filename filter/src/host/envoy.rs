//! The host in production: Envoy, by the SDK's hostcalls.

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

use super::{Fields, Host, Unreleased};

/// The most attempts to claim a number. Each one that fails is one that another worker has made.
const CLAIMS: usize = 1_000;

/// Envoy.
#[derive(Clone, Copy, Debug)]
pub struct Envoy;

impl Host for Envoy {
    fn configuration(&self) -> Option<Vec<u8>> {
        // Envoy returns at most this many bytes. With the start at 0 the end cannot overflow.
        hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten()
    }

    fn tick_every(&self, period: Duration) {
        let _ = hostcalls::set_tick_period(period);
    }

    fn request_headers(&self) -> Option<Fields> {
        hostcalls::get_map_bytes(MapType::HttpRequestHeaders).ok().map(Fields::new)
    }

    fn peer_uri(&self) -> Option<Vec<u8>> {
        hostcalls::get_property(vec!["connection", "uri_san_peer_certificate"]).ok().flatten()
    }

    fn client_address(&self) -> Option<Vec<u8>> {
        hostcalls::get_property(vec!["source", "address"]).ok().flatten()
    }

    fn metadata(&self) -> Vec<u8> {
        hostcalls::get_property(vec!["metadata"]).ok().flatten().unwrap_or_default()
    }

    fn remove_request_header(&self, _unreleased: &Unreleased, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
    }

    fn release(&self, _unreleased: Unreleased, header: Option<(&str, &str)>) -> bool {
        header.is_none_or(|(name, value)| {
            hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value.as_bytes())).is_ok()
        })
    }

    fn request_trailers(&self) -> Option<Fields> {
        hostcalls::get_map_bytes(MapType::HttpRequestTrailers).ok().map(Fields::new)
    }

    fn remove_request_trailer(&self, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestTrailers, name);
    }

    fn request_body(&self, start: usize, size: usize) -> Vec<u8> {
        hostcalls::get_buffer(BufferType::HttpRequestBody, start, size).ok().flatten().unwrap_or_default()
    }

    fn respond(&self, status: u16, content_type: &str, body: &str) {
        let headers = vec![("content-type", content_type)];
        let _ = hostcalls::send_http_response(status.into(), headers, Some(body.as_bytes()));
    }

    fn set_property(&self, name: &str, value: &str) {
        let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
    }

    fn define_counter(&self, name: &str) -> u32 {
        // 0 is no counter's id: Envoy then refuses to count, and nothing else happens.
        hostcalls::define_metric(MetricType::Counter, name).unwrap_or_default()
    }

    fn count(&self, counter: u32, by: u64) {
        if let Ok(by @ 1..) = i64::try_from(by) {
            let _ = hostcalls::increment_metric(counter, by);
        }
    }

    fn claim_number(&self, key: &str) -> u32 {
        // Envoy numbers all writes of shared data. A write that replaces exactly the one that was read claims its number.
        for _ in 0..CLAIMS {
            match hostcalls::get_shared_data(key) {
                Ok((Some(_), Some(number))) if hostcalls::set_shared_data(key, Some(b"-"), Some(number)).is_ok() => {
                    return number;
                }
                Ok((Some(_), Some(_))) => {}
                _ => {
                    let _ = hostcalls::set_shared_data(key, Some(b"-"), None);
                }
            }
        }
        0
    }

    fn now(&self) -> u64 {
        let time = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        time.and_then(|time| u64::try_from(time.as_nanos()).ok()).unwrap_or_default()
    }

    fn node_id(&self) -> Vec<u8> {
        hostcalls::get_property(vec!["node", "id"]).ok().flatten().unwrap_or_default()
    }

    fn call(&self, service: &str, name: &str, method: &str, message: &[u8], timeout: Duration) -> Option<u32> {
        hostcalls::dispatch_grpc_call(service, name, method, Vec::new(), Some(message), timeout).ok()
    }

    fn grpc_response(&self, size: usize) -> Vec<u8> {
        hostcalls::get_buffer(BufferType::GrpcReceiveBuffer, 0, size).ok().flatten().unwrap_or_default()
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        hostcalls::get_shared_data(key).ok().and_then(|(value, _version)| value)
    }

    fn set_shared(&self, key: &str, value: &str) {
        let _ = hostcalls::set_shared_data(key, Some(value.as_bytes()), None);
    }

    fn log(&self, level: LogLevel, line: &str) {
        let _ = hostcalls::log(level, line);
    }
}
