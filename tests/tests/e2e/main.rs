//! The end-to-end suite: one behaviour a module, one binary to link. `make test` runs it against Envoy.

mod client_aborts;
mod envoy_routes;
mod examples;
mod expect_continue;
mod grpc;
mod header_bytes;
mod live_config;
mod methods;
mod paused_at_once;
mod spoofing;
mod support;
mod trailers;
mod transports;
mod upgrade;
