//! The end-to-end suite: one behaviour a module, one binary to link. `make test` runs it against Envoy.

mod ambiguous_lengths;
mod bodies;
mod client_aborts;
mod corpus;
mod envoy_routes;
mod examples;
mod expect_continue;
mod grpc;
mod guard;
mod header_bytes;
mod hold_and_peek;
mod large_bodies;
mod live_config;
mod methods;
mod observability;
mod paused_at_once;
mod retries;
mod service_failures;
mod spoofing;
mod standalone;
mod support;
mod trailers;
mod transports;
mod upgrade;
mod upload;
mod zero_streams;
