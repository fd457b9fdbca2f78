//! The service over real connections. One behaviour per file.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod admin;
mod boundaries;
mod buffered;
mod concurrency;
mod deadline;
mod drain;
mod duplex;
mod explain;
mod health;
mod hostile;
mod inspect;
mod limits;
mod limits_admin;
mod otlp;
mod overload;
mod peer;
mod pki;
mod protocol;
mod rate_limit_service;
mod raw;
mod readiness;
mod refused;
mod reload;
mod resets;
mod settlement;
mod silence;
mod stalled;
mod support;
mod sync;
mod tls;
mod tls_cases;
mod tls_reload;
mod traces;
mod traces_export;
mod unix_socket;
