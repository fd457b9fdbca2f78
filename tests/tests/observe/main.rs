//! The view of operators: traces in a real Jaeger, and metrics in a real Prometheus (`make test-observe`).
//!
//! Envoy has the lines of `examples/envoy/tracing.yaml`.

mod aborted;
mod joined;
mod metrics;
mod sampling;
mod support;
mod tags;
