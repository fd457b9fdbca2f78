//! The end-to-end suite: one behaviour a module, one binary to link. `make test` runs it against Envoy.

mod envoy_routes;
