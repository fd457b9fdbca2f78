//! Cellgate's second tier: the ext_proc service.
//!
//! [`serve`] runs everything: the ext_proc service and gRPC health on the connections that the workers serve, the admin port,
//! and the files that are watched while the service runs: the configuration ([`config_file`]), and those of TLS
//! ([`TlsSettings`]). All decisions are made by
//! `cellgate_routing`; this crate moves bytes and implements protocols. The `cellgate` command is in `cli/`. Both it and the explain
//! page on the admin port use [`decide`], which runs the [`StateMachine`] of one stream to decide a request offline.
#![forbid(unsafe_code)]

mod admin;
mod admission;
mod budget;
mod build;
mod concurrency;
pub mod config_file;
mod connection;
mod connections;
mod cpu_clock;
pub mod decide;
pub mod fields;
mod incoming;
pub mod inspection;
mod limiter;
pub mod limits;
mod listen;
pub mod logging;
mod metrics;
mod process;
mod rate_limit_service;
mod readiness;
mod refusals;
mod server;
mod settlement;
mod socket;
mod sync;
mod timestamp;
mod tls;
mod traces;
pub mod units;
mod watch;
mod workers;

pub use admin::token::TokenError;
pub use budget::{Budget, Reservation};
pub use cpu_clock::thread_cpu_time;
pub use limiter::LimitStoreSettings;
pub use listen::unix::{SocketFileError, UnixSocket};
pub use listen::{Listener, bind};
pub use metrics::Metrics;
pub use process::event::{BodyMode, Event, HeadMutation, LimitAnswer, LimitFields, Reply, Violation};
pub use process::state_machine::StateMachine;
pub use rate_limit_service::LimitHeaders;
pub use readiness::OverloadLimits;
pub use server::{ServeError, Settings, serve};
pub use sync::LeaseSettings;
pub use tls::client_name::{BadClientName, ClientName};
pub use tls::files::TlsError;
pub use tls::refusal::Reason as RefusalReason;
pub use tls::{MinVersion, TlsSettings};
pub use traces::{BadOtlpEndpoint, BadOtlpHeaders, OtlpEndpoint, OtlpProtocol, TraceError, TraceSettings};
