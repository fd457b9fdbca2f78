//! The host that Envoy is.

use super::raw::{self, Buffer, LogLevel, Map};
use super::{Fields, Host, Level, Unreleased};

/// Envoy itself.
#[derive(Clone, Copy, Debug)]
pub struct Envoy;

impl Host for Envoy {
    fn configuration(&self) -> Option<Vec<u8>> {
        // The size is a bound, not a promise. The start is 0, so that the largest cannot overflow.
        raw::buffer(Buffer::PluginConfiguration, 0, usize::MAX)
    }

    fn request_headers(&self) -> Option<Fields> {
        raw::fields(Map::RequestHeaders).and_then(Fields::from_block)
    }

    fn peer_uri(&self) -> Option<Vec<u8>> {
        raw::property(b"connection\0uri_san_peer_certificate")
    }

    fn remove_request_header(&self, _unreleased: &Unreleased, name: &[u8]) {
        raw::remove(Map::RequestHeaders, name);
    }

    fn release(&self, _unreleased: Unreleased, header: Option<(&str, &str)>) -> bool {
        header.is_none_or(|(name, value)| raw::replace(Map::RequestHeaders, name.as_bytes(), value.as_bytes()))
    }

    fn request_trailers(&self) -> Option<Fields> {
        raw::fields(Map::RequestTrailers).and_then(Fields::from_block)
    }

    fn remove_request_trailer(&self, name: &[u8]) {
        raw::remove(Map::RequestTrailers, name);
    }

    fn request_body(&self, start: usize, size: usize) -> Vec<u8> {
        raw::buffer(Buffer::RequestBody, start, size).unwrap_or_default()
    }

    fn respond(&self, status: u16, content_type: &str, body: &str) {
        let headers: Fields = [("content-type", content_type)].into_iter().collect();
        raw::respond(status.into(), headers.as_block(), body.as_bytes());
    }

    fn set_property(&self, name: &str, value: &str) {
        raw::set_property(name.as_bytes(), value.as_bytes());
    }

    fn define_counter(&self, name: &str) -> u32 {
        // Numbers start above zero; counting on an unknown one is refused, and that is all.
        raw::define_counter(name).unwrap_or_default()
    }

    fn count(&self, counter: u32, by: u64) {
        if let Ok(by @ 1..) = i64::try_from(by) {
            raw::increment(counter, by);
        }
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        raw::shared(key.as_bytes())
    }

    fn set_shared(&self, key: &str, value: &str) {
        raw::set_shared(key.as_bytes(), value.as_bytes());
    }

    fn log(&self, level: Level, line: &str) {
        let level = match level {
            Level::Info => LogLevel::Info,
            Level::Error => LogLevel::Error,
            Level::Critical => LogLevel::Critical,
        };
        raw::log(level, line);
    }
}
