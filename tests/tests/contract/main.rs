//! The contract with Envoy: what Cellgate asks of it, and what each supported version does.
//!
//! Each subject is recorded under `tests/contract/`: for the newest Envoy in full, for an older one where it differs. A test
//! compares Envoy with its record, and an Envoy without a record with the newest. `make contract` writes the records anew,
//! and `docs/envoy-contract.md`, which shows how the versions differ.

mod admin;
mod calls;
mod difference;
mod document;
mod message;
mod messages;
mod module;
mod record;
mod recorder;
mod reduce;
mod sending;
#[path = "../e2e/support.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod support;
mod trace;
#[path = "../e2e/upload.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod upload;
