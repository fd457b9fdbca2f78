//! The service over real connections. One behaviour per file.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod admin;
mod boundaries;
mod buffered;
mod deadline;
mod documented;
mod drain;
mod duplex;
mod health;
mod hostile;
mod inspect;
mod overload;
mod peer;
mod pki;
mod protocol;
mod raw;
mod readiness;
mod refused;
mod reload;
mod resets;
mod silence;
mod stalled;
mod support;
mod tls;
mod tls_cases;
mod tls_reload;
mod unix_socket;
