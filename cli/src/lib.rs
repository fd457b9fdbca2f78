//! The library behind the `cellgate` binary: its command line and its commands.
//!
//! [`cli`] reads the options and runs a command. `serve` runs the service of `cellgate_ext_proc`. [`decide`] decides one
//! request offline, [`neighbours`] compares a release with a cluster before an installation, [`doctor`] examines a gateway,
//! and [`probe`] sends requests through one.
#![forbid(unsafe_code)]

pub mod cli;
pub mod decide;
pub mod doctor;
pub mod http_client;
pub mod neighbours;
pub mod probe;
pub mod units;
