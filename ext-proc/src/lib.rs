//! The library behind the `cellgate` binary: Cellgate's second tier and its command line.
//!
//! [`server`] runs everything: the ext_proc service ([`process`]) and gRPC health on the [`connections`] that
//! [`workers`] serve, the [`admin`] port, and the configuration file that is watched while it runs ([`config_file`]). [`decide`] replays one request offline,
//! [`neighbours`] looks for what others have in the cluster before an installation, [`doctor`] judges a gateway, and [`probe`] sends requests through one.
//! All decisions are made by `cellgate_routing`; this crate moves bytes and speaks protocols.
#![forbid(unsafe_code)]

pub mod admin;
pub mod budget;
pub mod build;
pub mod cli;
pub mod config_file;
pub mod connections;
pub mod decide;
pub mod doctor;
pub mod fields;
pub mod http_client;
pub mod incoming;
pub mod listen;
pub mod logging;
pub mod metrics;
pub mod neighbours;
pub mod probe;
pub mod process;
pub mod server;
pub mod units;
pub mod workers;
