//! The end-to-end suite: one behaviour a module, one binary to link. `make test` runs it against Envoy.

mod envoy_routes;
mod header_bytes;
mod methods;
mod spoofing;
mod support;
mod trailers;
mod transports;
