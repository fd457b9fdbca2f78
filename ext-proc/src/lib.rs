//! Cellgate's second tier: the ext_proc service.
//!
//! [`server`] runs everything: the ext_proc service ([`process`]) and gRPC health on the [`connections`] that
//! [`workers`] serve, the [`admin`] port, and the configuration file that is watched while it runs ([`config_file`]).
//! All decisions are made by `cellgate_routing`; this crate moves bytes and speaks protocols. The `cellgate` command is
//! in `cli/`.
#![forbid(unsafe_code)]

pub mod admin;
pub mod budget;
pub mod build;
pub mod config_file;
pub mod connections;
pub mod fields;
pub mod incoming;
pub mod listen;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod server;
pub mod workers;
