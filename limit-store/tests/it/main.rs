//! The stores on real servers. One behaviour per file.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod cluster;
mod embedded;
mod gone;
mod leases;
mod once;
mod recovery;
mod refused;
mod restarts;
mod sharing;
mod slow;
mod support;
mod tls;
