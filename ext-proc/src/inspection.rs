//! The document of `/inspect` on the admin port. `cellgate inspect` reads it.
//!
//! It has no routing key, no body, and no header but the request ID of a refused request. Times are UTC (RFC 3339), sizes are
//! bytes. A reader ignores fields that it does not know, so that a newer service can add some.

use serde::{Deserialize, Serialize};

use crate::limits::StoreStatus;
use crate::logging::level::LogLevelState;

/// The state of a running service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// The version of the program.
    pub version: String,
    /// The commit of the build.
    pub build: String,
    /// When the service started.
    pub started_at: String,
    /// How long it has run.
    pub uptime_seconds: u64,
    /// Whether it is ready for new requests.
    pub ready: bool,
    /// Why it is not ready, as in the body of `/readyz`.
    pub not_ready_reasons: Vec<String>,
    /// The configuration in force.
    pub config: ConfigInForce,
    /// The byte budget.
    pub budget: BudgetUse,
    /// Open streams, which are requests.
    pub open_streams: u64,
    /// The settings that limit requests.
    pub limits: ServiceLimits,
    /// The rate limits.
    #[serde(default)]
    pub rate_limits: RateLimitsInForce,
    /// The log. `None` if the process has none of ours.
    #[serde(default)]
    pub log: Option<LogState>,
    /// TLS on the gRPC port. `None` in plain text.
    pub tls: Option<TlsInForce>,
    /// Rejected requests by reason, the latest first.
    pub refusals: Vec<RefusalCount>,
    /// Streams that ended with an error status, by status, the latest first.
    pub stream_errors: Vec<RefusalCount>,
    /// Connections refused by the TLS handshake, by reason, the latest first.
    pub refused_connections: Vec<RefusalCount>,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigInForce {
    /// The field `version` of the configuration.
    pub version: String,
    /// `sha256:` and the SHA-256 of the file in hexadecimal digits, as `cellgate check` and `sha256sum` print it.
    pub digest: String,
    /// The path of the file.
    pub file: String,
    /// When it was loaded.
    pub loaded_at: String,
    /// The content of the file now, if it was refused.
    pub refused: Option<RefusedFile>,
}

/// A changed file that is not in force, because it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFile {
    /// When it was refused.
    pub at: String,
    /// Why, without any value of the file.
    pub error: String,
}

/// The byte budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetUse {
    /// Bytes reserved now.
    pub used_bytes: u64,
    /// The limit (`--max-held-bytes`).
    pub limit_bytes: u64,
    /// Streams that wait for room.
    pub waiting_streams: u64,
}

/// The settings that limit requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLimits {
    /// The largest message from Envoy (`--max-message-bytes`).
    pub message_bytes: u64,
    /// The most body bytes of one request that are buffered (`limits.stream_bytes` of the configuration).
    pub stream_bytes: u64,
    /// Streams on one connection (`--max-streams`).
    pub streams_per_connection: u64,
    /// `--decision-timeout`, in milliseconds.
    pub decision_timeout_ms: u64,
    /// `--budget-timeout`, in milliseconds.
    pub budget_timeout_ms: u64,
    /// `--drain-delay`, in milliseconds.
    pub drain_delay_ms: u64,
    /// `--drain-timeout`, in milliseconds.
    pub drain_timeout_ms: u64,
}

/// The rate limits of the configuration in force, and their store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitsInForce {
    /// Their names, in the order of the configuration.
    pub names: Vec<String>,
    /// The store of what is in use.
    pub store: StoreStatus,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// The level in force.
    #[serde(flatten)]
    pub level: LogLevelState,
    /// Lines that were left out, because their event came too often.
    pub suppressed_lines: u64,
    /// Lines that were dropped, because nobody read stderr fast enough.
    pub dropped_lines: u64,
}

/// TLS on the gRPC port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsInForce {
    /// The first second in which the certificate is valid.
    pub not_before: String,
    /// Its last second.
    pub not_after: String,
    /// How long it is still valid. 0 if it has expired.
    pub expires_in_seconds: u64,
    /// Whether a client needs a certificate.
    pub client_certificates: bool,
    /// The content of the files now, if it was refused.
    pub refused: Option<RefusedFile>,
}

/// Refusals for one reason since the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalCount {
    /// The reason of a decision or of a refused connection, or the name of a gRPC status.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The time of the last one.
    pub last_at: String,
    /// The HTTP status of the last one. Only requests have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// The `x-request-id` of the last one, as in the log. Connections have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_request_id: String,
}
